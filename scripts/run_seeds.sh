#!/usr/bin/env bash
# Runs one training per seed under mpirun, one after the other, and keeps what results/ needs of each:
#
#   scripts/run_seeds.sh results/hopper 2 "0 1 2 3 4" Hopper-v4 --expert expert_data/Hopper-v4.h5 --trajectories 4 --subsample 20
#
# A seed that is done is skipped, so the command can be given again after an interruption.
set -euo pipefail

out=$1 ranks=$2 seeds=$3
shift 3
for seed in $seeds; do
    kept=$out/seed_$seed
    grep -qs '"stopped": "steps"' "$kept/summary.json" && continue
    run=runs/$(basename "$out")-seed$seed
    rm -rf "$run"
    OMP_NUM_THREADS=1 mpirun -n "$ranks" trpo-gail train "$@" --seed "$seed" --out "$run"
    grep -q '"stopped": "steps"' "$run/summary.json"
    mkdir -p "$kept"
    cp "$run"/{metrics.csv,learning_curve.png,summary.json} "$kept"
    sed "s|$PWD/||" "$run/config.json" >"$kept/config.json" # where the checkout lies is nobody's business
done
