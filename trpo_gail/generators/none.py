"""No generator: the policy stays as it began, beside others that learn. With --init_policy bc it is behavioural cloning."""

from __future__ import annotations

from typing import Any

import numpy as np

from trpo_gail.config.tree import Config
from trpo_gail.generators.generator import Parts
from trpo_gail.records import Stats
from trpo_gail.sampling.batch import Batch


class Rest:
    """Leaves the policy as it is. Its observation statistics stay, too (`algorithm.iteration`)."""

    def step(self, batch: Batch, rng: np.random.Generator) -> Stats:
        return self.rest(batch)

    def rest(self, batch: Batch) -> Stats:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def build(config: Config, parts: Parts) -> Rest:
    """A generator that does nothing."""
    return Rest()
