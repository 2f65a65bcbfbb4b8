"""The environment's own reward behind the adversary's seam: the same loop then trains experts."""

from __future__ import annotations

from typing import Any

import numpy as np

from trpo_gail.sampling.rollout import Rollout


class EnvReward:
    """Pays what the environment pays, and has nothing to fit."""

    def reward(self, rollout: Rollout) -> np.ndarray:  # [T, N]
        return rollout.rewards * rollout.valid

    def fit(self, rollouts: list[Rollout], rng: np.random.Generator) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass
