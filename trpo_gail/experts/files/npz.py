"""NumPy archives (`.npz`) as columns: read from the beginning on, and written, without holding an array whole.

Arrays of objects are pickles, which the restricted unpickler reads.
"""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import arrays, numbers
from trpo_gail.experts.files import apart, unpickling
from trpo_gail.experts.streams import Rows, slices
from trpo_gail.system import whole_file

_A_ROW = 32  # bytes, since some numbers are made for each row
_AT_ONCE = 1 << 20  # bytes
MAGIC = b"\x93NUMPY"
_START = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes


def members(path: Path) -> dict[str, int]:
    """Sizes of an archive's members by name; empty if it is no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {member.filename: member.file_size for member in archive.infolist()}
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return {}


@contextmanager
def reading(path: Path) -> Iterator[Archive]:
    """Open an archive. Raises UserError if it cannot be."""
    with contextlib.ExitStack() as stack:
        with _damage(f"{path}"):
            archive = stack.enter_context(zipfile.ZipFile(path))
        yield Archive(path, archive, stack)


class Archive:
    """Arrays of an archive by name."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, stack: contextlib.ExitStack) -> None:
        self._path, self._archive, self._stack = path, archive, stack

    def column(self, name: str, kinds: str, shape: str, ndim: Container[int]) -> Column:
        """An array, of one of the `kinds`; `shape` says what was expected.

        Raises UserError if it is missing, damaged, of objects that are no numbers, of another kind, or claims too much.
        """
        found = self._column(name, shape)
        found.make_numbers()
        numbers.check_kind(found.dtype, found.shape, found.where, kinds, shape, ndim)
        return found

    def whole(self, name: str) -> np.ndarray:
        """An array in full, of numbers or objects; [] of objects may be one value. Raises UserError if it is missing,
        damaged, without rows, or claims too much."""
        found = self._column(name, "an array")
        if not found.shape and not found.dtype.hasobject:
            raise UserError(f"{found.where}: expected rows, found one value")
        return found.whole()

    def value(self, name: str) -> np.ndarray:
        """The same, which may be one number, too."""
        return self._column(name, "an array").whole()

    def start(self, name: str) -> bytes:
        """The first bytes of an array's member, which its header stands in."""
        with _damage(f"{self._path}: array '{name}'"), self._archive.open(f"{name}.npy") as stream:
            return stream.read(200)

    def _column(self, name: str, shape: str) -> Column:
        where, names = f"{self._path}: array '{name}'", self._archive.namelist()
        if f"{name}.npy" not in names:
            raise UserError(f"{where} is missing, expected {shape}; found {listed(sorted(names))}")
        with _damage(where):
            member = self._archive.getinfo(f"{name}.npy")
            if member.flag_bits & 1:
                raise UserError(f"{where}: encrypted, expected an archive without a password")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UserError(f"{where}: compressed as NumPy never does (method {member.compress_type})")
            stream = self._stack.enter_context(self._archive.open(member))
        return Column(stream, where, apart.most_bytes(self._path))


class Column:
    """An array of an archive, of which slices are read one behind the other.

    Raises UserError for a claim of more than `most` bytes, and if it is damaged.
    """

    def __init__(self, stream: IO[bytes], where: str, most: int) -> None:
        self._stream, self.where, self._at = stream, where, 0
        self._whole: np.ndarray | None = None
        with _damage(where):
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            self.shape, by_columns, self.dtype = read(stream)
            if min(self.shape, default=0) < 0:
                raise ValueError("a shape below 0")
        if self.dtype.hasobject:
            self._whole = _objects(stream, where, most)
            self.shape = self._whole.shape
            return
        claimed = math.prod(self.shape) * self.dtype.itemsize + math.prod(self.shape[:1]) * _A_ROW
        if claimed > most:
            raise UserError(
                f"{where}: {claimed >> 20} MB unpacked, expected at most {most >> 20} MB ({apart.EXPANSION})"
            )
        if by_columns and len(self.shape) > 1:  # it has no rows that could be read
            self._whole = self._values(self.shape[0]).reshape(-1).reshape(self.shape, order="F")

    def make_numbers(self) -> None:
        """Numbers of objects that are all numbers, or rows of one shape. Raises UserError for others."""
        if self.dtype.hasobject and self._whole is not None:
            self._whole = arrays.array([_alone(item) for item in self._whole.tolist()], self.where)
            self.shape, self.dtype = self._whole.shape, self._whole.dtype

    def whole(self) -> np.ndarray:
        """The array in full, or its one value [] if it has no rows."""
        if self.shape:
            return self[:]
        return np.asarray(self._values(1)[0] if self._whole is None else self._whole)

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        if self._whole is not None:
            return self._whole[start:stop]
        assert start == self._at, f"row {start} is asked for after row {self._at}"
        self._at = stop
        return self._values(stop - start)

    def _values(self, rows: int) -> np.ndarray:
        with _damage(self.where):
            values = np.empty((rows, *self.shape[1:]), self.dtype)
            left = values.reshape(-1).view(np.uint8).data
            while len(left):
                part = self._stream.read(min(len(left), _AT_ONCE))
                if not part:
                    raise EOFError("it ends early")
                left[: len(part)] = part
                left = left[len(part) :]
        return values


def _alone(item: Any) -> Any:
    """The number of an array of one, which some write among plain numbers."""
    return item.reshape(-1)[0] if isinstance(item, np.ndarray) and item.size == 1 else item


def _objects(stream: IO[bytes], where: str, most: int) -> np.ndarray:
    """An array of objects, of which nothing is called. Raises UserError if it makes more than `most` bytes."""
    with _damage(where):
        content = stream.read(most)
    found = unpickling.loads(content, where, most)
    unpickling.check_size(found, most, where)
    if not isinstance(found, np.ndarray):
        raise UserError(f"{where}: expected an array of objects, found {type(found).__name__}")
    return found


def names(path: Path) -> list[str]:
    """The names of an archive's arrays; empty if it is no archive."""
    return [name.removesuffix(".npy") for name in members(path) if name.endswith(".npy")]


@contextmanager
def _damage(where: str) -> Iterator[None]:
    """What a damaged archive raises, which its compression decides, becomes a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{where}: damaged ({type(error).__name__})") from error


def write(path: Path, columns: Mapping[str, Rows]) -> None:
    """Write a compressed archive, complete or not at all. The same content gives the same bytes."""
    try:
        with (
            whole_file.replacing(path) as part,
            zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for name, column in columns.items():
                member = zipfile.ZipInfo(f"{name}.npy", _START)
                member.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(member, "w", force_zip64=True) as stream:
                    _write(stream, column)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def _write(stream: IO[bytes], column: Rows) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(column.dtype), "fortran_order": False, "shape": column.shape}
    np.lib.format.write_array_header_1_0(stream, header)
    for rows in slices(column):
        stream.write(np.ascontiguousarray(column[rows]).tobytes())
