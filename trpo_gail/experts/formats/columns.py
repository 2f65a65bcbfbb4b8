"""Demonstrations from columns by name: what tables of any format hold (CSV, Parquet, Arrow, JSON lines, NumPy arrays).

`obs_0`, `obs.1`, `observation[2]` are the columns of one array; `observation.state` and `next.reward` are LeRobot's names
of one. Episodes are told apart by a column that names them, by flags, by a step that starts again, by next observations,
or, if nothing says it, by breaks (`breaks`). N rows, E episodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import breaks, structured, trajectories
from trpo_gail.experts.arrays import demonstrations
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import by_name, in_turn, transitions
from trpo_gail.experts.formats.d4rl import mark_breaks, unflagged
from trpo_gail.experts.trajectories import BESIDE, EPISODES, LED_TO, NAMES, check_spelling

STEPS = ("step", "steps", "timestep", "timesteps", "time_step", "t", "frame_index", "step_id", "step_index", "time")
EXPECTED = "columns called obs_0, obs_1, ..., action_0, ... (or observation, action), and episode, done, step or reward"

LABELS = ("label", "labels")  # actions that are integers, however they are written

_NAMES = NAMES | {"actions": (*NAMES["actions"], *LABELS)}
_FIELD = {name: field for field, names in _NAMES.items() for name in names}
_SEEN = tuple(f"{name}_" for field in ("observations", "actions") for name in NAMES[field])
_FEW = 3  # rows that may go down by chance
_LONGEST = 200  # letters of a name: looking for a number in it takes the square of its length
_NUMBERED = re.compile(r"(.*?)[\s._\-\[(:]*(\d{1,9})[\])]?")


@dataclass(frozen=True)
class Grouped:
    """Columns of a table by what they are."""

    fields: dict[str, np.ndarray]  # by the names of `Demonstrations`
    episode: np.ndarray | None  # [N], equal in the rows of an episode
    step: np.ndarray | None  # [N]
    beside: dict[str, np.ndarray]  # [N], what names the environment or agent of each row
    others: tuple[str, ...]  # names that say nothing


def read(columns: Mapping[str, np.ndarray], path: str | Path, known: Mapping[str, Any] | None = None) -> Demonstrations:
    """Demonstrations of columns [N] or [N, ...] by their names; `known` by the names of `Provenance`.

    Raises UserError if no column is called observations or actions, and as `trajectories.joined` does.
    """
    found = grouped(columns, path)
    held = _read(found, path, known)
    seen = [name for name in found.others if name.strip().lower().startswith(_SEEN)]
    return replace(held, notes=(*held.notes, f"columns that are left out: {listed(seen)}")) if seen else held


def _read(found: Grouped, path: str | Path, known: Mapping[str, Any] | None) -> Demonstrations:
    _check_rows(found, path)
    fields, step = _shaped(found.fields), found.step
    lanes, notes = in_turn.told_apart(found.beside, found.episode, step, fields, flagged(fields))
    if found.episode is not None:
        names = found.episode if lanes is None else in_turn.both(found.episode, lanes)
        held = by_name.by_episode(names, step, flagged(fields), path)
        ordered = {name: values[held.order] for name, values in fields.items()}
        return _split(ordered, held.lengths, path, known, (*notes, *held.notes))
    behind = None
    if lanes is not None:
        fields, step, behind = _one_after_the_other(fields, step, lanes)
    again, told = begins_again(step)
    notes += told
    _check_time(step, flagged(fields), path)
    if "terminals" in fields or "timeouts" in fields:
        of_file = frozenset(fields)  # before ends are marked
        notes += mark_breaks(fields) or _mark(fields, again)
        rows = demonstrations(fields | dict(known or {}), path)
        return replace(rows, notes=(*notes, *trajectories.at_last(of_file, rows)))
    if behind is not None:
        again = behind if again is None else behind | again
    if again is not None:
        return _split(fields, _lengths(np.flatnonzero(again), len(again)), path, known, notes)
    one = _unmarked(fields, path, known)
    return replace(one, notes=(*notes, *one.notes))


def _one_after_the_other(
    fields: Mapping[str, np.ndarray], step: np.ndarray | None, lanes: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray | None, np.ndarray]:
    """(fields, steps, the last rows [N] bool of each) of rows of several environments or agents, all of one after all of
    another. Each one's last row ends an episode, by a time limit if there are flags and none says it; without flags, so do
    rows whose next observation is not the next row's."""
    order = np.argsort(lanes, kind="stable")
    behind = np.r_[np.diff(lanes[order]) != 0, True]
    ordered = {name: values[order] for name, values in fields.items()}
    ends = flagged(ordered)
    if ends is not None:
        cut = behind & ~ends
        ordered["timeouts"] = cut | (
            ordered["timeouts"].reshape(len(cut), -1)[:, 0] != 0 if "timeouts" in fields else False
        )
    else:
        mark_breaks(shown := dict(ordered))
        behind = behind | shown.get("timeouts", False)
    return ordered, None if step is None else step[order], behind


