"""A policy's network from outside the package: a small convolution over a row that is an image of 4 by 4."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trpo_gail.config.tree import PolicyConfig
from trpo_gail.networks.normaliser import Normaliser
from trpo_gail.policies.distributions import family
from trpo_gail.policies.policy import Policy
from trpo_gail.spaces.spec import EnvSpec

SIDE = 4


class SmallConv(nn.Module):
    """[B, 16] -> [B, K]."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.view(-1, 1, SIDE, SIDE))


def policy(spec: EnvSpec, seed: int = 0) -> Policy:
    """A policy on it, with a stream of its own for the first weights."""
    made = family(spec.action_space, PolicyConfig(init_log_std=-0.3))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = SmallConv(made.outputs)
    return Policy(net, made, Normaliser(SIDE * SIDE, clip=10.0))
