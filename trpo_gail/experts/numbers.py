"""Numbers as somebody else wrote them: which are good, and in which dtype to compute with them."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from trpo_gail.errors import UserError, shortened
from trpo_gail.magnitudes import largest

FLOATS, INTEGERS, FLAGS, NUMBERS = "f", "iu", "biu", "fiu"  # numpy's letters for kinds of dtype
FLAGS_HINT = ": write booleans, or 0 and 1, in each row; texts and nulls are no flags"
_WORDS = {FLOATS: "floats", INTEGERS: "integers", FLAGS: "booleans"}


def check_kind(
    dtype: np.dtype | None, found: tuple[int, ...] | None, where: str, kinds: str, shape: str, ndim: Container[int]
) -> None:
    """Raise UserError unless the dtype is of one of the `kinds` and the shape `found` has one of the `ndim` dimensions.

    `where` is how the message begins; `shape` says what was expected.
    """
    wanted = f"{_WORDS.get(kinds, 'numbers')} {shape}"
    if dtype is None or dtype.kind not in kinds:
        hint = FLAGS_HINT if shape.startswith("0 or 1") else ""
        raise UserError(f"{where}: expected {wanted}, found dtype {shortened(str(dtype or 'of no numbers'), 60)}{hint}")
    if found is None or len(found) not in ndim:
        size = "no values" if found is None else f"shape {list(found)}"
        raise UserError(f"{where}: expected {wanted}, found {size}")


def good(values: np.ndarray, where: str, first: int = 0) -> np.ndarray:
    """The same numbers in a dtype to compute with, whatever their byte order and width.

    Floats come as float16, float32 or float64, integers signed (but uint8). Raises UserError if there are NaN,
    infinities, floats beyond `largest` or integers beyond int64; `first` is the number of the first row in the message.
    """
    most = largest("float64") if values.dtype.kind == "f" else np.iinfo(np.int64).max
    if (bad := ~_within(values, most)).any():
        at = [int(i) for i in np.argwhere(bad)[0]]
        value = values[tuple(at)]
        at[:1] = [row + first for row in at[:1]]
        hope = f"values of at most {most:g}" if np.isfinite(value) else "finite values"
        raise UserError(f"{where}: expected {hope}, found {value!s} at {at}")
    return _native(values)


def _within(values: np.ndarray, most: float) -> np.ndarray:
    """Which values are finite, and none of the sizes that only wide types have is above `most`: bool, of their shape."""
    wide = values.dtype.itemsize >= 8 and values.dtype.kind in "fu"
    return np.abs(values) <= most if wide else np.isfinite(values)


def _native(values: np.ndarray) -> np.ndarray:
    """The same numbers in this machine's byte order, and in a dtype that PyTorch computes with."""
    return values.astype(good_dtype(values.dtype), copy=False)


def good_dtype(dtype: np.dtype) -> np.dtype:
    """What `good` makes of a dtype."""
    kind, size = dtype.kind, dtype.itemsize
    if kind == "u" and size > 1:
        return np.dtype(f"i{min(2 * size, 8)}")
    return np.dtype(f"{kind}{min(size, 8)}") if kind in NUMBERS else dtype


def listed_numbers(values: np.ndarray, most: int = 5) -> str:
    """`0, 1, 2, 3, 4 and 9 more`."""
    said = ", ".join(f"{value:g}" for value in values[:most].tolist())
    return f"{said} and {len(values) - most} more" if len(values) > most else said
