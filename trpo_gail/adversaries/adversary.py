"""The protocol of an adversary, which computes the learner's reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from trpo_gail.parallel import Workers
from trpo_gail.policies.policy import Policy
from trpo_gail.records import Stats
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec


class Adversary(Protocol):
    """Learns to tell the expert from the learner, and rewards the learner for steps that it takes for the expert's.

    `reward` and `fit` are collectives: all ranks call them, each with its own rows.
    """

    needs_log_prob: bool  # whether it needs `learner.log_prob`
    needs_clipped_log_prob: bool  # and `learner.clipped_log_prob`, where actions are clipped; as the other if left out

    def reward(self, learner: Transitions) -> np.ndarray:
        """The reward of each transition, [B] float64.

        What the adversary has learned does not change here; the shift of FEM and GTAL and statistics of rewards may.
        With `critic.after_adversary`, the rewards of the same transitions are computed again after `fit`: by
        `reward_again`, if the adversary has this method.
        """
        ...

    def fit(self, learner: Transitions, rng: np.random.Generator) -> Stats:
        """Learn from all transitions of an iteration; returns statistics over all ranks. `rng` is the same on all
        ranks."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numpy arrays and numbers only."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class Learned(Protocol):
    """An adversary whose learned reward can be paid outside of training: it is built again, with a single expert row of
    zeros, and gets back what it has learned."""

    def pays(self, rows: Transitions) -> np.ndarray:
        """The learned reward of each transition, [B] float64, by the adversary as it is; nothing changes. No collective:
        `rows` may have no log pi, steps or global numbers."""
        ...

    def learned(self) -> dict[str, Any]:
        """All that `pays` depends on besides config and spec: tensors, numpy arrays and numbers only."""
        ...

    def load_learned(self, learned: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Parts:
    """Everything from which an adversary can be built."""

    spec: EnvSpec
    expert: Transitions | None  # None if the adversary needs no demonstrations
    policy: Policy  # the learner's current policy: its `log_prob` gives log pi(a|s) of any rows
    workers: Workers
