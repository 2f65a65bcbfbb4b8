"""What ranks spend in collectives, split into waiting for the slowest and the message itself.

All ranks make the same collectives in the same order, and processes of one machine read one clock. So a collective's
message lasts from the moment in which its last rank arrived, and what a rank spent in it before was waiting.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from trpo_gail.parallel import Workers


class _Timed:
    """The context of a collective, which notes when each began and ended."""

    def __init__(self, inner: Any, times: list[tuple[float, float]]) -> None:
        self._inner, self._times = inner, times

    @property
    def seconds(self) -> float:
        return float(self._inner.seconds)

    @property
    def now(self) -> bool:
        return bool(self._inner.now)

    def __enter__(self) -> None:
        self._began = time.perf_counter()
        self._inner.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inner.__exit__(kind, error, trace)
        self._times.append((self._began, time.perf_counter()))


@dataclass(frozen=True)
class Spent:
    """Of one rank: seconds, and what it sent."""

    waiting_s: float
    communication_s: float
    messages: int
    summed_bytes: int


class TimedWorkers(Workers):
    """Workers that note their collectives, and the bytes of their sums."""

    def __init__(self, comm: Any = None) -> None:
        super().__init__(comm)
        self.times: list[tuple[float, float]] = []
        self.summed_bytes = 0
        self.pulse.waits = _Timed(self.pulse.waits, self.times)  # type: ignore[assignment]

    def sum(self, values: np.ndarray) -> np.ndarray:
        if self.size > 1:
            self.summed_bytes += 8 * np.size(values)
        return super().sum(values)

    def forget(self) -> None:
        """Begin anew."""
        self.times.clear()
        self.summed_bytes = 0


def spent(times: list[list[tuple[float, float]]], rank: int, summed_bytes: int) -> Spent:
    """What a rank spent in the collectives of all ranks: `times` has, of each rank, their beginnings and ends."""
    if not times[0]:
        return Spent(0.0, 0.0, 0, summed_bytes)
    began, ended = np.array(times, np.float64).transpose(2, 0, 1)  # [R, n] each
    last = began.max(0)
    waiting = last - began[rank]
    return Spent(float(waiting.sum()), float((ended[rank] - last).sum()), began.shape[1], summed_bytes)
