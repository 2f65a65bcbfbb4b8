"""The numerics of a natural-gradient step: conjugate gradient, Fisher-vector products, line search."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from trpo_gail import finite
from trpo_gail.config.tree import TrustRegionConfig
from trpo_gail.networks.network import linearise, row_chunk
from trpo_gail.parallel import Workers
from trpo_gail.records import Stats
from trpo_gail.sampling.batch import Rows

Product = Callable[[Tensor], Tensor]


def no_step(gradient_norm: float) -> Stats:
    """The statistics of a step that is not taken."""
    stats = dict.fromkeys(("kl", "improvement", "backtracks", "step_accepted", "cg_residual"), 0.0)
    return stats | {"gradient_norm": gradient_norm}


def trust_region_step(
    config: TrustRegionConfig,
    theta: Tensor,
    g: Tensor,
    value: float,
    product: Product,
    evaluate: Callable[[], tuple[float, float]],
    owner: str,
) -> Stats:
    """Move parameters theta [P] in place so that an objective L rises, subject to mean KL(old || theta) <= max_kl.

    `g` [P] and `value` are L's gradient and value at theta; `product` is the damped Fisher matrix there; `evaluate`
    gives L and the KL at the current theta. If no step is acceptable, theta stays bit for bit, unless the config says
    otherwise. Points that the line search tries may give non-finite numbers; raises NotFinite if there is one before
    any step. `owner` names the part in errors.
    """
    norm = float(g.norm())
    finite.number(f"objective of the {owner}", value)
    finite.number(f"gradient of the {owner}", norm)
    stats = no_step(norm)
    if float(g.abs().max()) <= config.least_gradient:
        return stats

    def curvature(v: Tensor) -> Tensor:
        Hv = product(v)
        finite.numbers(f"Fisher-vector product of the {owner}", Hv)
        return Hv

    x, residual, _ = conjugate_gradient(curvature, g, config.cg_iters)
    stats |= {"cg_residual": float(residual.norm() / g.norm())}
    xHx = float(x @ (g - residual))
    if not (math.isfinite(xHx) and xHx > 0.0):
        return stats
    # Differs: the original adds 1e-8 to xHx / (2 max_kl) to avoid a division by zero, which the check above rules out.
    full_step = x * math.sqrt(2.0 * config.max_kl / xHx)
    expected, start = float(g @ full_step), theta.clone()

    # Differs: the original sets L to minus infinity beyond the KL limit; here the step is refused, with the same
    # effect.
    for k in range(config.line_search_steps):
        fraction = config.line_search_shrink**k
        theta.copy_(start + fraction * full_step)
        L, kl = evaluate()
        enough = L - value > config.line_search_accept * fraction * expected
        if enough and kl <= config.line_search_kl * config.max_kl:  # also false if either is NaN
            return stats | {"kl": kl, "improvement": L - value, "backtracks": float(k), "step_accepted": 1.0}
    stats |= {"backtracks": float(config.line_search_steps)}
    if config.line_search_failure == "shrink" and bool(torch.isfinite(full_step).all()):
        theta.copy_(start + config.line_search_shrink**config.line_search_steps * full_step)
        L, kl = evaluate()  # for the statistics only
        return stats | {"kl": kl, "improvement": L - value}
    theta.copy_(start)
    return stats


def conjugate_gradient(Av: Product, b: Tensor, iters: int, tol: float = 1e-10) -> tuple[Tensor, Tensor, int]:
    """Approximate A^-1 b for a symmetric positive-definite A given as v -> A v, from x = 0.

    Returns x, the residual b - A x, and the number of products. Stops when |residual|^2 <= tol |b|^2, and before a
    direction along which A is not positive.
    """
    # Differs: the original's scipy routine does not check the sign.
    x, r, p = torch.zeros_like(b), b.clone(), b.clone()
    rr = rr_start = float(r @ r)
    taken = 0
    while taken < iters and rr > tol * rr_start:
        Ap = Av(p)
        taken += 1
        pAp = float(p @ Ap)
        if not pAp > 0.0:  # also true for NaN
            break
        alpha = rr / pAp
        x += alpha * p
        r -= alpha * Ap
        rr, rr_old = float(r @ r), rr
        p = r + (rr / rr_old) * p
    return x, r, taken


def damped_mean(
    config: TrustRegionConfig,
    rows: Rows,
    rng: np.random.Generator,
    workers: Workers,
    of_rows: Callable[[slice | Tensor], Product],
) -> Product:
    """v -> (F / n + damping) v over a subsample of n rows of all ranks; `of_rows` sums F v over some local rows."""
    k = config.fvp_subsample
    chosen: slice | Tensor
    if config.fvp_draw:
        numbers = rng.integers(0, rows.total, max(1, rows.total // k))
        n, chosen = len(numbers), torch.from_numpy(rows.mine(numbers)[1])
    else:
        n, chosen = len(range(0, rows.total, k)), rows.every(k)
    F = of_rows(chosen)
    return lambda v: (workers.sum_tensor(F(v)) / n).to(v.dtype) + config.cg_damping * v


def gauss_newton_product(
    net: nn.Module, inputs: Tensor, metric: Callable[[Tensor], Product], into: Callable[[Tensor], list[Tensor]]
) -> Product:
    """v -> sum over the rows of inputs [B, I] of J^T M J v (Schulman et al. 2015, appendix C.1), float64 [P].

    `metric` makes M from the network's output [B, O]; `into` splits a vector [P] into the network's parameters. J v is
    a forward product, J^T a reverse product, both over a single forward pass. Valid until the parameters change.
    """
    chunks = []
    with torch.no_grad():
        for rows in torch.split(inputs, row_chunk(inputs)):
            here = linearise(net, rows)
            chunks.append((here, metric(here.output)))

    def product(v: Tensor) -> Tensor:
        result = torch.zeros_like(v, dtype=torch.float64)
        parts, sums = into(v), into(result)
        for here, M in chunks:
            here.pullback(M(here.pushforward(parts)), sums)
        return result

    return product
