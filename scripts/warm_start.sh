#!/usr/bin/env bash
# Measures on Hopper what a clone gains as the first policy: three seeds that begin with one, three that begin at random.
# results/adversaries/warm_start.md has shorter runs. A finished seed is skipped, so the command can be repeated.
set -euo pipefail

out=${1:-results/adversaries/warm_start} seeds=${2:-0 1 2} steps=${3:-300000}
line=(Hopper-v4 --expert expert_data/Hopper-v4.h5 --trajectories 4 --subsample 20 --steps "$steps" --eval_every 20000)
scripts/run_seeds.sh "$out/clone" 1 "$seeds" "${line[@]}" --init_policy bc --warmup_iterations 3
scripts/run_seeds.sh "$out/random" 1 "$seeds" "${line[@]}"
for kind in clone random; do
    echo "$kind"
    python scripts/results_table.py "$out/$kind"
done
