"""Spaces as nested dictionaries of numbers, texts and numpy arrays, exactly: for checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple

Saved = dict[str, Any]


def _box(space: Box) -> Saved:
    return {"low": space.low, "high": space.high, "dtype": str(space.dtype)}


_SAVE: dict[type[Space], Callable[[Any], Saved]] = {
    Box: _box,
    Discrete: lambda space: {"n": int(space.n), "start": int(space.start)},
    MultiDiscrete: lambda space: {"nvec": space.nvec, "starts": space.start},
    MultiBinary: lambda space: {"shape": list(space.shape)},
    Dict: lambda space: {"keys": list(space.spaces), "spaces": [save(inner) for inner in space.spaces.values()]},
    Tuple: lambda space: {"spaces": [save(inner) for inner in space.spaces]},
}


def _bits(saved: Mapping[str, Any]) -> MultiBinary:
    shape = saved["shape"]
    return MultiBinary(shape if len(shape) > 1 else shape[0])


_LOAD: dict[str, Callable[[Mapping[str, Any]], Space]] = {
    "Box": lambda s: Box(np.asarray(s["low"]), np.asarray(s["high"]), dtype=np.dtype(s["dtype"]).type),
    "Discrete": lambda s: Discrete(s["n"], start=s["start"]),
    "MultiDiscrete": lambda s: MultiDiscrete(np.asarray(s["nvec"]), start=np.asarray(s["starts"])),
    "MultiBinary": _bits,
    "Dict": lambda s: Dict(dict(zip(s["keys"], map(load, s["spaces"]), strict=True))),
    "Tuple": lambda s: Tuple(tuple(map(load, s["spaces"]))),
}


def save(space: Space) -> Saved:
    """A space as plain data."""
    return {"space": type(space).__name__, **_SAVE[type(space)](space)}


def load(saved: Mapping[str, Any]) -> Space:
    """The space that `save` was given."""
    return _LOAD[saved["space"]](saved)
