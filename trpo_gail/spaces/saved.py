"""Spaces as nested dictionaries of numbers, texts and numpy arrays, exactly: for checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text, Tuple

Saved = dict[str, Any]


def _labels(saved: Mapping[str, Any]) -> MultiDiscrete:
    """Earlier checkpoints kept no dtype; int64 is taken for them."""
    kind = np.dtype(saved.get("dtype", "int64")).type
    return MultiDiscrete(np.asarray(saved["nvec"]), dtype=kind, start=np.asarray(saved["starts"]))


def _bits(saved: Mapping[str, Any]) -> MultiBinary:
    shape = saved["shape"]
    return MultiBinary(shape if len(shape) > 1 else shape[0])


# By class: how a space is saved, and how it is loaded. For another space, add a row.
SPACES: dict[type[Space], tuple[Callable[[Any], Saved], Callable[[Mapping[str, Any]], Space]]] = {
    Box: (
        lambda space: {"low": space.low, "high": space.high, "dtype": str(space.dtype)},
        lambda s: Box(np.asarray(s["low"]), np.asarray(s["high"]), dtype=np.dtype(s["dtype"]).type),
    ),
    Discrete: (
        lambda space: {"n": int(space.n), "start": int(space.start)},
        lambda s: Discrete(s["n"], start=s["start"]),
    ),
    MultiDiscrete: (
        lambda space: {"nvec": space.nvec, "starts": space.start, "dtype": str(space.dtype)},
        _labels,
    ),
    MultiBinary: (lambda space: {"shape": list(space.shape)}, _bits),
    Dict: (
        lambda space: {"keys": list(space.spaces), "spaces": [save(inner) for inner in space.spaces.values()]},
        lambda s: Dict(dict(zip(s["keys"], map(load, s["spaces"]), strict=True))),
    ),
    Text: (
        lambda space: {"min": space.min_length, "max": space.max_length, "characters": space.characters},
        lambda s: Text(s["max"], min_length=s["min"], charset=s["characters"]),
    ),
    Tuple: (
        lambda space: {"spaces": [save(inner) for inner in space.spaces]},
        lambda s: Tuple(tuple(map(load, s["spaces"]))),
    ),
}


def save(space: Space) -> Saved:
    """A space as plain data."""
    return {"space": type(space).__name__, **SPACES[type(space)][0](space)}


def load(saved: Mapping[str, Any]) -> Space:
    """The inverse of `save`."""
    loads = {kind.__name__: make for kind, (_, make) in SPACES.items()}
    return loads[saved["space"]](saved)
