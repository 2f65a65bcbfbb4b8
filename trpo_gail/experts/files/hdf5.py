"""Reading HDF5 that somebody else wrote: whatever is wrong with it becomes one UserError naming file, field and hope.

Files are opened read-only, read to memory and closed; nothing in them is executed or unpickled. Their structure is
looked at in a process apart before (`apart`), and what they claim to hold is compared with a limit before it is read.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trpo_gail.errors import UserError, listed, shortened, spelled
from trpo_gail.experts import numbers, structured
from trpo_gail.experts.files import apart, foreign

# Filters by their registered numbers. hdf5plugin, a package of their plugins, has those whose name stands first.
_PLUGIN = {
    307: "bzip2", 32001: "Blosc", 32004: "LZ4", 32008: "Bitshuffle", 32013: "ZFP", 32015: "Zstandard", 32017: "SZ",
    32018: "FCIDECOMP", 32024: "SZ3", 32026: "Blosc2", 32028: "SPERR",
}  # fmt: skip
_OTHERS = {4: "SZIP", 305: "LZO"}

_INNER = ("next", "info", "infos", "env_infos")  # what a step led to, and what its environment said
_A_ROW = 32  # bytes
MOST_PARTS = 200  # of an observation
_DEEPEST = 20
_ANY = tuple(range(1, 10))  # dimensions
_claims: dict[int, int] = {}  # bytes that were read of each open file, by its HDF5 number


@contextmanager
def reading(path: str | Path) -> Iterator[h5py.File]:
    """Open `path` read-only; any failure, now or while its datasets are read, is a UserError naming it."""
    require_file(path)
    if not h5py.is_hdf5(path):
        kind = foreign.kind(path)
        raise UserError(f"{path}: not an HDF5 file" + (f" but {kind}" if kind else ""))
    apart.look(path)
    try:
        # best-effort: file systems without locks (many clusters' home folders) can be read as well.
        with h5py.File(path, "r", locking="best-effort") as file:
            _claims[number := file.id.id] = 0
            try:
                yield file
            finally:
                del _claims[number]
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{path}: does not fit into memory: {shortened(str(error), 100)}") from error
    except (OSError, RuntimeError, KeyError) as error:
        text = shortened(str(error), 100)
        if "unable to lock" in str(error):
            raise UserError(f"{path}: locked by a process that is writing it; try again when it is done") from error
        raise UserError(f"{path}: damaged or truncated HDF5, expected a complete file: {text}") from error


def is_one(path: str | Path) -> bool:
    """Whether a file begins as HDF5 does."""
    return bool(h5py.is_hdf5(path))


def names(path: str | Path) -> set[str]:
    """What stands at the top of an HDF5 file, or in the groups `_INNER` there, as `next/reward`; nothing of another file.

    Raises UserError if it is damaged.
    """
    if Path(path).is_dir() or not h5py.is_hdf5(path):
        return set()
    with reading(path) as file:
        groups = [name for name in _INNER if file.get(name, getclass=True) is h5py.Group]
        return {*members(file), *(f"{name}/{inner}" for name in groups for inner in members(file[name]))}


def members(group: h5py.Group) -> list[str]:
    """The names in a group, sorted; without those that are no text, which h5py gives as bytes."""
    return sorted(name for name in group if isinstance(name, str))


def shapes(group: h5py.Group) -> dict[str, tuple[int, ...]]:
    """Shapes of the datasets in a group, by their names."""
    held = {name: group.get(name) for name in members(group)}
    return {name: tuple(found.shape or ()) for name, found in held.items() if isinstance(found, h5py.Dataset)}


def require_file(path: str | Path) -> None:
    """Raise UserError, which says what is there, unless `path` is a file that can be read and holds something."""
    if Path(path).is_dir():
        raise UserError(f"{path}: a folder, expected a file")
    if Path(path).is_symlink() and not Path(path).exists():
        raise UserError(f"{path}: a link to {os.readlink(path)}, which does not exist")
    if Path(path).exists() and not Path(path).is_file():
        raise UserError(f"{path}: a pipe or a device, expected a file")
    try:
        with open(path, "rb") as stream:
            empty = not stream.read(1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if empty:
        raise UserError(f"{path}: an empty file")


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hex; of a folder that of its files' names and checksums, in order."""
    if Path(path).is_dir():
        files = sorted(file for file in Path(path).rglob("*") if file.is_file())
        lines = [f"{sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files]
        return hashlib.sha256(spelled("".join(lines)).encode()).hexdigest()
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# --- Datasets -----------------------------------------------------------------------------------------------------


def array(file: h5py.Group, path: str | Path, name: str, kinds: str, shape: str, ndim: tuple[int, ...]) -> np.ndarray:
    """All of `column`."""
    return column(file, path, name, kinds, shape, ndim)[:]


def column(file: h5py.Group, path: str | Path, name: str, kinds: str, shape: str, ndim: tuple[int, ...]) -> Column:
    """The dataset `name`, of one of the `kinds`, of which slices can be read; `shape` says what was expected.

    Raises UserError if it is missing, no dataset, of other dimensions or another kind, or claims too much.
    """
    found, where = _dataset(file, path, name, shape), f"{path}: dataset '{name}'"
    dtype = _dtype(found)
    numbers.check_kind(dtype, found.shape, where, kinds, shape, ndim)
    assert dtype is not None
    check_claim(file, path, where, found.shape, dtype.itemsize)
    return Column(file, name, found, dtype, where)


class Column:
    """A dataset whose rows come as `numbers.good` gives them. It is open only while it is read, or files may hold many.

    Reading raises UserError if it needs a filter that is not installed, or holds what `numbers.good` refuses.
    """

    def __init__(self, group: h5py.Group, name: str, found: h5py.Dataset, stored: np.dtype, where: str) -> None:
        self._group, self._name, self._stored, self._where = group, name, stored, where
        self.shape: tuple[int, ...] = found.shape
        self.dtype = numbers.good_dtype(stored)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """One value if there are no rows."""
        if not self.shape:
            return numbers.good(np.asarray(self._group[self._name][()]), self._where)
        start, stop, _ = rows.indices(self.shape[0])
        values = _read(self._group[self._name], self._stored, self._where, start, stop)
        return numbers.good(values, self._where, start)


def rows(file: h5py.Group, path: str | Path, name: str, kinds: str, shape: str, ndim: tuple[int, ...]) -> np.ndarray:
    """All of `columns`."""
    return columns(file, path, name, kinds, shape, ndim)[:]


def columns(
    file: h5py.Group, path: str | Path, name: str, kinds: str, shape: str, ndim: tuple[int, ...]
) -> Column | Records:
    """The dataset `name` as `column` gives it, or a group of datasets, and of such groups, as records of its parts.

    Parts may have any number of dimensions. Raises UserError as `column` does, for a group without parts or with more
    than `MOST_PARTS`, and for parts of several lengths.
    """
    if not isinstance(file.get(name), h5py.Group):  # the class alone raises if a link leads nowhere
        return column(file, path, name, kinds, shape, ndim)
    inside = members(file[name])
    if not 0 < len(inside) <= MOST_PARTS:
        raise UserError(f"{path}: '{name}': expected 1 to {MOST_PARTS} arrays in a group, found {len(inside)}")
    deep = name.count("/") > _DEEPEST
    if deep:
        raise UserError(f"{path}: '{name:.60}': expected at most {_DEEPEST} groups within groups, found more")
    found = {
        member: columns(file, path, f"{name}/{member}", numbers.FLAGS + "f", "[rows, ...]", _ANY) for member in inside
    }
    lengths = {member: part.shape[0] for member, part in found.items()}
    if len(set(lengths.values())) > 1:
        said = listed(f"{member} {length}" for member, length in lengths.items())
        raise UserError(f"{path}: '{name}': expected as many rows of each part, found {said}")
    return Records(found)


class Records:
    """Columns side by side, whose rows are records."""

    def __init__(self, parts: dict[str, Column | Records]) -> None:
        self._parts = parts
        self.shape: tuple[int, ...] = next(iter(parts.values())).shape[:1]
        self.dtype: np.dtype = np.dtype([(name, part.dtype, part.shape[1:]) for name, part in parts.items()])

    def __getitem__(self, rows: slice) -> np.ndarray:
        return structured.packed({name: part[rows] for name, part in self._parts.items()})


def check_claim(file: h5py.Group, path: str | Path, where: str, shape: tuple[int, ...], size: int) -> None:
    """Raise UserError if values of `size` bytes take more than the file may expand to, with what was read of it before.

    Rows count for more than their bytes, since some numbers are made for each.
    """
    number = file.file.id.id
    claimed = _claims.get(number, 0) + math.prod(shape) * size + math.prod(shape[:1]) * _A_ROW
    if claimed > (most := apart.most_bytes(path, apart.COMPRESSED)):
        raise UserError(
            f"{where}: {list(shape)} makes it {claimed >> 20:,} MB in memory, of a file of {os.stat(path).st_size:,} "
            f"bytes; expected at most {most >> 20:,} (if it is right, set {apart.EXPANSION})"
        )
    _claims[number] = claimed


def _dataset(file: h5py.Group, path: str | Path, name: str, shape: str) -> h5py.Dataset:
    found = file.get(name)
    if found is None and (link := file.get(name, getlink=True)) is not None and not isinstance(link, h5py.HardLink):
        target = shortened(":".join(filter(None, [getattr(link, "filename", None), link.path])), 60)
        raise UserError(f"{path}: dataset '{name}' is a link to {target}, which does not exist; expected {shape}")
    if found is None:
        raise UserError(
            f"{path}: dataset '{name}' is missing, expected {shape}; the file holds {listed(members(file))}"
        )
    if not isinstance(found, h5py.Dataset):
        raise UserError(f"{path}: '{name}' is a {type(found).__name__.lower()}, expected a dataset {shape}")
    return found


def _dtype(found: h5py.Dataset) -> np.dtype | None:
    """Numpy's name for the type of a dataset: for an integer of a width that it lacks, int64; None if it has none."""
    try:
        return found.dtype
    except (TypeError, ValueError):
        return np.dtype(np.int64) if isinstance(found.id.get_type(), h5py.h5t.TypeIntegerID) else None


def _read(found: h5py.Dataset, dtype: np.dtype, where: str, start: int, stop: int) -> np.ndarray:
    """Rows of a dataset. If a filter is missing, it is looked for in hdf5plugin; a UserError names it."""
    try:
        return _values(found, dtype, start, stop)
    except OSError:
        if not (missing := _missing_filters(found)):
            raise
    try:
        import hdf5plugin  # noqa: F401  (it registers what it has)

        return _values(found, dtype, start, stop)
    except (ImportError, OSError) as error:
        if not (missing := _missing_filters(found)):
            raise
        names = listed(f"{name} ({number})" for number, name in missing.items())
        known = all(number in _PLUGIN for number in missing)
        hope = "pip install hdf5plugin" if known else "write the file anew, with gzip, on a machine that has it"
        raise UserError(f"{where} is compressed by the HDF5 filter {names}, which is not installed; {hope}") from error


def _values(found: h5py.Dataset, dtype: np.dtype, start: int, stop: int) -> np.ndarray:
    values = np.empty((stop - start, *found.shape[1:]), dtype)
    if not values.size:
        return values
    if len(values) == len(found):
        found.id.read(h5py.h5s.ALL, h5py.h5s.ALL, values)  # converts
        return values
    wanted = found.id.get_space()
    wanted.select_hyperslab((start, *[0] * (values.ndim - 1)), values.shape)
    found.id.read(h5py.h5s.create_simple(values.shape), wanted, values)
    return values


def _missing_filters(found: h5py.Dataset) -> dict[int, str]:
    """Numbers and names of the filters of a dataset that this process lacks."""
    properties = found.id.get_create_plist()
    filters = [properties.get_filter(i) for i in range(properties.get_nfilters())]
    names = _PLUGIN | _OTHERS
    return {
        number: names.get(number) or shortened(text.decode("utf-8", "replace"), 40) or "unknown"
        for number, _, _, text in filters
        if not h5py.h5z.filter_avail(number)
    }


# --- Attributes ---------------------------------------------------------------------------------------------------


def attribute(file: h5py.Group, path: str | Path, name: str) -> Any:
    """An attribute's value as h5py gives it, an array of one as its element; None if absent or empty."""
    try:
        value = file.attrs.get(name)
    except (OSError, TypeError, ValueError) as error:
        raise UserError(f"{path}: attribute '{name}': of a type that is not read") from error
    if isinstance(value, np.ndarray) and value.size == 1:
        return value.reshape(-1)[0]
    return None if isinstance(value, h5py.Empty) else value


def text_attribute(file: h5py.Group, path: str | Path, name: str) -> str | None:
    """A text attribute, whether its writer stored bytes or str; None if absent."""
    value = attribute(file, path, name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise UserError(f"{path}: attribute '{name}': expected text, found {type(value).__name__}")


def json_attribute(file: h5py.Group, path: str | Path, name: str) -> Any:
    """A JSON attribute, parsed; None if absent."""
    text = text_attribute(file, path, name)
    try:
        return None if text is None else json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: attribute '{name}': expected JSON, found {text!r:.60}") from error
