"""A reward that says nothing of the expert: the control that tells how much of a score is the bonus for staying alive.

The paper has none; Kostrikov et al. (2019, Discriminator-Actor-Critic, arXiv:1809.02925) show what it reaches on Hopper.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trpo_gail.sampling.rollout import Rollout


class ConstantReward:
    """What a discriminator pays that is at D = 0.5 for ever: log 2 by -log(1 - D), -log 2 by log D."""

    def __init__(self, kind: str) -> None:
        self._pay = math.log(2.0) if kind == "-log(1-D)" else -math.log(2.0)

    def reward(self, rollout: Rollout) -> np.ndarray:  # [T, N]
        return self._pay * rollout.valid

    def fit(self, rollouts: list[Rollout], rng: np.random.Generator) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass
