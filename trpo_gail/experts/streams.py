"""Demonstrations in pieces: whole episodes that follow one another, few enough to be held at once.

A format that can be read so has `pieces(path)`; one that is written so has `writing(path)`, which gathers rows before it
writes them, since most layouts state at their beginning how many there are. N rows, E episodes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations

PIECE = 32 << 20  # bytes of the rows of one piece
SLICE = 4 << 20  # bytes of a column that are copied at once
_IN_MEMORY = 4 << 20  # bytes of a column that are gathered without a file

Append = Callable[[Demonstrations], None]


class Rows(Protocol):
    """A column: an array, or what gives arrays for slices of its rows."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


class Part:
    """One part of records, as rows."""

    def __init__(self, records: Rows, name: str) -> None:
        self._records, self._name = records, name
        self.dtype, row = records.dtype[name].subdtype or (records.dtype[name], ())
        self.shape = (*records.shape, *row)

    def __getitem__(self, rows: slice) -> np.ndarray:
        return np.ascontiguousarray(self._records[rows][self._name])


def row_bytes(columns: Iterable[Rows]) -> int:
    """What a row of all these columns takes."""
    return sum(column.dtype.itemsize * int(np.prod(column.shape[1:], dtype=np.int64)) for column in columns)


def cut(sizes: np.ndarray) -> Iterator[slice]:
    """Slices of episodes whose `sizes` [E], in bytes, add up to `PIECE` at most, or of one that is larger.

    Without an episode there is one slice, which is empty.
    """
    ends = np.cumsum(sizes)
    first = 0
    while first < len(ends) or not first:
        before = int(ends[first - 1]) if first else 0
        last = max(int(np.searchsorted(ends, before + PIECE, side="right")), first + 1)
        yield slice(first, min(last, len(ends)))
        first = last


def cut_rows(lengths: np.ndarray, size: int) -> Iterator[tuple[slice, slice]]:
    """(episodes, rows) of each piece, of episodes of `lengths` [E] whose rows take `size` bytes."""
    ends = np.append(0, np.cumsum(lengths))
    for episodes in cut(lengths * size):
        yield episodes, slice(int(ends[episodes.start]), int(ends[episodes.stop]))


def slices(column: Rows, step: int = 1) -> Iterator[slice]:
    """Slices of the rows of a column, of about `SLICE` bytes, which begin at multiples of `step`."""
    rows = max(1, SLICE // max(1, row_bytes([column])) // step) * step
    for start in range(0, column.shape[0], rows):
        yield slice(start, min(start + rows, column.shape[0]))


class Column:
    """Rows that come in pieces and leave in slices: few are kept in memory, many in a file without a name."""

    def __init__(self, folder: Path, first: np.ndarray) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(folder))  # noqa: SIM115  (`close` ends it)
        self.dtype = first.dtype
        self._row = first.shape[1:]
        self._rows = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._rows, *self._row)

    def append(self, values: np.ndarray) -> None:
        """More rows, of the same dtype and shape as the first."""
        assert values.dtype == self.dtype and values.shape[1:] == self._row, (values.dtype, values.shape, self.shape)
        self._file.seek(0, os.SEEK_END)
        self._file.write(_bytes(np.ascontiguousarray(values)))
        self._rows += len(values)

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self._rows)
        values = np.empty((max(0, stop - start), *self._row), self.dtype)
        self._file.seek(start * row_bytes([self]))
        self._file.readinto(_bytes(values))
        return values

    def close(self) -> None:
        self._file.close()


def _bytes(values: np.ndarray) -> Any:
    """The memory of a contiguous array."""
    return values.reshape(-1).view(np.uint8).data


class Gathered:
    """What the pieces of one source have made: columns by name, and what else is to be written."""

    def __init__(self, path: Path, columns: Callable[[Demonstrations], Mapping[str, np.ndarray | None]]) -> None:
        self._path = path
        self._of = columns
        self.columns: dict[str, Column] = {}
        self._last: Demonstrations | None = None

    def append(self, piece: Demonstrations) -> None:
        """Add the columns of a piece. Raises UserError for a disk that refuses."""
        found = {name: values for name, values in self._of(piece).items() if values is not None}
        try:
            for name, values in found.items():
                if name not in self.columns:
                    assert self._last is None, f"{name} is not in every piece"
                    self.columns[name] = Column(self._path.parent, values)
                self.columns[name].append(values)
        except OSError as error:
            raise UserError(f"{self._path}: cannot be written: {error.strerror}") from error
        assert found.keys() == self.columns.keys(), sorted(self.columns.keys() - found.keys())
        self._last = piece

    @property
    def facts(self) -> Demonstrations:
        """The last piece: what it says beside its rows is so of all."""
        assert self._last is not None, "nothing was gathered"
        return self._last

    def close(self) -> None:
        for column in self.columns.values():
            column.close()


@contextmanager
def gathering(path: Path, columns: Callable[[Demonstrations], Mapping[str, np.ndarray | None]]) -> Iterator[Gathered]:
    """Room for what `columns` makes of each piece, beside the file that will be written."""
    gathered = Gathered(path, columns)
    try:
        yield gathered
    finally:
        gathered.close()
