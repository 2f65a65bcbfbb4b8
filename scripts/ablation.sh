#!/usr/bin/env bash
# One change at a time to the default settings, on three tasks and five seeds that no tuning has seen:
#
#   JOBS=2 scripts/ablation.sh
#
# (Evaluations of five episodes: with twenty they would take as many steps as the training. Scores are of fifty.)
# Finished runs are skipped, so the command can be repeated. JOBS runs at once (1), results under OUT.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${OUT:-results/learning/ablation}
no_penalty="--discriminator.gradient_penalty 0"
trpo-gail compare --jobs "${JOBS:-1}" --out "$out" --runs "runs/${out//\//_}" --seeds 60 61 62 63 64 \
    --env Hopper-v4 HalfCheetah-v4 Walker2d-v4 --expert expert_data/{Hopper,HalfCheetah,Walker2d}-v4.h5 \
    --trajectories 4 --subsample 20 --steps 400000 600000 800000 --eval_every 20000 30000 40000 \
    --eval_episodes 5 \
    --contestant "default:" \
    --contestant "gamma_0.995: --gamma 0.995" \
    --contestant "no_penalty: $no_penalty --d_stepsize 3e-3" \
    --contestant "no_penalty_slow: $no_penalty --d_stepsize 3e-4" \
    --contestant "penalty_slow: --d_stepsize 3e-4" \
    --contestant "penalty_1: --discriminator.gradient_penalty 1" \
    --contestant "penalty_10: --discriminator.gradient_penalty 10" \
    --contestant "d_step_8: --d_step 8" \
    --contestant "d_step_32: --d_step 32" \
    --contestant "max_kl_0.02: --max_kl 0.02" \
    --contestant "log_std_-1: --policy.init_log_std -1"
