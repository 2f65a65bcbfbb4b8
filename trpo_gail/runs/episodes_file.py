"""episodes.csv: a row per episode of training that has ended, in the order of iterations; the report draws a dot for each."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trpo_gail.system import whole_file
from trpo_gail.system.terminal import warn

NAME = "episodes.csv"
HEADER = "iteration,return,length,success"
_ROW = re.compile(r"(\d{1,15}),([^,]+),(\d{1,15}),([01]?)")


@dataclass
class EpisodesFile:
    """The file of a run that goes on: rows are appended, those after a checkpoint are cut. If it cannot be written, a
    warning says so once, and the run goes on without: the rows are for viewing."""

    folder: Path
    _silent: bool = False

    def append(self, iteration: int, ended: np.ndarray) -> None:
        """Add the episodes of an iteration, [3, E]: returns, lengths, successes (NaN where it is not known)."""
        if not ended.shape[1] or self._silent:
            return
        rows = [f"{iteration},{r!r},{int(n)},{'' if math.isnan(s) else int(s)}\n" for r, n, s in ended.T.tolist()]
        file = self.folder / NAME
        try:
            new = not file.exists()
            with open(file, "a") as to:
                to.write(f"{HEADER}\n" * new + "".join(rows))
        except OSError as error:
            self._silent = True
            warn(f"{file}: no longer written, and the run goes on without ({error.strerror})")

    def cut(self, iteration: int) -> None:
        """Drop the rows after an iteration, and what is no row. Raises OSError."""
        file = self.folder / NAME
        if not file.is_file():
            return
        lines = file.read_bytes().decode(errors="replace").split("\n")[:-1]
        kept = [line for line in lines if (row := _ROW.fullmatch(line)) and int(row[1]) <= iteration]
        whole_file.write(file, "".join(f"{line}\n" for line in (HEADER, *kept)).encode())


def read(folder: Path) -> np.ndarray:
    """A run's episodes [4, E]: iteration, return, length, success (NaN where it is not known). None without a file; what is
    no row is left out. Raises OSError."""
    file = folder / NAME
    lines = file.read_bytes().decode(errors="replace").split("\n")[:-1] if file.is_file() else []
    rows = [numbers for line in lines if (row := _ROW.fullmatch(line)) and (numbers := _numbers(row))]
    return np.array(rows, np.float64).reshape(-1, 4).T


def _numbers(row: re.Match[str]) -> tuple[float, float, float, float] | None:
    try:
        return int(row[1]), float(row[2]), int(row[3]), float(row[4] or math.nan)
    except ValueError:
        return None
