"""NumPy's files (`.npy`) and archives of them (`.npz`): what they claim is compared with a limit before it is made.

Arrays of objects are refused here, since reading them would run a pickle.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO

import numpy as np

from trpo_gail.errors import UserError, shortened

MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000


def dtype_of(path: Path) -> np.dtype | None:
    """Of a `.npy` file; None if it is no such file, or its beginning is damaged."""
    try:
        with open(path, "rb") as stream:
            return _header(stream)[1] if stream.read(len(MAGIC)) == MAGIC and not stream.seek(0) else None
    except Exception:  # a damaged beginning raises what NumPy's parser raises
        return None


def read(path: Path) -> np.ndarray:
    """The array of a `.npy` file. Raises UserError if it is damaged, or of objects."""
    try:
        with open(path, "rb") as stream:
            return _parsed(stream, path.stat().st_size, f"{path}: the array")
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path}: damaged: {shortened(str(error) or type(error).__name__, 80)}") from error


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    parse = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = parse(stream, max_header_size=_LONGEST_HEADER)
    return shape, dtype


def _parsed(stream: IO[bytes], size: int, where: str) -> np.ndarray:
    """The array of a file of `size` bytes."""
    shape, dtype = _header(stream)
    if dtype.hasobject:
        raise UserError(f"{where}: expected numbers, found objects, which need a pickle to be read")
    if math.prod(int(n) for n in shape) * dtype.itemsize > size - stream.tell():
        raise UserError(f"{where}: {list(shape)} of {shortened(str(dtype), 60)} claims more than its {size:,} bytes")
    stream.seek(0)
    values: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
    return values
