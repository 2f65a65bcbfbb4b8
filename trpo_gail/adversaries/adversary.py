"""Who pays the learner: the seam that every adversary stands behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from trpo_gail.parallel import Workers
from trpo_gail.policies.policy import Policy
from trpo_gail.records import Stats
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec


class Adversary(Protocol):
    """Tells the expert from the learner, and pays the learner for being mistaken for the expert.

    `reward` and `fit` are collectives: all ranks call them, each with its own rows.
    """

    needs_log_prob: bool  # whether `learner.log_prob` shall be there

    def reward(self, learner: Transitions) -> np.ndarray:
        """What each transition is paid [B] float64. The adversary is frozen between two calls of `fit`."""
        ...

    def fit(self, learner: Transitions, rng: np.random.Generator) -> Stats:
        """Learn from all transitions of an iteration; `rng` is the same on all ranks. Statistics are of all ranks."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numpy arrays and numbers only."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Parts:
    """What an adversary may be built from."""

    spec: EnvSpec
    expert: Transitions | None  # None if the adversary needs no demonstrations
    policy: Policy  # the learner's, whatever it becomes: its `log_prob` gives log pi(a|s) of any rows
    workers: Workers
