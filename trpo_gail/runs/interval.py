"""When a run saves: every so many iterations or minutes (`--save_every`)."""

from __future__ import annotations

import time

from trpo_gail.config.tree import Config
from trpo_gail.parallel import Workers


class SaveInterval:
    """It begins when it is made, and again with each `saved`."""

    def __init__(self, config: Config, workers: Workers) -> None:
        (self._every, self._unit), self._workers = config.save_interval, workers
        self.saved()

    def saved(self) -> None:
        self._since = time.monotonic()

    def is_over(self, iteration: int) -> bool:
        """Whether to save after an iteration, the same on all ranks. A collective."""
        if self._unit == "iterations":
            return iteration % int(self._every) == 0
        return self._workers.share(time.monotonic() - self._since >= 60.0 * self._every)
