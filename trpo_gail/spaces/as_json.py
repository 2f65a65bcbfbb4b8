"""Spaces as plain data, for files that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple

_MOST = 1000  # bounds of a Box that are listed although they are equal


def space_to_json(space: Any) -> dict[str, Any]:
    """A space as plain data; null stands for an infinite bound, and one bound for many that are equal."""
    if isinstance(space, Discrete):
        return {"type": "Discrete", "n": int(space.n)} | ({"start": int(space.start)} if space.start else {})
    if isinstance(space, MultiDiscrete):
        starts = {"start": space.start.tolist()} if np.any(space.start) else {}
        return {"type": "MultiDiscrete", "nvec": space.nvec.tolist()} | starts
    if isinstance(space, MultiBinary):
        return {"type": "MultiBinary", "shape": list(space.shape)}
    if isinstance(space, Text):
        return {"type": "Text"}
    if isinstance(space, Dict):
        return {"type": "Dict", "spaces": {str(name): space_to_json(inner) for name, inner in space.spaces.items()}}
    if isinstance(space, Tuple):
        return {"type": "Tuple", "spaces": [space_to_json(inner) for inner in space.spaces]}

    def bounds(values: np.ndarray) -> list[float | None]:
        if values.size > _MOST and (values == values.flat[0]).all():  # an image's
            values = values.reshape(-1)[:1]
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
