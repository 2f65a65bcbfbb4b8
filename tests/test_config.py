"""The config tree: there and back, what is out of range, presets."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trpo_gail.commands.train import parse_flags
from trpo_gail.config.files import from_dict, to_dict
from trpo_gail.config.leaves import build, flatten
from trpo_gail.config.presets import preset
from trpo_gail.config.tree import (
    CloningConfig,
    Config,
    CriticConfig,
    DiscriminatorConfig,
    PolicyConfig,
    PPOConfig,
    PresetName,
    TRPOConfig,
)
from trpo_gail.config.words import of_training
from trpo_gail.errors import UserError


def replaced(config: Any, path: str, value: Any) -> Any:
    """A tree with one value changed."""
    name, _, rest = path.partition(".")
    return dataclasses.replace(config, **{name: replaced(getattr(config, name), rest, value) if rest else value})


# ---- there and back --------------------------------------------------------------------------------------------------

TREES = [
    Config("Hopper-v4"),
    preset("stable-baselines", "Hopper-v4"),
    preset("paper", "Hopper-v4"),
    preset("paper", "Hopper-v4", "ppo"),
    Config("Hopper-v4", generator="ppo", ppo=PPOConfig(dual_clip=3.0, target_kl=0.02)),
    Config(
        "toys:Script-v0", expert="x.h5", trajectories=4, env_kwargs='{"a": [1, 2]}', policy=PolicyConfig(hidden_sizes=()),
        discriminator=DiscriminatorConfig(d_batch_size=3, input_clip=None),
    ),
]  # fmt: skip


@pytest.mark.parametrize("tree", TREES)
def test_a_tree_survives_json(tree: Config) -> None:
    assert from_dict(Config, json.loads(json.dumps(to_dict(tree))), "here") == tree


def test_flatten_names_every_leaf_by_its_path() -> None:
    flat = flatten(Config("Hopper-v4", trpo=TRPOConfig(max_kl=0.5)))
    assert flat["trpo.max_kl"] == 0.5 and flat["policy.hidden_sizes"] == (64, 64) and flat["env"] == "Hopper-v4"
    assert not any(dataclasses.is_dataclass(value) for value in flat.values())


@pytest.mark.parametrize("path", ["steps", "trpo.max_kl"])
def test_keys_that_are_missing_or_unknown_are_named(path: str) -> None:
    values = to_dict(Config("Hopper-v4"))
    *above, last = path.split(".")
    inner = values[above[0]] if above else values
    value = inner.pop(last)
    with pytest.raises(UserError, match=rf"run/config\.json: .*'{last}'"):
        from_dict(Config, values, "run/config.json")
    inner |= {last: value, "nonsense": 1}
    with pytest.raises(UserError, match=r"run/config\.json: .*\['nonsense'\]"):
        from_dict(Config, values, "run/config.json")


# ---- out of range ----------------------------------------------------------------------------------------------------

REFUSED: dict[str, list[Any]] = {
    "steps": [0, -5],
    "seed": [-1],
    "num_envs": [0],
    "timesteps_per_batch": [0, 15, 16],  # fewer than two steps of 16 environments
    "restart_every": [0],
    "g_step": [0],
    "d_step": [0],
    "gamma": [-0.1, 1.01, math.nan],
    "lam": [-0.1, 1.01],
    "trajectories": [0],
    "subsample": [0],
    "eval_every": [-1],
    "eval_episodes": [0],
    "final_episodes": [-1],
    "success": ["", "won", "return=200", "return>=x", "terminated and", "terminated or truncated", "200<=return"],
    "save_every": ["", "0", "0m", "1.5", "5h", "-1m", "m"],
    "env_kwargs": ["{", "[1]", "1"],
    "policy.hidden_sizes": [(64, 0)],
    "policy.init_log_std": [math.inf],
    "policy.output_scale": [-0.1],
    "policy.observation_clip": [0.0, -1.0],
    "critic.hidden_sizes": [(-1,)],
    "critic.vf_iters": [-1],
    "critic.vf_stepsize": [0.0],
    "critic.vf_batch_size": [0],
    "critic.observation_clip": [0.0],
    "trpo.max_kl": [0.0, -0.01, math.nan, math.inf],
    "trpo.cg_iters": [0],
    "trpo.cg_damping": [-0.1],
    "trpo.entcoeff": [-0.1],
    "trpo.fvp_subsample": [0],
    "trpo.line_search_steps": [0],
    "trpo.line_search_shrink": [0.0, 1.0],
    "trpo.line_search_kl": [0.0],
    "trpo.line_search_accept": [-0.1],
    "trpo.least_gradient": [-1e-9],
    "iterations": [0],
    "causal_entcoeff": [-1e-3],
    "warmup_iterations": [-1, 489, 1_000_000],  # 488.3 iterations are the whole run
    "cloning.iterations": [0],
    "cloning.eval_every": [0],
    "cloning.batch_size": [0],
    "cloning.stepsize": [0.0],
    "cloning.train_share": [0.0, 1.0],
    "cloning.min_log_std": [math.inf, math.nan],
    "critic.target_lam": [-0.1, 1.1],
    "discriminator.hidden_size_adversary": [0],
    "discriminator.adversary_entcoeff": [-1e-3],
    "discriminator.d_stepsize": [0.0],
    "discriminator.d_batch_size": [0],
    "discriminator.input_clip": [0.0],
    "discriminator.normalise_decay": [-0.1, 1.1],
    "discriminator.hidden_sizes": [(0,)],
    "discriminator.inputs": [(), ("state", "state"), ("reward",)],
    "discriminator.label_smoothing": [-0.1, 0.5],
    "discriminator.positive_prior": [0.0, 1.0],
    "discriminator.gradient_penalty": [-1.0],
    "discriminator.gradient_penalty_target": [-1.0],
    "discriminator.dropout": [-0.1, 1.0],
    "discriminator.weight_decay": [-1e-4],
    "discriminator.logit_penalty": [-0.1],
    "discriminator.mixup": [-1.0],
    "discriminator.expert_batch_size": [0],
    "discriminator.replay_iterations": [-1],
    "discriminator.replay_share": [-0.1, 1.1],
    "discriminator.rest_above": [-0.1, 1.1],
    "discriminator.reward_clip": [0.0],
    "discriminator.reward_scale": [0.0],
    "airl.hidden_sizes": [(0,)],
    "airl.entropy_weight": [-0.1],
    "task_weight": [-1.0],
    "task_weight_end": [-1.0],
    "critic.clip_range_vf": [0.0],
    "ppo.n_epochs": [0],
    "ppo.batch_size": [0],
    "ppo.learning_rate": [0.0, math.nan],
    "ppo.clip_range": [0.0],
    "ppo.dual_clip": [1.0],
    "ppo.kl_coeff": [0.0],
    "ppo.kl_target": [0.0],
    "ppo.target_kl": [0.0],
    "ppo.entcoeff": [-0.1],
    "ppo.max_grad_norm": [0.0],
}
REFUSED |= {
    name.replace("trpo", "critic.natural_gradient"): values
    for name, values in REFUSED.items()
    if name.startswith("trpo.") and name != "trpo.entcoeff"
}


@pytest.mark.parametrize(("flag", "value"), [(flag, value) for flag, values in REFUSED.items() for value in values])
def test_a_value_out_of_range_is_refused_by_the_name_of_its_flag(flag: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"--{flag}") as caught:
        replaced(Config("Hopper-v4", generator="ppo" if flag.startswith("ppo.") else "trpo"), flag, value)
    assert "\n" not in str(caught.value)


def test_every_number_has_a_range_that_is_tested() -> None:
    numbers = {
        name for name, value in flatten(preset("default", "x")).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }  # fmt: skip
    assert numbers - set(REFUSED) == set()


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("gamma", 1.0), ("gamma", 0.0), ("lam", 0.0), ("eval_every", 0), ("critic.vf_iters", 0), ("trpo.cg_damping", 0.0),
        ("policy.hidden_sizes", ()), ("policy.observation_clip", None), ("timesteps_per_batch", 17), ("seed", 2**40),
    ],
)  # fmt: skip
def test_the_ends_of_ranges_are_allowed(flag: str, value: Any) -> None:
    assert flatten(replaced(Config("Hopper-v4"), flag, value))[flag] == value


def test_whole_episodes_may_ask_for_fewer_steps_than_environments() -> None:
    assert Config("Hopper-v4", sampling="episodes", timesteps_per_batch=1).timesteps_per_batch == 1


# ---- what does not go together ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("generator", "flag", "value"),
    [("trpo", "ppo.n_epochs", 3), ("trpo", "ppo.dual_clip", 3.0), ("ppo", "trpo.max_kl", 0.02)],
)
def test_the_other_generators_fields_may_not_be_set(generator: str, flag: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"--{flag}: {value} given, but --generator is {generator}"):
        replaced(Config("Hopper-v4", generator=generator), flag, value)
    other = "ppo" if generator == "trpo" else "trpo"
    assert flatten(replaced(Config("Hopper-v4", generator=other), flag, value))[flag] == value


@pytest.mark.parametrize(
    ("flag", "base", "value"),
    [
        ("ppo.dual_clip", PPOConfig(objective="kl-penalty"), 3.0),
        ("ppo.clip_range", PPOConfig(objective="kl-penalty"), 0.2),
        ("ppo.kl_coeff", PPOConfig(), 0.5),
        ("ppo.kl_target", PPOConfig(objective="clip"), 0.02),
        ("critic.clip_range_vf", CriticConfig(fit="natural-gradient"), 0.2),
        ("ppo.recompute_advantages", CriticConfig(fit="natural-gradient"), True),
        ("ppo.recompute_advantages", CriticConfig(after_adversary=True), True),
    ],
)
def test_a_setting_that_could_do_nothing_is_refused(flag: str, base: Any, value: Any) -> None:
    section = "ppo" if isinstance(base, PPOConfig) else "critic"
    config = Config("Hopper-v4", generator="ppo", **{section: base})
    with pytest.raises(UserError, match=f"--{flag}: ") as caught:
        replaced(config, flag, value)
    assert "\n" not in str(caught.value)


def test_recomputed_advantages_need_a_pass_of_the_critic_between_epochs() -> None:
    config = Config("Hopper-v4", generator="ppo", ppo=PPOConfig(n_epochs=5, recompute_advantages=True))
    assert replaced(config, "critic.vf_iters", 4).critic.vf_iters == 4
    with pytest.raises(UserError, match=r"--critic\.vf_iters: 3 given, .* at least 4 expected"):
        replaced(config, "critic.vf_iters", 3)


@pytest.mark.parametrize("name", ["default", "stable-baselines", "paper"])
def test_a_preset_with_ppo_differs_in_the_generator_alone(name: PresetName) -> None:
    trpo, ppo = (flatten(preset(name, "Hopper-v4", generator)) for generator in ("trpo", "ppo"))
    differing = {key for key in trpo if trpo[key] != ppo[key]}
    assert ppo["generator"] == "ppo" and {key.split(".")[0] for key in differing} <= {"generator", "trpo", "ppo"}
    assert {key for key in differing if key.startswith("ppo.")} <= {"ppo.clip_range"}
    assert ppo["ppo.clip_range"] == (0.1 if name == "default" else 0.2)
    flags = parse_flags(["Hopper-v4", "--preset", name, "--generator", "ppo"]).config
    assert flags == preset(name, "Hopper-v4", "ppo") and "--ppo.clip_range" not in of_training(flags)


# ---- what is derived -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "interval"), [("20", (20, "iterations")), ("5m", (5, "minutes")), ("0.5m", (0.5, "minutes"))]
)
def test_save_every_counts_iterations_or_minutes(text: str, interval: tuple[float, str]) -> None:
    assert Config("Hopper-v4", save_every=text).save_interval == interval


def test_environment_arguments_are_a_json_object() -> None:
    assert Config("Hopper-v4", env_kwargs='{"a": 1}').env_arguments == {"a": 1}


def test_the_paper_preset_is_what_the_published_code_has_for_mujoco() -> None:
    """Arguments of its scripts/imitate_mj.py and constants of its policyopt; docs/fidelity.md has them as a table."""
    step = {
        "max_kl": 0.01, "cg_iters": 10, "cg_damping": 0.1, "fvp_subsample": 10, "fvp_draw": True, "line_search_steps": 10,
        "line_search_shrink": 0.5, "line_search_kl": 2.0, "line_search_accept": 0.1, "line_search_failure": "shrink",
        "least_gradient": 1e-6,
    }  # fmt: skip
    expected = {
        "iterations": 501, "num_envs": 24, "sampling": "episodes", "timesteps_per_batch": 50_000, "g_step": 1, "d_step": 1,
        "gamma": 0.995, "lam": 0.97, "time_limits": "terminal", "normalise_from_expert": True, "causal_entcoeff": 0.0,
        "actions": "auto", "dtype": "float32", "policy.hidden_sizes": (100, 100), "policy.init_log_std": 0.0,
        "policy.output_scale": 0.0, "policy.observation_clip": None, "policy.normalise_observations": True,
        "critic.hidden_sizes": (100, 100), "critic.fit": "natural-gradient", "critic.target_lam": 1.0,
        "critic.after_adversary": True, "critic.preserve_values": False, "critic.time_input": True,
        "critic.observation_clip": None, "discriminator.hidden_size_adversary": 100, "discriminator.reward": "-log(1-D)",
        "discriminator.adversary_entcoeff": 1e-3, "discriminator.d_stepsize": 0.01, "discriminator.d_batch_size": None,
        "discriminator.input_clip": None, "discriminator.normalise": "observations-actions",
        "discriminator.normalise_decay": 1.0, "eval_every": 0, "final_episodes": 50,
        **{f"trpo.{name}": value for name, value in step.items()},
        **{f"critic.natural_gradient.{name}": value for name, value in step.items()},
    }  # fmt: skip
    given = flatten(preset("paper", "Paper/Hopper-v1"))
    assert {name: given[name] for name in expected} == expected


def test_presets() -> None:
    assert preset("default", "Hopper-v4") == Config("Hopper-v4")
    theirs = preset("stable-baselines", "Hopper-v4")
    assert theirs.preset == "stable-baselines" and theirs.env == "Hopper-v4"
    # Of Stable-Baselines 2.10's TRPO_MPI and GAIL signatures.
    expected = {
        "timesteps_per_batch": 1024, "num_envs": 1, "g_step": 3, "d_step": 1, "gamma": 0.99, "lam": 0.98,
        "trpo.max_kl": 0.01, "trpo.cg_iters": 10, "trpo.cg_damping": 0.01, "trpo.entcoeff": 0.0, "critic.vf_iters": 3,
        "critic.vf_stepsize": 3e-4, "discriminator.d_stepsize": 3e-4, "discriminator.hidden_size_adversary": 100,
        "discriminator.adversary_entcoeff": 5e-4, "discriminator.normalise_decay": 1.0,
    }  # fmt: skip
    flat = flatten(theirs)
    assert {name: flat[name] for name in expected} == expected


WRONG: Any = 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": "4000"}, "--steps: a whole number expected, found '4000'"),
        ({"num_envs": True}, "--num_envs: a whole number expected, found True"),
        ({"gamma": None}, "--gamma: a finite number expected, found None"),
        ({"expert": 3}, "--expert: a text or null expected, found 3"),
        ({"policy": 64}, "policy: 64 given, a PolicyConfig expected"),
        ({"policy": CriticConfig()}, r"policy: CriticConfig\(.*, a PolicyConfig expected"),
        ({"policy": PolicyConfig(network=WRONG)}, "--policy.network: a text or null expected, found 3"),
    ],
)
def test_a_value_of_another_type_is_refused_by_the_name_of_its_flag(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Config("CartPole-v0", **given)


def test_numbers_of_numpy_lists_and_paths_are_taken() -> None:
    sizes: Any = [np.int64(8), 4]
    given: dict[str, Any] = {"expert": Path("a/b.h5"), "steps": np.int64(4000), "normalise_from_expert": np.False_}
    made = Config("CartPole-v0", gamma=np.float64(0.5), policy=PolicyConfig(hidden_sizes=sizes), **given)
    same = Config("CartPole-v0", "a/b.h5", gamma=0.5, steps=4000, normalise_from_expert=False)
    assert json.dumps(to_dict(made)) == json.dumps(to_dict(dataclasses.replace(same, policy=PolicyConfig((8, 4)))))


def test_whole_numbers_of_float_fields_become_floats() -> None:
    """Torch would make tensors of whole numbers of them, which cannot learn."""
    given = {"policy.init_log_std": -1, "gamma": 1, "discriminator.gradient_penalty": 3, "ppo.target_kl": 1}
    config = build(Config, {"env": "any", "generator": "ppo", **given})
    assert {path: type(value) for path, value in flatten(config).items() if path in given} == dict.fromkeys(
        given, float
    )
    assert {path: flatten(config)[path] for path in given} == given
    assert type(Config("any", steps=3).steps) is int and Config("any", fixed_horizon=True).fixed_horizon is True
    cloning = CloningConfig("any", "file", stepsize=1)
    assert type(cloning.stepsize) is float and type(cloning.iterations) is int
