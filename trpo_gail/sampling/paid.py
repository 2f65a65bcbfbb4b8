"""Returns of episodes under the adversary's reward, to be compared with those under the environment's."""

from __future__ import annotations

import numpy as np

from trpo_gail.sampling.rollout import Rollout


class PaidReturns:
    """What each of this rank's N environments has been paid in its unfinished episode. Episodes go on across batches,
    so this is a part of a checkpoint."""

    def __init__(self, environments: int) -> None:
        self.unfinished = np.zeros(environments)  # [N]; NaN if it is not known

    def finish(self, rollout: Rollout, reward: np.ndarray) -> np.ndarray:
        """Add rewards [T, N], 0 in rows that are no transitions. The sums of the episodes that end in these rows, [E] in
        the order of `Episodes`: each row as it was paid, by the adversary of its iteration."""
        total, sums = self.unfinished, np.empty(reward.shape)
        for t, paid in enumerate(reward):
            total = np.where(rollout.steps[t] == 0, 0.0, total) + paid
            sums[t] = total
        self.unfinished = total
        env, last = np.nonzero((rollout.done & rollout.valid).T)
        return sums[last, env]
