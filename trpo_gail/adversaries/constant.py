"""A constant reward: the control that shows how much of a score is the survival bonus.

The paper has no such control. Kostrikov et al. (2019, Discriminator-Actor-Critic, arXiv:1809.02925) show its score
on Hopper.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trpo_gail.adversaries import rewards
from trpo_gail.adversaries.adversary import Parts
from trpo_gail.config.tree import Config
from trpo_gail.records import Stats
from trpo_gail.sampling.transitions import Transitions


class ConstantReward:
    """The reward of a discriminator with D = 0.5 everywhere: log 2 for -log(1 - D), -log 2 for log D."""

    needs_log_prob = False
    needs_clipped_log_prob = False

    def __init__(self, sign: float) -> None:
        self._pay = sign * math.log(2.0)

    def reward(self, learner: Transitions) -> np.ndarray:  # [B]
        return np.full(len(learner), self._pay)

    def fit(self, learner: Transitions, rng: np.random.Generator) -> Stats:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def build(config: Config, parts: Parts) -> ConstantReward:
    """A constant of the sign of the config's reward form."""
    ends = parts.expert.ends if parts.expert else None
    return ConstantReward(rewards.sign(rewards.chosen(config, ends, parts.spec.max_episode_steps)))
