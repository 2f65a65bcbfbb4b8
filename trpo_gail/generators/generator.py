"""Who improves the policy: the seam that every generator stands behind."""

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
        """A collective; `rng` is the same on all ranks. Statistics are of all ranks."""
        ...

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Parts:
    """What a generator may be built from."""

    policy: Policy
    workers: Workers
