#!/usr/bin/env bash
# One change at a time to the default settings of that time, on three tasks and five seeds that no tuning has seen:
#
#   JOBS=2 scripts/ablation.sh
#
# (Evaluations of five episodes: with twenty they would take as many steps as the training. Scores are of fifty.)
# Finished runs are skipped, so the command can be repeated. JOBS runs at once (1), results under OUT.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${OUT:-results/learning/ablation}
# What were defaults then. (The critic kept its first value function, too, which has no flag.)
then="--discriminator.normalise_decay 1 --discriminator.gradient_penalty 3"
no_penalty=${then/penalty 3/penalty 0}
trpo-gail compare --jobs "${JOBS:-1}" --out "$out" --runs "runs/${out//\//_}" --seeds 60 61 62 63 64 \
    --env Hopper-v4 HalfCheetah-v4 Walker2d-v4 --expert expert_data/{Hopper,HalfCheetah,Walker2d}-v4.h5 \
    --trajectories 4 --subsample 20 --steps 400000 600000 800000 --eval_every 20000 30000 40000 \
    --eval_episodes 5 \
    --contestant "default: $then" \
    --contestant "gamma_0.995: $then --gamma 0.995" \
    --contestant "no_penalty: $no_penalty --d_stepsize 3e-3" \
    --contestant "no_penalty_slow: $no_penalty --d_stepsize 3e-4" \
    --contestant "penalty_slow: $then --d_stepsize 3e-4" \
    --contestant "penalty_1: ${then/penalty 3/penalty 1}" \
    --contestant "penalty_10: ${then/penalty 3/penalty 10}" \
    --contestant "d_step_8: $then --d_step 8" \
    --contestant "d_step_32: $then --d_step 32" \
    --contestant "max_kl_0.02: $then --max_kl 0.02" \
    --contestant "log_std_-1: $then --policy.init_log_std -1"
