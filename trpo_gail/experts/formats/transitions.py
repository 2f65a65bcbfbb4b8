"""Transition after transition: rows of an observation, an action, a reward, the next observation and flags of ends.

So replay buffers keep them. Read is flat HDF5 with `states`, `actions` and `next_states`, or other names of these; NumPy's
archives and pickles of such rows come here, too. An episode ends where a flag says so, and where the next observation is
not the next row's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.experts import arrays, batches, structured, trajectories
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import hdf5
from trpo_gail.experts.formats import d4rl, native

NAME = "transitions"

_FLAGS = ("terminals", "timeouts")
_ANY = (1, 2, 3, 4)


def holds(path: Path) -> bool:
    """Whether observations and actions are there, by one of their names, and what tells where episodes end."""
    return are_here(hdf5.names(path)) and not native.holds(path) and not d4rl.holds(path)


def read(path: Path) -> Demonstrations:
    """All rows."""
    names = hdf5.names(path)
    trajectories.check_spelling(names, path)
    wanted = wanted_of(names)
    with hdf5.reading(path) as file:
        batches.refuse_in_hdf5(hdf5.shapes(file), path)
        return demonstrations({name: hdf5.rows(file, path, name, "biuf", "[rows, ...]", _ANY) for name in wanted}, path)


def are_here(names: Iterable[str]) -> bool:
    """Whether observations and actions are among the names, and what tells where episodes end."""
    found = trajectories.picked(dict.fromkeys(names, True)).keys()
    ends = {"next_observations", *trajectories.ENDS}
    return {"observations", "actions"} <= found and bool(ends & found)


def wanted_of(names: Iterable[str]) -> list[str]:
    """Those that are read, in order."""
    return sorted(trajectories.picked({name: name for name in names}).values())


def demonstrations(
    given: Mapping[str, Any], path: str | Path, known: Mapping[str, Any] | None = None, notes: tuple[str, ...] = ()
) -> Demonstrations:
    """Of rows [N, ...] by any of their names; `known` are further facts by the names of `Provenance`.

    Without flags, and without breaks that the next observations show, all rows are one episode. Raises UserError as
    `arrays.demonstrations` does.
    """
    found = {name: arrays.array(values, f"{path}: {name}") for name, values in trajectories.named(given).items()}
    for name, values in found.items():
        if name in _FLAGS and values.ndim == 2 and values.shape[1] == 1:
            found[name] = values[:, 0]
    flags = found.keys() & {*_FLAGS}  # those of the file
    breaks = d4rl.mark_breaks(found) if _are_rows(found) else ()
    held = arrays.demonstrations({**found, **(known or {})}, path)
    if not flags:  # where episodes end is known, but not how; nor whether the last one is finished
        unknown = np.zeros(len(held.observations), bool)
        held = replace(held, timeouts=unknown, unfinished=False, says_ends=False)
        notes += () if breaks else (trajectories.NO_ENDS,)
    return replace(held, notes=notes + breaks + trajectories.at_last(flags, held))


def _are_rows(found: Mapping[str, np.ndarray]) -> bool:
    """Whether breaks can be looked for: rows of numbers; others are refused later."""
    numbers = all(values.ndim and set(structured.kinds(values)) <= set("biuf") for values in found.values())
    flags = not any(structured.is_structured(found[name]) for name in _FLAGS if name in found)
    return {"observations", "actions"} <= found.keys() and numbers and flags
