#!/usr/bin/env bash
# Runs the benchmarks that peers' documents name, with the default settings, and writes their table:
#
#   scripts/benchmarks.sh [TASK...]          # all tasks, or those named: LunarLander-v3
#   RANKS=2 SEEDS="40 41 42" scripts/benchmarks.sh
#   SHORT=4096 SEEDS=40 OUT=/tmp/short scripts/benchmarks.sh    # rehearses: so many steps of each task
#
# A finished seed is skipped and an unfinished one resumed, so the command can be repeated after an interruption.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${OUT:-results/benchmarks} ranks=${RANKS:-1} seeds=${SEEDS:-40 41 42}
names=" $* "
[[ -z ${SHORT:-} || -n ${OUT:-} ]] || { echo "benchmarks.sh: SHORT needs OUT: short runs are no results" >&2; exit 2; }

task() { # ENV STEPS, and what an evaluation is
    local env=$1 steps=${SHORT:-$2}
    shift 2
    [[ $names == "  " || $names == *" $env "* ]] || return 0
    scripts/run_seeds.sh "$out/$env" "$ranks" "$seeds" "$env" --expert "expert_data/$env.h5" --steps "$steps" --quiet "$@"
}

task CartPole-v1 200000 --eval_every 10000
task MountainCar-v0 300000 --eval_every 15000
task Acrobot-v1 300000 --eval_every 15000
task Pendulum-v1 400000 --eval_every 20000
task PointNav2D-v0 102400 --eval_every 10240 --eval_episodes 200 --final_episodes 1000
task LunarLander-v3 1000000 --eval_every 50000
task Hopper-v4 500000 --eval_every 25000
task BipedalWalker-v3 2000000 --eval_every 100000

python scripts/benchmarks_table.py "$out" >"$out/README.md.new"
mv "$out/README.md.new" "$out/README.md"
