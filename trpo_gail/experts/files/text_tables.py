"""Tables in text files: columns by comma, semicolon, tab, bar or spaces, with a line of names or without one.

A file is read once, some lines at a time, so that it takes little more memory than its numbers do. N rows.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trpo_gail.errors import UserError, shortened
from trpo_gail.experts.files import apart
from trpo_gail.experts.files import cells as cells_

_LONGEST = 4 << 20  # characters of a line
_CHUNK = 4 << 20  # characters of lines that are read at a time
_START = 256 << 10  # bytes that a file is told by
_TRUE, _FALSE = ("true", "yes"), ("false", "no")
_BEGIN = 9  # lines that tell how a table begins
_EXACT = 15  # digits of an integer that a float holds
_TEXT, _VECTOR, _FLOAT, _INTEGER = "text", "list of numbers", "number", "integer"


@dataclass(frozen=True)
class Start:
    """What the first lines of a table say of the rest."""

    delimiter: str | None  # None: spaces
    names: tuple[str, ...] | None  # of the columns; None if no line names them
    width: int  # columns


@dataclass(frozen=True)
class TextTable:
    """Columns in their order."""

    names: tuple[str, ...] | None
    columns: list[np.ndarray]  # [N] float64 or int64, [N, elements]; of texts codes that are equal for equal texts
    texts: dict[
        int, tuple[int, str]
    ]  # which columns are texts, with the first row whose cell is no number, and the cell
    rows: int


def start(path: Path) -> Start | None:
    """How a table begins; None if the file does not look like one: no text, no numbers in columns."""
    return _start(_first_lines(path)[:2])


def almost(path: Path) -> tuple[Start, str] | None:
    """(how a table begins, what to do), if the file would be one but for lines before its rows, or for a separator at the
    end of each line; None if it would not."""
    lines = _first_lines(path)
    shown = [f"'{shortened(line.strip(), 40)}'" for line in lines]
    if (begins := _start([lines[0], *lines[2:3]] if lines else [])) is not None and begins.names is not None:
        return (
            begins,
            f"a table but for line 2, {shown[1]}, between the names of its columns and the rows: leave it out",
        )
    for drop in (1, 2, 3):
        if (begins := _start(lines[drop : drop + 2])) is not None and begins.names is not None:
            which = f"line 1, {shown[0]}," if drop == 1 else f"the first {drop} lines, from {shown[0]} on,"
            return begins, f"a table but for {which} before the names of its columns: leave out what stands there"
    ends = [line.rstrip("\r\n")[:-1] for line in lines[:2] if line.rstrip().endswith((",", ";", "\t", "|"))]
    if len(ends) == 2 and (begins := _start(ends)) is not None and begins.names is not None:
        return (
            begins,
            f"a table whose lines end in '{lines[0].rstrip()[-1]}', behind which no column stands: leave it out",
        )
    return None


def names_alone(path: Path) -> list[str]:
    """The cells of a text of one line, which may be names of columns without rows below; empty of another file."""
    lines = _first_lines(path)
    if len(lines) != 1:
        return []
    return _divided(lines[0])[1]


def rows_lacking(path: Path) -> str:
    """What to say of a file that is no table."""
    lines = _first_lines(path)
    if not lines:
        return "expected a table of numbers, found an empty file"
    if (found := almost(path)) is not None:
        return found[1]
    if len(lines) == 1:
        return f"expected rows below the line of names, found '{shortened(lines[0].strip(), 40)}' alone"
    return "expected a table of numbers, found another text"


def _first_lines(path: Path) -> list[str]:
    """The lines at the beginning of a text that are not empty; none of what is no text, or of JSON and pages."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(_START)
        text = head.decode("utf-8-sig")
    except OSError:
        return []
    except UnicodeDecodeError as error:
        if error.start < _START - 4:  # no letter that the end of what was read cut
            return []
        text = head[: error.start].decode("utf-8-sig")
    if "\0" in text or text.lstrip().startswith(("{", "<", "[", "//")):  # JSON and pages
        return []
    lines = text.splitlines()[: None if len(head) < _START else -1]
    return list(itertools.islice((line for line in lines if line.strip()), _BEGIN))


