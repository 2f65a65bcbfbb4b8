"""A field that decides nothing is refused, whatever leaves it without effect; what a preset has set there is forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from trpo_gail.commands.train import parse_flags
from trpo_gail.config import choices, idle
from trpo_gail.config.files import from_dict, to_dict
from trpo_gail.config.leaves import flatten, leaves
from trpo_gail.config.presets import changed, preset, values
from trpo_gail.config.tree import Config, DiscriminatorConfig
from trpo_gail.errors import UserError

# What is chosen; the field that it leaves without effect, another value of it, and the reason.
IDLE: list[tuple[dict[str, Any], str, Any, str]] = [
    ({"adversary": "fem"}, "discriminator.d_stepsize", 0.5, "--adversary is fem"),
    ({"adversary": "fem"}, "d_step", 7, "--adversary is fem"),
    ({"adversary": "gtal"}, "discriminator.input_clip", None, "--adversary is gtal"),
    ({"adversary": "constant"}, "discriminator.d_stepsize", 1.0, "--adversary is constant"),
    ({"adversary": "env_reward"}, "discriminator.reward", "log(D)", "--adversary is env_reward"),
    ({"adversary": "constant"}, "trajectories", 4, "there is no --expert"),
    ({"adversary": "env_reward"}, "subsample", 4, "there is no --expert"),
    ({}, "cloning.iterations", 5, "--init_policy is None"),
    ({"init_policy": "runs/x"}, "cloning.min_log_std", 0.0, "--init_policy is runs/x"),
    ({"init_policy": "runs/x"}, "policy.init_log_std", -1.0, "--init_policy is runs/x"),
    ({"generator": "trpo"}, "ppo.n_epochs", 3, "--generator is trpo"),
    ({"generator": "ppo"}, "trpo.max_kl", 0.02, "--generator is ppo"),
    ({"sampling": "episodes"}, "restart_every", 5, "--sampling is episodes"),
    ({"eval_every": 0}, "eval_episodes", 5, "--eval_every is 0"),
    ({"critic.fit": "adam"}, "critic.natural_gradient.max_kl", 0.1, "--critic.fit is adam"),
    ({"critic.fit": "natural-gradient"}, "critic.vf_iters", 3, "--critic.fit is natural-gradient"),
    ({"critic.fit": "natural-gradient"}, "critic.vf_stepsize", 0.1, "--critic.fit is natural-gradient"),
    ({"critic.fit": "natural-gradient"}, "critic.vf_batch_size", 8, "--critic.fit is natural-gradient"),
    ({"critic.fit": "natural-gradient"}, "critic.clip_range_vf", 0.2, "--critic.fit is natural-gradient"),
    ({"critic.vf_iters": 0}, "critic.vf_stepsize", 0.1, "--critic.vf_iters is 0"),
    ({"generator": "ppo", "ppo.objective": "kl-penalty"}, "ppo.clip_range", 0.2, "--ppo.objective is kl-penalty"),
    ({"generator": "ppo", "ppo.objective": "kl-penalty"}, "ppo.dual_clip", 3.0, "--ppo.objective is kl-penalty"),
    ({"generator": "ppo"}, "ppo.kl_coeff", 0.5, "--ppo.objective is clip"),
    ({"generator": "ppo"}, "ppo.kl_target", 0.5, "--ppo.objective is clip"),
    ({"generator": "ppo", "ppo.n_epochs": 1}, "ppo.recompute_advantages", True, "--ppo.n_epochs is 1"),
    ({"discriminator.loss": "least-squares"}, "discriminator.label_smoothing", 0.1, "--discriminator.loss is least-squares"),
    (
        {"discriminator.gradient_penalty": 0.0}, "discriminator.gradient_penalty_target", 0.0,
        "--discriminator.gradient_penalty is 0.0",
    ),
    (
        {"discriminator.expert_batch_size": 64}, "discriminator.gradient_penalty_target", 0.0,
        "--discriminator.gradient_penalty is None and --discriminator.expert_batch_size is 64 and "
        "--discriminator.gradient_penalty_at is between",
    ),
    (
        {"discriminator.gradient_penalty": 0.0}, "discriminator.gradient_penalty_sides", "above",
        "--discriminator.gradient_penalty is 0.0",
    ),
    ({"discriminator.normalise": "none"}, "discriminator.normalise_decay", 0.5, "--discriminator.normalise is none"),
    ({}, "discriminator.replay_share", 0.1, "--discriminator.replay_iterations is 0"),
    (
        {"discriminator.hidden_sizes": (8,)}, "discriminator.hidden_size_adversary", 50,
        "--discriminator.hidden_sizes is (8,)",
    ),
    ({"policy.network": "m:n"}, "policy.hidden_sizes", (8,), "--policy.network is m:n"),
    ({"critic.network": "m:n"}, "critic.hidden_sizes", (8,), "--critic.network is m:n"),
    ({"discriminator.network": "m:n"}, "discriminator.dropout", 0.1, "--discriminator.network is m:n"),
    ({"adversary": "airl", "airl.shaping": False}, "airl.hidden_sizes", (8,), "--airl.shaping is False"),
    ({"adversary": "gail"}, "airl.shaping", False, "--adversary is gail"),
    (
        {"adversary": "airl", "discriminator.reward": "fairl"}, "airl.entropy_weight", 0.5,
        "--discriminator.reward is fairl",
    ),
    (
        {"trpo.line_search_steps": 1}, "trpo.line_search_shrink", 0.9,
        "--trpo.line_search_steps is 1 and --trpo.line_search_failure is restore",
    ),
    (
        {"policy.normalise_observations": False, "critic.normalise_observations": False, "adversary": "fem"},
        "normalise_from_expert", True,
        "--policy.normalise_observations is False and --critic.normalise_observations is False and --adversary is fem",
    ),
]  # fmt: skip


def words(values: dict[str, Any]) -> list[str]:
    """As flags."""
    found: list[str] = []
    for path, value in values.items():
        section, dot, name = path.rpartition(".")
        if isinstance(value, bool):
            found.append(f"--{section}{dot}{'' if value else 'no_'}{name}")
        else:
            found += [f"--{path}", *map(str, value if isinstance(value, tuple) else [value])]
    return found


@pytest.mark.parametrize(("chosen", "path", "value", "why"), IDLE, ids=[f"{path}-{why}" for _, path, _, why in IDLE])
def test_a_field_that_decides_nothing_is_refused(chosen: dict[str, Any], path: str, value: Any, why: str) -> None:
    config = changed(Config("x"), chosen)  # a value that is the default may stand in the tree
    with pytest.raises(UserError) as caught:
        changed(config, {path: value})
    assert str(caught.value) == f"--{path}: {value} given, but {why}"
    with pytest.raises(UserError) as caught:
        parse_flags(["x", *words(chosen | {path: value})])
    assert str(caught.value) == f"--{path}: {value} given, but {why}"
    default = leaves(Config)[path].default
    flag = words({path: default})[0]
    with pytest.raises(UserError) as caught:
        parse_flags(["x", *words(chosen | {path: default})])
    assert str(caught.value) == f"{flag}: given, but {why}"


def test_every_row_of_the_table_is_tested() -> None:
    for row in idle.NEEDS:
        assert any(choices.covers(row.fields, path) for _, path, _, _ in IDLE) or row.fields[0].startswith(
            "critic.natural"
        )


@pytest.mark.parametrize("name", ["default", "stable-baselines", "paper"])
def test_nothing_that_the_table_names_is_unknown(name: Any) -> None:
    flat = flatten(preset(name, "x"))
    for row in idle.NEEDS:
        assert row.any_of.keys() <= flat.keys()
        assert all(any(choices.covers((field,), path) for path in flat) for field in row.fields)
    for table in (choices.GENERATORS, choices.ADVERSARIES):
        assert all(any(choices.covers((field,), path) for path in flat) for field in choices.owned(table))


@pytest.mark.parametrize(
    "chosen",
    [
        {"critic.fit": "adam"}, {"adversary": "fem"}, {"adversary": "env_reward", "expert": "f.h5"},
        {"generator": "ppo"}, {"sampling": "steps"}, {"eval_every": 5, "eval_episodes": 3},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("name", ["stable-baselines", "paper"])
def test_what_a_preset_sets_and_a_choice_leaves_without_effect_is_no_mistake(name: Any, chosen: dict[str, Any]) -> None:
    if name == "stable-baselines":  # it has Adam and fixed horizons
        chosen = {"adam": {"critic.fit": "natural-gradient"}, "steps": {"sampling": "episodes"}}.get(
            str(next(iter(chosen.values()))), chosen
        )
    config = parse_flags(["x", "--preset", name, *words(chosen)]).config
    assert config == preset(name, "x", **chosen)
    flat, before, defaults = flatten(config), values(name, "x"), flatten(Config("x"))
    for path, value in flat.items():
        assert value == chosen.get(path, defaults[path] if idle.reason(flat, path) else before[path]), path


def test_a_paper_preset_of_a_linear_reward_has_the_discriminators_defaults() -> None:
    config = preset("paper", "x", adversary="fem")
    plain = DiscriminatorConfig(reward="-log(1-D)")  # the preset's, which decides the sign
    assert config.d_step == 16 and config.discriminator == plain
    assert config.trpo == preset("paper", "x").trpo


def test_a_file_of_an_older_version_may_hold_what_decides_nothing() -> None:
    values = to_dict(Config("x", adversary="fem"))
    values["d_step"] = 1
    values["discriminator"]["d_stepsize"] = 0.01
    values["critic"]["natural_gradient"]["max_kl"] = 0.5
    assert from_dict(Config, values, "old") == Config("x", adversary="fem")
    values["d_step"] = 0
    values["adversary"] = "gail"
    with pytest.raises(UserError, match=r"^old: --d_step: 0 given"):
        from_dict(Config, values, "old")


def test_of_flags_given_twice_the_last_decides_what_has_an_effect() -> None:
    line = ["x", "--critic.fit", "natural-gradient", "--vf_iters", "3", "--critic.fit", "adam"]
    assert parse_flags(line).config.critic.vf_iters == 3


def test_demonstrations_that_are_missing_are_asked_for_and_not_called_idle() -> None:
    assert Config("x", trajectories=3).trajectories == 3  # gail needs a file, and says so when it trains
    assert Config("x", adversary="constant", expert="f.h5", subsample=3).subsample == 3
