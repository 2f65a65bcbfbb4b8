"""NumPy arrays: an `.npz`, or a folder of `.npy`, of arrays by name; or one bare `.npy`, whose columns a file names.

Arrays are flat, `observations` [N, ...], or batches of episodes of one length, [E, T, ...], which may hold one observation
more than actions. Flat ones are a table (`columns`); lengths, ends or starts of episodes may stand beside them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import batches, infos, trajectories
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import npz, numpy_files
from trpo_gail.experts.formats import columns, marks, sequences, sidecar, transitions, trees

NAME = "NumPy arrays (.npz or .npy)"

Arrays = Mapping[str, np.ndarray]

_OF_ROWS = (*trajectories.MARKS, *trajectories.EPISODES, *trajectories.LOOSE, *columns.STEPS)
_DUMMY = (
    "row 0 has an action and a reward of 0, as in files of Dreamer and DrQ-v2, where an action belongs to the observation "
    "before: if so, put each action beside the observation on which it was taken"
)


def holds(path: Path) -> bool:
    """Whether it is an array of numbers, or an archive or folder of arrays with observations and actions."""
    if path.is_dir():
        return _are_arrays(_files(path))
    names = npz.names(path)
    return _are_arrays(names) if names else numpy_files.holds(path)


def read(path: Path) -> Demonstrations:
    """All episodes. Raises UserError for a bare array whose columns nothing names, and for arrays that disagree."""
    arrays, names = _arrays(path)
    if any(values.dtype.hasobject for values in arrays.values()):
        return _of_objects(arrays, path)
    held = of_arrays(arrays, path)
    return replace(held, notes=(*held.notes, _DUMMY)) if _begins_with_a_dummy(held, names) else held


def _arrays(path: Path) -> tuple[Arrays, list[str]]:
    """(those that are wanted, the names of all)"""
    if path.is_dir():
        files = _files(path)
        columns.check_names(files, path)
        wanted = {
            name: file for name, file in files.items() if _is_wanted(name) and name.lower() not in trajectories.LOOSE
        }
        return {name: numpy_files.read(file) for name, file in wanted.items()}, list(files)
    if numpy_files.holds(path):
        arrays = _by_columns(numpy_files.read(path), path)
        return arrays, list(arrays)
    names = npz.names(path)
    columns.check_names(names, path)
    with npz.reading(path) as archive:
        there = [name for name in names if _is_wanted(name) and not _is_an_object(name, archive)]
        found = {name: archive.value(name) for name in there}
        return found | _limits(names, found, archive), names


def _is_an_object(name: str, archive: npz.Archive) -> bool:
    """Whether an array that may say something else is a pickle, as of the environment itself."""
    return name.lower() in trajectories.LOOSE and b"'|O'" in archive.start(name)


def _limits(names: list[str], found: Arrays, archive: npz.Archive) -> dict[str, np.ndarray]:
    """Flags of time limits as an array of `info` says them, a mapping each row; nothing if others are there, or if it cannot
    be read, as it may hold anything; nothing if none is set, unless arrays tell episodes apart."""
    name = next((name for name in trajectories.INFOS if name in names), None)
    if name is None or {"timeouts", "limit"} & {columns.field(one) for one in found}:
        return {}
    with contextlib.suppress(UserError, ValueError, TypeError):
        held = {**found, name: archive.value(name)}
        flags = np.array(infos.limits(held), bool)
        said = flags.any() or (marks.are_in(found) and infos.are_said(held))
        return {trajectories.TIME_LIMIT: flags} if flags.ndim and said else {}
    return {}


def of_arrays(arrays: Arrays, path: Path) -> Demonstrations:
    """By their names and shapes: one episode, a batch of episodes, transitions, or rows of a table."""
    # One value names no row: the length or the number of the only episode.
    arrays = {name: values for name, values in arrays.items() if values.ndim or name.lower() not in _OF_ROWS}
    if (episode := _one_episode(arrays)) is not None:
        return trajectories.joined([episode], path, ["the episode"])
    said, arrays = marks.apart(arrays)
    fields = _fields(arrays)
    if {"observations", "actions"} <= fields.keys():
        if not said and _is_batch(fields) and (rows := batches.of_one_environment(fields)) is not None:
            return transitions.demonstrations(
                {name: sequences.column(values, name) for name, values in rows.items()}, path
            )
        if not set(said) - set(trajectories.LENGTHS) and _is_batch(fields):
            return sequences.read(fields, marks.lengths(said, path, 0), path)
        if not said and "next_observations" not in fields and len(fields["observations"]) == len(fields["actions"]) + 1:
            if not trajectories.are_several(fields):
                return trajectories.joined([fields], path)
            rows = {name: sequences.column(values, name) for name, values in fields.items()}
            rows["observations"] = rows["observations"][:-1]
            return transitions.demonstrations(rows, path, notes=(trajectories.ONE_MORE,))
    led_to = any(name.lower().startswith(trajectories.LED_TO) for name in arrays)  # columns knows what these are
    by_name = any(name.lower() in (*trajectories.NAMING, *columns.STEPS) for name in arrays)
    if not said and not led_to and not by_name and transitions.are_here(arrays):
        return transitions.demonstrations({name: arrays[name] for name in transitions.wanted_of(arrays)}, path)
    return marks.read(said, arrays, path)


def _one_episode(arrays: Arrays) -> dict[str, np.ndarray] | None:
    """The fields of an episode of whose end one value says how it is; None if there is no such value."""
    fields = columns.whole(arrays)
    flags = [name for name in ("terminals", "timeouts") if name in fields and not fields[name].ndim]
    if not flags or not {"observations", "actions"} <= fields.keys():
        return None
    return {name: values for name, values in fields.items() if values.ndim or name in flags}


def _begins_with_a_dummy(held: Demonstrations, names: list[str]) -> bool:
    """Whether files of Dreamer and DrQ-v2 look so: discounts in place of flags, and nothing done or paid in row 0."""
    ends = {columns.field(name) for name in names} & set(trajectories.ENDS)
    if "discount" not in names or ends or held.rewards is None or not held.has_actions:
        return False
    return not held.rewards[0] and not np.asarray(held.actions[0]).any()


def _of_objects(tree: Any, path: Path) -> Demonstrations:
    """Of what the restricted unpickler made of an array of objects."""
    if (held := trees.demonstrations(tree, path)) is not None:
        return held
    raise UserError(f"{path}: {trees.refused(tree, path)}")


def _fields(arrays: Arrays) -> dict[str, np.ndarray]:
    """Arrays by the names of `Demonstrations`, without single values."""
    return {field: values for field, values in columns.whole(arrays).items() if values.ndim}


def _is_wanted(name: str) -> bool:
    low = name.lower()
    return columns.field(low) is not None or low in trajectories.OPPOSITE or low in _OF_ROWS


def _are_arrays(names: Mapping[str, Path] | list[str]) -> bool:
    return {"observations", "actions"} <= {columns.field(name) for name in names}


def _files(folder: Path) -> dict[str, Path]:
    return {file.stem: file for file in sorted(folder.glob("*.npy"))}


# --- A bare array -------------------------------------------------------------------------------------------------


def _by_columns(values: np.ndarray, path: Path) -> Arrays:
    """Columns [N] of an array [N, columns], or [E, T] of one [E, T, columns]; of records those that they name."""
    if values.dtype.names is not None:
        return {name: values[name] for name in values.dtype.names}
    if values.dtype.kind not in "biuf" or values.ndim not in (2, 3):
        expected = "numbers [rows, columns] or [episodes, steps, columns]"
        raise UserError(f"{path}: expected {expected}, found {values.dtype} {list(values.shape)}")
    names = sidecar.names(path, values.shape[-1])
    if names is None:
        raise sidecar.missing(path, f"one array {list(values.shape)} of {values.shape[-1]} columns")
    arrays = {name: values[..., i] for i, name in enumerate(names)}
    if values.ndim == 2:
        return arrays
    flat = {name: part.reshape(-1) for name, part in arrays.items()}
    fields = columns.grouped(flat, path).fields
    batch = {name: part.reshape(*values.shape[:2], *part.shape[1:]) for name, part in fields.items()}
    if batch["observations"].ndim == 2:
        batch["observations"] = batch["observations"][..., None]
    return batch


# --- Batches of episodes ------------------------------------------------------------------------------------------


def _is_batch(fields: Arrays) -> bool:
    """Whether arrays are [E, T, ...], as far as their shapes tell: images [N, H, W] are not if rewards or flags are [N]."""
    observed, acted = fields["observations"], fields["actions"]
    if observed.ndim < 3 or acted.ndim < 2 or len(observed) != len(acted):
        return False
    paid = "rewards" in fields and fields["rewards"].shape[:2] == acted.shape[:2] and acted.shape[1] > 1
    if paid and sequences.are_here(fields):
        return True  # though flags be one a sequence; of one step each, they are one a row
    one_each = [fields[name] for name in ("rewards", "terminals", "timeouts") if name in fields]
    if any(values.shape[:2] != acted.shape[:2] for values in one_each):
        return False
    return observed.shape[1] - acted.shape[1] in (0, 1)
