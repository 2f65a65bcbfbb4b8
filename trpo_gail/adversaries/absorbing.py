"""Absorbing states (Kostrikov et al. 2019, Discriminator-Actor-Critic, section 4.1).

An episode that ended by termination at step t goes on in an absorbing state until the time limit L. Both sides spend L -
t - 1 steps there, so that D learns what an end is worth, and the learner is paid for them at the end of the episode.
Differs: the original puts these steps into its replay buffer and bootstraps over them. A batch of whole steps has no
place for them, so that the discounted sum of their rewards, which are all the same, is added to the reward of the last
step; this is the value of the absorbing state. Differs: L is at most FARTHEST mean lengths of the demonstrations, since
under a far limit D sees little but the absorbing state, and learns slowly (results/adversaries).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trpo_gail.adversaries import rewards
from trpo_gail.adversaries.adversary import Parts
from trpo_gail.adversaries.draws import Absorbed
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.experts.facts import LEFT_OUT, TERMINAL
from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import Rows
from trpo_gail.sampling.transitions import Transitions

FARTHEST = 2.0  # if its episodes are alike in length, the expert spends half of its time absorbed


@dataclass(frozen=True)
class Absorbing:
    """The limit L, the discount factor, and the share of the expert's steps that it spends absorbed."""

    limit: int
    gamma: float
    expert: float

    @classmethod
    def of(cls, config: Config, parts: Parts) -> Absorbing | None:
        """None if there is no absorbing state. Raises UserError for an environment without a time limit."""
        assert parts.expert is not None
        limit = parts.spec.max_episode_steps
        if not rewards.absorbs(config, parts.expert.ends, limit):
            return None
        if limit is None:
            raise UserError(
                f"--discriminator.absorbing: the environment {parts.spec.id!r} has no time limit, up to which an episode "
                "could go on: expected --max_episode_steps"
            )
        if parts.expert.lengths is not None and len(parts.expert.lengths):
            limit = min(limit, math.ceil(FARTHEST * float(parts.expert.lengths.mean())))
        return cls(limit, config.gamma, _share_of_expert(parts.expert, limit))

    def paid(self, learner: Transitions, reward: float) -> np.ndarray:
        """What is added to the reward of each transition [B], if a step in the absorbing state pays `reward`."""
        left = np.maximum(self.limit - learner.steps - 1, 0)
        if self.gamma < 1.0:
            worth = self.gamma * (1.0 - self.gamma**left) / (1.0 - self.gamma)
        else:
            worth = left.astype(np.float64)
        return np.where(learner.terminated, worth * reward, 0.0)

    def shares(
        self, learner: Transitions, rows: Rows, behind: tuple[int, int], workers: Workers
    ) -> tuple[Absorbed, Absorbed]:
        """Of the learner's steps and of the expert's; `behind` are the places of the absorbing state among the rows of
        each side. A collective."""
        left = np.maximum(self.limit - learner.steps[learner.terminated] - 1, 0)
        absorbed = float(workers.sum(np.array([left.sum()], np.float64))[0])
        return Absorbed(behind[0], absorbed / (absorbed + rows.total)), Absorbed(behind[1], self.expert)


def _share_of_expert(expert: Transitions, limit: int) -> float:
    """Of whole episodes of which it is known how they end: those that ended by termination go on up to the limit."""
    if expert.lengths is None or expert.endings is None:
        return 0.0
    known = expert.endings != LEFT_OUT
    lengths, ended = expert.lengths[known], expert.endings[known] == TERMINAL
    left = float(np.maximum(limit - lengths[ended], 0).sum())
    return left / (left + float(lengths.sum())) if left else 0.0
