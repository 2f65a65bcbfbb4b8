#!/usr/bin/env bash
# What the first default lacked, one change at a time: a narrower first policy (the flag that HalfCheetah needed), a
# discriminator that sees no actions, and the penalty on its gradient. The seeds are for tuning alone.
#
#   JOBS=2 scripts/lead.sh
#   runs=runs/results_learning_lead/HalfCheetah-v4
#   python scripts/lead_table.py $runs-*-seed106 $runs-*-seed107 --picture results/learning/lead/halfcheetah.png
#
# and the same for Walker2d-v4.
#
# Finished runs are skipped, so the command can be repeated. JOBS runs at once (1), results under OUT.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${OUT:-results/learning/lead}
# What were defaults then. (The critic kept its first value function, too, which has no flag.)
first="--gamma 0.995 --d_stepsize 3e-4 --discriminator.reward -log(1-D)"
first+=" --discriminator.normalise_decay 1 --discriminator.gradient_penalty 0"
trpo-gail compare --jobs "${JOBS:-1}" --out "$out" --runs "runs/${out//\//_}" --seeds 106 107 \
    --env HalfCheetah-v4 Walker2d-v4 --expert expert_data/{HalfCheetah,Walker2d}-v4.h5 \
    --trajectories 4 --subsample 20 --steps 400000 --eval_every 25000 --eval_episodes 5 \
    --contestant "first: $first" \
    --contestant "narrow: $first --policy.init_log_std -1" \
    --contestant "no_actions: $first --discriminator.inputs state" \
    --contestant "penalty: ${first/penalty 0/penalty 1}"
