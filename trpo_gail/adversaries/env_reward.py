"""The environment's own reward in place of an adversary's: with it, the same loop trains experts."""

from __future__ import annotations

from typing import Any

import numpy as np

from trpo_gail.adversaries.adversary import Parts
from trpo_gail.config.tree import Config
from trpo_gail.records import Stats
from trpo_gail.sampling.transitions import Transitions


class EnvReward:
    """Passes the environment's reward on, and fits nothing."""

    needs_log_prob = False
    needs_clipped_log_prob = False

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
    """The environment's reward."""
    return EnvReward()
