"""What outsiders bring, in files of their own: an adversary, an action space, a network."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import gymnasium
import numpy as np
import pytest
import torch
import toy_adversary
import toy_conv
import toys
from torch import Tensor

from trpo_gail.adversaries.adversary import Parts
from trpo_gail.adversaries.discriminator import Discriminator
from trpo_gail.algorithm import iteration
from trpo_gail.build import make_generator, make_learner
from trpo_gail.config.tree import Config, DiscriminatorConfig, PolicyConfig
from trpo_gail.envs import vector
from trpo_gail.errors import RunError, UserError
from trpo_gail.finite import checked
from trpo_gail.optim.flat import of as flat_of
from trpo_gail.parallel import Workers
from trpo_gail.policies.distributions import FAMILIES
from trpo_gail.policies.fisher import fisher_product
from trpo_gail.policies.policy import Policy
from trpo_gail.runs import checkpoint
from trpo_gail.runs.evaluate import load_policy
from trpo_gail.sampling.batch import Batch, Rows
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.actions import KINDS
from trpo_gail.spaces.saved import SPACES
from trpo_gail.spaces.spec import EnvSpec

WORKERS = Workers()


@pytest.fixture(autouse=True)
def forgotten_again() -> Iterator[None]:
    """What these tests register is gone afterwards: another test of this process may list what there is."""
    with patch.dict(KINDS), patch.dict(FAMILIES), patch.dict(SPACES), patch.dict(gymnasium.registry):
        yield
    sys.modules.pop("toy_dials", None)


def explicit_fisher(policy: Policy, z: Tensor) -> Tensor:
    """Second derivative of the sum of KL(old || .) [P, P], by autograd alone."""
    names, parameters = zip(*policy.named_parameters(), strict=True)
    sizes = [p.numel() for p in parameters]
    old = policy(z).detach()

    def kl(theta: Tensor) -> Tensor:
        values = [part.view_as(p) for part, p in zip(theta.split(sizes), parameters, strict=True)]
        new = torch.func.functional_call(policy, dict(zip(names, values, strict=True)), (z,))
        return old.kl(new).sum()

    theta = torch.cat([p.detach().reshape(-1) for p in parameters])
    return torch.autograd.functional.hessian(kl, theta)


def assert_fisher_is_explicit(policy: Policy, z: Tensor) -> None:
    F, flat = explicit_fisher(policy, z), flat_of(policy)
    product = fisher_product(policy, flat, z)
    columns = [product(e) for e in torch.eye(len(F), dtype=torch.float64)]
    torch.testing.assert_close(torch.stack(columns), F, rtol=1e-8, atol=1e-10)
    assert F.abs().max() > 0.01


# ---- an adversary that sees what follows -----------------------------------------------------------------------------


def with_next(rows: Transitions, next_observations: np.ndarray) -> Transitions:
    return dataclasses.replace(rows, successors=lambda: next_observations)


def steps(n: int, by: float, seed: int) -> Transitions:
    """Rows whose next state is `by` further."""
    rng = np.random.default_rng(seed)
    observations = rng.standard_normal((n, 3))
    return with_next(toys.pairs(observations, np.zeros((n, 2))), observations + by)


def test_it_tells_steps_apart_that_states_do_not_tell() -> None:
    config = Config("any", d_step=150, dtype="float64", discriminator=DiscriminatorConfig(d_stepsize=1e-2))
    expert, learner = steps(300, 1.0, 0), steps(300, -1.0, 1)
    adversary = toy_adversary.build(config, Parts(toys.spec(3, 2), expert, toys.policy(toys.spec(3, 2)), WORKERS))
    stats = adversary.fit(learner, np.random.default_rng(0))
    assert adversary.reward(expert).mean() > 2 * adversary.reward(learner).mean()
    assert 0 < stats["gradient_penalty"] < 1
    between = torch.zeros(5, 6, dtype=torch.float64)
    assert adversary.penalty(between) / 5 < 0.5, "slopes are near 1"


def test_it_trains_behind_the_seam() -> None:
    config = Config("toys:Walk-v0", adversary="toy_adversary:build", num_envs=2, timesteps_per_batch=60, d_step=2)
    expert = with_next(toys.pairs(np.zeros((9, 3)), np.zeros((9, 2))), np.ones((9, 3)))
    learner = make_learner(config, vector.make(config.env, 2, "gymnasium"), expert, WORKERS)
    rows = [iteration(learner, config, WORKERS) for _ in range(2)]
    assert all(row["gradient_penalty"] > 0 and row["step_accepted"] == 1.0 for row in rows)


class Restless:
    """A generator that knows of no warm-up."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass

    def step(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        return {"kl": 0.0}


def test_a_generator_that_cannot_rest_has_no_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    restless: Any = lambda config, parts: Restless()  # noqa: E731
    monkeypatch.setattr(toy_adversary, "restless", restless, raising=False)
    config = Config("toys:Walk-v0", generator="toy_adversary:restless")
    assert isinstance(make_generator(config, toys.policy(toys.spec(3, 2)), WORKERS), Restless)
    with pytest.raises(UserError, match=r"--generator toy_adversary:restless has no method `rest`"):
        make_generator(dataclasses.replace(config, warmup_iterations=1), toys.policy(toys.spec(3, 2)), WORKERS)


class Odd:
    """An adversary whose reward is a column, and which tells nothing of what it learned."""

    needs_log_prob = False
    state_dict = Restless.state_dict
    load_state_dict = Restless.load_state_dict

    def reward(self, learner: Transitions) -> np.ndarray:
        return np.zeros((len(learner.observations), 1))

    def fit(self, learner: Transitions, rng: np.random.Generator) -> None:
        pass


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (
            lambda config, parts: None,
            "--adversary: toy_adversary:odd made NoneType, which lacks needs_log_prob, reward, fit",
        ),
        (
            lambda config, parts: Restless(),
            "--adversary: toy_adversary:odd made Restless, which lacks needs_log_prob, reward",
        ),
        (
            lambda config: Odd(),
            r"--adversary: toy_adversary:odd\(config, parts\): TypeError: .* takes 1 positional argument",
        ),
        (lambda config, parts: Odd(), r"--adversary: reward gave shape \(52, 1\), an array of shape \(52,\) expected"),
    ],
)
def test_a_part_from_outside_that_is_none_is_one_clear_line(
    made: Any, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy_adversary, "odd", made, raising=False)
    config = Config("toys:Walk-v0", adversary="toy_adversary:odd", num_envs=2, timesteps_per_batch=60, d_step=2)
    env = vector.make(config.env, 2, "gymnasium")
    with pytest.raises((UserError, RunError), match=line):
        iteration(make_learner(config, env, None, WORKERS), config, WORKERS)