def grouped(columns: Mapping[str, np.ndarray], path: str | Path) -> Grouped:
    """Raises UserError unless there are observations and actions."""
    members: dict[str, dict[str, dict[Any, np.ndarray]]] = {}
    marks: dict[str, np.ndarray] = {}
    beside: dict[str, np.ndarray] = {}
    others = []
    for name, values in columns.items():
        plain = name.strip().lower()
        if (place := _place(plain)) is not None:
            parts = members.setdefault(place.field, {}).setdefault(place.name, {})
            if place.part in parts:
                raise UserError(
                    f"{path}: column '{name:.60}': another one is called so, too, but for the way it is written"
                )
            parts[place.part] = values
        elif plain in EPISODES or plain in STEPS:
            marks.setdefault("episode" if plain in EPISODES else "step", values)
        elif plain in BESIDE:
            beside[name] = values
        else:
            others.append(name)
    for field in ("observations", "actions"):
        if field not in members:
            raise UserError(f"{path}: no column is called {field}: expected {EXPECTED}; found {listed(columns)}")
    check_names(columns, path)
    fields = {}
    for field, called in members.items():
        name = min(called, key=_NAMES[field].index)  # the first name counts
        _check_split(called, field, path)
        others += [other for other in called if other != name]
        fields[field] = _array(called[name], f"{path}: {field}")
        if name in LABELS:
            fields[field] = _labels(fields[field], f"{path}: {name}")
    step = marks.get("step")
    if step is not None and step.dtype.kind in "iu":
        step = step.astype(np.int64)  # in which no difference wraps, as unsigned ones do
    return Grouped(trajectories.with_ends(fields), marks.get("episode"), step, beside, tuple(others))


def _check_split(called: Mapping[str, Mapping[Any, np.ndarray]], field: str, path: str | Path) -> None:
    """Raise UserError if columns of one array seem to go by several names: obs_0, observation_1."""
    numbered = [(name, set(parts)) for name, parts in called.items() if all(isinstance(part, int) for part in parts)]
    for i, (name, parts) in enumerate(numbered):
        for other, more in numbered[i + 1 :]:
            if not parts & more:
                raise UserError(
                    f"{path}: columns of {field} are called both {name}_{min(parts)} and {other}_{min(more)}: expected one "
                    "name for all of them"
                )


def _check_rows(found: Grouped, path: str | Path) -> None:
    """That all columns have as many rows, and at least a number in each."""
    actions, marks = found.fields["actions"], {"episode": found.episode, "step": found.step}
    rows = len(actions) if actions.ndim else 0
    if not rows:
        raise UserError(f"{path}: expected at least 1 row, found 0")
    for name, values in (found.fields | {name: mark for name, mark in marks.items() if mark is not None}).items():
        if not values.ndim or len(values) != rows:
            many = len(values) if values.ndim else "one value"
            raise UserError(f"{path}: {name}: expected {rows} rows as of actions, found {many}")
        if 0 in values.shape[1:]:
            raise UserError(f"{path}: {name}: expected at least 1 number in each row, found shape {list(values.shape)}")
        if name in ("episode", "step") and values.dtype.kind not in "biufU":
            raise UserError(f"{path}: {name}: expected numbers or texts, found {values.dtype}")


def _labels(values: np.ndarray, where: str) -> np.ndarray:
    """Integers of numbers that are whole."""
    if values.dtype.kind not in "biuf" or not (np.isfinite(values) & (values == np.round(values))).all():
        raise UserError(f"{where}: expected whole numbers, found others")
    return values.astype(np.int64)


def check_names(names: Iterable[str], where: str | Path) -> None:
    """Raise UserError, which begins with `where`, for a column whose name seems to be a misspelt one."""
    check_spelling((field(name) or name.strip().lower() for name in names), where)


