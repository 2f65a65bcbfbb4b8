"""NumPy's files (`.npy`) and archives of them (`.npz`): what they claim is compared with a limit before it is made.

Arrays of objects are refused here, since reading them would run a pickle.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from trpo_gail.errors import UserError, shortened
from trpo_gail.experts import apart

MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000


def dtype_of(path: Path) -> np.dtype | None:
    """Of a `.npy` file; None if it is no such file, or its beginning is damaged."""
    try:
        with open(path, "rb") as stream:
            return _header(stream)[1] if stream.read(len(MAGIC)) == MAGIC and not stream.seek(0) else None
    except Exception:  # a damaged beginning raises what NumPy's parser raises
        return None


def names(path: Path) -> list[str]:
    """Names of an archive's arrays; nothing of another file."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return []
    return [name.removesuffix(".npy") for name in found if name.endswith(".npy")]


def read(path: Path) -> np.ndarray:
    """The array of a `.npy` file. Raises UserError if it is damaged, or of objects."""
    try:
        with open(path, "rb") as stream:
            return _parsed(stream, path.stat().st_size, f"{path}: the array")
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path}: damaged: {shortened(str(error) or type(error).__name__, 80)}") from error


def member(path: Path, name: str) -> np.ndarray:
    """The array of an archive that has this name. Raises UserError if it is damaged, too large, or of objects."""
    where, most = f"{path}: array '{name:.60}'", apart.most_bytes(path)
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(f"{name}.npy").file_size
            if size > most:
                raise UserError(
                    f"{where}: {size >> 20} MB unpacked, expected at most {most >> 20} MB ({apart.EXPANSION})"
                )
            with archive.open(f"{name}.npy") as stream:
                content = stream.read(size + 1)
        return _parsed(io.BytesIO(content), len(content), where)
    except UserError:
        raise
    except Exception as error:  # a damaged archive raises what its compression raises
        raise UserError(f"{where}: damaged: {shortened(str(error) or type(error).__name__, 80)}") from error


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
