"""Which rank the others wait for: ranks.csv, a warning while a rank is slow, and a line at the end.

A rank's seconds leave out those in which it waits for others, so that the slowest rank is the one that works longest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trpo_gail.runs.viewed_file import ViewedFile

NAME = "ranks.csv"
HEADER = "iteration,phase,median_s,slowest_s,rank,host"
_ROW = re.compile(r"(\d{1,15}),[^,]+,[\d.]+,[\d.]+,\d+,[^,]*")
PATIENCE = 20  # iterations before the first warning; the next one comes after twice as many
SLOW = 1.5  # times the median rank's seconds
LEAST_S = 0.05  # seconds per iteration that the others wait; less is not worth a warning


@dataclass
class Stragglers:
    """Seconds of all ranks. `folder` is rank 0's run folder; on the other ranks nothing is written."""

    hosts: Sequence[str]  # by rank
    folder: Path | None
    _totals: dict[str, list[float]] = field(default_factory=dict)  # by phase and rank, of this session
    _recent: list[float] = field(default_factory=list)  # by rank, since the last warning or its absence
    _iterations: int = 0  # in `_recent`
    _patience: int = PATIENCE

    def __post_init__(self) -> None:
        self._file = None if self.folder is None else ViewedFile(self.folder / NAME, HEADER, _iteration)

    def begin(self, iteration: int) -> None:
        """Cut the rows after an iteration, which a run that died has written, with a warning of damaged ones. Raises
        OSError."""
        if self._file:
            self._file.cut(iteration)

    def look(self, iteration: int, ranks: Sequence[Mapping[str, float]]) -> Iterator[str]:
        """Take in the seconds by phase of every rank, and yield a warning if one has been slow for long."""
        phases = {phase: [seconds.get(phase, 0.0) for seconds in ranks] for phase in ranks[0]}
        for phase, seconds in phases.items():
            self._totals[phase] = _added(self._totals.get(phase), seconds)
            self._recent = _added(self._recent, seconds)
        self._write(iteration, phases)
        self._iterations += 1
        if self._iterations == self._patience:
            yield from self._warning()
            self._recent, self._iterations = [], 0

    def _warning(self) -> Iterator[str]:
        rank, slowest, median = _slowest(self._recent)
        if slowest > SLOW * median and slowest - median > LEAST_S * self._iterations:
            self._patience *= 2
            yield (
                f"rank {rank} on {self.hosts[rank]} worked {slowest:.1f} s in the last {self._iterations} iterations, "
                f"the median rank {median:.1f} s: the others wait for it ({NAME} shows in which phases)"
            )

    def _write(self, iteration: int, phases: Mapping[str, list[float]]) -> None:
        """Append an iteration's rows."""
        rows = []
        for phase, seconds in phases.items():
            rank, slowest, median = _slowest(seconds)
            rows.append(f"{iteration},{phase},{median:.6f},{slowest:.6f},{rank},{self.hosts[rank]}\n")
        if self._file:
            self._file.append(rows)

    def lines(self) -> Iterator[str]:
        """A line for this session: the slowest rank and the median one, by phase."""
        found = []
        for phase, seconds in self._totals.items():
            rank, slowest, median = _slowest(seconds)
            found.append(f"{phase} {slowest:.1f} s on rank {rank} of {self.hosts[rank]} (median {median:.1f} s)")
        if found:
            yield f"slowest ranks   {', '.join(found)}"


def _iteration(line: str) -> int | None:
    """The iteration of a row; None of a line that is no row."""
    row = _ROW.fullmatch(line)
    return int(row[1]) if row else None


def _added(before: list[float] | None, seconds: Sequence[float]) -> list[float]:
    return [a + b for a, b in zip(before or [0.0] * len(seconds), seconds, strict=True)]


def _slowest(seconds: Sequence[float]) -> tuple[int, float, float]:
    """The slowest rank, its seconds, and the median's; of two ranks, the faster is the median."""
    rank = max(range(len(seconds)), key=lambda r: seconds[r])
    return rank, seconds[rank], sorted(seconds)[(len(seconds) - 1) // 2]