def whole(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays that are not columns of one, by the names of `Demonstrations`; the first name that is there counts."""
    plain = {name.strip().lower(): values for name, values in arrays.items()}
    first = {field: next((name for name in names if name in plain), None) for field, names in _NAMES.items()}
    return trajectories.with_ends({field: plain[name] for field, name in first.items() if name is not None})


def field(name: str) -> str | None:
    """Which array a column of this name is of; None if it is of no array."""
    place = _place(name.strip().lower())
    return None if place is None else place.field


def is_field(name: str) -> bool:
    """Whether a column of this name is observations, actions, rewards or flags, or one of their columns by number. One out
    of `info` may be anything."""
    place = _place(name.strip().lower())
    return place is not None and place.field != "limit" and (place.part == "" or isinstance(place.part, int))


# --- Names --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """What a column holds: which part, "" if it is the whole, of the array that is called `name`."""

    field: str
    name: str
    part: int | str


def _place(name: str) -> _Place | None:
    """None if a column of this name is no array's."""
    if len(name) > _LONGEST:
        return None
    if name in _FIELD:
        return _Place(_FIELD[name], name, "")
    if name.startswith(LED_TO):
        return None
    if (match := _NUMBERED.fullmatch(name)) and match[1] in _FIELD:
        return _Place(_FIELD[match[1]], match[1], int(match[2]))
    before, dot, after = name.partition("/" if "/" in name else ".")
    if dot and _FIELD.get(before) in ("observations", "actions", "next_observations"):
        part = after.replace("/", ".").strip(".")
        return _Place(_FIELD[before], before, part) if part else None
    return None


def _array(parts: Mapping[Any, np.ndarray], where: str) -> np.ndarray:
    """One array of a field's columns: side by side if each is a number, those of one name in the order of their own
    numbers, if they have some; else the records of parts."""
    if list(parts) == [""] or len(parts) == 1:
        return next(iter(parts.values()))
    if "" in parts:  # observation, and observation_1: the one without a number is the first
        parts = {(-1 if key == "" else key): values for key, values in parts.items()}
    if all(isinstance(key, int) for key in parts):
        parts = dict(sorted(parts.items()))
    else:
        parts = {key: parts[key] for key in _by_number(parts)}
    lengths = {str(key): len(values) if values.ndim else 0 for key, values in parts.items()}
    if len(set(lengths.values())) > 1:
        said = listed(f"{key} {rows}" for key, rows in lengths.items())
        raise UserError(f"{where}: expected as many rows of each part, found {said}")
    if all(values.ndim == 1 and values.dtype.kind in "biuf" for values in parts.values()):
        return np.stack(list(parts.values()), axis=1)
    if all(isinstance(key, int) for key in parts) or any(key == -1 for key in parts):
        raise UserError(f"{where}: expected numbers in each of {len(parts)} columns, found others")
    return structured.packed({str(key): values for key, values in parts.items()})


def _by_number(keys: Iterable[Any]) -> list[Any]:
    """The same with pose.2 before pose.10, in the places that those of one name have: many programs sort names as texts."""
    found = {key: _NUMBERED.fullmatch(str(key)) for key in keys}
    stems: dict[Any, list[tuple[int, Any]]] = {}
    for key, match in found.items():
        stems.setdefault(match[1] if match else key, []).append((int(match[2]) if match else -1, key))
    in_order = {stem: iter(sorted(numbered, key=lambda pair: pair[0])) for stem, numbered in stems.items()}
    return [next(in_order[match[1] if match else key])[1] for key, match in found.items()]


def _shaped(fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """With floats of one column as [N, 1]; integers of one are labels [N]."""
    shaped = dict(fields)
    for name in ("observations", "next_observations"):
        if name in shaped and shaped[name].ndim == 1 and shaped[name].dtype.kind == "f":
            shaped[name] = shaped[name][:, None]
    return shaped


# --- Episodes -----------------------------------------------------------------------------------------------------


def flagged(fields: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Rows [N] bool that a flag ends; None if there are no flags."""
    flags = [fields[name] for name in ("terminals", "timeouts") if name in fields]
    if not flags or any(values.ndim == 0 or values.dtype.kind not in "biuf" for values in flags):
        return None
    return np.any([values.reshape(len(values), -1).any(1) for values in flags], axis=0)


def _check_time(step: np.ndarray | None, ends: np.ndarray | None, path: str | Path) -> None:
    """Raise UserError for rows without names of episodes whose newest come first: the step goes down from each end."""
    if step is None or not by_name.counts(step) or ends is None or not ends.any():
        return
    wide = step.astype(np.float64)
    falls, begins = np.diff(wide) < 0, np.r_[True, np.diff(wide) > 0]
    if 2 * falls.sum() > len(falls) > _FEW and begins[ends].all() and not ends[-1]:
        raise UserError(
            f"{path}: step: goes down from each row that a flag ends, so the newest rows come first: expected rows in the "
            "order of time, or a column that names the episode"
        )


def begins_again(step: np.ndarray | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """(rows [N] bool after which the step does not go up, notes); None if no row does, or most do: that counts something
    else."""
    if step is None or step.ndim != 1 or step.dtype.kind not in "iuf":
        return None, ()
    moves = np.diff(step)
    again = np.r_[moves <= 0, False]
    if 0 < 2 * again.sum() <= len(step):
        return again, ()
    stays = int((moves == 0).sum())
    if not 2 * stays >= len(moves) > _FEW or not moves.any():
        return None, ()
    return None, (
        f"the step stays in {stays} of {len(step)} rows, so it tells no episodes apart: if rows are of several environments "
        "in turn, a column env_id must name these",
    )


def _mark(fields: dict[str, np.ndarray], again: np.ndarray | None) -> tuple[str, ...]:
    """Mark the ends that the step alone shows; in words, if there are any. They are time limits, or terminations if the
    file has flags of time limits alone, which are not set there."""
    flags = [fields[name].reshape(-1) for name in ("terminals", "timeouts") if name in fields]
    if again is None or any(len(values) != len(again) for values in flags):
        return ()
    silent = again & ~np.any([values != 0 for values in flags], axis=0)
    if not (count := int(silent.sum())):
        return ()
    kind, words = unflagged(fields)
    fields[kind] = silent | (fields[kind].reshape(-1) != 0 if kind in fields else False)
    ends = "1 episode ends" if count == 1 else f"{count} episodes end"
    return (f"{ends} without a flag: the step begins again; taken for {words}",)


def _lengths(last: np.ndarray, rows: int) -> np.ndarray:
    """Lengths [E] of episodes that end in these rows, and with the last of all."""
    return np.diff(np.r_[last[last < rows - 1] + 1, rows], prepend=0)


def _split(
    fields: Mapping[str, np.ndarray],
    lengths: np.ndarray,
    path: str | Path,
    known: Mapping[str, Any] | None,
    notes: tuple[str, ...] = (),
) -> Demonstrations:
    ends = np.cumsum(lengths)[:-1]
    parts = {name: np.split(values, ends) for name, values in fields.items()}
    episodes = [{name: values[i] for name, values in parts.items()} for i in range(len(lengths))]
    return trajectories.joined(episodes, path, known=known, notes=notes)


def _unmarked(fields: dict[str, np.ndarray], path: str | Path, known: Mapping[str, Any] | None) -> Demonstrations:
    """Of rows that no column tells apart."""
    rows = len(fields["observations"])
    if "next_observations" in fields:
        return transitions.demonstrations(fields, path, known)
    observed, actions = structured.columns(fields["observations"]), fields["actions"]
    comparable = len(actions) == rows and observed.dtype.kind in "biuf" and actions.dtype.kind in "biuf"
    found = np.zeros(rows, bool)
    if comparable and np.isfinite(observed).all() and np.isfinite(actions).all():
        found = breaks.jumps(observed, _choices(structured.columns(actions)))
    if found.any():
        lengths = _lengths(np.flatnonzero(found), rows)
        note = f"no column marks the episodes: {len(lengths)} were told apart by breaks in the observations, a guess"
        return _split(fields, lengths, path, known, (note,))
    return replace(demonstrations(fields | dict(known or {}), path), notes=(trajectories.NO_BREAK,))


def _choices(actions: np.ndarray) -> np.ndarray:
    """Discrete actions [N, 1] as one column for each label, if there are few."""
    labels = np.unique(actions)
    if actions.shape[1] == 1 and actions.dtype.kind in "biu" and len(labels) <= 32:
        return np.asarray(actions == labels, np.float64)
    return actions
