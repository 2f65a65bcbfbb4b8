"""A reward that says nothing of the expert: the control that tells how much of a score is the bonus for staying alive.

The paper has no such control. Kostrikov et al. (2019, Discriminator-Actor-Critic, arXiv:1809.02925) show what it reaches
on Hopper.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trpo_gail.adversaries.adversary import Parts
from trpo_gail.adversaries.rewards import FORMS
from trpo_gail.config.tree import Config
from trpo_gail.records import Stats
from trpo_gail.sampling.transitions import Transitions


class ConstantReward:
    """What a discriminator pays that is at D = 0.5 for ever: log 2 by -log(1 - D), -log 2 by log D."""

    needs_log_prob = False

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
    """Of the sign that the config's reward form has."""
    return ConstantReward(FORMS[config.discriminator.reward].sign)
