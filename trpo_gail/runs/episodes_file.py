"""episodes.csv: a row per episode of training that has ended, in the order of iterations; the report draws a dot for each."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trpo_gail.runs.viewed_file import ViewedFile, lines
from trpo_gail.system.terminal import warn

NAME = "episodes.csv"
HEADER = "iteration,return,length,success"
_ROW = re.compile(r"(\d{1,15}),([^,]+),(\d{1,15}),([01]?)")


class EpisodesFile:
    """The file of a run that goes on."""

    def __init__(self, folder: Path) -> None:
        self._file = ViewedFile(folder / NAME, HEADER, _iteration)

    def append(self, iteration: int, ended: np.ndarray) -> None:
        """Add the episodes of an iteration, [3, E]: returns, lengths, successes (NaN where it is not known)."""
        if ended.shape[1]:
            self._file.append(
                f"{iteration},{r!r},{int(n)},{'' if math.isnan(s) else int(s)}\n" for r, n, s in ended.T.tolist()
            )

    def cut(self, iteration: int, metrics: Sequence[Mapping[str, float | None]] = ()) -> None:
        """Drop the rows after an iteration, and what is no row, with a warning by the rows of `metrics`. Raises OSError."""
        self._file.cut(iteration, ended_by_iteration(metrics))


def read(folder: Path, metrics: Sequence[Mapping[str, float | None]] = ()) -> np.ndarray:
    """A run's episodes [4, E]: iteration, return, length, success (NaN where it is not known). None without a file; what is
    no row is left out. It warns of damaged rows, and of those that are missing by the rows of `metrics`, which were read
    before. Raises OSError."""
    if not (folder / NAME).is_file():  # an old run
        return np.zeros((4, 0))
    found = lines(folder / NAME, _iteration)
    if said := found.lacks(ended_by_iteration(metrics)):
        warn(f"{folder / NAME}: {said}: they are left out")
    return np.array([_numbers(row) for row in found.rows], np.float64).reshape(-1, 4).T


def ended_by_iteration(metrics: Sequence[Mapping[str, float | None]]) -> dict[int, int]:
    """How many episodes ended in each iteration, as far as the rows of a run's metrics, which count all, say so."""
    total = {
        int(k): int(n) for row in metrics if (k := row.get("iteration")) and (n := row.get("episodes")) is not None
    }
    total.setdefault(0, 0)
    return {k: n - total[k - 1] for k, n in total.items() if k - 1 in total}


def _iteration(line: str) -> int | None:
    """The iteration of a row; None of a line that is no row."""
    row = _numbers(line)
    return None if row is None else int(row[0])


def _numbers(line: str) -> tuple[float, float, float, float] | None:
    if (row := _ROW.fullmatch(line)) is None:
        return None
    try:
        return int(row[1]), float(row[2]), int(row[3]), float(row[4] or math.nan)
    except ValueError:
        return None
