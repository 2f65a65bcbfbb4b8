#!/usr/bin/env bash
# The measurements of results/adversaries/ that train many runs, one folder each with a page:
#
#   scripts/adversaries.sh [NAME...]      hopper rewards methods airl_reward walker; all without names
#
# Finished runs are skipped, so the command can be repeated. JOBS runs at once (1), results under OUT. SB3 is a Python
# that has this package and stable-baselines3 (python).
set -euo pipefail

out=${OUT:-results/adversaries} jobs=${JOBS:-1}
few="--trajectories 4 --subsample 20"
trap 'exit 130' INT TERM # a comparison that is stopped saves and ends with 0; no other one begins then

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

# AIRL's reward for others: learned, exported, and a new policy of ours and one of Stable-Baselines3 trained on it.
airl_reward() {
    local seed
    mkdir -p "$out/airl_reward" runs/airl_reward
    for seed in 20 21 22; do
        of_seed "$seed" &
        while (($(jobs -rp | wc -l) >= jobs)); do wait -n; done
    done
    while [[ $(jobs -rp) ]]; do wait -n; done
}

of_seed() {
    local seed=$1 kept=$out/airl_reward run=runs/airl_reward/$1
    # shellcheck disable=SC2086
    trained "$run" --expert expert_data/HalfCheetah-v4.h5 $few --adversary airl --actions executed --seed "$seed"
    [[ -e $run.pt ]] || trpo-gail export "$run" --reward "$run.pt"
    trained "$run-fresh" --expert expert_data/HalfCheetah-v4.h5 --adversary exported --reward_file "$run.pt" \
        --actions executed --seed "$((seed + 100))"
    cp "$run/summary.json" "$kept/airl_$seed.json"
    cp "$run-fresh/summary.json" "$kept/fresh_$seed.json"
    [[ -e $kept/sb3_$seed.json ]] || "${SB3:-python}" scripts/reward_for_sb3.py HalfCheetah-v4 "$run.pt" \
        --seed "$seed" --out "$kept/sb3_$seed.json"
}

trained() { # a run of 1,000,000 steps on HalfCheetah in a folder, unless it is done
    grep -qs '"stopped": "steps"' "$1/summary.json" && return
    local resume=
    if [[ -e $1 ]]; then resume=--resume; fi
    trpo-gail train HalfCheetah-v4 --steps 1000000 --out "$1" "${@:2}" $resume
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

(($#)) || set -- hopper rewards methods airl_reward walker
if (($# == 1)); then
    "$1"
else
    failed=0
    for name in "$@"; do
        "$0" "$name" || failed=$? # the others go on
        ((failed != 130)) || break
    done
    exit "$failed"
fi
