"""What the machine of `pickle_machine` makes of arrays, dtypes and the containers of the standard library.

Every array is built from the bytes that are there; what its shape claims is compared with them first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trpo_gail.experts.files.pickle_machine import Kind, Machine, Maker, Placeholder, Record

_DTYPES = "biufcSU"  # numpy's letters for kinds whose values are nothing but bytes
_DIMENSIONS = 32
_DTYPE = 512  # bytes, more than it takes since making it takes long


class Dtype(Placeholder):
    """A dtype: `made` is numpy's; None if it is of objects, or of another kind than numbers and texts."""

    def __init__(self, machine: Machine, code: Any = "", *_: Any) -> None:
        machine.pay(_DTYPE)
        self.code = code[:20] if isinstance(code, str) else ""  # no text of anything else, which may be endless
        self.objects = self.code.lstrip("|<>=").startswith("O")
        try:
            dtype = np.dtype(self.code)
        except (TypeError, ValueError):
            dtype = np.dtype("V")
        good = dtype.kind in _DTYPES and dtype.itemsize > 0 and dtype.subdtype is None
        self.made = dtype if good and not self.objects else None

    def finished(self, machine: Machine, state: Any) -> Dtype:
        """With the byte order, which the state says."""
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
        if order in ("<", ">") and self.made is not None:
            self.made = self.made.newbyteorder("<" if order == "<" else ">")
        return self


class _Array(Placeholder):
    def finished(self, machine: Machine, state: Any) -> Any:
        _, shape, dtype, fortran, data = state
        return _filled(machine, data, dtype, shape, "F" if fortran else "C")


def _filled(machine: Machine, data: Any, dtype: Any, shape: Any, order: Any) -> Any:
    """Values from bytes, which must be as many as the shape says; objects from a list; a record of what is neither."""
    if isinstance(shape, int):
        shape = (shape,)
    if not isinstance(shape, tuple) or len(shape) > _DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("an array without a shape")
    if not isinstance(dtype, Dtype):
        raise ValueError("an array without a dtype")
    if dtype.objects:
        return _of_objects(machine, data, shape, order)
    if dtype.made is None:
        return Record(f"numpy.ndarray of {dtype.code}")
    content = data.encode("latin1") if isinstance(data, str) else data  # Python 2 wrote texts
    if not isinstance(content, bytes):
        raise ValueError("an array without bytes")
    machine.pay(128 + len(content))
    if len(content) != math.prod(shape) * dtype.made.itemsize:
        raise ValueError("an array of another size than it states")
    return np.frombuffer(content, dtype.made).reshape(shape, order="F" if order == "F" else "C")


def _of_objects(machine: Machine, data: Any, shape: tuple[int, ...], order: Any) -> np.ndarray:
    if not isinstance(data, list) or len(data) != math.prod(shape):
        raise ValueError("an array of another size than it states")
    machine.pay(128 + 8 * len(data))
    made = np.empty(len(data), object)
    for i, value in enumerate(data):
        made[i] = value
    return made.reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(machine: Machine, *_: Any) -> _Array:
    return _Array()


def _from_buffer(machine: Machine, data: Any, dtype: Any, shape: Any, order: Any = "C", *_: Any) -> Any:
    return _filled(machine, data, dtype, shape, order)


def _scalar(machine: Machine, dtype: Any, data: Any = b"") -> Any:
    if isinstance(dtype, Dtype) and dtype.objects:
        return data
    made = _filled(machine, data, dtype, (), "C")
    return made[()] if isinstance(made, np.ndarray) else made


def _encoded(machine: Machine, text: Any, *_: Any) -> bytes:
    if not isinstance(text, str):
        raise ValueError("bytes of what is no text")
    machine.pay(len(text))
    return text.encode("latin1")


def _list(machine: Machine, items: Any = (), *_: Any) -> list[Any]:
    """Of a set or a deque."""
    if not isinstance(items, (list, tuple)):
        raise ValueError("items that are no list")
    machine.pay(64 + 8 * len(items))
    return list(items)


def _bytes(machine: Machine, content: Any = b"", *_: Any) -> bytes:
    if isinstance(content, str):
        return _encoded(machine, content)
    if not isinstance(content, bytes):
        raise ValueError("bytes of what holds none")
    return content


def _ordered(machine: Machine, pairs: Any = (), *_: Any) -> dict[Any, Any]:
    """A dict of an OrderedDict, whose pairs may be given at once."""
    if not isinstance(pairs, (list, tuple)):
        raise ValueError("entries that are no pairs")
    machine.pay(64 * len(pairs))
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise ValueError("entries that are no pairs")
    made: dict[Any, Any] = {}
    machine.enter(made, [part for pair in pairs for part in pair])
    return made


def _default(machine: Machine, *_: Any) -> dict[Any, Any]:
    """A dict of a defaultdict: what makes its defaults is left out."""
    return {}


def _reconstructed(machine: Machine, kind: Any, *_: Any) -> Any:
    """An object as protocols 0 and 1 write it."""
    return machine.call(kind, ()) if isinstance(kind, Kind) else Record("copyreg._reconstructor")


MAKERS: dict[str, Maker] = {
    "numpy.dtype": Dtype,
    "_codecs.encode": _encoded,
    "collections.OrderedDict": _ordered,
    "collections.defaultdict": _default,
    "collections.deque": _list,
    # numpy.core is what numpy 1 called numpy._core; __builtin__ and copy_reg are Python 2's names.
    **{f"numpy.{core}.multiarray._reconstruct": _reconstruct for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _from_buffer for core in ("core", "_core")},
    **{f"{module}.{name}": _list for module in ("builtins", "__builtin__") for name in ("set", "frozenset")},
    **{f"{module}.{name}": _bytes for module in ("builtins", "__builtin__") for name in ("bytes", "bytearray")},
    **{f"{module}._reconstructor": _reconstructed for module in ("copyreg", "copy_reg")},
}
