"""Columns of Arrow and Parquet files, read in a process apart: a few changed bytes can crash their library.

`arrow_program` is what it runs, with limits on time and memory; what comes back is numbers alone. N rows of a table.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from trpo_gail.errors import UserError, shortened
from trpo_gail.experts.files import apart, foreign, hdf5

_PROGRAM = Path(__file__).with_name("arrow_program.py")
_LONGEST_LINE = 16 << 20

_helper: list[subprocess.Popen[bytes]] = []  # the one that runs, if one does


@dataclass(frozen=True)
class Column:
    """Numbers of a table's column."""

    values: np.ndarray  # [N, ...]; of lists [all elements, ...]
    lengths: np.ndarray | None  # [N] elements of each list; None if the column holds no lists
    is_text: bool = False  # equal numbers stand for equal texts

    @property
    def rows(self) -> np.ndarray | None:
        """[N, ...], of lists [N, elements, ...]; None if the lists have several lengths."""
        if self.lengths is None:
            return self.values
        each = int(self.lengths[0]) if len(self.lengths) else 0
        if (self.lengths != each).any():
            return None
        return self.values.reshape(len(self.lengths), each, *self.values.shape[1:])

    def lists(self) -> list[np.ndarray]:
        """An array [elements, ...] for each row of a column of lists."""
        assert self.lengths is not None
        return np.split(self.values, np.cumsum(self.lengths)[:-1])


@dataclass(frozen=True)
class Table:
    """What could be read of a table."""

    columns: Mapping[str, Column]
    skipped: Sequence[str]  # names of columns that are no numbers
    rows: int


def is_table(path: Path) -> bool:
    """Whether a file begins as Parquet or Arrow does, by its first bytes."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(8)
    except OSError:
        return False
    return start.startswith((b"PAR1", b"ARROW1")) or (start[:4] == b"\xff\xff\xff\xff" and len(start) == 8)


def require(path: str | Path) -> None:
    """Raise UserError if the library is missing."""
    if importlib.util.find_spec("pyarrow") is None:
        raise UserError(f"{path}: tables of Arrow and Parquet need pyarrow, which is missing; pip install pyarrow")


def read(paths: Sequence[Path], path: str | Path) -> Table:
    """The table of one file, or of several of equal columns one after the other; errors call it `path`.

    Raises UserError if pyarrow is missing, for damage, and for more than `apart.most_bytes`.
    """
    for part in paths:
        hdf5.require_file(part)
        if not is_table(part) and (kind := foreign.kind(part)) is not None:
            raise UserError(f"{part}: not a table (Parquet or Arrow) but {kind}")
    require(path)
    most = sum(apart.most_bytes(part) for part in paths)
    question = json.dumps({"paths": [str(part.absolute()) for part in paths], "bytes": most}).encode() + b"\n"
    helper = _asked(question)
    assert helper.stdout is not None
    try:
        answer = _answer(helper.stdout, most)
    except EOFError:
        raise UserError(f"{path}: {_death(_end())}") from None
    except BaseException:
        _end()
        raise
    if isinstance(answer, str):
        hint = f" ({apart.EXPANSION} allows more)" if answer.endswith("MB in memory") else ""
        raise UserError(f"{path}: {shortened(answer, 170)}{hint}")
    return answer


def _asked(question: bytes) -> subprocess.Popen[bytes]:
    """The helper, which has got a question; it stays for the next one, and ends with this process."""
    if _helper and _helper[0].poll() is None:
        try:
            return _told(_helper[0], question)
        except OSError:  # it is ending
            pass
    _end()
    helper = subprocess.Popen(
        [sys.executable, "-P", str(_PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=apart.environment(),
        start_new_session=True,
    )
    _helper.append(helper)
    atexit.register(_end)
    with contextlib.suppress(OSError):  # it has ended, and how it did says why
        _told(helper, question)
    return helper


def _told(helper: subprocess.Popen[bytes], question: bytes) -> subprocess.Popen[bytes]:
    assert helper.stdin is not None
    helper.stdin.write(question)
    helper.stdin.flush()
    return helper


def _end() -> int:
    """End the helper, if one is there; how it ended."""
    return apart.end(_helper.pop()) if _helper else 0


def _answer(stream: IO[bytes], most: int) -> Table | str:
    """What the helper found, or what it refuses. Raises EOFError if it ended before."""
    line = stream.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise EOFError
    said = json.loads(line)
    if "refused" in said:
        return str(said["refused"])
    columns, left = {}, most
    for facts in said["columns"]:
        values = _array(stream, facts["dtype"], facts["shape"], left)
        lengths = _array(stream, "<i8", [said["rows"]], most) if facts["lists"] else None
        left -= values.nbytes
        columns[str(facts["name"])] = Column(values, lengths, facts["text"])
    return Table(columns, said["skipped"], said["rows"])


def _array(stream: IO[bytes], dtype: str, shape: Sequence[int], most: int) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.hasobject or int(np.prod(shape, dtype=float)) * kind.itemsize > most:
        raise EOFError
    values = np.empty(shape, kind)
    wanted = memoryview(values.reshape(-1).view(np.uint8).data if values.size else b"")
    while len(wanted):
        if not (got := stream.readinto(wanted)):  # type: ignore[attr-defined]
            raise EOFError
        wanted = wanted[got:]
    return values


def _death(code: int) -> str:
    if code in (-signal.SIGXCPU, -signal.SIGALRM, -signal.SIGKILL):
        return "damaged table, which keeps pyarrow busy without an end"
    return f"damaged table, on which pyarrow crashes ({'exit code' if code > 0 else 'signal'} {abs(code)})"
