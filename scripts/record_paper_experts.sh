#!/usr/bin/env bash
# Records the demonstrations of the paper's nine experts again, in the paper's numbers of trajectories:
#
#   scripts/record_paper_experts.sh EXPERTS expert_data/paper [NAME...]
#
# EXPERTS holds the policy files: classic/ and modern/ of `expert_policies` in openai/imitation, and modern/humanoid.h5
# (expert_data/paper/README.md names its source). With NAMEs, such as Hopper-v1, only those are recorded.
set -euo pipefail

experts=$1 out=$2
shift 2
names=" $* "

record() {
    local name=$1 policy=$2 episodes=$3
    shift 3
    [[ $names == "  " || $names == *" $name "* ]] || return 0
    rm -f "$out/$name.h5"
    python -m trpo_gail record "Paper/$name" --policy "$experts/$policy" --episodes "$episodes" \
        --out "$out/$name.h5" "$@"
}

record CartPole-v0 classic/CartPole-v0.h5 10
record Acrobot-v0 classic/Acrobot-v0.h5 10
record MountainCar-v0 classic/MountainCar-v0.h5 10
# Seed 0 draws no target in a sector of 160 degrees, as one set of 18 in a thousand does (results/paper/README.md,
# "Withdrawn"), so seed 1 is used.
record Reacher-v1 modern/log_Reacher-v1_4.h5 18 --seed 1
record HalfCheetah-v1 modern/log_HalfCheetah-v0_2.h5 50
record Hopper-v1 modern/log_Hopper-v0_3.h5 50
record Walker2d-v1 modern/walker_eb5b2e_1.h5 50
record Ant-v1 modern/log_Ant-v1_0.h5 50
# 240 whole episodes would be 360 MB, so only every 20th row is kept: the paper trains with these.
record Humanoid-v1 modern/humanoid.h5 240 --subsample 20 --licence MIT --attribution \
    "expert policy Humanoid-v2 of berkeleydeeprlcourse/homework (MIT licence, Copyright (c) 2017 berkeleydeeprlcourse), \
by all evidence that of Ho & Ermon, Generative Adversarial Imitation Learning, NIPS 2016 (openai/imitation)"
