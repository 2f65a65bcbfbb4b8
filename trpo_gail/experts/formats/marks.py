"""Where the episodes of flat arrays end, if arrays beside them say it: by lengths, ends or starts of episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts.arrays import check_behind
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import columns
from trpo_gail.experts.trajectories import (
    BEHIND,
    EPISODES,
    FLAGGED_ENDS,
    FLAGGED_STARTS,
    LENGTHS,
    MARKS,
    NAMING,
    STARTS,
)

Arrays = Mapping[str, np.ndarray]

_ENDS, _STARTS = (*BEHIND, *FLAGGED_ENDS), (*STARTS, *FLAGGED_STARTS)


def are_in(names: Iterable[str]) -> bool:
    """Whether arrays of these names say where episodes end, or which episode a row is of."""
    return any(name.lower() in (*MARKS, *EPISODES) for name in names)


def apart(arrays: Arrays) -> tuple[Arrays, Arrays]:
    """(those that say where episodes end, by their names in small letters; all others)."""
    rows = _rows(arrays)
    said = {name for name, values in arrays.items() if name.lower() in MARKS or is_flagged(name, values, rows)}
    return (
        {name.lower(): arrays[name] for name in arrays if name in said},
        {name: values for name, values in arrays.items() if name not in said},
    )


def table(found: Arrays, path: str | Path, known: Mapping[str, Any] | None = None) -> Demonstrations:
    """Demonstrations of columns [N, ...] of a table, as `columns.read`; flags of first or last rows tell episodes apart, if
    no column names these."""
    rows = _rows(found)
    said = {name for name, values in found.items() if is_flagged(name.strip(), values, rows)}
    if not said or any(name.strip().lower() in EPISODES for name in found):
        return columns.read(found, path, known)
    marked = {name.strip().lower(): found[name] for name in found if name in said}
    return read(marked, {name: values for name, values in found.items() if name not in said}, path, known)


def read(said: Arrays, arrays: Arrays, path: str | Path, known: Mapping[str, Any] | None = None) -> Demonstrations:
    """Demonstrations of rows [N, ...] by any of their names, which end where `said` says, or else as `columns.read` does."""
    rows = _rows(arrays)
    other = _of_another_kind(said, arrays, path, rows)
    said = {name: values for name, values in said.items() if name not in other}
    held = _read(said, arrays, path, known, rows)
    notes = tuple(f"'{name}' is left out: the flags of ends are in other rows" for name in other)
    return replace(held, notes=(*notes, *held.notes)) if notes else held


def _read(said: Arrays, arrays: Arrays, path: str | Path, known: Mapping[str, Any] | None, rows: int) -> Demonstrations:
    found = lengths(said, path, rows)
    if found is None:
        return columns.read(arrays, path, known)
    held = columns.read(_with_episodes(arrays, found, rows, path), path, known)
    if not any(_rows_behind(said[name], rows) for name in _ENDS if name in said):
        return held
    goes_on = held.timeouts.copy()
    goes_on[-1:] = False
    return replace(held, timeouts=goes_on, unfinished=True)


def _of_another_kind(said: Arrays, arrays: Arrays, path: str | Path, rows: int) -> list[str]:
    """Names of flags, such as `last`, that a file seems to use for something else, such as the last action: flags of ends go
    off in other rows, and they are set in others. Flags of ends may stay set up to an end, and be set before it, too."""
    ends = columns.flagged(columns.whole(arrays))
    if ends is None or len(ends) != rows:
        return []
    found = []
    for name in sorted({*FLAGGED_ENDS, *FLAGGED_STARTS} & said.keys()):
        last = np.zeros(rows, bool)
        last[np.cumsum(_lengths(name, said[name], path, rows)) - 1] = True
        goes_off = ends[:-1] & ~ends[1:]
        if (goes_off & ~last[:-1]).any() and (last & ~ends)[:-1].any():
            found.append(name)
    return found


def lengths(said: Arrays, path: str | Path, rows: int) -> np.ndarray | None:
    """Steps [E] of the episodes, of their lengths, their ends (one behind each) or their starts; None if none says it.

    Rows behind the last end are an episode of their own. Raises UserError for arrays that contradict each other.
    """
    found = {name: _lengths(name, values, path, rows) for name, values in said.items()}
    first = next(iter(found), None)
    for name, values in found.items():
        if first is not None and not np.array_equal(values, found[first]):
            raise UserError(
                f"{path}: {first} says that episodes are of {listed(found[first].tolist())} rows, and {name} of "
                f"{listed(values.tolist())}"
            )
    return None if first is None else found[first]


def _rows(arrays: Arrays) -> int:
    return max((len(values) for values in arrays.values() if values.ndim), default=0)


def is_flagged(name: str, values: np.ndarray, rows: int) -> bool:
    """Whether an array marks first rows of episodes, or last ones, by flags of all rows."""
    low = name.lower()
    if low not in (*_ENDS, *_STARTS) or values.dtype.kind not in "biuf" or not _are_flags(values, rows):
        return False
    return bool(values.any() if low in _ENDS else values.reshape(-1)[0])


def _rows_behind(ends: np.ndarray, rows: int) -> bool:
    """Whether rows follow behind the last end."""
    last = ends.reshape(-1)[-1:]
    return not last.any() if _are_flags(ends, rows) else bool((last < rows).all())


def _are_flags(values: np.ndarray, rows: int) -> bool:
    return values.size == rows and bool(((values == 0) | (values == 1)).all())


def _lengths(name: str, values: np.ndarray, path: str | Path, rows: int) -> np.ndarray:
    values = values.reshape(-1) if values.ndim == 2 and values.shape[1] == 1 else values
    if values.ndim != 1 or values.dtype.kind not in "biuf" or (values != np.round(values)).any():
        raise UserError(f"{path}: {name}: expected whole numbers [episodes], found {values.dtype} {list(values.shape)}")
    if name in LENGTHS:
        return values.astype(np.int64)
    flags = _are_flags(values, rows)
    if name in _ENDS:
        behind = np.flatnonzero(values) + 1 if flags else values.astype(np.int64)
        if not flags:
            check_behind(behind, rows, f"{path}: {name}")
        return np.diff(behind, prepend=0) if len(behind) and behind[-1] == rows else np.diff(np.r_[0, behind, rows])
    first = np.flatnonzero(values) if flags else values.astype(np.int64)
    if not len(first) or first[0] != 0:
        raise UserError(f"{path}: {name}: expected the first episode to start at row 0, found {listed(first[:1])}")
    return np.diff(np.r_[first, rows])


def _with_episodes(arrays: Arrays, found: np.ndarray, rows: int, path: str | Path) -> Arrays:
    """With a column that names the episode of each row."""
    if not 0 < len(found) <= rows or found.min() < 1 or sum(found.tolist()) != rows:
        raise UserError(
            f"{path}: the lengths of episodes: expected 1 or more that add up to {rows} rows, found "
            f"{listed(found.tolist())}, in all {sum(found.tolist())}"
        )
    others = {name: values for name, values in arrays.items() if name.lower() not in NAMING}
    return others | {"episode": np.repeat(np.arange(len(found)), found)}
