"""How large a number may be that networks compute with."""

from __future__ import annotations

import numpy as np


def largest(dtype: str) -> float:
    """Magnitude up to which a network of this dtype takes a number: differences, and sums of squares in float64, stay
    finite."""
    return min(float(np.finfo(dtype).max) / 4.0, 1e140)


def too_large(values: np.ndarray, dtype: str) -> float | None:
    """The first value that networks of this dtype cannot compute with; None if they can with all."""
    if values.dtype.kind != "f":
        return None
    beyond = np.abs(values.astype(np.float64)) > largest(dtype)
    return float(values[beyond][0]) if beyond.any() else None
