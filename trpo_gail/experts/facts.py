"""What is known of demonstrations beside their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trpo_gail.spaces.spec import ActionView


@dataclass(frozen=True)
class Provenance:
    """Where demonstrations come from; every field is an attribute of a native file, and each may be unknown."""

    env_id: str | None = None
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    observation_space: Mapping[str, Any] | None = None  # as `spaces.as_json.space_to_json` gives it
    action_space: Mapping[str, Any] | None = None
    action_view: ActionView | None = None  # raw: as sampled; executed: clipped to the bounds
    policy: str | None = None
    policy_sha256: str | None = None
    deterministic: bool | None = None
    seed: int | None = None
    backend: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    licence: str | None = None
    attribution: str | None = None


# How one episode ends. LEFT_OUT: its last row is not there, and nothing else says it. PART: it went on behind that row,
# and of the others it is not known how they end.
LEFT_OUT, UNSAID, TERMINAL, LIMIT, PART = -1, 0, 1, 2, 3


def judged(lengths: np.ndarray, limit: int) -> np.ndarray:
    """How whole episodes of these lengths [E] end, which are all that is known, [E] int8: those that are shorter than the
    environment's time limit have ended by termination.

    If several share the greatest length, that may be the limit of whoever recorded them, and they count as cut.
    """
    longest = int(lengths.max(initial=0))
    cut = (lengths >= limit) | ((lengths == longest) & ((lengths == longest).sum() > 1))
    return np.where(cut, LIMIT, TERMINAL).astype(np.int8)


@dataclass(frozen=True)
class Ends:
    """How episodes end, of those whose last row is there; numbers of episodes."""

    terminal: int
    limit: int
    unsaid: int
    by_length: bool = False  # the source does not say: see `judged`

    @classmethod
    def of(cls, endings: np.ndarray, by_length: bool = False) -> Ends:
        """Of how each episode ends, [E] integers: TERMINAL and others."""
        terminal, limit, unsaid = (int((endings == kind).sum()) for kind in (TERMINAL, LIMIT, UNSAID))
        return cls(terminal, limit, unsaid, by_length)

    @property
    def early(self) -> str:
        """How those end that `terminal` counts."""
        return "before the time limit" if self.by_length else "by termination"

    @property
    def total(self) -> int:
        return self.terminal + self.limit + self.unsaid

    @property
    def reward(self) -> str | None:
        """What follows for the reward if most episodes end early, for a person."""
        if self.terminal <= self.limit + self.unsaid:
            return None
        return (
            f"{self.terminal} of {self.total} episodes end {self.early}: --discriminator.reward auto goes by that. For gail "
            "it takes logit with absorbing states, so that D learns what such an end is worth; for other adversaries, or "
            "without a time limit, log(D)"
        )


@dataclass(frozen=True)
class Whole:
    """What is known of all episodes of a source, whichever of them are kept."""

    trajectories: int
    return_mean: float | None  # of the finished ones; None if it is not known
    return_std: float | None  # likewise, of the population
    ends: Ends | None  # None if the source does not say how episodes end
