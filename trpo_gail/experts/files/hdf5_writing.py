"""Writing HDF5 so that a file is complete or not there, and that the same content gives the same bytes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from trpo_gail.errors import UserError
from trpo_gail.experts.streams import Part, Rows, slices
from trpo_gail.system import whole_file

_MORE = 8 << 20  # bytes that the disk must take beside those that are about to be written
_BESIDE = 1 << 14  # bytes that the HDF5 library writes beside the values of a slice, at most
_left: dict[int, int] = {}  # of what the disk took when it was asked, by a file's HDF5 number


@contextmanager
def writing(path: str | Path, called: str | Path | None = None) -> Iterator[h5py.File]:
    """An empty file, which is at `path` after the block; messages call it `called`.

    Atomic: `path` is what it was, or complete. A missing folder and a full disk are a UserError.
    """
    try:
        with whole_file.replacing(Path(path)) as part, h5py.File(part, "w") as file:
            _left.pop(file.id.id, None)
            yield file
            _require_space(file, _MORE)
    except (OSError, RuntimeError) as error:
        refused = error if isinstance(error, OSError) else error.__context__  # as h5py closes the file, it fails again
        if not isinstance(refused, OSError):
            raise
        reason = os.strerror(refused.errno) if refused.errno else refused.strerror
        raise UserError(f"{called or path}: cannot be written: {reason}") from refused


def put(group: h5py.Group, name: str, values: Rows, **options: Any) -> None:
    """Write a dataset slice by slice, compressed by gzip; of records a group with a dataset for each part.

    The bytes are those of a dataset that is written at once.
    """
    if values.dtype.names is not None:
        inner = group.create_group(name)
        for part in values.dtype.names:
            put(inner, part, Part(values, part), **options)
        return
    made = group.create_dataset(name, values.shape, values.dtype, compression="gzip", shuffle=True, **options)
    for rows in slices(values, made.chunks[0]):
        some = values[rows]
        _require_space(made.file, some.nbytes)
        if some.size:
            made[rows] = some


def _require_space(file: h5py.File, size: int) -> None:
    """Raise OSError unless the disk takes that many bytes more: the HDF5 library crashes if it does not.

    The disk is asked for `_MORE` at once, or small datasets would take longer than they need.
    """
    left = _left.get(number := file.id.id, 0) - size - _BESIDE
    if left < 0 and hasattr(os, "posix_fallocate"):
        _ask(file.id.get_vfd_handle(), size + _BESIDE + _MORE)
        left = _MORE
    _left[number] = left


def _ask(descriptor: int, size: int) -> None:
    now = os.fstat(descriptor).st_size
    try:
        os.posix_fallocate(descriptor, now, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system that cannot be asked
            raise
    finally:
        os.ftruncate(descriptor, now)
