"""Spaces as plain data, for files that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete


def space_to_json(space: Any) -> dict[str, Any]:
    """A space as plain data; null stands for an infinite bound."""
    if isinstance(space, Discrete):
        return {"type": "Discrete", "n": int(space.n)}
    if isinstance(space, MultiDiscrete):
        return {"type": "MultiDiscrete", "nvec": space.nvec.tolist()}

    def bounds(values: np.ndarray) -> list[float | None]:
        return [float(v) if np.isfinite(v) else None for v in values.reshape(-1)]

    return {
        "type": "Box",
        "shape": list(space.shape),
        "dtype": str(space.dtype),
        "low": bounds(space.low),
        "high": bounds(space.high),
    }


def bounds_from_json(space: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """The bounds [A] float64 of a Box of one dimension, from the output of `space_to_json`.

    None for another space, and for JSON of another form.
    """
    if space.get("type") != "Box":
        return None
    try:
        low = np.array([-np.inf if v is None else v for v in space["low"]], np.float64)
        high = np.array([np.inf if v is None else v for v in space["high"]], np.float64)
    except (KeyError, TypeError, ValueError):
        return None
    return low, high
