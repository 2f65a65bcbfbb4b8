"""D4RL's layout: flat HDF5 as the native one, without `steps` and `episode_lengths`.

`observations` [N, O], `actions` [N, A], `rewards` [N], `terminals` [N]; if the file has them `timeouts` and
`next_observations`. Flags may be of any kind of number, flags and rewards columns [N, 1]. Episodes end where terminals
or timeouts say; rows behind the last end are an unfinished episode. Where a row's next observation is not the next row's
observation, an episode ends that no flag marks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

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
        notes = mark_breaks(found)
        held = arrays.demonstrations(found, path)
        return replace(held, provenance=attributes.read_provenance(file, path), notes=notes)


def write(path: Path, held: Demonstrations) -> None:
    """Write a file, with next observations if those of the last rows are known, and where it comes from as attributes.

    An episode whose end is not known is said to end at a time limit. Raises UserError for rows that are subsampled.
    """
    if held.subsample != 1:
        raise UserError(f"{path}: D4RL's layout holds whole episodes, found one row in {held.subsample}")
    last = np.cumsum(held.episode_lengths[: held.finished]) - 1
    timeouts = held.timeouts.copy()
    timeouts[last] |= ~held.terminals[last]
    known = held.next_observations is not None or held.final_observations is not None
    written: dict[str, Any] = {
        "observations": held.observations,
        "actions": held.actions,
        "rewards": held.rewards,
        "terminals": held.terminals,
        "timeouts": timeouts,
        "next_observations": held.transitions().next_observations if known else None,
    }
    with hdf5.writing(path) as file:
        for name, values in written.items():
            if values is not None:
                file.create_dataset(name, data=values, compression="gzip", shuffle=True)
        attributes.write_provenance(file, held.provenance)


def mark_breaks(found: dict[str, Any]) -> tuple[str, ...]:
    """Mark, as time limits, the ends that only next observations show; in words, if there are any.

    If most rows show one, next observations are of another kind than observations, and nothing is marked.
    """
    observations, following = found["observations"], found.get("next_observations")
    if following is None or following.shape != observations.shape or len(observations) < 2:
        return ()
    rows = len(observations)
    flags = [found[name].reshape(rows, -1)[:, 0] != 0 for name in ("terminals", "timeouts") if _fits(found, name, rows)]
    inner = ~np.any(flags, axis=0)[:-1] if flags else np.ones(rows - 1, bool)
    breaks = np.zeros(rows, bool)
    breaks[:-1] = inner & _differ(following[:-1], observations[1:])
    count = int(breaks.sum())
    if not count or 2 * count > inner.sum():
        return ()
    if "timeouts" in found and not _fits(found, "timeouts", rows):
        return ()
    found["timeouts"] = breaks | (flags[-1] if "timeouts" in found else False)
    ends = "1 episode ends" if count == 1 else f"{count} episodes end"
    return (f"{ends} without a flag: the next observation is not the next row's; taken for time limits",)


def _fits(found: dict[str, Any], name: str, rows: int) -> bool:
    """Whether there are flags of 0 and 1, one a row; others are refused later."""
    values = found.get(name)
    return values is not None and values.size == rows and bool(((values == 0) | (values == 1)).all())


def _differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which rows [N] are not the same but for rounding."""
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    return ~np.isclose(a, b, rtol=1e-4, atol=1e-6).all(axis=1)
