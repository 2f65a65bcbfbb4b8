"""D4RL's layout: flat HDF5 as the native one, without `steps` and `episode_lengths`.

`observations` [N, O], `actions` [N, A], `rewards` [N], `terminals` [N]; if the file has them `timeouts` and
`next_observations`. Flags may be of any kind of number, flags and rewards columns [N, 1]. Episodes end where terminals
or timeouts say; rows behind the last end are an unfinished episode.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trpo_gail.errors import UserError
from trpo_gail.experts import arrays, hdf5
from trpo_gail.experts.check import FIELDS
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import attributes, native

NAME = "D4RL"

_COLUMNS = (1, 2)
_FLAGS = ("biuf", "0 or 1 [rows]", _COLUMNS)
# What each dataset may hold, as in `check.FIELDS`.
_DATASETS = {
    "observations": FIELDS["observations"],
    "actions": FIELDS["actions"],
    "rewards": ("fiu", "[rows]", _COLUMNS),
    "terminals": _FLAGS,
    "timeouts": _FLAGS,
    "next_observations": FIELDS["next_observations"],
}
_OPTIONAL = ("rewards", "timeouts", "next_observations")


def holds(path: Path) -> bool:
    """Whether it is a flat file that does not number the steps of its episodes."""
    return "observations" in hdf5.names(path) and not native.holds(path)


def read(path: Path) -> Demonstrations:
    """All rows. A dataset of D4RL's that is missing is a UserError, unless it is optional."""
    with hdf5.reading(path) as file:
        every = attributes.integer(file, path, "subsample", "1") or 1
        if every != 1:
            raise UserError(f"{path}: attribute 'subsample': expected 1 without the dataset 'steps', found {every}")
        found = {
            name: hdf5.array(file, path, name, *expected)
            for name, expected in _DATASETS.items()
            if name in file or name not in _OPTIONAL
        }
        return replace(arrays.demonstrations(found, path), provenance=attributes.read_provenance(file, path))
