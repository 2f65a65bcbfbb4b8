"""Limits on the size of the numbers that networks compute with."""

from __future__ import annotations

import numpy as np

FLOOR = 1e-6  # is added to a standard deviation before it divides, so that a constant gives no infinity


def largest(dtype: str) -> float:
    """Largest magnitude that a network of this dtype accepts. Up to it, differences stay finite, and so do sums of
    squares in float64."""
    return min(float(np.finfo(dtype).max) / 4.0, 1e140)


def too_large(values: np.ndarray, dtype: str) -> float | None:
    """The first value that is too large for networks of this dtype; None if no value is."""
    if values.dtype.kind != "f":
        return None
    beyond = np.abs(values.astype(np.float64)) > largest(dtype)
    return float(values[beyond][0]) if beyond.any() else None
