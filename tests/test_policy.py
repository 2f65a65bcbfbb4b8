"""Distributions against torch.distributions; the sampling copy against the policy that it copies."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
import toys
from torch import Tensor
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Independent, Normal, kl_divergence

from trpo_gail.build import make_policy
from trpo_gail.config.tree import Config, PolicyConfig
from trpo_gail.networks.normaliser import sums
from trpo_gail.policies.distributions import Categorical, Gaussian
from trpo_gail.policies.policy import Policy

KINDS = ["gaussian", "categorical"]


def pair(kind: str, rng: torch.Generator, rows: int = 6) -> tuple[Any, torch.distributions.Distribution]:
    """Ours, a Gaussian or a Categorical, and torch's."""
    out = torch.randn(rows, 3, generator=rng, dtype=torch.float64)
    if kind == "categorical":
        return Categorical(out), TorchCategorical(logits=out)
    log_std = 0.5 * torch.randn(3, generator=rng, dtype=torch.float64)
    return Gaussian(out, log_std), Independent(Normal(out, log_std.exp()), 1)


# ---- distributions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_distributions_are_torchs(kind: str, torch_rng: torch.Generator) -> None:
    (old, old_), (new, new_) = pair(kind, torch_rng), pair(kind, torch_rng)
    actions = old_.sample()
    assert old.log_prob(actions).shape == old.entropy().shape == old.kl(new).shape == (6,)
    torch.testing.assert_close(old.log_prob(actions), old_.log_prob(actions))
    torch.testing.assert_close(old.entropy(), old_.entropy())
    torch.testing.assert_close(old.kl(new), kl_divergence(old_, new_))
    torch.testing.assert_close(old.kl(old), torch.zeros(6, dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_the_metric_is_the_hessian_of_the_kl(kind: str, torch_rng: torch.Generator) -> None:
    old, _ = pair(kind, torch_rng, rows=1)
    out = old.logits if isinstance(old, Categorical) else old.mean

    def kl(at: Tensor) -> Tensor:
        new = Categorical(at[None]) if isinstance(old, Categorical) else Gaussian(at[None], old.log_std)
        return old.kl(new)[0]

    hessian = torch.autograd.functional.hessian(kl, out[0])
    columns = torch.cat([old.metric(e[None]) for e in torch.eye(3, dtype=torch.float64)])
    torch.testing.assert_close(columns.T, hessian)


def test_a_certain_softmax_stays_finite() -> None:
    sure = Categorical(torch.tensor([[500.0, -500.0, 0.0]]))
    other = Categorical(torch.tensor([[0.0, 0.0, 0.0]]))
    assert sure.entropy().item() == 0 and sure.kl(sure).item() == 0
    assert sure.log_prob(torch.tensor([1])).item() == -1000
    assert np.isfinite([sure.kl(other).item(), other.kl(sure).item()]).all()


def test_a_detached_gaussian_does_not_move_with_the_parameters() -> None:
    policy = toys.policy(toys.spec())
    old = policy(torch.zeros(1, 3, dtype=torch.float64)).detach()
    before = old.log_std.clone()
    with torch.no_grad():
        policy.log_std.add_(1.0)
    assert torch.equal(old.log_std, before) and not old.log_std.requires_grad


# ---- the copy that samples -------------------------------------------------------------------------------------------


def fed(kind: str, dtype: str = "float64", hidden: tuple[int, ...] = (64, 64)) -> Policy:
    """A policy whose normaliser has seen data, and clips some of what comes."""
    policy = toys.policy(toys.spec(5, 3, discrete=kind == "categorical"), hidden, dtype=dtype)
    policy.normaliser.clip = 1.5
    policy.normaliser.add(sums(2.0 + 3.0 * torch.randn(100, 5, generator=torch.Generator().manual_seed(2))))
    return policy


def rows(rng: np.random.Generator, n: int = 8) -> tuple[np.ndarray, np.ndarray]:
    return 2.0 + 3.0 * rng.standard_normal((n, 5)), rng.standard_normal((n, 3))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_copy_acts_as_the_policy(kind: str, dtype: str, tolerance: float, rng: np.random.Generator) -> None:
    policy = fed(kind, dtype)
    observations, noise = rows(rng, 50)
    actions = policy.actor().act(observations, noise)
    with torch.no_grad():
        x = torch.as_tensor(observations, dtype=getattr(torch, dtype))
        distribution = policy(policy.normaliser(x))
    if isinstance(distribution, Gaussian):
        expected = distribution.mean.numpy() + np.exp(policy.log_std.detach().numpy()) * noise
        np.testing.assert_allclose(actions, expected, rtol=0, atol=10 * tolerance)
        assert actions.dtype == np.dtype(dtype)
    else:
        np.testing.assert_array_equal(actions, np.argmax(distribution.logits.numpy() + noise, 1))
        assert actions.dtype == np.int64


@pytest.mark.parametrize("kind", KINDS)
def test_no_noise_gives_the_mode(kind: str, rng: np.random.Generator) -> None:
    policy = fed(kind)
    observations, _ = rows(rng)
    actions = policy.actor().act(observations, np.zeros((8, 3)))
    out = policy.net(policy.normaliser(torch.as_tensor(observations))).detach().numpy()
    if kind == "gaussian":
        np.testing.assert_allclose(actions, out, atol=1e-12)
    else:
        np.testing.assert_array_equal(actions, out.argmax(1))


def test_gumbel_noise_gives_the_softmax(rng: np.random.Generator) -> None:
    policy, n = fed("categorical"), 20_000
    actor = policy.actor()
    observation = rows(rng, 1)[0]
    assert (actor.noise_kind, actor.noise_size) == ("gumbel", 3)
    actions = actor.act(np.repeat(observation, n, 0), rng.gumbel(size=(n, 3)))
    with torch.no_grad():
        p = torch.softmax(policy.net(policy.normaliser(torch.as_tensor(observation))), 1)[0].numpy()
    assert p.min() > 0.02
    np.testing.assert_allclose(np.bincount(actions, minlength=3) / n, p, atol=4 * np.sqrt(0.25 / n))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [(64, 64), (32,)])
def test_a_rows_action_does_not_depend_on_the_rows_beside_it(
    dtype: str, hidden: tuple[int, ...], rng: np.random.Generator
) -> None:
    """Bit for bit: environments may be split over ranks in any way."""
    actor = fed("gaussian", dtype, hidden).actor()
    observations, noise = rows(rng)
    together = actor.act(observations, noise)
    for n in range(1, 8):
        assert actor.act(observations[:n], noise[:n]).tobytes() == together[:n].tobytes(), f"{n} rows"
        assert actor.act(observations[-n:], noise[-n:]).tobytes() == together[-n:].tobytes(), f"the last {n} rows"
    order = rng.permutation(8)
    np.testing.assert_array_equal(actor.act(observations[order], noise[order]), together[order])


@pytest.mark.parametrize("kind", KINDS)
def test_acting_is_a_function_of_observation_and_noise(kind: str, rng: np.random.Generator) -> None:
    actor = fed(kind).actor()
    observations, noise = rows(rng)
    kept = observations.copy(), noise.copy()
    first = actor.act(observations, noise)
    np.random.seed(1)  # noqa: NPY002 - global state, which must not matter
    torch.manual_seed(1)
    np.testing.assert_array_equal(first, actor.act(observations, noise))
    np.testing.assert_array_equal(observations, kept[0])
    np.testing.assert_array_equal(noise, kept[1])


def test_a_copy_does_not_follow_its_policy(rng: np.random.Generator) -> None:
    policy = fed("gaussian")
    actor, (observations, noise) = policy.actor(), rows(rng)
    before = actor.act(observations, noise)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(1.0)
    policy.normaliser.add(sums(torch.ones(10, 5)))
    np.testing.assert_array_equal(actor.act(observations, noise), before)


# ---- how a policy begins ---------------------------------------------------------------------------------------------


def test_a_fresh_policy_is_nearly_the_same_everywhere_and_its_seeds() -> None:
    spec = toys.spec(5, 3)
    config = Config("Hand-v0", policy=PolicyConfig(init_log_std=-0.5))
    policy, again = make_policy(config, spec), make_policy(config, spec)
    other = make_policy(dataclasses.replace(config, seed=1), spec)
    out = policy.net(torch.randn(100, 5, generator=torch.Generator().manual_seed(0)))
    assert out.abs().max() < 0.05
    assert (policy.log_std == -0.5).all()
    assert all(torch.equal(a, b) for a, b in zip(policy.parameters(), again.parameters(), strict=True))
    assert not torch.equal(policy.net.layers[0].weight, other.net.layers[0].weight)


def test_observations_are_left_alone_where_normalisation_is_off() -> None:
    config = Config("Hand-v0", policy=PolicyConfig(normalise_observations=False, observation_clip=None))
    policy = make_policy(config, toys.spec(5, 3))
    policy.normaliser.add(sums(torch.full((10, 5), 7.0)))
    x = 100 * torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(policy.normaliser(x), x)


def test_a_feature_that_hardly_varies_is_the_same_to_the_copy(rng: np.random.Generator) -> None:
    """Humanoid's observation holds masses: constants, whose float32 rounding a division by 1e-6 makes large."""
    policy = toys.policy(toys.spec(2, 1), dtype="float32")
    constant = 8.907462
    expert = np.column_stack([rng.standard_normal(50), np.full(50, constant)]).astype(np.float32)
    policy.normaliser.add(sums(torch.from_numpy(expert)))
    observations = np.column_stack([rng.standard_normal(8), np.full(8, constant)])
    seen = policy.normaliser(torch.as_tensor(observations, dtype=torch.float32))
    acted = policy.actor().act(observations, np.zeros((8, 1)))
    assert abs(constant - float(np.float32(constant))) / 1e-6 > 0.1, "the control would be blind"
    np.testing.assert_allclose(acted, policy(seen).mean.detach().numpy(), atol=1e-6)


def test_clipped_samples_have_the_probability_of_what_lies_behind_the_bound() -> None:
    """Against many samples: how often each bound is met, and densities between."""
    mean, log_std = torch.tensor([[0.3, -2.0]], dtype=torch.float64), torch.tensor([0.2, 0.5], dtype=torch.float64)
    low, high = torch.tensor([-1.0, -1.0], dtype=torch.float64), torch.tensor([1.0, 2.0], dtype=torch.float64)
    here = Gaussian(mean, log_std)
    drawn = mean + torch.exp(log_std) * torch.randn(400_000, 2, dtype=torch.float64, generator=torch.manual_seed(0))
    met = (drawn[:, 0] >= 1.0).double().mean() * (drawn[:, 1] <= -1.0).double().mean()
    corner = here.clipped_log_prob(torch.tensor([[1.0, -1.0]], dtype=torch.float64), low, high)
    assert float(corner.exp()) == pytest.approx(float(met), rel=0.01)
    within = torch.tensor([[0.5, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(here.clipped_log_prob(within, low, high), here.log_prob(within))
    wide = Gaussian(mean, log_std + 50.0)  # however wide: half of all samples lie behind either bound
    torch.testing.assert_close(
        wide.clipped_log_prob(torch.tensor([[1.0, -1.0]], dtype=torch.float64), low, high),
        torch.tensor([2 * math.log(0.5)], dtype=torch.float64),
    )
