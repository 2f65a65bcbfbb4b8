"""Tensors of PyTorch as NumPy arrays, from its files and its pickles, without PyTorch.

torch's own reader can be kept busy for ever by a pickle of its files, and allocates what they claim. Here a file's
pickle goes through the restricted machine; each tensor is a view of bytes that are there. Read are the zip files of
PyTorch 1.6 and later, and the files before, which are also what a plain pickle of a tensor holds inside.
"""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, shortened
from trpo_gail.experts.files import apart
from trpo_gail.experts.files.pickle_machine import Kind, Machine, Maker, Record
from trpo_gail.experts.files.pickle_makers import MAKERS

CALLED = "a PyTorch file"
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # how files before PyTorch 1.6 begin
_STORAGES = {
    "Float": "f4", "Double": "f8", "Half": "f2", "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1",
    "Bool": "?", "Untyped": "u1",
}  # fmt: skip
_BFLOAT = "BFloat16"
_WIDER = {"torch.uint16": "<u2", "torch.uint32": "<u4", "torch.uint64": "<u8"}  # of tensors over bytes
LACKING = "torch.Tensor of numbers that NumPy lacks"
_DIMENSIONS = 32


class Storage:
    """The numbers of tensors; `values` is None until they are read, and if they are of a kind that NumPy lacks."""

    def __init__(self, kind: Any) -> None:
        name = kind.name.rpartition(".")[2].removesuffix("Storage") if isinstance(kind, Kind) else ""
        self.wide = name == _BFLOAT
        self.dtype = np.dtype("<u2" if self.wide else _STORAGES.get(name, "u1")).newbyteorder("<")
        self.known = self.wide or name in _STORAGES
        self.values: np.ndarray | None = None

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize if self.known else 0

    def fill(self, machine: Machine, content: bytes) -> Storage:
        if self.known and len(content) % self.itemsize == 0:
            machine.pay(len(content) * (3 if self.wide else 1))
            self.values = np.frombuffer(content, self.dtype)
            if self.wide:  # the upper half of a float32
                self.values = (self.values.astype(np.uint32) << 16).view(np.float32)
        return self


# --- Makers -------------------------------------------------------------------------------------------------------


def _tensor(
    machine: Machine,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    _: Any = None,
    hooks: Any = None,
    more: Any = None,
) -> Any:
    """The numbers of a storage, if they are within it; `more` may say that they count with the other sign."""
    made = _viewed(machine, storage, offset, size, stride)
    if not (isinstance(more, dict) and more.get("neg")):
        return made
    if not isinstance(made, np.ndarray) or made.dtype.kind != "f":
        return Record(LACKING)
    machine.pay(made.nbytes)
    return -made


def _tensor_of_bytes(
    machine: Machine, storage: Any, offset: Any, size: Any, stride: Any, _: Any, hooks: Any, kind: Any, more: Any = None
) -> Any:
    """The same of numbers that have no storage of their own kind."""
    code = _WIDER.get(kind.name) if isinstance(kind, Kind) else None
    if code is None or not isinstance(storage, Storage) or storage.values is None:
        return Record(LACKING)
    numbers, whole = Storage(None), len(storage.values) - len(storage.values) % np.dtype(code).itemsize
    numbers.values = storage.values[:whole].view(code)
    return _tensor(machine, numbers, offset, size, stride, None, None, more)


def _viewed(machine: Machine, storage: Any, offset: Any, size: Any, stride: Any) -> Any:
    """A view of the numbers of a storage."""
    numbers = (offset, *size, *stride) if isinstance(size, tuple) and isinstance(stride, tuple) else ()
    if not numbers or len(size) != len(stride) or len(size) > _DIMENSIONS:
        raise ValueError("a tensor without a shape")
    if not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError("a tensor of a shape that is no whole number")
    if not isinstance(storage, Storage) or storage.values is None:
        return Record(LACKING)
    values = storage.values
    machine.pay(128 + math.prod(size) * values.itemsize)  # a view may repeat its numbers
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and last >= len(values):
        raise ValueError("a tensor of more numbers than there are")
    if 0 in size:
        return np.zeros(size, values.dtype)
    strides = tuple(step * values.itemsize for step in stride)
    return np.ndarray(size, values.dtype, values, offset * values.itemsize, strides)


def _parameter(machine: Machine, data: Any = None, *_: Any) -> Any:
    return data


