"""Where the results of a study's cells are: cells/NAME.json, a file each, or packed into cells.jsonl, a line each.

A cell that ends makes a file of its own, for processes and machines write at once. Packing is a step of its own, for
hundreds of small files are a burden to keep. Whoever reads takes both; if a cell has both, its own file counts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError
from trpo_gail.runs.run_folder import read_json
from trpo_gail.system import typed, whole_file

CELLS, PACKED = "cells", "cells.jsonl"
NAME = "cell"  # the field of a packed line that says whose it is


@dataclass(frozen=True)
class Record:
    """What is stored of a cell."""

    cell: str  # its name
    source: str  # file, and line of it, for messages
    values: dict[str, Any]


def path(folder: Path, cell: str) -> Path:
    """Where a cell's own file is, or will be."""
    return folder / CELLS / f"{cell}.json"


def write(folder: Path, cell: str, result: Any) -> None:
    """Write the fields of a dataclass, one a line, into the cell's own file, whole or not at all."""
    file = path(folder, cell)
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in dataclasses.asdict(result).items()]
    whole_file.write(file, ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def find(folder: Path, cell: str) -> Record | None:
    """A cell's record; None if there is no result. Raises UserError for a damaged file."""
    file = path(folder, cell)
    return _own(file) if file.exists() else _packed(folder).get(cell)


def read_all(folder: Path) -> list[Record]:
    """All records, by name. Raises UserError for a damaged file."""
    own = {file.stem: _own(file) for file in (folder / CELLS).glob("*.json")}
    found = _packed(folder) | own
    return [found[cell] for cell in sorted(found)]


def pack(folder: Path, cells: Collection[str]) -> str:
    """Move the own files of these cells into the packed one; what to print about it.

    Raises UserError for a damaged file, OSError if something cannot be written: then no cell has lost its result.
    """
    with alone(folder):
        contents = {file: file.read_bytes() for cell in cells if (file := path(folder, cell)).exists()}
        found = _packed(folder) | {file.stem: _own(file) for file in contents}
        if contents:
            lines = [json.dumps({NAME: cell} | found[cell].values) + "\n" for cell in sorted(found)]
            whole_file.write(folder / PACKED, "".join(lines).encode())
        for file, content in contents.items():
            if file.read_bytes() == content:  # or else another result has come meanwhile
                file.unlink()
        with contextlib.suppress(OSError):
            (folder / CELLS).rmdir()
    return f"{folder / PACKED}: {len(found)} results, {len(contents)} of them packed now"


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other process packs these results, or writes tables of them, meanwhile. Of two that pack, one would write without
    what the other has removed; of two that write tables, the last could be the one that has read fewer results."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a filesystem without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _own(file: Path) -> Record:
    return Record(file.stem, str(file), read_json(file))


def _packed(folder: Path) -> dict[str, Record]:
    """By name; empty without a packed file."""
    file = folder / PACKED
    if not file.exists():
        return {}
    now = file.stat()
    return _lines(file, (now.st_ino, now.st_mtime_ns, now.st_size))


@lru_cache(maxsize=1)
def _lines(file: Path, version: tuple[int, ...]) -> dict[str, Record]:
    """A packed file's records, read once a version: the runner asks for each cell by itself."""
    found: dict[str, Record] = {}
    for number, line in enumerate(file.read_bytes().split(b"\n"), 1):
        if line.strip():
            record = _parsed(line, f"{file}, line {number}")
            if record.cell in found:
                raise UserError(
                    f"{record.source}: cell {record.cell} has another line already, {found[record.cell].source}"
                )
            found[record.cell] = record
    return found


def _parsed(line: bytes, source: str) -> Record:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: no JSON, or no UTF-8
        raise UserError(f"{source}: not readable as JSON ({str(error)[:100]})") from error
    typed.check(values, dict, source)
    cell = values.pop(NAME, None)
    typed.check(cell, str, f"{source}: field {NAME!r}")
    return Record(cell, source, values)
