"""Pickles of policies as plain data: numbers, texts, containers, arrays, and records in place of all other objects.

Nothing that a pickle names is imported or called. A class or function that it names becomes a `Record`, which keeps the
arguments and the state; arrays and their dtypes are built here, from checked parts.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, shortened

LARGEST = 64 * 2**20  # bytes of a pickle; policies' are below 1 MB
_DTYPES = "biufcSU"  # numpy's letters for kinds whose values are nothing but bytes
_DEEPEST = 200  # containers within containers


class Record:
    """In place of an object, or of a class: what the pickle gives it."""

    name = ""  # of the class or function, with its module
    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __init__(self, *arguments: Any, **_: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, item: Any) -> None:
        """An item of a list-like object: not kept."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """An item of a dict-like object: not kept."""


def load(path: Path) -> Any:
    """What the pickle in a file holds. Raises UserError as `loads` does."""
    with open(path, "rb") as stream:
        return loads(stream.read(LARGEST + 1), str(path))


def loads(content: bytes, where: str) -> Any:
    """What a pickle holds. Raises UserError, which begins with `where`, if it is damaged, too large or too deep."""
    if len(content) > LARGEST:
        raise UserError(f"{where}: expected a pickle of at most {LARGEST} bytes, found more")
    try:
        return _resolved(_Unpickler(io.BytesIO(content), encoding="latin1").load(), {}, 0)
    except UserError:
        raise
    except Exception as error:  # a damaged pickle raises whatever the opcode that is hit raises
        raise UserError(f"{where}: a damaged pickle: {shortened(repr(error), 100)}") from error


def attributes(record: Any) -> Mapping[str, Any]:
    """Those of a record's object, by name; none of anything else."""
    state = getattr(record, "state", None)
    if isinstance(state, tuple) and len(state) == 2:  # of an object with slots
        state = state[0]
    return state if isinstance(state, dict) else {}


class _Dtype:
    """A dtype under construction."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: Any) -> None:
        self.order = str(state[1])

    def made(self) -> np.dtype | None:
        """None for objects."""
        dtype = np.dtype(self.code)
        if dtype.kind == "O":
            return None
        if dtype.kind not in _DTYPES or dtype.fields or dtype.subdtype:
            raise ValueError(f"dtype {self.code!r:.40}")
        return dtype.newbyteorder(">" if self.order == ">" else "<") if self.order in "<>" else dtype


class _Array:
    """An array under construction."""

    def __init__(self, *_: Any) -> None:
        self.made: np.ndarray | list[Any] = []

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.fill(data, dtype, shape, "F" if fortran else "C")

    def fill(self, data: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> _Array:
        """Values from bytes, which must be as many as the shape says; objects from a list."""
        kind = dtype.made()
        if kind is None:
            self.made = list(data)
            return self
        content = data.encode("latin1") if isinstance(data, str) else bytes(data)  # Python 2 wrote texts
        if len(content) != math.prod(shape) * kind.itemsize:
            raise ValueError("an array of another size than it states")
        self.made = np.frombuffer(content, kind).reshape(shape, order="F" if order == "F" else "C")
        return self


def _from_buffer(data: Any, dtype: _Dtype, shape: tuple[int, ...], order: str = "C", *_: Any) -> _Array:
    return _Array().fill(data, dtype, shape, order)


def _scalar(dtype: _Dtype, data: Any = b"") -> Any:
    array = _Array().fill(data, dtype, (), "C").made
    return array[()] if isinstance(array, np.ndarray) else array


def _encoded(text: str, *_: Any) -> bytes:
    return text.encode("latin1")


# What is more than a record. numpy.core is what numpy 1 called numpy._core.
_BUILT: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encoded,
    ("collections", "OrderedDict"): dict,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _BUILT.get((module, name)) or type("Record", (Record,), {"name": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        raise ValueError("a reference to something outside the pickle")


def _resolved(value: Any, seen: dict[int, Any], depth: int) -> Any:
    """The same with arrays in place of what builds them. Containers are changed in place; each is looked at once."""
    if depth > _DEEPEST:
        raise ValueError("containers within containers")
    if isinstance(value, _Array):
        if isinstance(value.made, list):
            value.made = _resolved(value.made, seen, depth + 1)
        return value.made
    if isinstance(value, tuple):
        return tuple(_resolved(item, seen, depth + 1) for item in value)
    if id(value) in seen:
        return value
    if isinstance(value, list):
        seen[id(value)] = value
        value[:] = [_resolved(item, seen, depth + 1) for item in value]
    elif isinstance(value, dict):
        seen[id(value)] = value
        value.update({key: _resolved(item, seen, depth + 1) for key, item in value.items()})
    elif isinstance(value, Record):
        seen[id(value)] = value
        value.arguments = _resolved(value.arguments, seen, depth + 1)
        value.state = _resolved(value.state, seen, depth + 1)
    return value
