#!/usr/bin/env bash
# What a larger batch costs in learning: the work of 4 and of 16 ranks with the default settings, on two tasks.
#
#   JOBS=2 scripts/batches.sh
#
# `bench scaling` calls it weak scaling: environments, rows of a batch and of the critic's minibatches grow with the ranks,
# and the number of updates in an iteration stays. With `small`, minibatches stay instead, and there are as many updates
# for each step as with one rank. Finished runs are skipped, so the command can be repeated. JOBS runs at once (1),
# results under OUT.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${OUT:-results/speed/batches}
four="--num_envs 64 --timesteps_per_batch 8192"
sixteen="--num_envs 256 --timesteps_per_batch 32768"
trpo-gail compare --jobs "${JOBS:-1}" --out "$out" --runs "runs/${out//\//_}" --seeds 210 211 212 \
    --env Hopper-v4 HalfCheetah-v4 --expert expert_data/{Hopper,HalfCheetah}-v4.h5 \
    --trajectories 4 --subsample 20 --steps 1000000 1500000 --eval_every 50000 --eval_episodes 5 \
    --contestant "2048:" \
    --contestant "8192: $four --critic.vf_batch_size 2048 --d_step 16" \
    --contestant "8192_small: $four" \
    --contestant "32768: $sixteen --critic.vf_batch_size 8192 --d_step 16" \
    --contestant "32768_small: $sixteen" \
    --contestant "32768_small_max_kl_0.03: $sixteen --max_kl 0.03"
