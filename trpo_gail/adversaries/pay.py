"""From a reward form to what the learner is paid: running normalisation, a limit, a factor."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch

from trpo_gail import finite
from trpo_gail.networks.normaliser import Normaliser, sums
from trpo_gail.parallel import Workers

LEAST = 0.1  # of the root mean square of the rewards, in place of a standard deviation that is smaller


class Pay:
    """reward_scale * clip(normalised reward). Statistics are those of the iterations before, so that the pay of a
    transition stays the same within an iteration."""

    def __init__(
        self, kind: Literal["none", "scale", "standardise"], clip: float | None, scale: float, workers: Workers
    ) -> None:
        self._kind, self._clip, self._scale, self._workers = kind, clip, scale, workers
        self._running = Normaliser(1)
        self._seen = torch.zeros(3, dtype=torch.float64)  # sums over this rank's rows since the last `settle`

    def __call__(self, reward: np.ndarray) -> np.ndarray:
        """The pay [B] for rewards [B] float64."""
        if self._kind != "none" and (spread := self._spread()) > 0:
            reward = (reward - float(self._running.mean) if self._kind == "standardise" else reward) / spread
        if self._clip is not None:
            reward = np.clip(reward, -self._clip, self._clip)
        return reward if self._scale == 1.0 else self._scale * reward

    def _spread(self) -> float:
        """The running standard deviation, but no less than LEAST of the root mean square; 0 if all rewards were 0.

        A discriminator that has not learned pays the same for everything. Divided by its deviation alone, the next rewards
        would be a million times too large, and the critic would never forget them.
        """
        if not self._running.count:
            return 0.0
        return max(float(self._running.std), LEAST * math.sqrt(float(self._running.meansq)))

    def see(self, reward: np.ndarray) -> None:
        """Rewards [B] float64 of transitions, for the statistics."""
        if self._kind != "none":
            self._seen += sums(torch.from_numpy(reward)[:, None])

    def settle(self) -> None:
        """Take what was seen on all ranks into the statistics. A collective."""
        if self._kind != "none":
            moments = self._workers.sum_tensor(self._seen)
            finite.number("mean square of the adversary's rewards", float(moments[-1]))
            self._running.add(moments)
            self._seen.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Empty if nothing is normalised; else a collective."""
        if self._kind == "none":
            return {}
        return {"running": self._running.state_dict(), "seen": self._workers.sum_tensor(self._seen).clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state:
            self._running.load_state_dict(state["running"])
            self._seen = state["seen"].clone() * self._workers.main  # all ranks' sums, on one of them
