"""episodes.csv: a row per episode of training that has ended, in the order of iterations; the report draws a dot for each."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from trpo_gail.runs.viewed_file import ViewedFile, lines

NAME = "episodes.csv"
HEADER = "iteration,return,length,success"
_ROW = re.compile(r"(\d{1,15}),([^,]+),(\d{1,15}),([01]?)")


class EpisodesFile:
    """The file of a run that goes on."""

    def __init__(self, folder: Path) -> None:
        self._file = ViewedFile(folder / NAME, HEADER)

    def append(self, iteration: int, ended: np.ndarray) -> None:
        """Add the episodes of an iteration, [3, E]: returns, lengths, successes (NaN where it is not known)."""
        if ended.shape[1]:
            self._file.append(
                f"{iteration},{r!r},{int(n)},{'' if math.isnan(s) else int(s)}\n" for r, n, s in ended.T.tolist()
            )

    def cut(self, iteration: int) -> None:
        """Drop the rows after an iteration, and what is no row. Raises OSError."""
        self._file.cut(lambda line: (row := _ROW.fullmatch(line)) is not None and int(row[1]) <= iteration)


def read(folder: Path) -> np.ndarray:
    """A run's episodes [4, E]: iteration, return, length, success (NaN where it is not known). None without a file; what is
    no row is left out. Raises OSError."""
    rows = [numbers for line in lines(folder / NAME) if (row := _ROW.fullmatch(line)) and (numbers := _numbers(row))]
    return np.array(rows, np.float64).reshape(-1, 4).T


def _numbers(row: re.Match[str]) -> tuple[float, float, float, float] | None:
    try:
        return int(row[1]), float(row[2]), int(row[3]), float(row[4] or math.nan)
    except ValueError:
        return None
