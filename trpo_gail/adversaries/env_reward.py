"""The environment's own reward behind the adversary's seam: the same loop then trains experts."""

from __future__ import annotations

from typing import Any

import numpy as np

from trpo_gail.adversaries.adversary import Parts
from trpo_gail.config.tree import Config
from trpo_gail.records import Stats
from trpo_gail.sampling.transitions import Transitions


class EnvReward:
    """Pays what the environment pays, and has nothing to fit."""

    needs_log_prob = False

    def reward(self, learner: Transitions) -> np.ndarray:  # [B]
        assert learner.env_rewards is not None
        return learner.env_rewards

    def fit(self, learner: Transitions, rng: np.random.Generator) -> Stats:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def build(config: Config, parts: Parts) -> EnvReward:
    """The environment, as it is."""
    return EnvReward()
