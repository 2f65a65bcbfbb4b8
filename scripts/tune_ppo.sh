#!/usr/bin/env bash
# The runs by which PPO's defaults are tuned, one folder with a page for each round:
#
#   scripts/tune_ppo.sh steps      then shared, long and discriminator, each once the round before is decided
#
# Finished runs are skipped, so the command can be repeated. JOBS runs at once (1), results under OUT. The seeds, 200 to
# 206, are for tuning alone.
#
# How a round is decided was written down before the first run. A contestant's figure is the mean over seeds of its runs'
# scores, and then over tasks (`python scripts/tuning_table.py OUT/ROUND`); the highest wins. `shared` begins with the
# winner of `steps`, and changes what PPO has in common with TRPO. `long` has new seeds and the length of reported runs; it
# decides between the default of before and the winners of both rounds. A winner replaces the default only if its figure
# in `long` is higher by 0.02 or more.
#
# `discriminator` came later, when TRPO's runs had chosen new defaults of the discriminator, and likewise has a rule from
# before its first run. A contestant replaces PPO's default if its figure is higher by 0.02 or more; or if it is lower by no
# more than 0.02, and three more of its nine runs have held 95 % of the expert (`held_95` in comparison.csv).
set -euo pipefail

out=${OUT:-results/tuning_ppo} jobs=${JOBS:-1}
trap 'exit 130' INT TERM # a comparison that is stopped saves and ends with 0; no other one begins then

# Each change alone, with a step size that falls to 0 by the end.
steps() {
    compare steps "${two_tasks[@]}" \
        --contestant "constant: $then" \
        --contestant "linear: $then $linear" \
        --contestant "rate_2e-3: $then $linear --ppo.learning_rate 2e-3" \
        --contestant "rate_5e-4: $then $linear --ppo.learning_rate 5e-4" \
        --contestant "rate_3e-4: $then $linear --ppo.learning_rate 3e-4" \
        --contestant "kl_0.01: $then $linear --ppo.target_kl 0.01" \
        --contestant "kl_0.03: $then $linear --ppo.target_kl 0.03" \
        --contestant "no_kl: $then $linear --ppo.target_kl None" \
        --contestant "clip_0.1: ${then/0.2/0.1} $linear" \
        --contestant "passes_5: $then $linear --ppo.n_epochs 5" \
        --contestant "minibatch_128: $then $linear --ppo.batch_size 128" \
        --contestant "entropy: $then $linear --ppo.entcoeff 1e-3" \
        --contestant "batch_4096: $then $linear --timesteps_per_batch 4096"
}

# The winner of `steps`, with one change each.
shared() {
    compare shared "${two_tasks[@]}" \
        --contestant "winner: $then $winner" \
        --contestant "lam_0.95: $then $winner --lam 0.95" \
        --contestant "gamma_0.995: $then $winner --gamma 0.995" \
        --contestant "d_step_8: $then $winner --d_step 8" \
        --contestant "d_step_64: $then $winner --d_step 64" \
        --contestant "penalty_1: $clip_0_2 $remembers_all $winner --discriminator.gradient_penalty 1" \
        --contestant "log_std_-0.5: $then $winner --policy.init_log_std -0.5"
}

# The default of before and the winners, at the length of reported runs.
long() {
    compare long "${three_tasks[@]}" --seeds 202 203 \
        --contestant "before: $then --ppo.schedule constant" \
        --contestant "steps: $then $winner" \
        --contestant "shared: $then $winner $changed"
}

# The new defaults of the discriminator, those of before, and what may steady PPO with the new ones.
discriminator() {
    compare discriminator "${three_tasks[@]}" --seeds 204 205 206 \
        --contestant "default: $clip_0_2" \
        --contestant "before: $then" \
        --contestant "penalty_3: $clip_0_2 --discriminator.gradient_penalty 3" \
        --contestant "linear: $clip_0_2 $linear" \
        --contestant "linear_penalty_3: $clip_0_2 $linear --discriminator.gradient_penalty 3" \
        --contestant "clip_0.1: --generator ppo --ppo.clip_range 0.1"
}

two_tasks=(
    --seeds 200 201 --env Hopper-v4 HalfCheetah-v4 --expert expert_data/{Hopper,HalfCheetah}-v4.h5
    --steps 400000 600000 --eval_every 25000 50000
)
three_tasks=(
    --env Hopper-v4 HalfCheetah-v4 Walker2d-v4 --expert expert_data/{Hopper,HalfCheetah,Walker2d}-v4.h5
    --steps 500000 1000000 1000000 --eval_every 25000 50000 50000
)
# What were defaults then.
clip_0_2="--generator ppo --ppo.clip_range 0.2"
remembers_all="--discriminator.normalise_decay 1"
then="$clip_0_2 $remembers_all --discriminator.gradient_penalty 3"
linear="--ppo.schedule linear"
winner="$linear --timesteps_per_batch 4096" # of `steps`; with it, `compare` makes d_step 32
changed="--policy.init_log_std -0.5" # by the winner of `shared`

compare() { # ROUND, and more flags
    trpo-gail compare --trajectories 4 --subsample 20 --jobs "$jobs" --out "$out/$1" --runs "runs/${out//\//_}/$1" \
        "${@:2}"
}

(($#)) || { echo "usage: scripts/tune_ppo.sh ROUND...: steps, shared, long, discriminator" >&2; exit 2; }
failed=0
for name in "$@"; do
    "$name" || failed=1 # the others go on
done
exit "$failed"
