"""Fisher-vector products through a convolutional policy against its explicit Jacobian J and metric M: J^T M J."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Space

from trpo_gail.config.tree import PolicyConfig
from trpo_gail.networks.placing import place
from trpo_gail.optim.flat import of as flat_of
from trpo_gail.policies.fisher import fisher_product
from trpo_gail.policies.policy import Policy
from trpo_gail.spaces.spec import EnvSpec

IMAGE = Box(0, 255, (5, 4, 1), np.uint8)
PARTS = Dict({"camera": IMAGE, "speed": Box(-1, 1, (2,), np.float64)})


@pytest.mark.parametrize("actions", [Discrete(3), Box(-1, 1, (2,)), MultiDiscrete([2, 3])], ids=str)
@pytest.mark.parametrize("observations", [IMAGE, PARTS], ids=["image", "parts"])
def test_the_product_is_the_explicit_matrix(observations: Space, actions: Space) -> None:
    spec = EnvSpec("Toy-v0", "gymnasium", {}, observations, actions)
    made = Policy.of(PolicyConfig(hidden_sizes=(3,)), spec, torch.Generator().manual_seed(0))
    policy = place(made, torch.device("cpu"), torch.float64)
    flat, rng = flat_of(policy), np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (3, spec.observation_size)).astype(np.float64))
    with torch.no_grad():  # away from the start, at which the last layer is near 0
        flat.vector += 0.1 * torch.randn(
            len(flat.vector), generator=torch.Generator().manual_seed(1), dtype=torch.float64
        )
    z = policy.normaliser(pixels)
    old = policy(z).detach()
    product = fisher_product(policy, flat, z)
    gradient = flat.gradient(old.kl(policy(z)).sum(), create_graph=True)
    for seed in range(3):
        v = torch.randn(len(flat.vector), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        expected = flat.gradient(gradient @ v, retain_graph=True)
        torch.testing.assert_close(product(v), expected, rtol=1e-8, atol=1e-10)
    out = policy.net(z)
    Fv = torch.zeros_like(v)
    for row in range(len(z)):
        J = torch.stack([flat.gradient(o, retain_graph=True) for o in out[row]])
        units = torch.zeros(J.shape[0], len(z), J.shape[0], dtype=torch.float64)
        units[:, row] = torch.eye(J.shape[0], dtype=torch.float64)
        M = torch.stack([old.metric(unit)[row] for unit in units], 1)
        Fv += J.T @ (M @ (J @ v))
    if policy.own:
        Fv += 2 * len(z) * flat.gradient(policy.log_std.sum()) * v
    torch.testing.assert_close(product(v), Fv, rtol=1e-8, atol=1e-10)
