"""Flat HDF5 whose rows' episodes are told by arrays of their own: lengths, ends, starts, or a number of each row's episode.

Arrays go by any of their names, as in NumPy's archives.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trpo_gail.experts import batches, trajectories
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import hdf5
from trpo_gail.experts.formats import columns, marks, native

NAME = "flat HDF5 with marks of episodes"

_ANY = (1, 2, 3, 4)


def holds(path: Path) -> bool:
    """Whether observations and actions are there, and an array that says where episodes end."""
    names = _wanted(hdf5.names(path))
    there = {"observations", "actions"} <= {columns.field(name) for name in names}
    return there and marks.are_in(names) and not native.holds(path)


def read(path: Path) -> Demonstrations:
    """All rows. Raises UserError for arrays that disagree."""
    names = hdf5.names(path)
    trajectories.check_spelling(names, path)
    with hdf5.reading(path) as file:
        batches.refuse_in_hdf5(hdf5.shapes(file), path)
        arrays = {name: hdf5.rows(file, path, name, "biuf", "[rows, ...]", _ANY) for name in _wanted(names)}
    return marks.read(*marks.apart(arrays), path)


def _wanted(names: Iterable[str]) -> list[str]:
    others = (*trajectories.MARKS, *trajectories.EPISODES, *columns.STEPS)
    return [name for name in sorted(names) if columns.field(name) is not None or name.lower() in others]
