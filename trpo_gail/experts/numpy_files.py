"""NumPy's files of one array (`.npy`), read as an archive's are (`npz`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import apart, npz

MAGIC = b"\x93NUMPY"


def holds(path: Path) -> bool:
    """Whether a file begins as one of them does."""
    try:
        with open(path, "rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read(path: Path) -> np.ndarray:
    """The array, of numbers or of objects. Raises UserError if it is damaged, or claims too much."""
    where = f"{path}: the array"
    with open(path, "rb") as stream:
        column = npz.Column(stream, where, apart.most_bytes(path))
        if not column.shape and not column.dtype.hasobject:
            raise UserError(f"{where}: expected rows, found one value")
        return column.whole()