def _divided(line: str) -> tuple[str | None, list[str]]:
    """(delimiter, cells) of a first line, which may be a remark of names."""
    first = line.lstrip("# ") if line.startswith("#") else line
    delimiter = next((mark for mark in ",\t;|" if mark in _bare(first)), None)
    return delimiter, [cell.strip() for cell in _cells(first, delimiter)]


def _start(lines: Sequence[str]) -> Start | None:
    if not lines:
        return None
    delimiter, cells = _divided(lines[0])
    if all(map(_is_number, cells)):
        return Start(delimiter, None, len(cells)) if any(cells) else None
    if len(lines) < 2 or "" in cells[1:] or any(map(_is_number, cells[1:])):
        return None
    below = [cell.strip() for cell in _cells(lines[1], delimiter)]
    if '"' not in lines[1] and (len(below) != len(cells) or not any(map(_is_number, below))):
        return None
    return Start(delimiter, tuple(cells), len(cells))


def read(path: Path, begins: Start) -> TextTable:
    """All rows. Raises UserError for a line of another number of columns, and for a cell that is no number among some."""
    lines = _lines(path, begins)
    first = next(_chunks(lines), [])
    kinds = _kinds(itertools.islice(_rows(first, begins, path), 1000), begins.width)
    reader = _Columns(path, begins, kinds)
    if set(kinds) <= {_FLOAT, _INTEGER} and '"' not in "".join(first):
        for chunk in itertools.chain([first], _chunks(lines)):
            reader.add_numbers(chunk)
    else:
        reader.add(_rows(itertools.chain(first, lines), begins, path))
    return reader.table()


# --- Lines and cells ----------------------------------------------------------------------------------------------


def _lines(path: Path, begins: Start) -> Iterator[str]:
    """Lines of rows, without the one of names, empty ones and remarks."""
    named = begins.names is not None
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as stream:
        while line := stream.readline(_LONGEST):
            if len(line) == _LONGEST:
                raise UserError(f"{path}: expected lines of at most {_LONGEST:,} characters, found a longer one")
            if not line.strip() or (line.startswith("#") and not named):
                continue
            if named:
                named = False
                continue
            yield line


def _chunks(lines: Iterator[str]) -> Iterator[list[str]]:
    """Lines together that are some megabytes."""
    chunk, size = [], 0
    for line in lines:
        chunk.append(line)
        size += len(line) + 64
        if size > _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _rows(lines: Iterable[str], begins: Start, path: Path) -> Iterator[list[str]]:
    """Cells of each row."""
    if begins.delimiter is None:
        found: Iterable[list[str]] = (_cells(line, None) for line in lines)
    else:
        found = csv.reader(lines, delimiter=begins.delimiter, skipinitialspace=True)
    number = 0
    try:
        for number, cells in enumerate(found, 1):
            if len(cells) != begins.width:
                raise UserError(f"{path}: row {number}: expected {begins.width} columns, found {len(cells)}")
            yield cells
    except csv.Error as error:
        raise UserError(f"{path}: row {number + 1}: expected cells of a table: {error}") from error


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return re.findall(r'\[[^\]]*\]|"[^"]*"|\S+', line)
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []


def _bare(line: str) -> str:
    """Without what stands in quotes or brackets, whose commas divide no columns."""
    return re.sub(r'"[^"]*"?|\[[^\]]*\]?', "", line)


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return cell.lower() in _TRUE + _FALSE
    return "_" not in cell


# --- Columns ------------------------------------------------------------------------------------------------------


def _kinds(rows: Iterable[list[str]], width: int) -> list[str]:
    """What the columns hold, as far as these rows tell."""
    kinds = [_INTEGER] * width
    for cells in rows:
        kinds = [kind if kind == _TEXT else _kind(cell.strip(), kind) for cell, kind in zip(cells, kinds, strict=True)]
    return kinds


def _kind(cell: str, before: str) -> str:
    if cell.startswith(("[", "(")):
        return _VECTOR
    if before == _VECTOR:
        return _TEXT
    if cell.lstrip("+-").isdecimal():
        return before if len(cell) <= _EXACT else _TEXT
    if not _is_number(cell):
        return _TEXT
    return before if cell.lower() in _TRUE + _FALSE else _FLOAT


