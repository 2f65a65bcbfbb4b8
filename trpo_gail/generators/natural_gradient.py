"""The numerics of a natural-gradient step: conjugate gradient and Fisher-vector products."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trpo_gail.networks.mlp import FlatParameters
from trpo_gail.policy import Gaussian, Policy

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
    activations of a single forward pass. Not averaged over rows, not damped.
    """
    names = [name for name, _ in policy.named_parameters()]
    layers = list(policy.net.layers)
    weights = [layer.weight.detach().clone() for layer in layers]
    with torch.no_grad():
        chunks = []
        for rows in torch.split(z, CHUNK):
            hidden = policy.net.activations(rows)
            slopes = [1.0 - h * h for h in hidden[1:]]  # of tanh
            out = layers[-1](hidden[-1])
            distribution = Gaussian(out, policy.log_std.detach().clone()) if not policy.discrete else None
            chunks.append((hidden, slopes, distribution or policy(rows).detach()))

    def product(v: Tensor) -> Tensor:
        result = torch.zeros_like(v)
        parts = dict(zip(names, flat.split(v), strict=True))
        into = dict(zip(names, flat.split(result), strict=True))
        for hidden, slopes, distribution in chunks:
            tangent = _forward(weights, parts, hidden, slopes)
            _reverse(weights, into, hidden, slopes, distribution.metric(tangent))
        if not policy.discrete:  # d^2 KL / d log_std^2 = 2 in every row
            into["log_std"] += 2.0 * len(z) * parts["log_std"]
        return result

    return torch.no_grad()(product)


def _forward(weights: list[Tensor], v: dict[str, Tensor], hidden: list[Tensor], slopes: list[Tensor]) -> Tensor:
    """J v: tangents of the network's output [B, A]."""
    tangent = None
    for k, weight in enumerate(weights):
        step = torch.addmm(v[f"net.layers.{k}.bias"], hidden[k], v[f"net.layers.{k}.weight"].T)
        if tangent is not None:
            step.addmm_(tangent, weight.T)
        tangent = step.mul_(slopes[k]) if k < len(slopes) else step
    assert tangent is not None
    return tangent


def _reverse(
    weights: list[Tensor], into: dict[str, Tensor], hidden: list[Tensor], slopes: list[Tensor], delta: Tensor
) -> None:
    """Add J^T delta, delta [B, A], to the parts of `into`."""
    for k in reversed(range(len(weights))):
        into[f"net.layers.{k}.weight"].addmm_(delta.T, hidden[k])
        into[f"net.layers.{k}.bias"] += delta.sum(0)
        if k > 0:
            delta = (delta @ weights[k]).mul_(slopes[k - 1])


def fisher_product_autograd(policy: Policy, flat: FlatParameters, z: Tensor) -> Product:
    """The same by double backpropagation: the reference that tests compare with."""
    old = policy(z).detach()
    gradient = flat.gradient(old.kl(policy(z)).sum(), create_graph=True)
    return lambda v: flat.gradient(gradient @ v, retain_graph=True)
