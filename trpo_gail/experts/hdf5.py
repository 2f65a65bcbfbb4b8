"""Reading HDF5 that somebody else wrote: whatever is wrong with it becomes one UserError naming file, field and hope.

Files are opened read-only, read to memory and closed; nothing in them is executed or unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trpo_gail.errors import UserError

FLOATS, INTEGERS, FLAGS = "f", "iu", "biu"  # numpy's letters for kinds of dtype
_WORDS = {"f": "floats", "iu": "integers", "biu": "booleans", "fiu": "numbers"}


@contextmanager
def reading(path: str | Path) -> Iterator[h5py.File]:
    """Open `path` read-only; any failure, now or while its datasets are read, is a UserError naming it."""
    _require_hdf5(path)
    try:
        # best-effort: file systems without locks (many clusters' home folders) can be read as well.
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except UserError:
        raise
    except (OSError, RuntimeError, KeyError) as error:
        text = " ".join(str(error).split())
        if "unable to lock" in text:
            raise UserError(f"{path}: locked by a process that is writing it; try again when it is done") from error
        raise UserError(f"{path}: damaged or truncated HDF5, expected a complete file: {text}") from error


def _require_hdf5(path: str | Path) -> None:
    """Say what a path is that cannot be an HDF5 file; h5py's own messages do not."""
    if Path(path).is_dir():
        raise UserError(f"{path}: a folder, expected an HDF5 file")
    try:
        with open(path, "rb") as stream:
            empty = not stream.read(1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file, expected an HDF5 file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if empty:
        raise UserError(f"{path}: an empty file, expected HDF5")
    if not h5py.is_hdf5(path):
        raise UserError(f"{path}: not an HDF5 file")


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def array(file: h5py.Group, path: str | Path, name: str, kinds: str, shape: str, ndim: tuple[int, ...]) -> np.ndarray:
    """The dataset `name`, finite and of one of the `kinds`; `shape` says in words what was expected.

    Raises UserError if it is missing, no dataset, of other dimensions or another kind, or holds NaN or infinities.
    """
    found = file.get(name)
    if found is None:
        here = ", ".join(sorted(file)) or "nothing"
        raise UserError(f"{path}: dataset '{name}' is missing, expected {shape}; the file holds {here}")
    if not isinstance(found, h5py.Dataset):
        raise UserError(f"{path}: '{name}' is a group, expected a dataset {shape}")
    wanted = _WORDS.get(kinds, "numbers")
    if found.dtype.kind not in kinds:
        raise UserError(f"{path}: dataset '{name}': expected {wanted} {shape}, found dtype {found.dtype}")
    if len(found.shape) not in ndim:
        raise UserError(f"{path}: dataset '{name}': expected {wanted} {shape}, found shape {list(found.shape)}")
    values = np.asarray(found[()])
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        where = [int(i) for i in np.argwhere(~np.isfinite(values))[0]]
        raise UserError(f"{path}: dataset '{name}': expected finite values, found {values[tuple(where)]} at {where}")
    return values


def text_attribute(file: h5py.Group, path: str | Path, name: str) -> str | None:
    """A text attribute, whether its writer stored bytes or str; None if absent."""
    value = file.attrs.get(name)
    if value is None or isinstance(value, h5py.Empty):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise UserError(f"{path}: attribute '{name}': expected text, found {type(value).__name__}")
    return value


def json_attribute(file: h5py.Group, path: str | Path, name: str) -> Any:
    """A JSON attribute, parsed; None if absent."""
    text = text_attribute(file, path, name)
    try:
        return None if text is None else json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: attribute '{name}': expected JSON, found {text!r:.60}") from error
