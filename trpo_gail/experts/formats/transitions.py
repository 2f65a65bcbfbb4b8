"""Transition after transition: rows of an observation, an action, a reward, the next observation and flags of ends.

So replay buffers keep them. Read are `.npz` files and flat HDF5 with `states`, `actions` and `next_states`, or other names
of these. An episode ends where a flag says so, and where the next observation is not the next row's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.experts import arrays, hdf5, npz, structured, trajectories
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import d4rl

NAME = "transitions"

_FLAGS = ("terminals", "timeouts")
_ANY = (1, 2, 3, 4)
_OPPOSITE = ("not_done", "not_dones")


def holds(path: Path) -> bool:
    """Whether observations and actions are there, by one of their names, and what tells where episodes end."""
    found = _members(path)
    named = trajectories.named(found).keys() | ({"terminals"} if {*_OPPOSITE} & found.keys() else set())
    return {"observations", "actions"} <= named and bool({"next_observations", *_FLAGS} & named)


def read(path: Path) -> Demonstrations:
    """All rows."""
    found = _members(path)
    wanted = sorted({*trajectories.named(found).values(), *(name for name in _OPPOSITE if name in found)})
    if not hdf5.names(path):
        with npz.reading(path) as archive:
            return demonstrations({name: archive.column(name, "biuf", "[rows, ...]", _ANY)[:] for name in wanted}, path)
    with hdf5.reading(path) as file:
        return demonstrations({name: hdf5.rows(file, path, name, "biuf", "[rows, ...]", _ANY) for name in wanted}, path)


def demonstrations(
    given: Mapping[str, Any], path: str | Path, known: Mapping[str, Any] | None = None, notes: tuple[str, ...] = ()
) -> Demonstrations:
    """Of rows [N, ...] by any of their names; `known` are further facts by the names of `Provenance`.

    Without flags, and without breaks that the next observations show, all rows are one episode. Raises UserError as
    `arrays.demonstrations` does.
    """
    found = {name: arrays.array(values, f"{path}: {name}") for name, values in _named(given).items()}
    for name, values in found.items():
        if name in _FLAGS and values.ndim == 2 and values.shape[1] == 1:
            found[name] = values[:, 0]
    said = bool({*_FLAGS} & found.keys())
    breaks = d4rl.mark_breaks(found) if _are_rows(found) else ()
    held = arrays.demonstrations({**found, **(known or {})}, path)
    if not said:  # where episodes end is known, but not how; nor whether the last one is finished
        unknown = np.zeros(len(held.observations), bool)
        held = replace(held, timeouts=unknown, unfinished=False, says_ends=False)
    return replace(held, notes=notes + breaks)


def _are_rows(found: Mapping[str, np.ndarray]) -> bool:
    """Whether breaks can be looked for: rows of numbers; others are refused later."""
    numbers = all(values.ndim and set(structured.kinds(values)) <= set("biuf") for values in found.values())
    return {"observations", "actions"} <= found.keys() and numbers


def _named(given: Mapping[str, Any]) -> dict[str, Any]:
    found = trajectories.named(given)
    opposite = next((given[name] for name in _OPPOSITE if given.get(name) is not None), None)
    if "terminals" not in found and opposite is not None:
        found["terminals"] = np.asarray(opposite) == 0
    return found


def _members(path: Path) -> dict[str, str]:
    """The names of a NumPy archive's arrays, or of what stands at the top of HDF5, by themselves; D4RL's names are its."""
    flat = hdf5.names(path)
    return {name: name for name in flat or npz.names(path)} if "observations" not in flat else {}
