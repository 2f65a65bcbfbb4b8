"""A policy's network from outside the package: a small convolution over a row that is an image of 4 by 4."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
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


class Pixels(gymnasium.Env):
    """Rows that are images; an action moves their brightness, which is paid. Episodes last 5 to 9 steps."""

    observation_space = Box(-np.inf, np.inf, (SIDE * SIDE,), np.float32)
    action_space = Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._left, self._x = int(self.np_random.integers(5, 10)), self.np_random.standard_normal(SIDE * SIDE)
        return self._x.astype(np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self._left -= 1
        self._x = 0.9 * self._x + 0.1 * self.np_random.standard_normal(SIDE * SIDE) + 0.1 * float(np.sum(action))
        return self._x.astype(np.float32), float(self._x.mean()), self._left == 0, False, {}


gymnasium.register("Pixels-v0", entry_point=f"{__name__}:Pixels", max_episode_steps=100)
