"""What the flags of `train` come to."""

from __future__ import annotations

from trpo_gail.commands.train import parse_flags
from trpo_gail.config import preset


def test_of_a_flag_given_twice_the_last_decides_the_defaults_too() -> None:
    given = parse_flags(["Hopper-v4", "--preset", "stable-baselines", "--preset", "default"])
    assert given.config == preset("default", "Hopper-v4")
    given = parse_flags(["Hopper-v4", "--generator=trpo", "--preset=default", "--preset=paper", "--generator", "ppo"])
    assert given.config == preset("paper", "Hopper-v4", "ppo")
