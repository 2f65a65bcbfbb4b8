"""The numerics of a natural-gradient step: conjugate gradient and Fisher-vector products."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trpo_gail.networks.mlp import FlatParameters
from trpo_gail.policy import Policy

Product = Callable[[Tensor], Tensor]
CHUNK = 1024  # rows whose activations stay in the cache between two products


def conjugate_gradient(Av: Product, b: Tensor, iters: int, tol: float = 1e-10) -> tuple[Tensor, Tensor, int]:
    """Approximate A^-1 b for a symmetric positive-definite A given as v -> A v, from x = 0.

    Returns x, the residual b - A x, and the products taken. Stops when |residual|^2 <= tol |b|^2, and before a direction
    along which A is not positive.
    """
    x, r, p = torch.zeros_like(b), b.clone(), b.clone()
    rr = rr_start = float(r @ r)
    taken = 0
    while taken < iters and rr > tol * rr_start:
        Ap = Av(p)
        taken += 1
        pAp = float(p @ Ap)
        if not pAp > 0.0:  # also where it is not a number
            break
        alpha = rr / pAp
        x += alpha * p
        r -= alpha * Ap
        rr, rr_old = float(r @ r), rr
        p = r + (rr / rr_old) * p
    return x, r, taken


def fisher_product(policy: Policy, flat: FlatParameters, z: Tensor) -> Product:
    """v -> sum over the rows of z [B, O] of F v, F being the second derivative of KL(old || .) at old.

    F = J^T M J (Schulman et al. 2015, appendix C.1): J v by a forward product, J^T by a reverse one, both over the
    activations of a single forward pass. Not averaged over rows, not damped. Valid until the parameters move.
    """
    net, log_std_parts = policy.net, 0 if policy.discrete else 1  # a policy's own parameter comes before its network's
    chunks = []
    with torch.no_grad():
        for rows in torch.split(z, CHUNK):
            hidden = net.activations(rows)
            chunks.append((hidden, policy.distribution(net.layers[-1](hidden[-1])).detach()))

    def product(v: Tensor) -> Tensor:
        result = torch.zeros_like(v, dtype=torch.float64)
        parts, into = flat.split(v), flat.split(result)
        for hidden, distribution in chunks:
            tangent = net.pushforward(hidden, parts[log_std_parts:])
            net.pullback(hidden, distribution.metric(tangent), into[log_std_parts:])
        if log_std_parts:  # d^2 KL / d log_std^2 = 2 in every row
            into[0].add_(parts[0], alpha=2.0 * len(z))
        return result

    return product


def fisher_product_autograd(policy: Policy, flat: FlatParameters, z: Tensor) -> Product:
    """The same by double backpropagation: the reference that tests compare with."""
    old = policy(z).detach()
    gradient = flat.gradient(old.kl(policy(z)).sum(), create_graph=True)
    return lambda v: flat.gradient(gradient @ v, retain_graph=True)
