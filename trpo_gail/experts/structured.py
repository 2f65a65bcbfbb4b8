"""Observations of several parts: a NumPy array with a record for each row, whose fields are the parts.

Such an array is sliced, joined and compared as any other, so that a container of rows need not know of parts. Parts
may hold parts. N rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def packed(parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """[N] records of arrays [N, ...] by their names, which may be records themselves. The arrays are copied."""
    dtype = np.dtype([(name, values.dtype, values.shape[1:]) for name, values in parts.items()])
    out = np.empty(len(next(iter(parts.values()))), dtype)
    for name, values in parts.items():
        out[name] = values
    return out


def is_structured(values: np.ndarray) -> bool:
    """Whether rows are records."""
    return values.dtype.names is not None


def parts(values: np.ndarray, name: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """The arrays [N, ...] of numbers within an array, with their names, such as `robot.camera`; views.

    An array without parts is itself the only one, and its name is empty.
    """
    if not is_structured(values):
        yield name, values
        return
    for field in values.dtype.names or ():
        yield from parts(values[field], f"{name}.{field}" if name else field)


def mapped(values: np.ndarray) -> Any:
    """Nested dictionaries of arrays; an array without parts as it is."""
    if not is_structured(values):
        return values
    return {field: mapped(values[field]) for field in values.dtype.names or ()}


def columns(values: np.ndarray) -> np.ndarray:
    """Rows of plain numbers [N, columns]: all parts side by side, in their order."""
    if not is_structured(values):
        return values.reshape(len(values), -1)
    return np.concatenate([part.reshape(len(part), -1) for _, part in parts(values)], axis=1)


def described(values: np.ndarray) -> str:
    """Kind and shape in words: `float32 [100, 4]`; of parts `100 of image uint8 [7, 7, 3], direction int64 []`."""
    if not is_structured(values):
        return f"{values.dtype} {list(values.shape)}"
    said = (f"{name} {part.dtype} {list(part.shape[1:])}" for name, part in parts(values))
    return f"{len(values)} of {', '.join(said)}"


def kept(values: np.ndarray, change: Any) -> np.ndarray:
    """The same parts, each after `change(name, part)`."""
    if not is_structured(values):
        return np.asarray(change("", values))
    return _changed(values, change, "")


def _changed(values: np.ndarray, change: Any, prefix: str) -> np.ndarray:
    done = {}
    for field in values.dtype.names or ():
        name, part = f"{prefix}{field}", values[field]
        done[field] = _changed(part, change, f"{name}.") if is_structured(part) else change(name, part)
    return packed(done)
