"""TRPO's step on a 1-D Gaussian bandit by hand; the trust region, the line search and the guards."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
import toys
from cases import KINDS, batch_of, case, judge, parameters, same_bits
from torch import Tensor

from trpo_gail.config.tree import TRPOConfig
from trpo_gail.finite import NotFinite
from trpo_gail.generators import trpo
from trpo_gail.generators.trpo import TRPO
from trpo_gail.optim import natural_gradient
from trpo_gail.parallel import Workers
from trpo_gail.policies.fisher import fisher_product
from trpo_gail.policies.policy import Policy
from trpo_gail.sampling.batch import Batch, Rows


def step(policy: Policy, batch: Batch, **config: Any) -> dict[str, float]:
    return TRPO(TRPOConfig(**config), policy, Workers()).step(batch, np.random.default_rng(0))


# ---- a closed form ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damping", [0.0, 0.1])
def test_a_bandits_step_is_the_natural_gradient(damping: float) -> None:
    """mean = bias where the only observation is 0; the Fisher matrix is diag(2, 0, 1 / std^2) in (log_std, weight, bias)."""
    policy = toys.policy(toys.spec(1, 1), hidden=(), log_std=-0.5)
    mean, std, n, max_kl = float(policy.net.layers[0].bias.detach()), math.exp(-0.5), 64, 1e-3
    a = mean + std * torch.linspace(-2, 2.5, n, dtype=torch.float64)
    A = torch.sin(3 * a) + a
    before = parameters(policy)
    batch = batch_of(policy, torch.zeros(n, 1, dtype=torch.float64), A, a[:, None])
    stats = step(policy, batch, max_kl=max_kl, cg_damping=damping, fvp_subsample=1, line_search_kl=2.0)

    z = (a - mean) / std
    g = torch.stack([(A * (z**2 - 1)).mean(), torch.zeros((), dtype=torch.float64), (A * z / std).mean()])
    F = torch.tensor([2 + damping, 1.0, 1 / std**2 + damping], dtype=torch.float64)  # the weight's entry has no effect
    natural = g / F
    expected = math.sqrt(2 * max_kl / float(natural @ g)) * natural
    assert stats["step_accepted"] == 1 and stats["backtracks"] == 0
    torch.testing.assert_close(parameters(policy) - before, expected, rtol=1e-9, atol=1e-14)
    assert stats["gradient_norm"] == pytest.approx(float(g.norm()), rel=1e-12)
    assert stats["entropy"] == pytest.approx(-0.5 + 0.5 * math.log(2 * math.pi * math.e), rel=1e-12)
    assert stats["cg_residual"] < 1e-6
    if damping == 0:
        assert stats["kl"] == pytest.approx(max_kl, rel=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rest_moves_nothing_and_tells_the_same(kind: str) -> None:
    policy, batch = case(kind)
    before = parameters(policy)
    rested = TRPO(TRPOConfig(), policy, Workers()).rest(batch)
    assert same_bits(parameters(policy), before)
    taken = step(policy, batch)
    assert list(rested) == list(taken) and taken["kl"] > 0
    assert all(rested[name] == taken[name] > 0 for name in ("entropy", "gradient_norm"))
    assert {rested[name] for name in rested.keys() - {"entropy", "gradient_norm"}} == {0.0}


# ---- the trust region ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_the_surrogate_rises_within_the_trust_region(kind: str, seed: int) -> None:
    policy, batch = case(kind, seed)
    old, config = {k: v.clone() for k, v in policy.state_dict().items()}, TRPOConfig()
    stats = step(policy, batch)
    surrogate, kl = judge(policy, batch, old)
    assert stats["step_accepted"] == 1
    assert 0.1 * config.max_kl < kl <= config.line_search_kl * config.max_kl
    assert surrogate - float(batch.advantages.mean()) > 0
    assert stats["kl"] == pytest.approx(kl, rel=1e-9)
    assert stats["improvement"] == pytest.approx(surrogate - float(batch.advantages.mean()), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_after_backtracking_the_logged_kl_is_the_accepted_steps(kind: str) -> None:
    policy, batch = case(kind)
    old = {k: v.clone() for k, v in policy.state_dict().items()}
    stats = step(policy, batch, line_search_kl=0.2, cg_damping=1e-3)  # the full step's KL is about max_kl
    _, kl = judge(policy, batch, old)
    assert stats["step_accepted"] == 1 and stats["backtracks"] >= 1
    assert 0 < kl <= 0.2 * TRPOConfig().max_kl
    assert stats["kl"] == pytest.approx(kl, rel=1e-9)


def test_the_accept_ratio_asks_for_a_part_of_what_the_gradient_promises() -> None:
    policy, batch = case("gaussian")
    assert step(policy, batch, line_search_accept=0.1)["step_accepted"] == 1
    policy, batch = case("gaussian")
    before = parameters(policy)
    stats = step(policy, batch, line_search_accept=10.0)
    assert stats["step_accepted"] == 0 and same_bits(parameters(policy), before)


def test_the_standard_deviation_learns() -> None:
    """OpenAI's baselines once left it out of the gradient."""
    for sign in (1, -1):
        policy, batch = case("gaussian")
        z = (batch.actions - policy(batch.observations).mean.detach()) / torch.exp(policy.log_std.detach())
        before = policy.log_std.detach().clone()
        spread = (z**2).sum(1)
        batch = dataclasses.replace(batch, advantages=sign * (spread - spread.mean()))
        assert step(policy, batch)["step_accepted"] == 1
        assert (sign * (policy.log_std.detach() - before) > 0.01).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_entropy_coefficient_raises_entropy(kind: str) -> None:
    policy, batch = case(kind)
    batch = dataclasses.replace(batch, advantages=torch.zeros_like(batch.advantages))
    before = float(policy(batch.observations).entropy().mean().detach())
    means = policy.net(batch.observations).detach()
    stats = step(policy, batch, entcoeff=1e-3)
    after = float(policy(batch.observations).entropy().mean().detach())
    assert stats["step_accepted"] == 1 and after > before + 1e-3
    assert stats["entropy"] == pytest.approx(before, rel=1e-9)
    assert stats["improvement"] == pytest.approx(1e-3 * (after - before), rel=1e-9)
    if kind == "gaussian":  # whose entropy depends on log_std alone
        torch.testing.assert_close(policy.net(batch.observations).detach(), means, rtol=0, atol=1e-12)


