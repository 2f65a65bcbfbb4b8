"""metrics.csv: a row per iteration, whole rows only; what is damaged is left out, and that is said.

Columns are the same in all rows. Those of `LATE` come with the first row that has them, and are empty where a row has not.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from trpo_gail.errors import UserError
from trpo_gail.records import EVAL_SUCCESS, SUCCESS, AnyRecord
from trpo_gail.system import whole_file
from trpo_gail.system.terminal import warn

END = "\r\n"  # as the standard for CSV has it
LATE = (SUCCESS, EVAL_SUCCESS)  # they are known once an episode has ended of which it is said


@dataclass(frozen=True)
class Table:
    """What a file holds, as text."""

    columns: list[str]
    rows: list[list[str]]  # the good ones
    damaged: list[int]  # numbers of the other lines; the header is 1
    torn: bool = False  # whether a last line lacks its end

    def numbers(self) -> list[dict[str, float | None]]:
        """Rows by column; cells that are empty are None."""
        return [
            {name: float(cell) if cell else None for name, cell in zip(self.columns, row, strict=True)}
            for row in self.rows
        ]

    def iteration(self, row: list[str]) -> int:
        return int(row[self.columns.index("iteration")])


def read(file: Path) -> Table:
    """A run's rows. A line without its end was cut while it was written, and is no damage. Other programs may have saved the
    file with other ends of lines, or with a mark of UTF-8 at its begin. Raises OSError."""
    *lines, torn = file.read_bytes().decode("utf-8-sig", errors="replace").split("\n")
    columns, *rows = [line.removesuffix("\r").split(",") for line in lines] or [[]]
    good = [_is_good(row, columns) for row in rows]
    return Table(
        columns,
        [row for row, fine in zip(rows, good, strict=True) if fine],
        [number for number, fine in enumerate(good, 2) if not fine],
        bool(torn),
    )


def _is_good(row: list[str], columns: list[str]) -> bool:
    """Whether it has a number or nothing in every column, and whole ones if rows are counted."""
    if len(row) != len(columns) or "iteration" not in columns:
        return False
    try:
        for cell in filter(None, row):
            float(cell)
    except ValueError:
        return False
    return all(
        re.fullmatch(r"[0-9]{1,15}", cell)
        for name, cell in zip(columns, row, strict=True)
        if name in ("iteration", "steps")
    )


class MetricsFile:
    """The file of a run that goes on: rows are appended, those after a checkpoint are cut."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None
        self._columns: list[str] = []

    def append(self, row: AnyRecord) -> None:
        """Add a row; its columns are those of the session's first, and the late ones. Raises UserError if the file cannot be
        written; it has no part of the row then."""
        if self._file is not None and not self._is_there(self._file):
            what = "replaced" if self.path.exists() else "removed"
            warn(f"{self.path}: {what} while the run was writing it; it goes on with the rows from here")
            self.close()
            self._file = None
        if self._file is None:
            self._columns = list(row)
            self._open()
        assert _early(row) == _early(self._columns), "an iteration has other columns than the first"
        if not row.keys() <= set(self._columns):
            self.close()
            self._columns = _merged(self._columns, list(row))
            self._open()
        self._write([_cell(row.get(name)) for name in self._columns])

    def _is_there(self, file: FileIO) -> bool:
        """Whether the open file is still the one of this name."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def _open(self) -> None:
        try:
            table = self._table()
            if table.columns and _early(table.columns) != _early(self._columns):
                self._change_columns(table)
            elif table.columns:
                self._columns = _merged(table.columns, self._columns)
                if self._columns != table.columns:
                    self._replace_by_name(table)
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - held open for the run
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error.strerror})") from error
        if not table.columns:
            self._write(self._columns)

    def _write(self, cells: Sequence[str]) -> None:
        assert self._file is not None
        line = memoryview((",".join(cells) + END).encode())
        size = os.fstat(self._file.fileno()).st_size
        try:
            while line:
                line = line[self._file.write(line) or 0 :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), size)
            raise UserError(f"{self.path}: a row could not be written ({error.strerror})") from error

    def last_iteration(self) -> int:
        """Of all rows that are there; 0 if there are none. Raises OSError."""
        table = self._table()
        return max(map(table.iteration, table.rows), default=0)

    def cut(self, iteration: int) -> list[dict[str, float | None]]:
        """Drop the rows after an iteration: a run that died has more of them than its checkpoint. Those that stay.

        It warns of rows before it that are damaged or missing, and keeps the file as it was. Raises OSError.
        """
        table = self._table()
        kept = [row for row in table.rows if table.iteration(row) <= iteration]
        missing = sorted(set(range(1, iteration + 1)) - {table.iteration(row) for row in kept})
        if missing:
            copy = (
                f"; the file as it was is {whole_file.kept_copy(self.path).name}" if table.damaged or table.torn else ""
            )
            warn(
                f"{self.path}: the rows of {len(missing)} of {iteration} iterations are damaged or missing, "
                f"the first that of iteration {missing[0]}: they stay out{copy}"
            )
        if kept:
            self._replace(table.columns, kept)
        else:  # there may not even be a whole header
            self.path.unlink(missing_ok=True)
        return Table(table.columns, kept, []).numbers()

    def _table(self) -> Table:
        """Empty without a file; a folder in its place is all damage."""
        if self.path.is_dir():
            return Table([], [], [1])
        return read(self.path) if self.path.exists() else Table([], [], [])

    def _change_columns(self, table: Table) -> None:
        """Rows by another version of the package, or under a damaged header: keep what goes by the same names."""
        copy = whole_file.kept_copy(self.path)
        known = [name for name in table.columns if name in self._columns or name in LATE]
        self._columns = _merged(self._columns, known)
        strange = [name for name in table.columns if name not in self._columns]
        warn(
            f"{self.path}: its columns are not those of this session ({', '.join(strange)[:60] or 'some are missing'}): "
            f"rows go on with this session's; the file as it was is {copy.name}"
        )
        self._replace_by_name(table)

    def _replace_by_name(self, table: Table) -> None:
        """The same rows under this session's columns."""
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        self._replace(self._columns, [[row.get(name, "") for name in self._columns] for row in rows])

    def _replace(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        text = "".join(",".join(line) + END for line in (columns, *rows))
        whole_file.write(self.path, text.encode())

    def close(self) -> None:
        if self._file:
            self._file.close()


def _early(columns: Iterable[str]) -> list[str]:
    return [name for name in columns if name not in LATE]


def _merged(columns: Sequence[str], others: Sequence[str]) -> list[str]:
    """The columns, and those of `others` that are new, each behind the one that it follows there."""
    merged = list(columns)
    for before, name in zip(["", *others], others, strict=False):
        if name not in merged:
            merged.insert(merged.index(before) + 1 if before else 0, name)
    return merged


def _cell(value: float | int | None) -> str:
    """Every digit, so that equal runs have equal rows."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else repr(float(value))
