"""The value network's fit: a line that it can represent, and how much it explains before."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
import toys

from trpo_gail.config.presets import changed
from trpo_gail.config.tree import Config, CriticConfig, TrustRegionConfig
from trpo_gail.critic import Critic, _clipped_squares_slope
from trpo_gail.networks.value import ValueNetwork
from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import Batch, Rows


def critic(dtype: torch.dtype = torch.float64, **config: Any) -> Critic:
    base = Config("toys:any", critic=CriticConfig(hidden_sizes=(), vf_batch_size=50), gamma=0.99, lam=0.95)
    cfg = changed(base, {f"critic.{name}": value for name, value in config.items()})
    network = ValueNetwork(cfg.critic, toys.spec(2), torch.Generator().manual_seed(0)).to(dtype)
    return Critic(cfg, network, None, Workers())


def batch(n: int = 400, noise: float = 0.0) -> Batch:
    """Targets are 30 + 5 x - 2 y, and noise."""
    rng = np.random.default_rng(0)
    x = torch.as_tensor(3.0 + rng.standard_normal((n, 2)))
    targets = 30 + 5 * x[:, 0] - 2 * x[:, 1] + noise * torch.as_tensor(rng.standard_normal(n))
    zeros = torch.zeros(n, dtype=torch.float64)
    return Batch(Rows(0, n, n), x, x, zeros, zeros, targets, np.zeros((0, 0)))


def explained(made: Critic, rows: Batch) -> float:
    return copy.deepcopy(made).fit(rows, np.random.default_rng(0))["explained_variance"]


def test_a_line_is_fitted_whatever_its_scale(rng: np.random.Generator) -> None:
    made, rows = critic(vf_iters=50, vf_stepsize=5e-2), batch()
    assert not made.network.value(rows.observations, rows.times).detach().any()
    made.fit(rows, rng)
    error = made.network.value(rows.observations, rows.times).detach() - rows.targets
    assert error.abs().max() < 0.2


@pytest.mark.parametrize("preserve", [True, False])
@pytest.mark.parametrize("spread", [0.0, 1e-7, 1e-3])
def test_first_targets_that_are_nearly_alike_are_forgotten(
    spread: float, preserve: bool, rng: np.random.Generator
) -> None:
    """A discriminator that has learned nothing pays log 2 for every step."""
    made, rows = critic(vf_iters=50, vf_stepsize=5e-2, preserve_values=preserve), batch()
    alike = 30.0 + spread * torch.as_tensor(rng.standard_normal(400))
    made.fit(dataclasses.replace(rows, targets=alike), rng)
    values = made.network.value(rows.observations, rows.times).detach()
    assert (values - alike).abs().max() < 5 * spread + 1e-9
    for _ in range(3):
        made.fit(rows, rng)
    assert explained(made, rows) > 0.99


@pytest.mark.parametrize("noise", [0.0, 5.0])
def test_explained_variance_is_of_the_values_before_the_fit(noise: float, rng: np.random.Generator) -> None:
    made, rows = critic(vf_iters=50, vf_stepsize=5e-2), batch(noise=noise)
    assert explained(made, rows) == 0  # V is 0 everywhere
    made.fit(rows, rng)
    error = rows.targets - made.network.value(rows.observations, rows.times).detach()
    expected = 1 - float(error.var() / rows.targets.var())
    assert explained(made, rows) == pytest.approx(expected, rel=1e-9)
    loss = copy.deepcopy(made).fit(rows, np.random.default_rng(0))["vf_loss"]
    assert loss == pytest.approx(float((error**2).mean()), rel=1e-9)
    assert expected > 0.999 if noise == 0 else 0.3 < expected < 0.8


def test_explained_variance_is_right_in_float32_where_returns_are_far_from_0(rng: np.random.Generator) -> None:
    rows = batch(noise=1.0)
    narrow = dataclasses.replace(
        rows, observations=rows.observations.float(), times=rows.times.float(), targets=rows.targets.float() + 10_000
    )
    made = critic(torch.float32, vf_iters=20, vf_stepsize=5e-2)
    made.fit(narrow, rng)
    error = narrow.targets.double() - made.network.value(narrow.observations, narrow.times).detach().double()
    expected = 1 - float(error.var(correction=0) / narrow.targets.double().var(correction=0))
    assert explained(made, narrow) == pytest.approx(expected, abs=1e-3)


def test_targets_that_are_all_the_same_are_explained_by_nothing(rng: np.random.Generator) -> None:
    rows = batch()
    rows.targets.fill_(3.0)
    made = critic()
    assert made.fit(rows, rng) == {"explained_variance": 0.0, "vf_loss": 9.0}  # V is 0 before the fit
    value = made.network.value(rows.observations, rows.times)
    assert torch.isfinite(value).all()


@pytest.mark.parametrize(("vf_batch_size", "parts"), [(50, 8), (400, 1), (1000, 1), (300, 1), (250, 2)])
def test_a_pass_is_as_many_minibatches_as_fit(vf_batch_size: int, parts: int, rng: np.random.Generator) -> None:
    made = critic(vf_iters=3, vf_batch_size=vf_batch_size)
    counts: list[int] = []

    def counted(x: Any, slope: Any, count: int, more: Any = None) -> None:
        counts.append(count)

    made.adam.step = counted  # type: ignore[method-assign]
    made.fit(batch(), rng)
    assert len(counts) == 3 * parts and sum(counts) == 3 * 400


def test_a_saved_critic_goes_on_bit_for_bit() -> None:
    made, again, rows = critic(), critic(), batch()
    made.fit(rows, np.random.default_rng(0))
    again.load_state_dict(copy.deepcopy(made.state_dict()))
    for c in (made, again):
        c.fit(rows, np.random.default_rng(1))
    assert torch.equal(made.adam.flat.vector, again.adam.flat.vector)


# ---- how far a fit may move a value ----------------------------------------------------------------------------------


def test_the_clipped_slope_is_that_of_the_larger_error() -> None:
    rng = torch.Generator().manual_seed(0)
    targets, old, values = (torch.randn(200, 1, generator=rng, dtype=torch.float64) for _ in range(3))
    values.requires_grad_()
    moved = old + (values - old).clamp(-0.3, 0.3)
    loss = torch.maximum((values - targets) ** 2, (moved - targets) ** 2).sum()
    (expected,) = torch.autograd.grad(loss, values)
    inside = ((values - old).abs() < 0.3).squeeze()
    slope = _clipped_squares_slope(targets, old, 0.3, values.detach())
    torch.testing.assert_close(slope, expected)
    assert slope[inside].all() and 20 < (slope[~inside] == 0).sum() < (~inside).sum() - 20


@pytest.mark.parametrize("limit", [None, 0.2])
def test_a_fit_gains_nothing_from_moving_values_farther(limit: float | None, rng: np.random.Generator) -> None:
    """Values of +1 and -1 in standard deviations, from 0: each row asks for the same change of the only weight."""
    made, rows = critic(vf_iters=120, vf_stepsize=3e-3, clip_range_vf=limit), batch()
    rows.observations.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64).repeat(200, 1))
    rows.targets.copy_(5.0 * rows.observations[:, 0])
    made.fit(rows, rng)
    value = normalised(made, rows)[0].item()
    assert value == pytest.approx(1.0 if limit is None else limit, abs=0.05)


# ---- advantages computed anew while it is fitted ---------------------------------------------------------------------


def test_passes_may_be_made_before_the_fit_and_count() -> None:
    """As many passes, the same normalisers, and after each the advantages of the values as they then are."""
    made, again = critic(vf_iters=3), critic(vf_iters=3)
    rollout = toys.rollout(["....T....L", "..L......."], observations=2, actions=2)
    made.fit(made.batch(rollout, rollout.rewards, toys.numbered(rollout)), np.random.default_rng(0))
    early, rng = again.batch(rollout, rollout.rewards, toys.numbered(rollout)), np.random.default_rng(0)
    assert early.readvantage is not None
    first, second = early.readvantage(rng), early.readvantage(rng)
    torch.testing.assert_close(
        second, copy.deepcopy(again).batch(rollout, rollout.rewards, toys.numbered(rollout)).advantages
    )
    assert not torch.allclose(first, early.advantages) and not torch.allclose(first, second)
    assert again.fit(early, rng)["explained_variance"] == 0  # of the values before any pass
    assert torch.equal(made.adam.flat.vector, again.adam.flat.vector)
    assert made.network.normaliser.count == again.network.normaliser.count == 20


def natural(**config: Any) -> Critic:
    region = TrustRegionConfig(**{"fvp_subsample": 1, "cg_damping": 0.0} | config)
    return critic(fit="natural-gradient", natural_gradient=region, preserve_values=False)


def normalised(made: Critic, rows: Batch) -> torch.Tensor:
    return made.network.net(made.network.inputs(rows.observations, rows.times))[:, 0].detach()


def test_a_natural_step_of_a_linear_value_ends_on_the_line_to_least_squares(rng: np.random.Generator) -> None:
    made, rows = natural(max_kl=0.01), batch(noise=3.0)
    stats = made.fit(rows, rng)
    targets = (rows.targets - rows.targets.mean()) / rows.targets.std(unbiased=False)
    x = torch.column_stack([rows.observations, torch.ones(len(targets), dtype=torch.float64)])
    best = x @ torch.linalg.lstsq(x, targets[:, None]).solution[:, 0]
    # V began at 0, and F = 2 E[x x^T] turns the gradient into the least-squares solution, cut to the trust region.
    torch.testing.assert_close(
        normalised(made, rows), best * (0.01 / best.square().mean()).sqrt(), rtol=1e-4, atol=1e-5
    )
    assert stats["vf_kl"] == pytest.approx(0.01, rel=1e-6)
    assert stats["vf_improvement"] > 0 == stats["vf_backtracks"]


def test_natural_steps_explain_what_can_be_explained(rng: np.random.Generator) -> None:
    made, rows = natural(max_kl=0.1, line_search_kl=2.0), batch()
    for _ in range(40):
        made.fit(rows, rng)
    assert explained(made, rows) > 0.99


def test_new_statistics_may_move_the_values(rng: np.random.Generator) -> None:
    kept, moved = (critic(vf_iters=0, preserve_values=preserve) for preserve in (True, False))
    first, second = batch(), batch(noise=50.0)
    for made in (kept, moved):
        made.adam.flat.vector.fill_(0.5)
        made.fit(first, rng)
    before = [made.network.value(first.observations, first.times).detach() for made in (kept, moved)]
    for made in (kept, moved):
        made.network.target_normaliser.add(torch.zeros(3, dtype=torch.float64))
        made.network.normaliser.add = lambda moments, decay=1.0: None  # type: ignore[method-assign]
        made.fit(second, rng)
    after = [made.network.value(first.observations, first.times).detach() for made in (kept, moved)]
    torch.testing.assert_close(after[0], before[0])
    assert (after[1] - before[1]).abs().max() > 1.0
