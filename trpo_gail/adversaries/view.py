"""How an adversary sees both sides alike: as the demonstrations were kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec


@dataclass(frozen=True)
class View:
    """The learner's rows with the digits of the expert's, and its actions as they were executed if the expert's are so."""

    observations: np.dtype  # the expert's: a feature that never varies would tell the sides apart by its rounding
    actions: np.dtype
    spec: EnvSpec

    @classmethod
    def of(cls, spec: EnvSpec, expert: Transitions) -> View:
        """The view of demonstrations in an environment."""
        return cls(expert.observations.dtype, expert.actions.dtype, spec)

    def rows(self, learner: Transitions) -> tuple[np.ndarray, np.ndarray]:
        """The learner's observations [B, O] float64 and actions [B, A] or [B]."""
        return self.states(learner.observations), rounded(self.spec.shown(learner.actions), self.actions)

    def states(self, observations: np.ndarray) -> np.ndarray:
        """Observations of the learner, the next ones too: [B, O] float64, or uint8 on both sides."""
        if observations.dtype == self.observations == np.uint8:
            return observations  # eight times smaller, and exact
        return rounded(observations, self.observations).astype(np.float64)


def rounded(values: np.ndarray, kept: np.dtype) -> np.ndarray:
    """`values` with the digits that the float dtype `kept` has, and with their own digits if they are beyond its range.

    Integers are no scale to round to: a file of them may hold what an environment gives as fractions.
    """
    if kept.kind != "f" or np.can_cast(values.dtype, kept):
        return values
    with np.errstate(over="ignore"):
        cast = values.astype(kept)
    lost = np.isinf(cast) & np.isfinite(values)
    return np.where(lost, values, cast) if lost.any() else cast
