"""A CSV file of a run that is only for viewing: rows are appended, those after a checkpoint are cut."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trpo_gail.system import whole_file
from trpo_gail.system.terminal import warn

IterationOf = Callable[[str], "int | None"]  # of a line without its end; None if it is no row


@dataclass(frozen=True)
class Lines:
    """What a file holds below its header: rows with their iterations, and the numbers of the lines that are no rows."""

    rows: list[str]
    iterations: list[int]
    damaged: list[int]
    headed: bool  # whether the first line is a header
    torn: bool  # whether a last line lacks its end

    def lacks(self, expected: Mapping[int, int]) -> str | None:
        """What is damaged or missing, in words, if anything is. `expected` are numbers of rows by iteration, as far as they
        are known; those before the first row do not count, since the file may have begun with it."""
        found = Counter(self.iterations)
        first = min(found, default=math.inf if self.headed else 0)  # behind a header alone, nothing was written yet
        known = {k: n for k, n in sorted(expected.items()) if k >= first}
        short = {k: n - found[k] for k, n in known.items() if n > found[k]}
        if not (short or self.damaged):
            return None
        where = f"in line {self.damaged[0]}" if self.damaged else f"of iteration {next(iter(short))}"
        count = max(len(self.damaged), sum(short.values()))
        return f"{count} {'row is' if count == 1 else 'rows are'} damaged or missing, the first {where}"


@dataclass
class ViewedFile:
    """If it cannot be written, a warning says so once, and the run goes on without."""

    file: Path
    header: str
    iteration_of: IterationOf
    _silent: bool = False

    def append(self, rows: Iterable[str]) -> None:
        """Add lines, each with its end, behind the header."""
        if self._silent:
            return
        try:
            new = not self.file.exists()
            with open(self.file, "a") as to:
                to.write(f"{self.header}\n" * new + "".join(rows))
        except OSError as error:
            self._silent = True
            warn(f"{self.file}: no longer written, and the run goes on without ({error.strerror})")

    def cut(self, iteration: int, expected: Mapping[int, int] | None = None) -> None:
        """Drop the rows after an iteration, and what is no row. It warns of what is damaged or missing before, by the
        numbers of rows that are `expected`, and keeps the file as it was if it leaves something out. Raises OSError."""
        if not self.file.is_file():
            return
        found = lines(self.file, self.iteration_of)
        kept = [row for row, k in zip(found.rows, found.iterations, strict=True) if k <= iteration]
        if said := found.lacks({k: n for k, n in (expected or {}).items() if k <= iteration}):
            # Of rows that are only missing, there is nothing to keep: a resume before this one may have left them out.
            copy = whole_file.kept_copy(self.file).name if found.damaged or found.torn else ""
            warn(f"{self.file}: {said}: they stay out" + (f"; the file as it was is {copy}" if copy else ""))
        whole_file.write(self.file, "".join(f"{line}\n" for line in (self.header, *kept)).encode())


def lines(file: Path, iteration_of: IterationOf) -> Lines:
    """The whole lines. A last line without its end was cut while it was written. Other programs may have saved the file with
    other ends of lines, or with a mark of UTF-8 at its begin. Raises OSError."""
    *whole, torn = file.read_bytes().decode("utf-8-sig", errors="replace").split("\n")
    header, *text = [line.removesuffix("\r") for line in whole] or [""]
    found = [iteration_of(line) for line in text]
    return Lines(
        [line for line, k in zip(text, found, strict=True) if k is not None],
        [k for k in found if k is not None],
        [number for number, k in enumerate(found, 2) if k is None],
        header.startswith("iteration,"),
        bool(torn),
    )
