"""Shows an adversary the learner's rows in the form in which the demonstrations were kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec


@dataclass(frozen=True)
class View:
    """The learner's rows with the precision of the expert's, and with executed actions if the expert's are executed."""

    observations: np.dtype  # the expert's: otherwise the rounding of a constant feature would tell the sides apart
    actions: np.dtype
    spec: EnvSpec
    wide: bool = True  # whether floats become float64: if not, they keep their dtype, and whoever takes them converts

    @classmethod
    def of(cls, spec: EnvSpec, expert: Transitions, wide: bool = True) -> View:
        """The view of demonstrations in an environment."""
        return cls(expert.observations.dtype, expert.actions.dtype, spec, wide)

    def rows(self, learner: Transitions) -> tuple[np.ndarray, np.ndarray]:
        """The learner's observations [B, O] and actions [B, A] or [B]."""
        return self.states(learner.observations), rounded(self.spec.shown(learner.actions), self.actions)

    def of_expert(self, expert: Transitions) -> tuple[np.ndarray, np.ndarray]:
        """The expert's rows in the same form: integers in a file are numbers, not labels like Discrete actions."""
        return self.states(expert.observations), expert.actions

    def states(self, observations: np.ndarray) -> np.ndarray:
        """The learner's observations, or its next ones, [B, O]: uint8 if both sides are; else float64, but floats that
        need not become `wide` as they are."""
        if observations.dtype == self.observations == np.uint8:
            return observations  # exact, in an eighth of the memory
        seen = rounded(observations, self.observations)
        return seen if seen.dtype.kind == "f" and not self.wide else seen.astype(np.float64)


def rounded(values: np.ndarray, kept: np.dtype) -> np.ndarray:
    """`values` rounded to the float dtype `kept`; values beyond its range stay as they are.

    If `kept` is an integer dtype, nothing is rounded: the environment may give fractions for the file's integers.
    """
    if kept.kind != "f" or np.can_cast(values.dtype, kept):
        return values
    with np.errstate(over="ignore"):
        cast = values.astype(kept)
    lost = np.isinf(cast) & np.isfinite(values)
    return np.where(lost, values, cast) if lost.any() else cast
