#!/usr/bin/env bash
# The runs by which PPO's defaults are tuned, one folder with a page for each round:
#
#   scripts/tune_ppo.sh [ROUND...]      steps; all without names
#
# Finished runs are skipped, so the command can be repeated. JOBS runs at once (1), results under OUT. The seeds, 200 to
# 202, are for tuning alone.
set -euo pipefail

out=${OUT:-results/tuning_ppo} jobs=${JOBS:-1}
trap 'exit 130' INT TERM # a comparison that is stopped saves and ends with 0; no other one begins then

# Each change alone, with a step size that falls to 0 by the end.
steps() {
    compare steps --seeds 200 201 --env Hopper-v4 HalfCheetah-v4 --expert expert_data/Hopper-v4.h5 \
        expert_data/HalfCheetah-v4.h5 --steps 400000 600000 --eval_every 25000 50000 \
        --contestant "constant: --generator ppo" \
        --contestant "linear: --generator ppo $linear" \
        --contestant "rate_5e-4: --generator ppo $linear --ppo.learning_rate 5e-4" \
        --contestant "rate_3e-4: --generator ppo $linear --ppo.learning_rate 3e-4" \
        --contestant "kl_0.01: --generator ppo $linear --ppo.target_kl 0.01" \
        --contestant "kl_0.03: --generator ppo $linear --ppo.target_kl 0.03" \
        --contestant "no_kl: --generator ppo $linear --ppo.target_kl None" \
        --contestant "clip_0.1: --generator ppo $linear --ppo.clip_range 0.1" \
        --contestant "passes_5: --generator ppo $linear --ppo.n_epochs 5" \
        --contestant "minibatch_128: --generator ppo $linear --ppo.batch_size 128" \
        --contestant "entropy: --generator ppo $linear --ppo.entcoeff 1e-3" \
        --contestant "batch_4096: --generator ppo $linear --timesteps_per_batch 4096"
}

linear="--ppo.schedule linear"

compare() { # ROUND, and more flags
    trpo-gail compare --trajectories 4 --subsample 20 --jobs "$jobs" --out "$out/$1" --runs "runs/${out//\//_}/$1" \
        "${@:2}"
}

failed=0
for name in "${@:-steps}"; do
    "$name" || failed=1 # the others go on
done
exit "$failed"