def _nested(machine: Machine, content: Any = b"", *_: Any) -> Any:
    """A storage that a plain pickle of a tensor holds: a file of its own."""
    if not isinstance(content, bytes) or not content.startswith(LEGACY):
        return Record("torch.storage")
    machine.within -= len(content)
    if machine.within < 0:
        raise ValueError("a pickle within it again and again")
    inner = Machine(content, machine.left, _TENSORS)
    made = _legacy(inner)
    machine.pay(inner.most - inner.left)
    return made


def _sized(machine: Machine, size: Any = (), *_: Any) -> Any:
    return size if isinstance(size, tuple) else ()


_TENSORS: dict[str, Maker] = {
    **MAKERS,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_bytes,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _sized,
}
WITH_TENSORS: dict[str, Maker] = {**_TENSORS, "torch.storage._load_from_bytes": _nested}


# --- Files --------------------------------------------------------------------------------------------------------


def is_archive(path: Path) -> bool:
    """Whether it is a zip file of PyTorch, and no compiled program."""
    names = _names(path)
    return any(name.rpartition("/")[2] == "data.pkl" for name in names) and not any("/code/" in name for name in names)


def is_legacy(path: Path) -> bool:
    """Whether it is a file of a PyTorch before 1.6."""
    with open(path, "rb") as stream:
        return stream.read(len(LEGACY)) == LEGACY


def load(path: Path) -> Any:
    """What a file of PyTorch holds, with arrays for tensors. Raises UserError if it is damaged or claims too much."""
    most = apart.most_bytes(path)
    try:
        if is_legacy(path):
            return _legacy(Machine(path.read_bytes(), most, WITH_TENSORS))
        with zipfile.ZipFile(path) as archive:
            return _archived(archive, most)
    except UserError:
        raise
    except Exception as error:  # a damaged file raises whatever the part that is hit raises
        raise UserError(f"{path}: a damaged file of PyTorch: {shortened(str(error) or repr(error), 100)}") from error


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return []


def _archived(archive: zipfile.ZipFile, most: int) -> Any:
    """Of `NAME/data.pkl` and the storages `NAME/data/KEY`."""
    sizes = {info.filename: info.file_size for info in archive.infolist()}
    if sum(sizes.values()) > most:
        raise ValueError(
            f"{sum(sizes.values()) >> 20} MB unpacked, expected at most {most >> 20} MB ({apart.EXPANSION})"
        )
    program = next(name for name in sizes if name.rpartition("/")[2] == "data.pkl")
    folder = program.removesuffix("data.pkl")
    if f"{folder}byteorder" in sizes and archive.read(f"{folder}byteorder") == b"big":
        raise ValueError("numbers in big-endian order, which are not read")

    def content(key: str) -> bytes:
        return archive.read(f"{folder}data/{key}")

    machine = Machine(archive.read(program), most, WITH_TENSORS)
    machine.persistent = _storages({}, lambda storage, key: storage.fill(machine, content(key)))
    return machine.load()


def _storages(held: dict[str, Storage], read: Callable[[Storage, str], object]) -> Callable[[Any], Any]:
    """What a reference to a storage, (`storage`, kind, key, place, size), stands for; each is read once."""

    def found(reference: Any) -> Any:
        if not isinstance(reference, tuple) or len(reference) < 5 or reference[0] != "storage":
            raise ValueError("a reference to something other than a storage")
        key = reference[2]
        if not isinstance(key, str):
            raise ValueError("a storage whose key is no text")
        if key not in held:
            held[key] = Storage(reference[1])
            read(held[key], key)
        return held[key]

    return found


def _legacy(machine: Machine) -> Any:
    """Of a file before PyTorch 1.6: four pickles, the keys of the storages, and these. The fourth is run again
    afterwards, since its tensors need the numbers; a storage alone does not."""
    for _ in range(3):  # a magic number, the version, the machine that wrote it
        machine.load()
    begin, held = machine.at, dict[str, Storage]()
    machine.persistent = _storages(held, lambda storage, key: None)
    made = machine.load()
    keys = machine.load()
    if not isinstance(keys, list):
        raise ValueError("storages without keys")
    for key in keys:
        size = struct.unpack("<q", machine.take(8))[0]
        if not isinstance(key, str) or key not in held or not held[key].known:
            raise ValueError("a storage that no tensor has")
        held[key].fill(machine, machine.take(size * held[key].itemsize))
    if isinstance(made, Storage):
        return made
    machine.at = begin
    return machine.load()
