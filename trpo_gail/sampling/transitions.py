"""What an adversary sees: transitions of one side, the learner's or the expert's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trpo_gail.sampling.batch import Rows


@dataclass(frozen=True)
class Transitions:
    """Rows of one side, in global order: environment by environment, or trajectory by trajectory, in time within each."""

    observations: np.ndarray  # [B, O]
    actions: np.ndarray  # [B, A] or int64 [B], as the file or the environment has them
    next_observations: np.ndarray  # [B, O], the true successor, at an end too; NaN where a file does not say
    terminated: np.ndarray  # [B] bool: nothing follows
    truncated: np.ndarray  # [B] bool: an end by time limit
    steps: np.ndarray  # [B] int64, index within the episode
    log_prob: np.ndarray | None = None  # [B] float64, log pi(a|s) of the policy that acted; the learner's side
    env_rewards: np.ndarray | None = None  # [B] float64, the environment's own, if they are known
    rows: Rows | None = None  # global numbers; the learner's side

    def __len__(self) -> int:
        return len(self.observations)
