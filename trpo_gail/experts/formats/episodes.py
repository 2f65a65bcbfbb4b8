"""HDF5 with a group for each episode: robomimic, Isaac Lab, and others that name their groups and datasets differently.

Episodes are `data/demo_N/{obs, actions, rewards, dones}`, `demo_N/{observation, action}` or the like, or datasets
`states_N` and `actions_N` side by side. Numbered ones come in the order of their numbers, others in that of their names.
`obs` may be a group of arrays, the parts of an observation. An episode ends with its last row: by termination if `dones`
or `terminals` is set there, else by a time limit; without such flags it is not known how.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trpo_gail.errors import UserError, listed, shortened
from trpo_gail.experts import blanks, structured, time_first, trajectories
from trpo_gail.experts.check import FIELDS
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import hdf5
from trpo_gail.experts.formats import marks, totals, transitions
from trpo_gail.experts.streams import Rows, cut, row_bytes
from trpo_gail.experts.trajectories import NAMES

NAME = "a group per episode (robomimic, Isaac Lab and others)"

_FLAGS = ("biuf", "0 or 1 [rows], or one value", (0, 1, 2))
_MOST_PARTS = 200

# Where an episode's dataset of a name is: its group and its name there; None if it is not.
Member = Callable[[str], "tuple[h5py.Group, str] | None"]


def holds(path: Path) -> bool:
    """Whether there is an episode with actions in a group of its own, or in a numbered dataset."""
    if not hdf5.names(path):
        return False
    with hdf5.reading(path) as file:
        return bool(_found(file))


def read(path: Path) -> Demonstrations:
    """All episodes, one after the other."""
    with hdf5.reading(path) as file:
        _check_one_set(file, path)
        if (rows := _of_rows(file, path)) is not None:
            return rows
        found = _found(file)
        episodes = [_episode(file, path, *one) for one in found]
        notes = _lacking(file, [len(episode["actions"]) for episode in episodes])
        return trajectories.joined(episodes, path, [name for name, _ in found], _provenance(file), notes)


def pieces(path: Path) -> Iterator[Demonstrations]:
    """The same, some episodes at a time; at once if they differ in more than their lengths, which is refused then. Padding
    and the order of the axes are judged before, of all."""
    with hdf5.reading(path) as file:
        _check_one_set(file, path)
        rows = _of_rows(file, path)
        plan = _plan(file, path) if rows is None else None
    if rows is not None:
        yield rows
        return
    if plan is None:
        yield read(path)
        return
    with hdf5.reading(path) as file:
        found, provenance = _found(file), _provenance(file)
        kept, notes = _judged(file, path, plan)
        for some in cut(np.array(plan.sizes)):
            episodes = [_episode(file, path, *one) for one in found[some]]
            alike = [{f: structured.cast(values, plan.dtypes[f]) for f, values in one.items()} for one in episodes]
            yield trajectories.joined(alike, path, [name for name, _ in found[some]], provenance, notes, kept[some])


@dataclass
class _Plan:
    """What is known of all episodes before their rows are read."""

    dtypes: dict[str, np.dtype] = dataclasses.field(default_factory=dict)  # of the fields of all
    sizes: list[int] = dataclasses.field(default_factory=list)  # bytes of each
    lengths: list[int] = dataclasses.field(default_factory=list)  # steps of each
    goes_on: bool = False  # whether rows follow behind the last flags of one


def _plan(file: h5py.File, path: Path) -> _Plan | None:
    """None if episodes have not the same fields and rows."""
    plan, kinds = _Plan(), None
    for name, member in _found(file):
        columns = _columns(file, path, name, member)
        rows = {field: column.shape[0] for field, column in columns.items()}
        more = {field: rows[field] - min(rows.values()) for field in rows}  # the last observation is one
        kind = {f: (more[f], column.shape[1:], column.dtype.names) for f, column in columns.items()}
        if kinds not in (None, kind):
            return None
        kinds = kind
        plan.lengths.append(rows["actions"])
        plan.sizes.append(sum(rows[field] * row_bytes([column]) for field, column in columns.items()))
        plan.goes_on |= blanks.goes_on(columns)
        try:
            plan.dtypes = {
                f: structured.promoted(column.dtype, plan.dtypes.get(f, column.dtype)) for f, column in columns.items()
            }
        except TypeError:  # of parts of several shapes
            return None
    return plan if plan.dtypes else None


def _judged(file: h5py.File, path: Path, plan: _Plan) -> tuple[list[int], tuple[str, ...]]:
    """(steps [E] of the episodes that are taken, notes), as `trajectories.joined` judges them of all."""
    found, notes = _found(file), _lacking(file, plan.lengths)
    kept = blanks.judged(_episode(file, path, *one) for one in found) if plan.goes_on else None
    if kept is not None:
        notes += (blanks.note(plan.lengths, kept),)
    steps = kept or plan.lengths
    notes += _of_flags((_columns(file, path, *one) for one in found), steps)
    if len(set(steps)) > 1 or len(steps) < 2:
        return steps, notes

    def seen(name: str) -> np.ndarray:
        return time_first.first(_columns(file, path, *one)[name][: steps[0]] for one in found)

    observations = seen("observations")
    time_first.check(observations, seen("next_observations") if "next_observations" in plan.dtypes else None, path)
    said = time_first.note(observations, (len(steps), steps[0]))
    return steps, notes if said is None else (*notes, said)


def _of_flags(episodes: Iterable[Mapping[str, Rows]], steps: Sequence[int]) -> tuple[str, ...]:
    """What to say of the flags of all episodes, of which the first `steps` [E] are taken."""
    within, cut = 0, False
    for episode, count in zip(episodes, steps, strict=True):
        flags = [episode[name][:count] for name in ("terminals", "timeouts") if name in episode]
        within += any(values[:-1].any() for values in flags)
        cut |= "terminals" in episode or not flags or bool(flags[0][-1:].any())
    return trajectories.of_flags(within, len(steps), not cut)


# --- Which episodes there are -------------------------------------------------------------------------------------


def _found(file: h5py.Group) -> list[tuple[str, Member]]:
    """(name, members) of each episode, in order; empty if this is no such file."""
    if (first := next(_sets(file), None)) is not None:
        return [(f"{first.prefix}{name}", _of_group(group)) for name, group in first.groups]
    numbers = sorted(
        {
            int(match[1])
            for name in hdf5.members(file)
            for match in [re.fullmatch(r"(?:actions?|acts)_(\d+)", name)]
            if match
        }
    )
    return [(str(number), _numbered(file, number)) for number in numbers]


@dataclass(frozen=True)
class _Set:
    """Episodes side by side."""

    prefix: str  # the group that they are in
    groups: list[tuple[str, h5py.Group]]  # by their names, in order


def _sets(file: h5py.Group) -> Iterator[_Set]:
    for prefix, group in _places(file):
        names = sorted(
            (name for name in hdf5.members(group) if group.get(name, getclass=True) is h5py.Group), key=_by_number
        )
        held = [(name, group[name]) for name in names]
        stems = {_stem(name) for name, one in held if _name_of("actions", one) is not None}
        if stems:  # what only looks like an episode by its name is refused later
            yield _Set(prefix, [(name, one) for name, one in held if _stem(name) in stems])


def _check_one_set(file: h5py.Group, path: Path) -> None:
    """Raise UserError if several groups, such as train and test, hold episodes."""
    found = list(itertools.takewhile(lambda one: one.prefix, _sets(file)))
    if len(found) > 1:
        said = listed(f"{one.prefix} {len(one.groups)}" for one in found)
        raise UserError(
            f"{path}: several groups hold episodes: {said}; expected one of them: write each into a file of its own, which "
            "trpo-gail data merge puts together"
        )


def _places(file: h5py.Group) -> Iterable[tuple[str, h5py.Group]]:
    """Groups that may hold the episodes: the file itself, `data`, and others, by their prefix."""
    yield "", file
    for name in sorted(hdf5.members(file), key=lambda name: (name != "data", name))[:_MOST_PARTS]:
        if file.get(name, getclass=True) is h5py.Group:
            yield f"{name}/", file[name]


def _by_number(name: str) -> tuple[Any, ...]:
    """demo_10 comes behind demo_9."""
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", name) if part)


def _stem(name: str) -> str:
    """A name without its numbers: episodes are called alike."""
    return re.sub(r"\d+", "", name) if re.search(r"\d", name) else f"only {name}"


def _name_of(field: str, group: h5py.Group) -> str | None:
    return next((name for name in NAMES[field] if name in group), None)


def _of_group(group: h5py.Group) -> Member:
    return lambda name: (group, name) if name in group else None


def _numbered(file: h5py.Group, number: int) -> Member:
    return lambda name: (file, f"{name}_{number}") if f"{name}_{number}" in file else None


# --- One group of rows --------------------------------------------------------------------------------------------


def _of_rows(file: h5py.File, path: Path) -> Demonstrations | None:
    """The episodes of a file whose only group, without a number, has the rows of several; None of another file."""
    found = _found(file)
    if len(found) != 1 or re.search(r"\d", name := found[0][0]):
        return None
    rows, known = _episode(file, path, *found[0]), _provenance(file)
    count, notes = len(rows["actions"]), tuple[str, ...]()
    if trajectories.are_several(rows) and "next_observations" not in rows and len(rows["observations"]) == count + 1:
        rows["observations"], notes = rows["observations"][:-1], (trajectories.ONE_MORE,)
    if any(len(values) != count for values in rows.values()):
        return None
    if trajectories.are_several(rows):
        return transitions.demonstrations(rows, path, known, notes)
    said = {mark: values for mark, values in _marks(file, path, name) if _are_of(mark, values, count)}
    if said:
        return marks.read(*marks.apart(said | rows), path, known)
    if {"terminals", "timeouts"} & rows.keys():
        return None
    return transitions.demonstrations(rows, path, known, _lacking(file, [count]))


def _marks(file: h5py.File, path: Path, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """Integers and flags that may say where episodes end, beside the rows or their group, or in `meta`, as Diffusion Policy
    keeps them."""
    for place in ("meta", name, "/"):
        group = file.get(place)
        for mark in hdf5.members(group) if isinstance(group, h5py.Group) else ():
            dataset = group.get(mark)
            wanted = mark.lower() in (*trajectories.MARKS, *trajectories.EPISODES)
            if wanted and isinstance(dataset, h5py.Dataset) and dataset.dtype.kind in "biu" and dataset.ndim == 1:
                yield mark.lower(), hdf5.rows(file, path, f"{place}/{mark}".lstrip("/"), "biu", "[episodes]", (1,))


def _are_of(mark: str, values: np.ndarray, rows: int) -> bool:
    """Whether numbers or flags by this name are of so many rows, of several episodes."""
    if len(values) < 2:
        return False
    if mark in trajectories.EPISODES:
        return len(values) == rows and len(np.unique(values)) > 1
    if marks.is_flagged(mark, values, rows):
        return int(values.sum()) > 1
    if mark in trajectories.LENGTHS:
        return int(values.min()) > 0 and int(values.sum()) == rows
    if mark in trajectories.STARTS:
        return not values[0] and int(values[-1]) < rows and bool((values[1:] > values[:-1]).all())
    return mark in trajectories.BEHIND and int(values[-1]) == rows


# --- One episode --------------------------------------------------------------------------------------------------


def _episode(file: h5py.File, path: Path, name: str, member: Member) -> dict[str, np.ndarray]:
    """What is there of an episode, by the names of `Demonstrations`."""
    return {field: column[:] for field, column in _columns(file, path, name, member).items()}


def _columns(file: h5py.File, path: Path, called: str, member: Member) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    for field, names in NAMES.items():
        place = next((place for place in map(member, names) if place is not None), None)
        if place is not None:
            expected = FIELDS.get(field, _FLAGS) if field not in ("terminals", "timeouts") else _FLAGS
            if field == "rewards":
                expected = ("fiu", "[rows]", (1, 2))
            name = "/".join([place[0].name.strip("/"), place[1]]).lstrip("/")
            found[field] = hdf5.columns(file, path, name, *expected)
    trajectories.check_step_marks({*found, *(mark for mark in trajectories.STEP_MARKS if member(mark))}, path)
    flags = {field: found.pop(field) for field in trajectories.ENDS if field in found}
    if "actions" not in found:
        raise UserError(
            f"{path}: '{called}' has no actions, expected one of {', '.join(NAMES['actions'])}; it has "
            f"{listed(hdf5.members(file[called]))}"
        )
    rows = found["actions"].shape[0]
    return found | trajectories.with_ends({field: _flags(column, rows, field) for field, column in flags.items()})


def _flags(column: Rows, rows: int, field: str) -> np.ndarray:
    """One value is of the last row."""
    if column.shape:
        return column[:]
    flags = np.full(rows, field == "going_on")
    flags[-1:] = bool(column[:])
    return flags


def _lacking(file: h5py.File, lengths: list[int]) -> tuple[str, ...]:
    """What to say if the file has not as many steps as robomimic's attribute `total` states of `data`."""
    total = file["data"].attrs.get("total") if file.get("data", getclass=True) is h5py.Group else None
    return tuple(totals.differ("'data'", None, total, lengths))


def _provenance(file: h5py.File) -> dict[str, Any]:
    """The environment that robomimic states, if it can be read."""
    place = file["data"] if file.get("data", getclass=True) is h5py.Group else file
    try:
        stated = json.loads(place.attrs["env_args"])
        return {"env_id": shortened(str(stated["env_name"]), 100)}
    except (KeyError, TypeError, ValueError, OSError):
        return {}
