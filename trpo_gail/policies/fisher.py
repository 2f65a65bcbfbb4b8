"""Fisher-vector products of a policy."""

from __future__ import annotations

from torch import Tensor

from trpo_gail.optim.flat import FlatParameters
from trpo_gail.optim.natural_gradient import Product, gauss_newton_product
from trpo_gail.policies.policy import Policy


def fisher_product(policy: Policy, flat: FlatParameters, z: Tensor) -> Product:
    """v -> sum over the rows of z [B, O] of F v, where F is the second derivative of KL(old || .) at old.

    Not averaged over rows, not damped.
    """
    own = policy.family.own_fisher  # the policy's own parameters come before its network's
    through_network = gauss_newton_product(
        policy.net, z, lambda out: policy.distribution(out).detach().metric, lambda v: flat.split(v)[len(own) :]
    )

    def product(v: Tensor) -> Tensor:
        result = through_network(v)
        for total, part, by_row in zip(flat.split(result), flat.split(v), own, strict=False):
            total.add_(part, alpha=by_row * len(z))
        return result

    return product
