"""The protocol of a generator, which improves the policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from trpo_gail.parallel import Workers
from trpo_gail.policies.policy import Policy
from trpo_gail.records import Stats
from trpo_gail.sampling.batch import Batch


class Generator(Protocol):
    """Improves the policy on one batch of all ranks' rows."""

    def step(self, batch: Batch, rng: np.random.Generator) -> Stats:
        """Improve the policy; returns statistics over all ranks. A collective; `rng` is the same on all ranks."""
        ...

    def rest(self, batch: Batch) -> Stats:
        """Leave the policy as it is, in the warm-up; the same statistics, of no step. A collective."""
        ...

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Parts:
    """Everything from which a generator can be built."""

    policy: Policy
    workers: Workers
