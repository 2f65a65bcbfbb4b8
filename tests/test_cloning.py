"""Cloning's closed forms: least squares on linear data, the shares of actions, and the gradient that autograd gives."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys

from trpo_gail.build import make_policy
from trpo_gail.cloning import clone, loss_gradient
from trpo_gail.config.tree import CloningConfig
from trpo_gail.errors import UserError
from trpo_gail.experts.load import load
from trpo_gail.optim.flat import of as flat_of
from trpo_gail.parallel import Workers
from trpo_gail.policies.distributions import Categorical, Gaussian
from trpo_gail.policies.policy import Policy
from trpo_gail.runs.evaluate import Evaluator
from trpo_gail.spaces.spec import EnvSpec

CARTPOLE = str(Path(__file__).parents[1] / "expert_data" / "CartPole-v0.h5")


def config(**given: Any) -> CloningConfig:
    return CloningConfig(**{"env": "Hand-v0", "expert": "x.h5", "dtype": "float64"} | given)


def fresh(cfg: CloningConfig, spec: EnvSpec) -> Policy:
    return make_policy(cfg.run_config(), spec)


def normalised(policy: Policy, observations: np.ndarray) -> torch.Tensor:
    return policy.normaliser(torch.as_tensor(observations, dtype=torch.float64))


# ---- closed forms ----------------------------------------------------------------------------------------------------


def test_linear_gaussian_data_gives_the_regression_back(rng: np.random.Generator) -> None:
    """Actions W s + b + N(0, 0.5^2): a network without hidden layers finds W, b and log 0.5."""
    observations = 3.0 * rng.standard_normal((2000, 3)) + [1.0, -2.0, 0.0]
    design = np.hstack([observations, np.ones((2000, 1))])
    actions = design @ rng.standard_normal((4, 2)) + 0.5 * rng.standard_normal((2000, 2))
    cfg = config(hidden_sizes=(), iterations=3000, eval_every=500, stepsize=2e-2)
    policy = fresh(cfg, toys.spec(3, 2))
    best = clone(policy, observations, actions, cfg, lambda row: None)
    fitted = design @ np.linalg.lstsq(design, actions, rcond=None)[0]
    with torch.no_grad():
        found = policy(normalised(policy, observations))
    assert isinstance(found, Gaussian)
    np.testing.assert_allclose(found.mean.numpy(), fitted, atol=0.1)
    np.testing.assert_allclose(found.log_std.detach().numpy(), math.log(0.5), atol=0.1)
    assert best["validation_score"] == pytest.approx(-2 * 0.25, rel=0.1)
    assert best["validation_nll"] == pytest.approx(2 * (math.log(0.5) + 0.5 * math.log(2 * math.pi) + 0.5), rel=0.1)


def test_a_constant_that_float32_has_not_is_the_same_when_the_clone_acts() -> None:
    """It acts as one of other units, in which the constant is 0."""
    acted = []
    for constant in (0.0, 1000.1):
        observations = np.column_stack([np.linspace(-1.0, 1.0, 64), np.full(64, constant)])
        cfg = config(dtype="float32", iterations=5, eval_every=5, hidden_sizes=(8,))
        policy = fresh(cfg, toys.spec(2, 1))
        clone(policy, observations, observations[:, :1], cfg, lambda row: None)
        acted.append(policy.actor().act(observations, np.zeros((64, 1))))
    np.testing.assert_allclose(acted[1], acted[0], rtol=1e-3, atol=1e-5)


def test_discrete_actions_get_the_experts_shares(rng: np.random.Generator) -> None:
    actions = np.arange(1000) % 10 // 5 * 2  # 0 and 2 in halves, never 1
    cfg = config(iterations=400, eval_every=100, stepsize=1e-2, hidden_sizes=(8,))
    policy = fresh(cfg, toys.spec(2, 3, discrete=True))
    best = clone(policy, np.ones((1000, 2)), actions, cfg, lambda row: None)
    with torch.no_grad():
        found = policy(normalised(policy, np.ones((1, 2))))
    assert isinstance(found, Categorical)
    np.testing.assert_allclose(torch.softmax(found.logits, -1)[0].numpy(), [0.5, 0.0, 0.5], atol=0.08)
    assert best["validation_score"] == -best["validation_nll"] == pytest.approx(-math.log(2), abs=0.03)


@pytest.mark.parametrize("discrete", [False, True])
def test_its_gradient_is_autograds(discrete: bool, rng: np.random.Generator) -> None:
    policy = toys.policy(toys.spec(4, 3, discrete=discrete))
    flat = flat_of(policy)
    z = torch.from_numpy(rng.standard_normal((17, 4)))
    actions = torch.from_numpy(rng.integers(0, 3, 17) if discrete else rng.standard_normal((17, 3)))
    expected = flat.gradient(-policy(z).log_prob(actions).mean())
    torch.testing.assert_close(loss_gradient(policy, flat, z, actions), expected, rtol=1e-10, atol=1e-12)


def test_the_validation_score_looks_at_means_alone_or_at_probabilities() -> None:
    mean, actions = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [3.0, 1.0]])
    for log_std in (-5.0, 2.0):
        assert Gaussian(mean, torch.full((2,), log_std)).fitness(actions).mean() == -(4 + 10) / 2
    logits = torch.log(torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    score = float(Categorical(logits).fitness(torch.tensor([0, 1])).mean())
    assert score == pytest.approx((math.log(0.25) + math.log(0.5)) / 2, rel=1e-6)


# ---- how it goes on --------------------------------------------------------------------------------------------------


def test_it_begins_as_the_papers_policy() -> None:
    """A network of 2 x 100 whose output layer is 0, a standard deviation of 1, inputs never clipped."""
    policy = fresh(CloningConfig("Hand-v0", "x.h5"), toys.spec(3, 2))
    assert [tuple(layer.weight.shape) for layer in policy.net.layers] == [(100, 3), (100, 100), (2, 100)]
    assert not policy.net.layers[-1].weight.any() and not policy.log_std.any()
    assert policy.net.layers[1].weight.abs().max().item() == pytest.approx(math.sqrt(6 / 200), rel=1e-2)
    assert policy.normaliser.clip is None


def test_observations_are_standardised_by_all_pairs_for_good(rng: np.random.Generator) -> None:
    observations = 5.0 * rng.standard_normal((50, 2)) + 7.0
    cfg = config(iterations=20, hidden_sizes=(4,))
    policy = fresh(cfg, toys.spec(2, 1))
    clone(policy, observations.astype(np.float32), rng.standard_normal((50, 1)), cfg, lambda row: None)
    np.testing.assert_allclose(policy.normaliser.mean.numpy(), observations.mean(0), rtol=1e-6)
    np.testing.assert_allclose(policy.normaliser.std.numpy(), observations.std(0), rtol=1e-6)
    assert policy.normaliser.count == 50


def test_the_policy_of_the_best_score_is_kept(rng: np.random.Generator) -> None:
    """Noise to learn by heart: what is learnt of the training pairs soon makes validation worse."""
    observations, actions = rng.standard_normal((60, 3)), rng.standard_normal((60, 1))
    cfg = config(iterations=801, eval_every=100, stepsize=1e-2)
    policy, rows = fresh(cfg, toys.spec(3, 1)), []
    best = clone(policy, observations, actions, cfg, rows.append)
    scores = [row["validation_score"] for row in rows]
    assert [row["iteration"] for row in rows] == [1, 101, 201, 301, 401, 501, 601, 701, 801]
    assert best["validation_score"] == max(scores) > scores[-1] + 0.1
    assert rows[-1]["train_nll"] < rows[0]["train_nll"]
    again, until = fresh(cfg, toys.spec(3, 1)), config(iterations=int(best["iteration"]), stepsize=1e-2)
    clone(again, observations, actions, until, lambda row: None)
    assert torch.equal(flat_of(again).vector, flat_of(policy).vector)


@pytest.mark.parametrize(
    ("iterations", "eval_every", "seen"), [(5, 2, [1, 3, 5]), (4, 3, [1, 4]), (3, 1, [1, 2, 3]), (6, 4, [1, 5, 6])]
)
def test_it_is_scored_after_the_first_step_and_the_last(
    iterations: int, eval_every: int, seen: list[int], rng: np.random.Generator
) -> None:
    cfg, rows = config(iterations=iterations, eval_every=eval_every, hidden_sizes=(4,)), []
    clone(fresh(cfg, toys.spec(2, 1)), rng.standard_normal((9, 2)), rng.standard_normal((9, 1)), cfg, rows.append)
    assert [row["iteration"] for row in rows] == seen


def test_pairs_are_split_at_random_and_none_is_on_both_sides() -> None:
    """Ten pairs, seven to learn from: a table with one input per pair learns those, and knows nothing of the others."""
    observations, actions = np.eye(10), np.arange(10.0)[:, None] + 5.0
    held = []
    for seed in (0, 0, 1):
        cfg = config(iterations=800, eval_every=800, hidden_sizes=(), stepsize=0.05, seed=seed)
        policy, rows = fresh(cfg, toys.spec(10, 1)), []
        clone(policy, observations, actions, cfg, rows.append)
        held.append(rows[-1])
    assert held[0] == held[1] != held[2]
    assert held[0]["validation_score"] < -10.0 and held[0]["train_nll"] < 0.0


def test_two_pairs_are_enough(rng: np.random.Generator) -> None:
    cfg = config(iterations=2, hidden_sizes=(4,), train_share=0.99)
    row = clone(fresh(cfg, toys.spec(2, 1)), np.zeros((2, 2)), np.array([[1.0], [2.0]]), cfg, lambda row: None)
    assert -4.1 < row["validation_score"] < -0.9


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"iterations": 0}, "--iterations: 0"),
        ({"batch_size": 0}, "--batch_size: 0"),
        ({"stepsize": float("nan")}, "--stepsize: nan"),
        ({"train_share": 1.0}, "--train_share: 1.0"),
        ({"seed": -1}, "--seed: -1"),
        ({"trajectories": 0}, "--trajectories: 0"),
        ({"env_kwargs": "{"}, "--env_kwargs"),
    ],
)
def test_a_value_out_of_range_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        config(**given)


# ---- on the bundled demonstrations -----------------------------------------------------------------------------------


def test_cartpole_is_cloned_from_200_pairs() -> None:
    """Ho & Ermon: 177 +- 53 with ten trajectories, over seven runs; a random policy reaches 20."""
    expert = load(CARTPOLE, 10, 10)
    cfg = config(env="CartPole-v0", expert=CARTPOLE, iterations=401, eval_every=100, dtype="float32")
    policy = fresh(cfg, toys.spec(4, 2, discrete=True))
    clone(policy, expert.observations, expert.actions, cfg, lambda row: None)
    returns = Evaluator(cfg.run_config(), toys.spec_of(cfg.env), Workers()).run(policy.actor(), 10, 0).returns
    assert len(expert.actions) == 200 and returns.mean() > 120.0
