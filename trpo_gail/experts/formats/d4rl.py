"""D4RL's layout: flat HDF5 as the native one, without `steps` and `episode_lengths`.

`observations` [N, O], `actions` [N, A], `rewards` [N], `terminals` [N]; if the file has them `timeouts` and
`next_observations`. Flags may be of any kind of number, flags and rewards columns [N, 1]. Episodes end where terminals
or timeouts say; rows behind the last end are an unfinished episode. Where a row's next observation is not the next row's
observation, an episode ends that no flag marks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import arrays, batches, structured, trajectories
from trpo_gail.experts.check import FIELDS
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Provenance
from trpo_gail.experts.files import hdf5, hdf5_writing
from trpo_gail.experts.files.hdf5_writing import put
from trpo_gail.experts.formats import attributes, native
from trpo_gail.experts.streams import Append, Rows, cut_rows, gathering, row_bytes, slices

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
_D3RLPY = "episode_terminals"  # its ends of episodes, by termination or not, in place of timeouts
_OPTIONAL = ("rewards", "timeouts", "next_observations")
# Other names than D4RL's of the same, and what names episodes.
_OTHERS = {name for names in trajectories.NAMES.values() for name in names} - _DATASETS.keys() - {_D3RLPY}
_OTHERS |= {*trajectories.MARKS, *trajectories.EPISODES}


def holds(path: Path) -> bool:
    """Whether it is a flat file that does not number the steps of its episodes."""
    found = set(hdf5.names(path))
    others = found & _OTHERS  # transitions.py and marked_rows.py read these
    if "timeouts" in found:  # beside which `info` says nothing new
        others -= {*trajectories.NAMES["limit"]}
    return "observations" in found and not others and not native.holds(path)


def read(path: Path) -> Demonstrations:
    """All rows. A dataset of D4RL's that is missing is a UserError, unless it is optional."""
    with hdf5.reading(path) as file:
        provenance = _provenance(file, path)
        found: dict[str, Any] = {name: column[:] for name, column in _columns(file, path).items()}
    notes = mark_breaks(found)
    return replace(arrays.demonstrations(found, path), provenance=provenance, notes=notes)


def pieces(path: Path) -> Iterator[Demonstrations]:
    """The same, some episodes at a time. Where they end is found before: a few bytes of memory a row."""
    with hdf5.reading(path) as file:
        provenance, columns = _provenance(file, path), _columns(file, path)
        marked, notes = _marked(columns)
        for rows in _cut(columns, marked):
            found: dict[str, Any] = {name: column[rows] for name, column in columns.items()}
            found |= {} if marked is None else {"timeouts": marked[rows]}
            yield replace(arrays.demonstrations(found, path), provenance=provenance, notes=notes)


def write(path: Path, held: Demonstrations) -> None:
    """Write a file, with next observations if those of the last rows are known, and where it comes from as attributes.

    An episode whose end is not known is said to end at a time limit. Flags within an episode, after which it goes on, are
    left out, since the layout ends an episode at each. Raises UserError for rows that are subsampled.
    """
    with writing(path) as append:
        append(held)


@contextmanager
def writing(path: Path) -> Iterator[Append]:
    """The same of episodes that are appended in pieces."""
    with gathering(path, lambda piece: _written(piece, path)) as gathered:
        yield gathered.append
        with hdf5_writing.writing(path) as file:
            for name, column in gathered.columns.items():
                put(file, name, column)
            attributes.write_provenance(file, gathered.facts.provenance)


# --- Reading ------------------------------------------------------------------------------------------------------


def _columns(file: h5py.File, path: Path) -> dict[str, Rows]:
    trajectories.check_spelling(file, path)
    batches.refuse_in_hdf5(hdf5.shapes(file), path)
    called = {name: name for name in _DATASETS}
    if "timeouts" not in file and _D3RLPY in file:
        called["timeouts"] = _D3RLPY
    return {
        name: (hdf5.columns if name.endswith("observations") else hdf5.column)(file, path, called[name], *expected)
        for name, expected in _DATASETS.items()
        if called[name] in file or name not in _OPTIONAL
    }


def _provenance(file: h5py.File, path: Path) -> Provenance:
    every = attributes.integer(file, path, "subsample", "1") or 1
    if every != 1:
        raise UserError(f"{path}: attribute 'subsample': expected 1 without the dataset 'steps', found {every}")
    return attributes.read_provenance(file, path)


