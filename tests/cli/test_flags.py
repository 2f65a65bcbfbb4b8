"""What the flags of `train` come to. See tests/config for how they are read, and for those that decide nothing."""

from __future__ import annotations

import pytest

from trpo_gail.commands.train import parse_flags
from trpo_gail.config.presets import preset
from trpo_gail.errors import Answered, UserError


def test_of_a_flag_given_twice_the_last_decides_the_defaults_too() -> None:
    given = parse_flags(["Hopper-v4", "--preset", "stable-baselines", "--preset", "default"])
    assert given.config == preset("default", "Hopper-v4")
    given = parse_flags(["Hopper-v4", "--generator=trpo", "--preset=default", "--preset=paper", "--generator", "ppo"])
    assert given.config == preset("paper", "Hopper-v4", "ppo")


@pytest.mark.parametrize("wrong", [[], ["--no_such_flag"]])
def test_help_shows_the_defaults_of_the_preset(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Answered):
        parse_flags(["--preset", "stable-baselines", "--help", *wrong])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"--g_step INT Generator steps per iteration, each on a fresh batch. (default: {1 if wrong else 3})" in shown


def test_whole_numbers_may_have_an_exponent() -> None:
    words = ["--steps", "2e6", "--iterations=1E2", "--policy.hidden_sizes", "1e2", "50", "--seed", "-0"]
    config = parse_flags(["Hopper-v4", *words]).config
    assert (config.steps, config.iterations, config.policy.hidden_sizes) == (2_000_000, 100, (100, 50))
    assert isinstance(config.steps, int)


@pytest.mark.parametrize("flag", ["--max_kl", "--max-kl", "--trpo.max_kl", "--cg_iters=10", "--entcoeff=0"])
def test_the_other_generators_fields_are_refused_by_any_name_and_value(flag: str) -> None:
    words = [flag] if "=" in flag else [flag, "0.01"]
    assert parse_flags(["Hopper-v4", *words]).config == preset("default", "Hopper-v4")
    with pytest.raises(UserError, match=f"^{flag.partition('=')[0]}: given, but --generator is ppo$"):
        parse_flags(["Hopper-v4", *words, "--generator", "ppo"])


def test_the_critics_short_names_go_with_either_generator() -> None:
    for generator in ("trpo", "ppo"):
        given = parse_flags(["Hopper-v4", "--generator", generator, "--vf_iters", "3"])
        assert given.config.critic.vf_iters == 3


def test_a_tuple_may_be_none_or_empty() -> None:
    for words, value in ((["8", "9"], (8, 9)), ([], ()), (["None"], None)):
        config = parse_flags(["x", "--discriminator.hidden_sizes", *words]).config
        assert config.discriminator.hidden_sizes == value
