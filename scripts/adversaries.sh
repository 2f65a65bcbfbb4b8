#!/usr/bin/env bash
# The measurements of results/adversaries/ that train many runs, one folder each with a page:
#
#   scripts/adversaries.sh [NAME...]      hopper rewards methods airl_reward walker; all without names
#
# Finished runs are skipped, so the command can be repeated. JOBS runs at once (1), results under OUT.
set -euo pipefail

out=${OUT:-results/adversaries} jobs=${JOBS:-1}
few="--trajectories 4 --subsample 20"

# State-only imitation, replay and a warm start, each against the default.
hopper() {
    # shellcheck disable=SC2086
    trpo-gail compare --env Hopper-v4 --expert expert_data/Hopper-v4.h5 $few --steps 600000 --eval_every 20000 \
        --seeds 20 21 22 --jobs "$jobs" --out "$out/hopper" \
        --contestant "default:" \
        --contestant "replay: --discriminator.replay_iterations 10" \
        --contestant "warm_start: --init_policy bc --warmup_iterations 3" \
        --contestant "state_only: --discriminator.inputs state next_state"
}

# Each reward form with and without absorbing states, on tasks that end early by failure, and by success.
rewards() {
    local contestants=() name form
    for pair in "alive=-log(1-D)" "success=log(D)" "logit=logit" "fairl=fairl"; do
        name=${pair%%=*} form=${pair#*=}
        contestants+=(--contestant "$name: --discriminator.reward=$form")
        contestants+=(--contestant "$name-absorbing: --discriminator.reward=$form --discriminator.absorbing")
    done
    trpo-gail compare --env Hopper-v4 MountainCar-v0 PointNav2D-v0 --expert expert_data/Hopper-v4.h5 \
        expert_data/MountainCar-v0.h5 expert_data/PointNav2D-v0.h5 --trajectories 4 10 300 --subsample 20 5 1 \
        --steps 300000 200000 100000 --seeds 20 21 22 --jobs "$jobs" --out "$out/rewards" "${contestants[@]}"
}

# FEM, GTAL, GAIL, AIRL and cloning on one page.
methods() {
    # shellcheck disable=SC2086
    trpo-gail compare --env Hopper-v4 HalfCheetah-v4 --expert expert_data/Hopper-v4.h5 expert_data/HalfCheetah-v4.h5 \
        $few --steps 500000 1000000 --seeds 20 21 22 --jobs "$jobs" --out "$out/methods" \
        --contestant "fem: --adversary fem" --contestant "gtal: --adversary gtal" --contestant "gail:" \
        --contestant "airl: --adversary airl" --flags="--actions executed" \
        --contestant "bc: --init_policy bc --generator none"
}

# What mends Walker2d: each alone.
walker() {
    # shellcheck disable=SC2086
    trpo-gail compare --env Walker2d-v4 --expert expert_data/Walker2d-v4.h5 $few --steps 2000000 --eval_every 100000 \
        --seeds 20 21 22 23 24 --jobs "$jobs" --out "$out/walker" \
        --contestant "gradient_penalty:" \
        --contestant "none: --discriminator.gradient_penalty 0" \
        --contestant "spectral_norm: --discriminator.gradient_penalty 0 --discriminator.spectral_norm" \
        --contestant "weight_decay: --discriminator.gradient_penalty 0 --discriminator.weight_decay 1"
}

for name in "${@:-hopper rewards methods walker}"; do
    for one in $name; do "$one"; done
done
