"""Keywords as fields of the config: each name of Stable-Baselines is one field, and every other name has one answer."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
import toys
from small import EXPERT, gail

from trpo_gail import BC, GAIL, PPO, TRPO, UserError
from trpo_gail.api.settings import config_of, path_of
from trpo_gail.config.leaves import flatten, leaves
from trpo_gail.config.tree import Config, PPOConfig, TRPOConfig

TOP = {"generator": "trpo", "adversary": "gail"}


def config(**given: Any) -> Config:
    top = TOP | {name: given.pop(name) for name in list(given) if name in TOP}
    return config_of(
        "CartPole-v0", given.pop("policy", "MlpPolicy"), given.pop("policy_kwargs", None), given.pop("preset", "default"),
        top, **given,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("hidden_size_adversary", 50, "discriminator.hidden_size_adversary"),
        ("adversary_entcoeff", 0.01, "discriminator.adversary_entcoeff"),
        ("g_step", 3, "g_step"),
        ("d_step", 2, "d_step"),
        ("d_stepsize", 1e-3, "discriminator.d_stepsize"),
        ("timesteps_per_batch", 1024, "timesteps_per_batch"),
        ("max_kl", 0.02, "trpo.max_kl"),
        ("cg_iters", 7, "trpo.cg_iters"),
        ("cg_damping", 0.01, "trpo.cg_damping"),
        ("gamma", 0.9, "gamma"),
        ("lam", 1, "lam"),
        ("entcoeff", 0.1, "trpo.entcoeff"),
        ("vf_stepsize", 1e-4, "critic.vf_stepsize"),
        ("vf_iters", np.int64(5), "critic.vf_iters"),
        ("clip_range_vf", 0.5, "critic.clip_range_vf"),  # no other field has this name
        ("critic__hidden_sizes", [8], "critic.hidden_sizes"),
        ("critic.hidden_sizes", (8,), "critic.hidden_sizes"),
        ("reward", "logit", "discriminator.reward"),
        ("env_kwargs", {"sutton_barto_reward": True}, "env_kwargs"),
    ],
)
def test_a_keyword_is_a_field(name: str, value: Any, path: str) -> None:
    found, usual = flatten(config(**{name: value})), flatten(config())
    assert {key for key in found if found[key] != usual[key]} == {path}
    assert type(found[path]) is not np.int64 and not isinstance(found[path], (list, dict))


def test_the_generators_own_fields_need_no_section() -> None:
    made = config(generator="ppo", learning_rate=1e-4, batch_size=64, entcoeff=0.1, target_kl=None, n_epochs=4)
    assert made.ppo == PPOConfig(learning_rate=1e-4, batch_size=64, entcoeff=0.1, target_kl=None, n_epochs=4)
    assert config(generator="ppo", ppo={"n_epochs": 4}) == config(generator="ppo", ppo__n_epochs=4)
    section = PPOConfig(n_epochs=4)
    assert config(generator="ppo", ppo=section).ppo == section


def test_every_field_has_a_keyword() -> None:
    for path in leaves(Config):
        if "." in path:
            assert path_of(Config, path.replace(".", "__")) == path


def test_sizes_of_the_networks() -> None:
    assert config(hidden_size=32).policy.hidden_sizes == config(hidden_size=32).critic.hidden_sizes == (32, 32)
    assert config(hidden_size=[8, 4, 2]).critic.hidden_sizes == (8, 4, 2)
    both = config(policy_kwargs={"net_arch": [16]})
    assert both.policy.hidden_sizes == both.critic.hidden_sizes == (16,)
    each = config(policy_kwargs={"net_arch": [{"pi": [8], "vf": [9]}], "log_std_init": -1.0, "activation_fn": "tanh"})
    assert (each.policy.hidden_sizes, each.critic.hidden_sizes) == ((8,), (9,)) and each.policy.init_log_std == -1.0
    assert config(policy_kwargs={"observation_clip": 5.0}).policy.observation_clip == 5.0


def test_a_preset_gives_the_defaults() -> None:
    made = config(preset="stable-baselines", max_kl=0.02)
    assert (made.g_step, made.d_step, made.trpo.max_kl, made.trpo.cg_damping) == (3, 1, 0.02, 0.01)
    made = config(preset="paper", generator="ppo")  # what the preset sets for TRPO does nothing
    assert made.ppo == PPOConfig(clip_range=0.2) and made.trpo == TRPOConfig()


def test_evaluations_are_left_to_callbacks() -> None:
    assert config().eval_every == 0


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"max_klein": 0.1}, "max_klein: no parameter or field has this name; did you mean max_kl?"),
        ({"wibble": 0.1}, "wibble: no parameter or field has this name"),
        (
            {"hidden_sizes": [8]},
            "hidden_sizes: several fields have this name, expected one of policy__hidden_sizes, critic__hidden_sizes, "
            "discriminator__hidden_sizes, airl__hidden_sizes",
        ),
        ({"hiden_size": 8}, "hiden_size: no parameter or field has this name; did you mean hidden_size?"),
        ({"out": "run"}, "out: no name of a setting here: use run_folder, or save(FILE) of BC"),
        ({"steps": 10}, "steps: no name of a setting here: use learn(total_timesteps)"),
        ({"eval_every": 10}, "eval_every: no name of a setting here: use learn(callback=EvalCallback(...))"),
        ({"ent_coef": 0.1}, "ent_coef: no name of a setting here: use entcoeff"),
        ({"cg_max_steps": 3}, "cg_max_steps: no name of a setting here: use cg_iters"),
        ({"gen_algo": "ppo"}, "gen_algo: no name of a setting here: use generator trpo or ppo"),
        ({"n_disc_updates_per_round": 3}, "n_disc_updates_per_round: no name of a setting here: use d_step"),
        ({"batch_size": 3}, "batch_size: no name of a setting here: use vf_batch_size, d_batch_size or, with generator ppo,"),
        ({"target_kl": 0.1}, "target_kl: no name of a setting here: use max_kl with trpo, or ppo__target_kl with ppo"),
        ({"max_kl": "big"}, "max_kl: a finite number expected, found 'big'"),
        ({"max_kl": float("nan")}, "max_kl: a finite number expected, found nan"),
        ({"g_step": 1.5}, "g_step: a whole number expected, found 1.5"),
        ({"max_kl": -1.0}, "max_kl: -1.0 given, more than 0 expected"),
        ({"gamma": 2}, "gamma: 2.0 given, at most 1 expected"),
        ({"generator": "ppo", "max_kl": 0.01}, "max_kl: given, but generator is ppo"),
        ({"generator": "ppo", "max_kl": 0.02}, "max_kl: 0.02 given, but generator is ppo"),
        ({"adversary": "fem", "d_step": 3}, "d_step: 3 given, but adversary is fem"),
        ({"ppo": 3}, "ppo: 3 given, a mapping of fields expected"),
        ({"generator": "ppo", "ppo": {"epochs": 3}}, "ppo.epochs: no parameter or field has this name"),
        ({"hidden_size": "big"}, "hidden_size: a list of whole numbers expected, found 'big'"),
        ({"hidden_size": 0}, "policy__hidden_sizes: every layer has at least 1 unit"),
        ({"preset": "best"}, "preset: one of default, stable-baselines, paper expected, found 'best'"),
        ({"generator": "sac"}, "generator: 'sac' given, one of 'trpo', 'ppo', 'none' or module:function expected"),
        ({"policy": "LstmPolicy"}, "policy: 'LstmPolicy' given, one of MlpPolicy, CnnPolicy, MultiInputPolicy or a"),
        ({"policy": lambda i, o: None}, "policy: <lambda> of test_settings cannot be found by its name: a class or a"),
        ({"policy": "mine:"}, "policy__network: 'mine:' given, module:name expected"),
        ({"critic__network": torch.nn.Linear(1, 1)}, "critic__network: Linear of torch.nn.modules.linear cannot be found by"),
        ({"critic__network": 3}, "critic__network: a text or null expected, found 3"),
        ({"policy": "mine:Net", "policy_kwargs": {"net_arch": [3]}}, "policy__hidden_sizes: (3,) given, but policy__network"),
        ({"discriminator__network": "mine:Net", "adversary": "airl"}, "discriminator__network: mine:Net given, but adve"),
        ({"policy_kwargs": {"activation_fn": "relu"}}, "policy_kwargs: activation_fn: 'relu' given, tanh expected"),
        ({"policy_kwargs": {"net_arch": {"qf": [3]}}}, "policy_kwargs: net_arch: 'qf' given, pi and vf expected"),
        ({"policy_kwargs": {"net_arch": [3], "hidden_sizes": [4]}}, "policy_kwargs: policy__hidden_sizes is given twice, by"),
        ({"policy_kwargs": {"ortho_init": True}}, "policy_kwargs: ortho_init: expected net_arch, log_std_init"),
        ({"env_kwargs": {"f": print}}, "env_kwargs: Object of type builtin_function_or_method is not JSON serializable"),
    ],
)  # fmt: skip
def test_a_wrong_keyword_is_one_clear_line(given: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        config(**given)
    assert str(caught.value).startswith(line), caught.value


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: GAIL("MlpPolicy", "CartPole-v0"), "expert_dataset: demonstrations are needed with adversary 'gail'"),
        (
            lambda: GAIL("MlpPolicy", "CartPole-v0", adversary=toys.spec_of),
            "expert_dataset: demonstrations are needed with adversary 'toys:spec_of', unless its attribute imitates is False",
        ),
        (
            lambda: GAIL("MlpPolicy", "CartPole-v0", generator=lambda config, parts: None),
            "generator: <lambda>.<locals>.<lambda> of test_settings cannot be found by its name: a class or a function at "
            "the top of a module expected, which makes a generator of (config, parts)",
        ),
        (lambda: BC("MlpPolicy", "CartPole-v0"), "expert_dataset: demonstrations are needed to clone them"),
        (lambda: BC("MlpPolicy", "CartPole-v0", EXPERT, learning_rate=1), "learning_rate: no name of a setting of BC: use"),
        (lambda: BC("Lstm", "CartPole-v0", EXPERT), "policy: 'Lstm' given, one of MlpPolicy"),
        (
            lambda: BC("MlpPolicy", "CartPole-v0", EXPERT, iterations=3),
            "iterations: no name of a setting here: use learn(total_timesteps)",
        ),
        (lambda: BC("MlpPolicy", "CartPole-v0", EXPERT, stepsize=-1.0), "stepsize: -1.0 given, more than 0 expected"),
        (lambda: TRPO("MlpPolicy", "CartPole-v0", d_step=3), "d_step: 3 given, but adversary is env_reward"),
        (lambda: PPO("MlpPolicy", "CartPole-v0", max_kl=0.1), "max_kl: 0.1 given, but generator is ppo"),
        (lambda: TRPO("MlpPolicy", "Nothing-v0"), "environment 'Nothing-v0': Environment `Nothing` doesn't exist"),
        (lambda: TRPO("MlpPolicy", 3), "env: 3 given, expected an id, a gymnasium.Env, a function"),
        (lambda: gail(seed=-1), "seed: -1 given, at least 0 expected"),
        (lambda: gail(seed="one"), "seed: a whole number expected, found 'one'"),
        (lambda: gail(timesteps_per_batch=2), "timesteps_per_batch: 2 given, more than num_envs 4 expected"),
        (lambda: gail().learn(0), "total_timesteps: 0 given, a whole number of at least 1 expected"),
        (lambda: gail().learn(10, log_interval=cast(Any, 0.5)), "log_interval: 0.5 given, a whole number of at least 1"),
        (lambda: gail().learn(10, callback=3), "callback: 3 given, a function of (model, record) or a BaseCallback expected"),
        (lambda: gail().evaluate(0), "n_episodes: 0 given, a whole number of at least 1 expected"),
        (lambda: gail().evaluate(1, env="Pendulum-v1"), "env: observation_space Box("),
        (lambda: gail().predict(np.zeros(3)), "observation of shape (3,), (4,) or (n, 4) expected"),
        (lambda: gail().predict(np.zeros(4), True), "state: True given, None expected: the policy keeps no state"),
        (lambda: gail().pretrain(n_epochs=0), "n_epochs: 0 given, a whole number of at least 1 expected"),
    ],
)  # fmt: skip
def test_a_wrong_model_is_one_clear_line(make: Any, line: str) -> None:
    with pytest.raises(UserError) as caught:
        make()
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value), caught.value


def test_a_seed_of_none_is_drawn_and_known() -> None:
    seeds = {gail(seed=None).seed for _ in range(2)}
    assert len(seeds) == 2 and gail(seed=min(seeds)).seed == min(seeds) and gail().seed == 0
