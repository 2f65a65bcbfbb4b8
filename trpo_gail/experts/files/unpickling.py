"""Pickles as plain data: numbers, texts, containers, arrays, and records in place of all other objects.

Nothing that a pickle names is imported or called (`pickle_machine`). Arrays and tensors are built here from checked
parts (`pickle_makers`, `torch_tensors`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, shortened
from trpo_gail.experts.files import apart
from trpo_gail.experts.files.pickle_machine import Kind, Machine, Record
from trpo_gail.experts.files.torch_tensors import WITH_TENSORS

__all__ = ["Kind", "Record", "attributes", "check_size", "is_pickle", "load", "loads"]

_MOST = 256 * 2**20  # bytes that a pickle makes, of which no file's size is known
_JOBLIB = b"NumpyArrayWrapper"  # which the bytes of an array follow, between the instructions
_DEEPEST = 100  # containers within containers
# Of protocols 0 and 1: a list, a dict, or a class, within any number of tuples.
_OLD = re.compile(rb"\(*([ld]p\d+\n|[\]}]q|c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n[pq(])")


def is_pickle(start: bytes) -> bool:
    """Whether a file that begins like this may be a pickle."""
    return start[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05") or _OLD.match(start) is not None


def load(path: Path) -> Any:
    """What the pickle in a file holds; of several, one behind the other, a list. Raises UserError as `loads` does."""
    return loads(path.read_bytes(), str(path), apart.most_bytes(path), every=True)


def loads(content: bytes, where: str, most: int = _MOST, every: bool = False) -> Any:
    """What a pickle holds; with `every`, a list of what is in several, one behind the other. Raises UserError, which begins
    with `where`, if it is damaged, or makes over `most` bytes."""
    try:
        machine = Machine(content, most, WITH_TENSORS)
        found = [machine.load()]
        while every and machine.at < len(content):
            found.append(machine.load())
        return found[0] if len(found) == 1 else found
    except Exception as error:  # a damaged pickle raises whatever the instruction that is hit raises
        if _JOBLIB in content:
            do = "pickle.dump(joblib.load(FILE), open(OUT, 'wb')) makes a pickle"
            raise UserError(f"{where}: written by joblib, which is not read; {do}") from error
        said = str(error) if isinstance(error, ValueError) else repr(error)
        raise UserError(f"{where}: a damaged pickle: {shortened(said, 120)}") from error


def attributes(record: Any) -> Mapping[str, Any]:
    """Those of a record's object, by name; none of anything else."""
    state = getattr(record, "state", None)
    if isinstance(state, tuple) and len(state) == 2:  # of an object with slots
        state = (state[0] or {}) | (state[1] or {}) if all(isinstance(part, dict | None) for part in state) else None
    return state if isinstance(state, dict) else {}


def check_size(value: Any, most: int, where: str) -> None:
    """Raise UserError if containers hold themselves, are too deep, or would take over `most` bytes as a copy.

    A few bytes of a pickle can make a list that holds a list twice, that holds a list twice, and so on.
    """
    try:
        size = _size(value, {}, 0)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: {error}") from error
    if size > most:
        said = f"{size >> 20:,} MB" if size < 1 << 60 else "an absurd number of bytes"
        raise UserError(f"{where}: {said} unpacked, expected at most {most >> 20} MB ({apart.EXPANSION})")


def _size(value: Any, sizes: dict[int, int], depth: int) -> int:
    """Bytes, as if nothing were shared. `sizes` holds those of containers; -1 of those that are not done."""
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return int(value.nbytes) + 64
    if isinstance(value, (str, bytes)):
        return len(value) + 48
    if not isinstance(value, (list, tuple, dict, Record, np.ndarray)):
        return 32
    if depth > _DEEPEST:
        raise ValueError(f"more than {_DEEPEST} containers within containers")
    if (known := sizes.get(id(value))) is not None:
        if known < 0:
            raise ValueError("a container that holds itself")
        return known
    sizes[id(value)] = -1
    sizes[id(value)] = size = 64 + sum(_size(part, sizes, depth + 1) + 8 for part in _parts(value))
    return size


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, Record):
        return [value.arguments, value.state, value.items, value.entries]
    return list(value.reshape(-1)) if isinstance(value, np.ndarray) else list(value)
