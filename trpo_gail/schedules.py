"""How much of a run is left, by what a part of the learner has learned from."""

from __future__ import annotations

from typing import Any

from trpo_gail.config.tree import Config


class RunLength:
    """Counts environment steps, of all ranks, and batches of a run that ends with a number of either.

    Batches count if their number ends the run: whole episodes make a batch larger than its nominal size, by a factor that
    nobody knows beforehand.
    """

    def __init__(self, steps: int, batches: int | None = None, nominal: int = 1) -> None:
        """`nominal`: steps of a batch, by which batches are counted in a state that lacks their number."""
        self._ends, self._nominal = (steps, batches), nominal
        self.steps, self.batches = 0, 0

    @classmethod
    def of(cls, config: Config, per_iteration: int) -> RunLength:
        """Of a part of the learner that gets so many batches in an iteration."""
        batches = None if config.iterations is None else config.iterations * per_iteration
        return cls(config.steps, batches, config.steps_per_iteration // per_iteration)

    def add(self, steps: int) -> None:
        """One batch."""
        self.steps += steps
        self.batches += 1

    @property
    def over(self) -> float:
        """The share that is over: 0 at the start, 1 at the end and behind it."""
        steps, batches = self._ends
        return min(1.0, max(self.steps / steps, 0.0 if batches is None else self.batches / batches))

    @property
    def left(self) -> float:
        return 1.0 - self.over

    def state_dict(self) -> dict[str, int]:
        return {"steps": self.steps, "batches": self.batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Of a larger state, which lacks batches before 0.2."""
        self.steps = state.get("steps", 0)
        self.batches = state.get("batches", round(self.steps / self._nominal))
