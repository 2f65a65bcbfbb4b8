#!/usr/bin/env bash
# Runs one training per seed under mpirun, one after the other, and keeps the files that results/ needs:
#
#   scripts/run_seeds.sh results/hopper 2 "0 1 2 3 4" Hopper-v4 --expert expert_data/Hopper-v4.h5 \
#       --trajectories 4 --subsample 20
#
# A finished seed is skipped and an unfinished one resumed, so the command can be repeated after an interruption. A run
# that a signal ends is not finished, and ends this script.
set -euo pipefail

out=$1 ranks=$2 seeds=$3
shift 3
finished() { grep -qsE '"stopped": "(steps|iterations)"' "$1/summary.json"; }
for seed in $seeds; do
    kept=$out/seed_$seed
    finished "$kept" && continue
    run=runs/${out//\//_}-seed$seed resume=
    if [[ -e $run/config.json ]]; then resume=--resume; fi
    # shellcheck disable=SC2086
    OMP_NUM_THREADS=1 mpirun -n "$ranks" trpo-gail train "$@" --seed "$seed" --out "$run" $resume
    finished "$run" || { echo "run_seeds.sh: $run is not finished: the same command goes on" >&2; exit 1; }
    mkdir -p "$kept"
    cp "$run"/{metrics.csv,learning_curve.png,summary.json} "$kept"
    sed "s|$PWD/||" "$run/config.json" >"$kept/config.json" # the checkout's path is private
done
