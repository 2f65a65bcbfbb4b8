"""Whatever turns non-finite first is named, with iteration and likely cause, and never saved."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import toys

from trpo_gail.algorithm import train
from trpo_gail.build import make_learner, make_policy
from trpo_gail.cloning import clone
from trpo_gail.config.presets import changed, preset
from trpo_gail.config.tree import CloningConfig, Config, CriticConfig, DiscriminatorConfig, PolicyConfig, PPOConfig
from trpo_gail.envs import vector
from trpo_gail.errors import RunError
from trpo_gail.finite import NotFinite, Reach, checked, likely_cause, number, numbers
from trpo_gail.learner import Learner
from trpo_gail.networks.normaliser import Normaliser
from trpo_gail.parallel import Workers
from trpo_gail.runs import checkpoint, evaluate, training
from trpo_gail.runs.evaluate import PERIODIC, Evaluator
from trpo_gail.sampling.transitions import Transitions

WALK, SCRIPT, WORKERS = "toys:Walk-v0", "toys:Script-v0", Workers()
SMALL = Config(
    WALK, steps=10_000, num_envs=4, timesteps_per_batch=64, d_step=4, policy=PolicyConfig(hidden_sizes=(4,)),
    critic=CriticConfig(hidden_sizes=(4,)), discriminator=DiscriminatorConfig(hidden_size_adversary=4),
)  # fmt: skip


def small(**given: Any) -> Config:
    """Fields of a part by their path, with __ for the dot."""
    return changed(SMALL, {path.replace("__", "."): value for path, value in given.items()})


def demonstrations(observations: int = 3, actions: int = 2, scale: float = 1.0) -> Transitions:
    rng = np.random.default_rng(0)
    return toys.pairs(scale * rng.standard_normal((20, observations)), rng.standard_normal((20, actions)))


def learner_of(config: Config) -> Learner:
    env = vector.make(config.env, config.num_envs, "gymnasium", config.env_arguments)
    expert = demonstrations(env.spec.observation_size, env.spec.action_size) if config.imitates else None
    return make_learner(config, env, expert, WORKERS)


def error_of(config: Config, spoil: Callable[[Learner], Any] | None = None) -> str:
    """What a run ends with that was spoilt after its first iteration."""
    learner = learner_of(config)
    with pytest.raises(RunError) as caught:
        train(learner, config, WORKERS, lambda row: spoil(learner) if spoil else None)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- by flags alone --------------------------------------------------------------------------------------------------

PPO = small(generator="ppo")
ABSURD = {
    "ppo's step": (
        dataclasses.replace(PPO, ppo=PPOConfig(learning_rate=1e6, max_grad_norm=None, target_kl=None)),
        "iteration 1: gradient of the policy at update 2 is nan; likely cause: --ppo.learning_rate 1e+06 is extreme",
    ),
    "ppo's kl": (
        dataclasses.replace(PPO, ppo=PPOConfig(learning_rate=1e6)),
        "iteration 1: KL(old || new) of the policy before update 2 is inf; likely cause: --ppo.learning_rate",
    ),
    "ppo's kl after all": (
        dataclasses.replace(PPO, ppo=PPOConfig(learning_rate=1e6, n_epochs=1, target_kl=None)),
        "iteration 1: kl of the policy is inf; likely cause: --ppo.learning_rate",
    ),
    "wide": (
        small(policy__init_log_std=1000.0),
        "in dimension 0 for environment 'toys:Walk-v0' number 0 at step 0 of batch 1; "
        "likely cause: --policy.init_log_std 1000 is extreme",
    ),
    "narrow": (
        small(policy__init_log_std=-1000.0),
        "iteration 1: objective of the policy is nan; likely cause: --policy.init_log_std -1000 is extreme",
    ),
    "narrow and random": (
        small(policy__init_log_std=-1000.0, causal_entcoeff=0.1),
        "iteration 1: log pi(a|s) of the policy is nan in ",
    ),
    "rather narrow": (
        small(policy__init_log_std=-60.0),
        "iteration 1: gradient of the policy is nan; likely cause: --policy.init_log_std -60 is extreme",
    ),
    "discriminator": (
        small(discriminator__d_stepsize=1e30),
        "iteration 1: d_loss of the adversary is nan; likely cause: --discriminator.d_stepsize 1e+30 is extreme",
    ),
    "one step of the discriminator": (
        small(discriminator__d_stepsize=1e39, d_step=1),
        "iteration 1: parameters of the adversary: network.net.layers",
    ),
    "its entropy": (
        small(discriminator__adversary_entcoeff=1e25, d_step=2),
        "iteration 1: Adam's state of the adversary: adam.state.0.exp_avg_sq holds inf; "
        "likely cause: --discriminator.adversary_entcoeff 1e+25",
    ),
    "its inputs": (
        small(env=SCRIPT, policy__init_log_std=400.0, dtype="float64"),
        "iteration 1: sum of squares of the discriminator's inputs is inf; likely cause: --policy.init_log_std 400",
    ),
    "gtal's features": (
        small(env=SCRIPT, policy__init_log_std=400.0, dtype="float64", adversary="gtal"),
        "iteration 1: reward of the adversary is -inf in",
    ),
    "critic": (
        small(critic__vf_stepsize=1e30),
        "iteration 1: parameters of the critic: network.net.layers.0.weight holds nan; "
        "likely cause: --critic.vf_stepsize 1e+30 is extreme",
    ),
    "targets": (
        small(causal_entcoeff=1e39),
        "iteration 1: mean square of the critic's targets is inf; likely cause: --causal_entcoeff 1e+39",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ABSURD)
def test_an_absurd_flag_is_named_with_what_it_made_non_finite_first(case: str) -> None:
    config, expected = ABSURD[case]
    message = error_of(config)
    assert expected in message, message


# ---- by what has gone wrong within -----------------------------------------------------------------------------------


def spoilt(module: Any, value: float) -> None:
    with torch.no_grad():
        module.net.layers[-1].bias.fill_(value)


SPOILT = {
    "action": (SMALL, lambda x: spoilt(x.policy, math.nan), "iteration 2: the policy's action is nan in dimension 0 for"),
    "logit": (
        SMALL,
        lambda x: spoilt(x.adversary.network, math.inf),
        "iteration 2: logit of the discriminator is inf in",
    ),
    "value": (SMALL, lambda x: spoilt(x.critic.network, math.nan), "iteration 2: value of the critic is nan in 68 of 68"),
    "advantage": (
        small(dtype="float64"),
        lambda x: spoilt(x.critic.network, 1e200),
        "iteration 2: mean square of the advantages is inf",
    ),
    "linear reward": (
        small(adversary="fem"),
        lambda x: x.adversary.weights.fill(math.nan),
        "iteration 2: reward of the adversary is nan in",
    ),
    "natural critic": (
        small(critic__fit="natural-gradient", critic__preserve_values=False, adversary="constant"),
        lambda x: spoilt(x.critic.network, 1e30),
        "iteration 2: objective of the critic is -inf",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILT)
def test_what_turns_non_finite_later_is_named(case: str) -> None:
    config, spoil, expected = SPOILT[case]
    message = error_of(config, spoil)
    assert expected in message, message


def test_numbers_are_named_and_counted() -> None:
    number("x", 1e308)
    numbers("x", np.array([1, 2]))
    numbers("x", np.zeros((0, 3)))
    with pytest.raises(NotFinite, match="x is -inf"):
        number("x", -math.inf)
    for values in (np.array([[1.0, math.nan], [math.inf, 2.0]]), torch.tensor([1.0, 2.0, math.nan, math.inf])):
        with pytest.raises(NotFinite, match="x is nan in 2 of 4 rows"):
            numbers("x", values)


def test_everything_that_a_checkpoint_holds_is_checked() -> None:
    learner = learner_of(SMALL)
    parts: dict[str, Any] = {"policy": learner.policy, "critic": learner.critic, "adversary": learner.adversary}
    train(learner, dataclasses.replace(SMALL, iterations=1), WORKERS, lambda row: None)  # so that Adam has a state
    for owner, part in parts.items():
        for tensor in _tensors(part.state_dict()):
            assert checked(owner, {"a": 1.0, "b": None}, part) == {"a": 1.0, "b": None}
            kept = tensor.clone()
            tensor.reshape(-1)[-1] = math.nan
            with pytest.raises(NotFinite, match=f"(parameters|statistics|Adam's state) of the {owner}: .* holds nan"):
                checked(owner, {}, part)
            tensor.copy_(kept)
    with pytest.raises(NotFinite, match=r"^kl of the policy is inf$"):
        checked("policy", {"entropy": 0.0, "kl": math.inf, "improvement": math.nan}, learner.policy)


def _tensors(state: Any) -> list[torch.Tensor]:
    if isinstance(state, dict):
        return [tensor for value in state.values() for tensor in _tensors(value)]
    return [state] if isinstance(state, torch.Tensor) else []


def test_a_normalisers_statistics_are_named() -> None:
    normaliser = Normaliser(2)
    checked("normaliser of the policy", {}, normaliser)
    normaliser.add(torch.tensor([4.0, 1.0, 2.0, 3.0, math.inf]))
    with pytest.raises(NotFinite, match="statistics of the normaliser of the policy: meansq holds inf"):
        checked("normaliser of the policy", {}, normaliser)


def test_large_numbers_whose_sum_is_infinite_are_finite() -> None:
    module = torch.nn.Linear(3, 1)
    torch.nn.init.constant_(module.weight, 3e38)
    checked("policy", {}, module)


# ---- the likely cause ------------------------------------------------------------------------------------------------


def test_every_suspect_is_named() -> None:
    config = small(critic__vf_stepsize=0.2, adversary="env_reward")
    cause = likely_cause(config, Reach(3e38, 1e20))
    assert cause == (
        "; likely cause: --critic.vf_stepsize 0.2 is extreme, and observations reach 3e+38 (--dtype float64), "
        "and the environment's rewards reach 1e+20 (--dtype float64)"
    )
    config = small(dtype="float64")  # with demonstrations the environment's rewards do not matter
    assert likely_cause(config, Reach(1e50, 1e20)) == "; likely cause: observations reach 1e+50 (rescale them)"
    assert likely_cause(config) == ""


@pytest.mark.parametrize("name", ["default", "paper", "stable-baselines"])
def test_no_preset_is_suspect(name: Any) -> None:
    for generator in ("trpo", "ppo"):
        assert likely_cause(preset(name, "Hopper-v4", generator), Reach(10.0, 10.0)) == ""


# ---- a whole run -----------------------------------------------------------------------------------------------------


@pytest.fixture
def expert(tmp_path: Path) -> str:
    path, rows = tmp_path / "expert.h5", demonstrations()
    with h5py.File(path, "w") as file:
        file["observations"], file["actions"] = rows.observations, rows.actions
        file["terminals"], file["timeouts"] = np.arange(20) == 19, np.zeros(20, bool)
        file["steps"], file["episode_lengths"] = np.arange(20), [20]
    return str(path)


def test_the_last_checkpoint_is_the_last_good_one(expert: str, tmp_path: Path) -> None:
    config = small(
        expert=expert, save_every="1", eval_every=64, eval_episodes=2, critic__vf_stepsize=1e30, dtype="float64"
    )
    with pytest.raises(RunError) as caught:
        training.run(config, str(tmp_path / "run"), False, True, WORKERS)
    iteration = int(str(caught.value).split(":")[0].removeprefix("iteration "))
    last = checkpoint.last_path(tmp_path / "run")
    assert last is not None and last.name == f"iteration_{iteration - 1:07d}.pt" and iteration > 1
    assert any(str(last) in note for note in caught.value.__notes__)
    for path in (last, checkpoint.best_path(tmp_path / "run")):
        assert all(bool(torch.isfinite(tensor).all()) for tensor in _tensors(checkpoint.read(path)["learner"]))


def test_a_device_without_room_is_told_in_one_line() -> None:
    def full(learner: Learner) -> None:
        def step(*given: Any) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2.00 GiB.")

        learner.generator.step = step  # type: ignore[assignment,method-assign]

    said = error_of(SMALL, full)
    assert said.startswith("iteration 2: cpu is out of memory; resume with fewer ranks") and "\n" not in said


def test_a_cloned_policy_that_is_not_finite_is_named() -> None:
    config, rows = CloningConfig(WALK, "x.h5", stepsize=1e30, iterations=50, eval_every=10), demonstrations()
    policy = make_policy(config.run_config(), toys.spec(3, 2))
    with pytest.raises(
        RunError, match=r"^step 1: train_nll of the policy is inf; a smaller --stepsize than 1e\+30 or "
    ):
        clone(policy, rows.observations, rows.actions, config, lambda row: None)


@pytest.mark.parametrize("broken", ["observation", "reward"])
def test_an_evaluation_names_what_the_environment_gave(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "MOST_ENVS", 1)  # that runs the episode that breaks
    config = Config(SCRIPT, env_kwargs=f'{{"lengths": [1, 3], "broken": "{broken}", "value": Infinity}}')
    policy = toys.policy(vector.make(config.env, 1).spec, dtype="float32")
    with pytest.raises(
        RunError, match=rf"'toys:Script-v0' number 0 gave an? {broken} that is not finite: .*of an evalua"
    ):
        Evaluator(config, toys.spec_of(config.env), WORKERS).run(policy.actor(), 2, PERIODIC)


def test_an_evaluation_names_the_policys_action() -> None:
    policy = toys.policy(vector.make(WALK, 1).spec, dtype="float32")
    spoilt(policy, math.nan)
    with pytest.raises(NotFinite, match=r"policy's action is nan in dimension 0 for .* at step 0 of an evaluation"):
        Evaluator(Config(WALK), toys.spec_of(WALK), WORKERS).run(policy.actor(), 2, PERIODIC)