def _cut(columns: Mapping[str, Rows], marked: np.ndarray | None) -> Iterator[slice]:
    """The rows of each piece; all at once if they do not fit together, which whoever checks them says."""
    flags = [_flags(columns[name]) for name in ("terminals", "timeouts") if name in columns]
    flags += [] if marked is None else [marked]
    found = [values for values in flags if values is not None]
    if len(found) < len(flags) or len({column.shape[0] for column in columns.values()}) > 1:
        yield slice(None)
        return
    ends = np.flatnonzero(np.any(found, axis=0)) + 1
    lengths = np.diff(np.union1d(ends, [len(found[0])]), prepend=0)
    for _, rows in cut_rows(lengths, row_bytes(columns.values())):
        yield rows


def mark_breaks(found: dict[str, Any]) -> tuple[str, ...]:
    """Mark the ends that only next observations show, as `unflagged` says; in words, if there are any."""
    marked, notes = _marked(found)
    if marked is not None:
        kind = unflagged(found)[0]
        said = _flags(found["timeouts"]) if kind == "terminals" else None
        found[kind] = marked if said is None else marked & ~said
    return notes


def unflagged(fields: Mapping[str, Any]) -> tuple[str, str]:
    """(field, words) of the kind of an end that no flag marks: a time limit, unless flags of time limits alone say that it
    is none."""
    return (
        ("terminals", "terminations")
        if "timeouts" in fields and "terminals" not in fields
        else ("timeouts", "time limits")
    )


def _marked(found: Mapping[str, Rows]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Time limits [N] with the ends that only next observations show, and that in words; None if there are none.

    If most rows show one, next observations are of another kind than observations, and nothing is marked.
    """
    observations, following = found["observations"], found.get("next_observations")
    rows = observations.shape[0]
    if following is None or following.shape[0] != rows or rows < 2:
        return None, ()
    first = following[:0], observations[:0]
    if not structured.alike(*first) or {*structured.kinds(first[0]), *structured.kinds(first[1])} - {*"biuf"}:
        return None, ()
    said = {name: _flags(found[name]) for name in ("terminals", "timeouts") if name in found}
    flags = {name: values for name, values in said.items() if values is not None and len(values) == rows}
    if len(flags) < len(said):
        return None, ()  # they are refused later
    breaks = ~np.any([*flags.values(), np.zeros(rows, bool)], axis=0)
    breaks[-1] = False
    inner = int(breaks.sum())
    for part in slices(observations):
        after = observations[part.start + 1 : part.stop + 1]
        breaks[part][: len(after)] &= differ(following[part.start : part.start + len(after)], after)
    count = int(breaks.sum())
    if not count or 2 * count > inner:
        return None, ()
    ends = "1 episode ends" if count == 1 else f"{count} episodes end"
    note = f"{ends} without a flag: the next observation is not the next row's; taken for {unflagged(found)[1]}"
    return breaks | flags.get("timeouts", False), (note,)


def _flags(column: Rows) -> np.ndarray | None:
    """[N] bool of flags of 0 and 1, one a row; None of others, which are refused later."""
    if math.prod(column.shape) != column.shape[0]:
        return None
    found = [np.zeros(0, bool)]
    for rows in slices(column):
        values = column[rows].reshape(-1)
        if not ((values == 0) | (values == 1)).all():
            return None
        found.append(values == 1)
    return np.concatenate(found)


def differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which rows [N] are not the same but for rounding."""
    return ~np.isclose(structured.columns(a), structured.columns(b), rtol=1e-4, atol=1e-6).all(axis=1)


# --- Writing ------------------------------------------------------------------------------------------------------


def _written(held: Demonstrations, path: Path) -> dict[str, np.ndarray | None]:
    if held.subsample != 1:
        raise UserError(f"{path}: D4RL's layout holds whole episodes, found one row in {held.subsample}")
    last = np.cumsum(held.episode_lengths[: held.finished]) - 1
    terminals, timeouts = np.zeros_like(held.terminals), np.zeros_like(held.timeouts)
    terminals[last] = held.terminals[last]
    timeouts[last] = held.timeouts[last] | ~held.terminals[last]
    known = held.next_observations is not None or held.final_observations is not None
    return {
        "observations": held.observations,
        "actions": held.actions,
        "rewards": held.rewards,
        "terminals": terminals,
        "timeouts": timeouts,
        "next_observations": held.following() if known else None,
    }
