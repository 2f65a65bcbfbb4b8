"""NumPy's files of one array (`.npy`), read as an archive's are (`npz`)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts.files import apart, npz

_HEADER = 1000  # bytes
_OBJECTS = re.compile(rb"'descr': *'\|?O")


def holds(path: Path) -> bool:
    """Whether it begins as an array of numbers or texts does; one of objects is a pickle."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(_HEADER)
    except OSError:
        return False
    return start.startswith(npz.MAGIC) and not _OBJECTS.search(start)


def read(path: Path) -> np.ndarray:
    """The array. Raises UserError if it is damaged, or claims too much."""
    where = f"{path}: the array"
    with open(path, "rb") as stream:
        column = npz.Column(stream, where, apart.most_bytes(path))
        if not column.shape and not column.dtype.hasobject:
            raise UserError(f"{where}: expected rows, found one value")
        values = column.whole()
        if behind := len(stream.read()):
            raise UserError(f"{where}: {behind} bytes follow behind it, expected one array in a file")
        return values