# ---- what must leave the policy bit for bit --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_line_search_restores_the_policy(kind: str) -> None:
    """Tianshou's TRPO kept the last rejected parameters until version 2.0.1."""
    policy, batch = case(kind)
    before = parameters(policy)
    stats = step(policy, batch, line_search_kl=1e-9)
    assert same_bits(parameters(policy), before)
    assert (stats["step_accepted"], stats["kl"], stats["improvement"]) == (0, 0, 0)
    assert stats["backtracks"] == TRPOConfig().line_search_steps and stats["gradient_norm"] > 0


def test_a_surrogate_that_is_not_a_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, batch = case("gaussian")
    before = parameters(policy)
    monkeypatch.setattr(TRPO, "_surrogate_and_kl", lambda *_: (math.nan, 0.0))
    assert step(policy, batch)["step_accepted"] == 0
    monkeypatch.setattr(TRPO, "_surrogate_and_kl", lambda *_: (1e9, math.nan))
    assert step(policy, batch)["step_accepted"] == 0
    assert same_bits(parameters(policy), before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_advantage_no_step(dtype: str) -> None:
    policy = toys.policy(toys.spec(3, 2), dtype=dtype)
    kind = getattr(torch, dtype)
    batch = batch_of(policy, torch.ones(50, 3, dtype=kind), torch.zeros(50, dtype=kind))
    before = parameters(policy)
    stats = step(policy, batch)
    assert same_bits(parameters(policy), before)
    assert stats["step_accepted"] == stats["gradient_norm"] == 0


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("advantages", math.nan),
        ("advantages", math.inf),
        ("actions", math.nan),
        ("actions", math.inf),
        ("observations", math.nan),
    ],
)
def test_what_is_not_finite_is_named(what: str, value: float) -> None:
    policy, batch = case("gaussian")
    getattr(batch, what)[7] = value
    before = parameters(policy)
    with pytest.raises(NotFinite, match=r"(objective|gradient) of the policy is (nan|-?inf)"):
        step(policy, batch)
    assert same_bits(parameters(policy), before)


def test_a_fisher_matrix_of_zero_is_skipped() -> None:
    policy = toys.policy(toys.spec(1, 2, discrete=True), hidden=())
    with torch.no_grad():
        policy.net.layers[0].bias.copy_(torch.tensor([2000.0, -2000.0]))  # certain, so that F = 0, yet g is not
    actions = torch.tensor([0, 1, 1])
    batch = batch_of(policy, torch.zeros(3, 1, dtype=torch.float64), torch.ones(3, dtype=torch.float64), actions)
    before = parameters(policy)
    stats = step(policy, batch, cg_damping=0.0)
    assert stats["gradient_norm"] > 0 and stats["step_accepted"] == 0
    assert same_bits(parameters(policy), before)


def test_every_outcome_has_the_same_statistics() -> None:
    policy, batch = case("gaussian")
    skipped = step(policy, dataclasses.replace(batch, advantages=0 * batch.advantages))
    failed = step(policy, batch, line_search_kl=1e-9)
    accepted = step(policy, batch)
    assert list(skipped) == list(failed) == list(accepted)


# ---- ranks -----------------------------------------------------------------------------------------------------------


def test_the_subsample_takes_global_row_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, batch = case("gaussian", rows=7)
    batch = dataclasses.replace(batch, rows=Rows(offset=3, count=7, total=12))  # global rows 3 to 9 of 12
    taken = []
    true_product = fisher_product

    def spy(policy: Policy, flat: Any, z: Tensor) -> Any:
        taken.append(z)
        return true_product(policy, flat, z)

    monkeypatch.setattr(trpo, "fisher_product", spy)
    divided = []
    true_cg = natural_gradient.conjugate_gradient

    def cg(Av: Any, b: Tensor, iters: int) -> Any:
        divided.append(Av(b))
        return true_cg(Av, b, iters)

    monkeypatch.setattr(natural_gradient, "conjugate_gradient", cg)
    generator = TRPO(TRPOConfig(fvp_subsample=4, cg_damping=0.0), policy, Workers())
    theta = parameters(policy)
    generator.step(batch, np.random.default_rng(0))
    assert torch.equal(taken[0], batch.observations[[1, 5]])  # global rows 4 and 8
    generator.flat.vector.copy_(theta)
    g = generator._gradient(batch, batch.observations)[0]
    F = true_product(policy, generator.flat, taken[0])
    torch.testing.assert_close(divided[0], F(g) / 3)  # global rows 0, 4 and 8