class _Columns:
    """Collects rows."""

    def __init__(self, path: Path, begins: Start, kinds: list[str]) -> None:
        self.path, self.begins, self.kinds = path, begins, kinds
        self.parts: list[list[np.ndarray]] = [[] for _ in kinds]
        self.codes: list[dict[str, int]] = [{} for _ in kinds]
        self.rows = self.bytes = 0

    def add_numbers(self, lines: list[str]) -> None:
        """Lines that most likely hold numbers alone."""
        if not lines:
            return
        try:
            found = np.loadtxt(lines, np.float64, delimiter=self.begins.delimiter, ndmin=2, comments=None)
        except ValueError:
            found = np.empty((0, 0))
        if found.shape != (len(lines), len(self.kinds)):  # a cell is empty, or is no number
            self.add(_rows(lines, self.begins, self.path))
            return
        self._append(list(found.T.copy()))

    def add(self, rows: Iterator[list[str]]) -> None:
        """Rows of cells of any kind."""
        while chunk := list(itertools.islice(rows, 10_000)):
            cells = zip(*chunk, strict=True)
            self._append([self._column(i, column) for i, column in enumerate(cells)])

    def table(self) -> TextTable:
        """All that was collected."""
        columns = [self._whole(i) for i in range(len(self.kinds))]
        texts = {i: self._first_text(i, columns[i]) for i, kind in enumerate(self.kinds) if kind == _TEXT}
        return TextTable(self.begins.names, columns, texts, self.rows)

    def _first_text(self, i: int, codes: np.ndarray) -> tuple[int, str]:
        cell = next((cell for cell in self.codes[i] if not _is_number(cell.strip())), next(iter(self.codes[i])))
        return int(np.argmax(codes == self.codes[i][cell])) + 1, cell

    def _append(self, columns: list[np.ndarray]) -> None:
        for i, values in enumerate(columns):
            self.parts[i].append(values)
            self.bytes += values.nbytes
        self.rows += len(columns[0])
        if self.bytes > (most := apart.most_bytes(self.path)):
            raise UserError(f"{self.path}: takes more than {most >> 20} MB in memory ({apart.EXPANSION} allows more)")

    def _column(self, i: int, cells: Sequence[str]) -> np.ndarray:
        if self.kinds[i] == _TEXT:
            codes = self.codes[i]
            return np.array([codes.setdefault(cell, len(codes)) for cell in cells], np.int64)
        parse = _vector if self.kinds[i] == _VECTOR else _number
        found = []
        for row, cell in enumerate(cells, self.rows + 1):
            try:
                found.append(parse(cell.strip()))
            except ValueError:
                name = self.begins.names[i] if self.begins.names else None
                said = f"{self._name(i)}, row {row}: expected a {self.kinds[i]}, found '{shortened(cell, 40)}'"
                raise UserError(f"{self.path}: {said}{cells_.hint(cell, name)}") from None
        try:
            return np.array(found, np.float64)
        except ValueError:
            raise UserError(f"{self.path}: {self._name(i)}: expected lists of one length, found several") from None

    def _whole(self, i: int) -> np.ndarray:
        parts = self.parts[i]
        if any(part.shape[1:] != parts[0].shape[1:] for part in parts):
            raise UserError(f"{self.path}: {self._name(i)}: expected lists of one length, found several")
        values = np.concatenate(parts) if parts else np.zeros(0)
        self.parts[i] = []
        whole = self.kinds[i] == _INTEGER and bool((np.abs(values) < 10.0**_EXACT).all())
        return values.astype(np.int64) if whole and (values == np.round(values)).all() else values

    def _name(self, i: int) -> str:
        return f"column '{self.begins.names[i]:.60}'" if self.begins.names else f"column {i}"


def _number(cell: str) -> float:
    if cell.lower() in _TRUE + _FALSE:
        return float(cell.lower() in _TRUE)
    if "_" in cell:  # which Python reads as a number
        raise ValueError
    return float(cell or "nan")


def _vector(cell: str) -> list[float]:
    """`[0.5, 1]`, and as NumPy prints an array of one dimension: `[0.5 1. ]`."""
    inner = cell.removeprefix("array(").rstrip(")").strip()
    if not (inner.startswith(("[", "(")) and inner.endswith("]")) and not cell.startswith("("):
        raise ValueError
    return [_number(part) for part in re.split(r"[,\s]+", inner.strip("[]() ,\n")) if part]
