"""Fisher-vector products of a policy."""

from __future__ import annotations

from torch import Tensor

from trpo_gail.optim.flat import FlatParameters
from trpo_gail.optim.natural_gradient import Product, gauss_newton_product
from trpo_gail.policies.policy import Policy


def fisher_product(policy: Policy, flat: FlatParameters, z: Tensor) -> Product:
    """v -> sum over the rows of z [B, O] of F v, F being the second derivative of KL(old || .) at old.

    Not averaged over rows, not damped.
    """
    own = 0 if policy.discrete else 1  # a policy's own parameter comes before its network's
    through_network = gauss_newton_product(
        policy.net, z, lambda out: policy.distribution(out).detach().metric, lambda v: flat.split(v)[own:]
    )

    def product(v: Tensor) -> Tensor:
        result = through_network(v)
        if own:  # d^2 KL / d log_std^2 = 2 in every row
            flat.split(result)[0].add_(flat.split(v)[0], alpha=2.0 * len(z))
        return result

    return product
