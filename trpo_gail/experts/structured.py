"""Observations of several parts: a NumPy array with a record for each row, whose fields are the parts.

Such an array is sliced, joined and compared as any other, so that a container of rows need not know of parts. Parts
may hold parts. N rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from trpo_gail.errors import listed


def packed(parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """[N] records of arrays [N, ...] by their names, which may be records themselves, in the order of their names, of
    which those that are numbers, as a tuple's are, come in the order of these.

    The arrays are copied.
    """
    parts = {name: parts[name] for name in sorted(parts, key=_by_number)}
    dtype = np.dtype([(name, values.dtype, values.shape[1:]) for name, values in parts.items()])
    out = np.empty(len(next(iter(parts.values()))), dtype)
    for name, values in parts.items():
        out[name] = values
    return out


def _by_number(name: str) -> tuple[bool, int, str]:
    number = name.isdecimal() and name.isascii()
    return not number, len(name) if number else 0, name


def concatenated(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Rows behind one another, part by part: NumPy's own corrupts records if their parts have several dtypes."""
    if not is_structured(arrays[0]):
        return np.concatenate(arrays)
    return packed({name: concatenated([values[name] for values in arrays]) for name in arrays[0].dtype.names or ()})


def cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The same numbers in another dtype with the same parts, part by part for the same reason."""
    if not is_structured(values):
        return values.astype(dtype, copy=False)
    return packed({name: cast(values[name], dtype[name].base) for name in values.dtype.names or ()})


def promoted(*dtypes: np.dtype) -> np.dtype:
    """The dtype that holds the numbers of all of these. Raises TypeError if their parts differ in names or shapes.

    With NumPy's own, what is cast to such a dtype overruns its memory.
    """
    names = dtypes[0].names
    if any(each.names != names for each in dtypes):
        raise TypeError("parts of several names or shapes")
    if names is None:
        return np.result_type(*(each.base for each in dtypes))
    return np.dtype([(name, _promoted(name, dtypes), dtypes[0][name].shape) for name in names])


def _promoted(name: str, dtypes: Sequence[np.dtype]) -> np.dtype:
    if any(each[name].shape != dtypes[0][name].shape for each in dtypes):
        raise TypeError("parts of several names or shapes")
    return promoted(*(each[name].base for each in dtypes))


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
        return _flat(values)
    return np.concatenate([_flat(part) for _, part in parts(values)], axis=1)


def _flat(values: np.ndarray) -> np.ndarray:
    """[N, columns], though there be no rows, whose columns NumPy cannot count."""
    return values.reshape(len(values), math.prod(values.shape[1:]))


def described(values: np.ndarray) -> str:
    """Dtype and shape in words: `float32 [100, 4]`; of parts `image uint8 [100, 7, 7, 3], direction int64 [100]`."""
    return listed((f"{name} {part.dtype} {list(part.shape)}".lstrip() for name, part in parts(values)), 10)


def row(values: np.ndarray) -> str:
    """Likewise of a row: `float32 [4]`."""
    return listed((f"{name} {part.dtype} {list(part.shape[1:])}".lstrip() for name, part in parts(values)), 10)


def changed(
    values: np.ndarray, change: Callable[..., np.ndarray], *others: np.ndarray | None, name: str = ""
) -> np.ndarray:
    """The same parts, each after `change(name, part, *parts of others)`; `others` have the same parts, or are None."""
    if not is_structured(values):
        return change(name, values, *others)
    done = {}
    for field in values.dtype.names or ():
        inner = [None if other is None else other[field] for other in others]
        done[field] = changed(values[field], change, *inner, name=f"{name}.{field}" if name else field)
    return packed(done)


def with_floats(values: np.ndarray, dtype: str) -> np.ndarray:
    """The same with floats as `dtype`, and with pixels and labels as they are."""
    return changed(values, lambda _, part: part.astype(dtype) if part.dtype.kind == "f" else part)


def alike(values: np.ndarray, others: np.ndarray) -> bool:
    """Whether rows have the same parts of the same shapes."""
    found = [[(name, part.shape[1:]) for name, part in parts(each)] for each in (values, others)]
    return found[0] == found[1]


def kinds(values: np.ndarray) -> list[str]:
    """Numpy's letters for the kinds of numbers of the parts."""
    return [part.dtype.kind for _, part in parts(values)]
