"""Spaces as Minari's `metadata.json` keeps them, and the names of parts in its groups."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from trpo_gail.experts import structured
from trpo_gail.experts.streams import Part, Rows, slices

_PLACE = "_index_"  # of a part of a tuple


def renamed(values: np.ndarray) -> np.ndarray:
    """The same rows with Minari's names of parts: those of a tuple, which are called 0, 1, ... here, are _index_0, ..."""
    if not structured.is_structured(values):
        return values
    names = values.dtype.names or ()
    return structured.packed({_outer(name, names): renamed(values[name]) for name in names})


def restored(values: np.ndarray) -> np.ndarray:
    """The inverse of `renamed`."""
    if not structured.is_structured(values):
        return values
    names = values.dtype.names or ()
    return structured.packed({re.sub(rf"^{_PLACE}(?=\d+$)", "", name): restored(values[name]) for name in names})


def _outer(name: str, names: tuple[str, ...]) -> str:
    return f"{_PLACE}{name}" if _is_tuple(names) else name


def _is_tuple(names: tuple[str, ...]) -> bool:
    return set(names) == {str(i) for i in range(len(names))}


# --- Reading ------------------------------------------------------------------------------------------------------


def read(stated: Any) -> dict[str, Any] | None:
    """As `spaces.as_json` writes a space, of what Minari's metadata states; None for what is no such space.

    Raises ValueError for bounds that are no numbers.
    """
    kind = stated.get("type") if isinstance(stated, dict) else None
    if kind == "Box":
        flat = {name: np.asarray(stated.get(name), np.float64).reshape(-1) for name in ("low", "high")}
        bounds = {name: [float(v) if np.isfinite(v) else None for v in values] for name, values in flat.items()}
        return {"type": "Box", "shape": stated.get("shape"), "dtype": stated.get("dtype")} | bounds
    if kind == "Discrete":
        return {"type": kind, "n": stated.get("n")} | ({"start": stated["start"]} if stated.get("start") else {})
    if kind == "MultiDiscrete":
        starts = {"start": stated["start"]} if np.any(stated.get("start")) else {}
        return {"type": kind, "nvec": stated.get("nvec")} | starts
    if kind == "MultiBinary":
        shape = stated.get("n")
        return {"type": kind, "shape": shape if isinstance(shape, list) else [shape]}
    inner = stated.get("subspaces") if kind in ("Dict", "Tuple") else None
    if isinstance(inner, dict):
        return {"type": kind, "spaces": {name: read(space) for name, space in inner.items()}}
    return {"type": kind, "spaces": [read(space) for space in inner]} if isinstance(inner, list) else None


# --- Writing ------------------------------------------------------------------------------------------------------


def state(values: Rows, known: Any) -> dict[str, Any]:
    """As Minari keeps the space of these rows, of which `known` is the space if it has their shape.

    Of an unknown space, a Box has no bounds, and labels are as many as there are.
    """
    names = values.dtype.names
    known = known if isinstance(known, dict) else {}
    if names is None:
        return _plain(values, known)
    inner, listed = known.get("spaces"), _is_tuple(names)
    order = [str(i) for i in range(len(names))] if listed else names
    places = dict(enumerate(inner)) if isinstance(inner, list) else inner if isinstance(inner, dict) else {}
    stated = {name: state(Part(values, name), places.get(int(name) if listed else name)) for name in order}
    return {"type": "Tuple", "subspaces": list(stated.values())} if listed else {"type": "Dict", "subspaces": stated}


def _plain(values: Rows, known: dict[str, Any]) -> dict[str, Any]:
    kind, shape, dtype = known.get("type"), list(values.shape[1:]), values.dtype
    if kind == "MultiBinary" and known.get("shape") == shape:
        return {"type": kind, "n": shape}
    if kind == "MultiDiscrete" and np.asarray(known.get("nvec")).shape == tuple(shape):
        starts = known.get("start") or np.zeros(shape, np.int64).tolist()
        return {"type": kind, "dtype": "int64", "nvec": known["nvec"], "start": starts}
    if not shape and dtype.kind in "iu":
        n, start = known.get("n"), int(known.get("start") or 0)
        seen = [values[rows] for rows in slices(values)]
        lowest = min(start, *(int(part.min()) for part in seen))
        return {
            "type": "Discrete",
            "dtype": "int64",
            "start": lowest,
            "n": int(n)
            if isinstance(n, int) and lowest == start
            else max(int(part.max()) for part in seen) + 1 - lowest,
        }
    return {"type": "Box", "dtype": str(dtype), "shape": shape} | _bounds(known, shape, dtype)


def _bounds(known: dict[str, Any], shape: list[int], dtype: np.dtype) -> dict[str, Any]:
    """The stated ones if they are as many as the numbers, or one for all; else those of the dtype."""
    widest = (-math.inf, math.inf)
    if dtype.kind in "iu":
        widest = (np.iinfo(dtype).min, np.iinfo(dtype).max)
    found = {}
    for name, open_end in zip(("low", "high"), widest, strict=True):
        stated = known.get(name) if known.get("type") == "Box" else None
        fits = isinstance(stated, list) and len(stated) in (1, math.prod(shape)) and known.get("shape") == shape
        ends = [open_end if v is None else v for v in stated] if fits and stated else [open_end]
        found[name] = np.broadcast_to(
            np.array(ends, np.object_).reshape(shape if len(ends) > 1 else [1] * len(shape)), shape
        )
    return {name: values.tolist() for name, values in found.items()}