def test_statistics_are_a_mapping() -> None:
    with pytest.raises(RunError, match=r"^adversary: its statistics are NoneType, a mapping of numbers expected"):
        checked("adversary", Odd().fit(toys.pairs(np.zeros((1, 3)), np.zeros((1, 2))), np.random.default_rng(0)))  # type: ignore[type-var]


# ---- an action space of several labels -------------------------------------------------------------------------------


def dials() -> EnvSpec:
    return toys.spec_of("toy_dials:Dials-v0")


def test_the_fisher_product_of_several_labels_is_the_explicit_matrix(torch_rng: torch.Generator) -> None:
    policy = toys.policy(dials(), (4,))
    assert_fisher_is_explicit(policy, torch.randn(6, 2, generator=torch_rng, dtype=torch.float64))


def test_several_labels_are_learned_saved_and_loaded(tmp_path: Path) -> None:
    config = Config(
        "toy_dials:Dials-v0", adversary="env_reward", num_envs=4, timesteps_per_batch=400, gamma=0.0,
        policy=PolicyConfig(hidden_sizes=(16,)),
    )  # fmt: skip
    learner = make_learner(config, vector.make(config.env, 4, "gymnasium"), None, WORKERS)
    rows = [iteration(learner, config, WORKERS) for _ in range(25)]
    assert rows[0]["reward_mean"] < 0.5 and rows[-1]["reward_mean"] > 0.8
    checkpoint.save(tmp_path, learner, config, learner.sampler.env.spec, WORKERS)
    loaded = load_policy(tmp_path)
    observations = np.array([[-0.9, -0.9], [0.0, 0.9], [0.9, -0.9]], np.float32)
    assert loaded.predict(observations).tolist() == [[0, 0], [1, 1], [2, 0]]
    assert loaded.predict(observations[1]).tolist() == [1, 1]


def test_a_discriminator_takes_several_labels_as_they_are() -> None:
    config = Config("toy_dials:Dials-v0", num_envs=4, timesteps_per_batch=200, d_step=2)
    rng = np.random.default_rng(0)
    expert = toys.pairs(rng.standard_normal((30, 2)), np.stack([rng.integers(0, n, 30) for n in (3, 2)], 1))
    learner = make_learner(config, vector.make(config.env, 4, "gymnasium"), expert, WORKERS)
    row = iteration(learner, config, WORKERS)
    assert row["d_accuracy_learner"] is not None and math.isfinite(row["d_loss"] or math.nan)
    assert isinstance(learner.adversary, Discriminator)
    assert learner.adversary.network.inputs.size == 2 + 5


# ---- a network that nobody looks into --------------------------------------------------------------------------------


@pytest.mark.parametrize("discrete", [False, True])
def test_the_fisher_product_of_a_convolution_is_the_explicit_matrix(discrete: bool, torch_rng: torch.Generator) -> None:
    policy = toy_conv.policy(toys.spec(16, 2, discrete=discrete)).double()
    assert_fisher_is_explicit(policy, torch.randn(5, 16, generator=torch_rng, dtype=torch.float64))


def test_its_copy_that_samples_is_the_policy(rng: np.random.Generator) -> None:
    policy = toy_conv.policy(toys.spec(16, 2))
    actor, observations = policy.actor(), rng.standard_normal((5, 16))
    with torch.no_grad():
        expected = policy(policy.normaliser(torch.as_tensor(observations, dtype=torch.float32))).mean.numpy()
        np.testing.assert_allclose(actor.act(observations, np.zeros((5, 2))), expected, atol=1e-6)
        flat_of(policy).vector.add_(1.0)
    np.testing.assert_allclose(actor.act(observations, np.zeros((5, 2))), expected, atol=1e-6)


@pytest.mark.parametrize("generator", ["trpo", "ppo"])
def test_a_convolution_learns(generator: Any) -> None:
    """Actions near 1 are better than others."""
    spec = toys.spec(16, 2)
    policy, rng = toy_conv.policy(spec), np.random.default_rng(0)
    made = make_generator(Config("any", generator=generator), policy, WORKERS)
    z = torch.as_tensor(rng.standard_normal((200, 16)), dtype=torch.float32)
    for _ in range(15):
        actions = torch.from_numpy(policy.actor().act(z.numpy(), rng.standard_normal((200, 2))))
        paid = -((actions - 1.0) ** 2).sum(1)
        zeros = torch.zeros(200)
        advantages = (paid - paid.mean()) / paid.std()
        made.step(Batch(Rows(0, 200, 200), z, actions, zeros, advantages, zeros, np.zeros((0, 0))), rng)
    with torch.no_grad():
        assert float(policy(z).mean.mean()) > 0.5
