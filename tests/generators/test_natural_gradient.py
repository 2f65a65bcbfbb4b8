"""Conjugate gradient against a dense solve; Fisher-vector products against the explicit matrix of a tiny net."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import toys
from torch import Tensor

from trpo_gail.config.tree import TrustRegionConfig
from trpo_gail.finite import NotFinite
from trpo_gail.networks import mlp
from trpo_gail.networks.network import row_chunk
from trpo_gail.optim import natural_gradient
from trpo_gail.optim.flat import FlatParameters
from trpo_gail.optim.flat import of as flat_of
from trpo_gail.optim.natural_gradient import (
    Product,
    conjugate_gradient,
    damped_mean,
    trust_region_step,
)
from trpo_gail.parallel import Workers
from trpo_gail.policies.fisher import fisher_product
from trpo_gail.policies.policy import Policy
from trpo_gail.sampling.batch import Rows

# ---- conjugate gradient ----------------------------------------------------------------------------------------------


def product(A: Tensor) -> Product:
    return lambda v: A @ v


def positive_definite(n: int, rng: torch.Generator) -> Tensor:
    B = torch.randn(n, n, generator=rng, dtype=torch.float64)
    return B @ B.T / n + 0.3 * torch.eye(n, dtype=torch.float64)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_n_steps_solve_n_equations(n: int, torch_rng: torch.Generator) -> None:
    for _ in range(5):
        A, b = positive_definite(n, torch_rng), torch.randn(n, generator=torch_rng, dtype=torch.float64)
        x, residual, taken = conjugate_gradient(product(A), b, n, tol=0.0)
        torch.testing.assert_close(x, torch.linalg.solve(A, b), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(residual, b - A @ x, rtol=0, atol=1e-12)
        assert taken == n


def test_the_residual_is_b_minus_Ax_when_stopped_early(torch_rng: torch.Generator) -> None:
    A, b = positive_definite(10, torch_rng), torch.ones(10, dtype=torch.float64)
    x, residual, taken = conjugate_gradient(product(A), b, 3)
    assert taken == 3 and residual.norm() > 1e-4
    torch.testing.assert_close(residual, b - A @ x, rtol=0, atol=1e-12)


def test_as_many_steps_as_A_has_eigenvalues(torch_rng: torch.Generator) -> None:
    A = torch.diag(torch.tensor([2.0] * 5 + [7.0] * 5, dtype=torch.float64))
    b = torch.randn(10, generator=torch_rng, dtype=torch.float64)
    x, _, taken = conjugate_gradient(product(A), b, 10)
    assert taken == 2
    torch.testing.assert_close(A @ x, b)


def test_zero_b_needs_no_product() -> None:
    def refuse(v: Tensor) -> Tensor:
        raise AssertionError("a product was taken")

    x, residual, taken = conjugate_gradient(refuse, torch.zeros(4), 10)
    assert taken == 0 and not x.any() and not residual.any()


def test_stops_before_a_first_direction_of_negative_curvature() -> None:
    b = torch.tensor([1.0, 2.0])
    x, residual, taken = conjugate_gradient(product(torch.diag(torch.tensor([1.0, -1.0]))), b, 10)  # b A b = -3
    assert taken == 1 and not x.any() and torch.equal(residual, b)


@pytest.mark.parametrize("last", [-1.0, 0.0])
def test_keeps_what_came_before_a_direction_of_non_positive_curvature(last: float) -> None:
    A, b = torch.diag(torch.tensor([2.0, last], dtype=torch.float64)), torch.tensor([2.0, 1.0], dtype=torch.float64)
    first = float(b @ b) / float(b @ A @ b)
    x, residual, taken = conjugate_gradient(product(A), b, 10)
    assert taken == 2
    torch.testing.assert_close(x, first * b)
    torch.testing.assert_close(residual, b - A @ x)


def test_stops_where_a_product_is_not_a_number() -> None:
    x, _, taken = conjugate_gradient(lambda v: v * math.nan, torch.ones(3), 10)
    assert taken == 1 and torch.equal(x, torch.zeros(3))


def test_b_is_left_as_it_was() -> None:
    b = torch.tensor([1.0, 2.0])
    conjugate_gradient(product(torch.diag(torch.tensor([1.0, 3.0]))), b, 5)
    assert torch.equal(b, torch.tensor([1.0, 2.0]))


# ---- Fisher-vector products ------------------------------------------------------------------------------------------

KINDS = ["gaussian", "categorical"]
HIDDEN = [(), (4,), (5, 4)]


def fisher_product_autograd(policy: Policy, flat: FlatParameters, z: Tensor) -> Callable[[Tensor], Tensor]:
    """v -> F v by double backpropagation."""
    old = policy(z).detach()
    gradient = flat.gradient(old.kl(policy(z)).sum(), create_graph=True)
    return lambda v: flat.gradient(gradient @ v, retain_graph=True)


def made(kind: str, hidden: tuple[int, ...] = (5, 4), rows: int = 7) -> tuple[Policy, FlatParameters, Tensor]:
    policy = toys.policy(toys.spec(3, 3 if kind == "categorical" else 2, discrete=kind == "categorical"), hidden)
    if kind == "gaussian":
        with torch.no_grad():
            policy.log_std.copy_(torch.tensor([-0.7, 0.4]))
    z = torch.randn(rows, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return policy, flat_of(policy), z


def matrix(product: Product, size: int) -> Tensor:
    return torch.stack([product(e) for e in torch.eye(size, dtype=torch.float64)], 1)


def explicit_fisher(policy: Policy, flat: FlatParameters, z: Tensor) -> Tensor:
    """Sum over rows of J^T M J, with J by a gradient for every output, and 2 for every log standard deviation."""
    out = policy.net(z)
    F = torch.zeros(len(flat.vector), len(flat.vector), dtype=torch.float64)
    for row in range(len(z)):
        J = torch.stack([flat.gradient(o, retain_graph=True) for o in out[row]])  # [A, P]
        if not policy.own:
            p = torch.softmax(out[row], 0).detach()
            M = torch.diag(p) - torch.outer(p, p)
        else:
            M = torch.diag(torch.exp(-2 * policy.log_std.detach()))
        F += J.T @ M @ J
    if policy.own:
        F += 2 * len(z) * torch.diag(flat.gradient(policy.log_std.sum()))
    return F


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("kind", KINDS)
def test_both_products_are_the_explicit_matrix(kind: str, hidden: tuple[int, ...]) -> None:
    policy, flat, z = made(kind, hidden)
    F = explicit_fisher(policy, flat, z)
    assert torch.linalg.matrix_rank(F) > 3
    torch.testing.assert_close(matrix(fisher_product(policy, flat, z), len(F)), F, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(matrix(fisher_product_autograd(policy, flat, z), len(F)), F, rtol=1e-9, atol=1e-11)


def expected_outer_product_of_scores(policy: Policy, flat: FlatParameters, z: Tensor) -> Tensor:
    """Sum over rows of E_a[score score^T]: over all actions, or by Gauss-Hermite quadrature, exact for its degree 4."""
    if not policy.own:
        actions = [torch.full((len(z),), a) for a in range(policy.net.layers[-1].out_features)]
        with torch.no_grad():
            weights = [torch.exp(policy(z).log_prob(a)) for a in actions]
    else:
        x, w = np.polynomial.hermite_e.hermegauss(3)
        w = w / w.sum()
        nodes = list(itertools.product(range(3), repeat=len(policy.own[0])))
        with torch.no_grad():
            mean, std = policy(z).mean, torch.exp(policy.own[0])
            actions = [mean + std * torch.tensor([x[i] for i in node]) for node in nodes]
        weights = [torch.full((len(z),), math.prod(w[i] for i in node), dtype=torch.float64) for node in nodes]
    F = torch.zeros(len(flat.vector), len(flat.vector), dtype=torch.float64)
    for action, weight in zip(actions, weights, strict=True):
        log_prob = policy(z).log_prob(action)
        for row in range(len(z)):
            score = flat.gradient(log_prob[row], retain_graph=True)
            F += weight[row] * torch.outer(score, score)
    return F


@pytest.mark.parametrize("kind", KINDS)
def test_the_matrix_is_the_expected_outer_product_of_scores(kind: str) -> None:
    policy, flat, z = made(kind, (4,), rows=4)
    F = expected_outer_product_of_scores(policy, flat, z)
    torch.testing.assert_close(matrix(fisher_product(policy, flat, z), len(F)), F, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_add_up(kind: str, monkeypatch: pytest.MonkeyPatch, torch_rng: torch.Generator) -> None:
    policy, flat, z = made(kind, rows=2 * row_chunk(torch.zeros(1)) + 7)
    v = torch.randn(len(flat.vector), generator=torch_rng, dtype=torch.float64)
    chunked = fisher_product(policy, flat, z)(v)
    monkeypatch.setattr(natural_gradient, "row_chunk", len)
    monkeypatch.setattr(mlp, "row_chunk", len)
    torch.testing.assert_close(chunked, fisher_product(policy, flat, z)(v), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(chunked, fisher_product_autograd(policy, flat, z)(v), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_give_zero(kind: str) -> None:  # a rank may hold none of a subsample
    policy, flat, z = made(kind)
    assert not fisher_product(policy, flat, z[:0])(torch.ones_like(flat.vector)).any()


# ---- the step --------------------------------------------------------------------------------------------------------


def climb(theta: Tensor, limit: float = 1e9, **config: Any) -> dict[str, float]:
    """One step up L = -|theta - 1|^2 / 2, with |theta - old|^2 / 2 for the KL, which is refused beyond `limit`."""
    old, one = theta.clone(), torch.ones_like(theta)

    def evaluate() -> tuple[float, float]:
        kl = float((theta - old).square().sum()) / 2
        return -float((theta - one).square().sum()) / 2, kl if kl <= limit else math.inf

    settings = TrustRegionConfig(**{"max_kl": 0.02, "cg_damping": 0.0} | config)
    return trust_region_step(settings, theta, one - theta, evaluate()[0], lambda v: v, evaluate, "hill")


def test_a_step_goes_to_the_edge_of_the_trust_region() -> None:
    theta = torch.zeros(4, dtype=torch.float64)
    stats = climb(theta)
    torch.testing.assert_close(theta, torch.full((4,), 0.1, dtype=torch.float64))  # |theta|^2 / 2 = 0.02
    assert stats["kl"] == pytest.approx(0.02) and stats["step_accepted"] == 1 and stats["backtracks"] == 0


@pytest.mark.parametrize(("failure", "expected"), [("restore", 0.0), ("shrink", 0.1 / 2**3)])
def test_where_every_length_is_refused(failure: str, expected: float) -> None:
    theta = torch.zeros(4, dtype=torch.float64)
    stats = climb(theta, limit=-1.0, line_search_steps=3, line_search_failure=failure)
    torch.testing.assert_close(theta, torch.full((4,), expected, dtype=torch.float64))
    assert stats["step_accepted"] == 0 and stats["backtracks"] == 3
    assert stats["improvement"] > 0 if expected else stats["improvement"] == 0  # what was done is told


@pytest.mark.parametrize(("least", "moved"), [(0.0, True), (0.9, True), (1.0, False)])
def test_a_gradient_that_is_too_small_is_not_followed(least: float, moved: bool) -> None:
    theta = torch.zeros(4, dtype=torch.float64)  # where the gradient is 1
    climb(theta, least_gradient=least)
    assert bool(theta.any()) == moved


@pytest.mark.parametrize(
    ("gradient", "value", "scale", "named"),
    [
        (math.nan, math.nan, 1.0, "objective of the hill is nan"),
        (math.inf, 0.0, 1.0, "gradient of the hill is inf"),
        (1e200, 0.0, 1.0, "gradient of the hill is inf"),  # its norm
        (1.0, 0.0, math.nan, "Fisher-vector product of the hill is nan in 4 of 4"),
    ],
)
def test_what_is_not_finite_before_any_step_is_named(gradient: float, value: float, scale: float, named: str) -> None:
    theta, g = torch.zeros(4, dtype=torch.float64), torch.full((4,), gradient, dtype=torch.float64)
    with pytest.raises(NotFinite, match=named):
        trust_region_step(TrustRegionConfig(), theta, g, value, lambda v: scale * v, lambda: (1.0, 0.0), "hill")
    assert not theta.any()


def test_a_step_tried_that_is_not_finite_is_refused_in_silence() -> None:
    theta, g = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
    tried = iter([(math.nan, 0.0), (1.0, math.nan), (math.inf, math.inf), (1.0, 0.001)])
    stats = trust_region_step(TrustRegionConfig(), theta, g, 0.0, lambda v: v, lambda: next(tried), "hill")
    assert stats["step_accepted"] == 1 and stats["backtracks"] == 3


def test_drawn_rows_are_global_and_with_replacement() -> None:
    rows, taken = Rows(offset=30, count=40, total=100), []

    def of_rows(chosen: Any) -> Product:
        taken.append(chosen)
        return lambda v: len(chosen) * v

    config = TrustRegionConfig(fvp_subsample=2, fvp_draw=True, cg_damping=0.5)
    H = damped_mean(config, rows, np.random.default_rng(4), Workers(), of_rows)
    numbers = np.random.default_rng(4).integers(0, 100, 50)
    mine = [n - 30 for n in numbers if 30 <= n < 70]
    assert taken[0].tolist() == mine and len(set(mine)) < len(mine)
    torch.testing.assert_close(H(torch.ones(2)), torch.full((2,), len(mine) / 50 + 0.5))
