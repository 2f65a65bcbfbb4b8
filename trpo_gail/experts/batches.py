"""Batches of episodes: arrays [E, T, ...], padded or not, and lists of arrays [T, ...].

E episodes, T steps of the longest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import arrays
from trpo_gail.experts.trajectories import CALLED, ENDS, LENGTHS, picked


def is_batch(found: Mapping[str, Any]) -> bool:
    """Whether values by the names of `Demonstrations` are those of several episodes, as far as their shapes tell."""
    observations, actions = found["observations"], found["actions"]
    if isinstance(observations, (list, tuple)):
        if depth(observations) < 3 or depth(actions) < 2:
            return False
        return length(part(observations[0])) - length(actions[0]) in (0, 1)  # else images, a step each
    rewards = found.get("rewards")
    if not all(isinstance(values, np.ndarray) for values in (observations, actions)) or observations.ndim < 3:
        return False
    if isinstance(rewards, np.ndarray) and rewards.ndim >= 2 and rewards.size > len(rewards):
        return bool(rewards.shape[:2] == actions.shape[:2])
    steps = actions.shape[1] if actions.ndim >= 2 else 0
    each = [found[name] for name in ("rewards", "terminals", "timeouts") if isinstance(found.get(name), np.ndarray)]
    labels = actions.ndim == 2 and actions.dtype.kind in "iu" and not any(values.ndim == 1 for values in each)
    alike = len(actions) == len(observations) and observations.shape[1] - steps in (0, 1)
    return alike and (actions.ndim == 3 or labels)


def of_one_environment(found: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """Rows [N, ...] of a vector of one environment, whose arrays are [N, 1, ...]; None if flags do not show that: episodes
    of one step each would all have ended."""
    flags = [found[name] for name in ("terminals", "timeouts") if name in found]
    values = [*flags, *(found[name] for name in ("observations", "actions", "rewards") if name in found)]
    alike = all(isinstance(each, np.ndarray) and each.ndim >= 2 and each.shape[1] == 1 for each in values)
    if not flags or not alike or len(found["actions"]) < 2:
        return None
    if np.any([np.asarray(each).reshape(len(each), -1) != 0 for each in flags], axis=0).all():
        return None
    return {name: each[:, 0] for name, each in found.items() if isinstance(each, np.ndarray) and each.ndim >= 2}


def refuse_in_hdf5(shapes: Mapping[str, tuple[int, ...]], path: str | Path) -> None:
    """Raise UserError if datasets of these shapes, by any of their names, are [E, T, ...], as what is one number a step or
    `lengths` show: in HDF5, only rows are read."""
    found = picked(shapes)
    acted, seen = found.get("actions", ()), found.get("observations", ())
    one_each = [found[name] for name in ("rewards", *ENDS) if name in found]
    lengths_of = [shapes[name] for name in LENGTHS if name in shapes]
    if len(acted) < 2 or len(seen) < 3 or len(one_each) + len(lengths_of) == 0 or acted[1] < 2:
        return
    alike = all(shape[:2] == acted[:2] and len(shape) < 4 for shape in one_each)
    if (
        alike
        and all(shape == acted[:1] for shape in lengths_of)
        and seen[0] == acted[0]
        and seen[1] - acted[1] in (0, 1)
    ):
        raise UserError(
            f"{path}: actions {list(acted)} are [episodes, steps, ...], which is read from .npz, not from HDF5: write the "
            "same arrays by numpy.savez, or rows one after the other"
        )


def part(value: Any) -> Any:
    """The first part of an observation of several."""
    while isinstance(value, Mapping) and value:
        value = next(iter(value.values()))
    return value


def depth(value: Any) -> int:
    """Dimensions of an array, a list of lists or a list of arrays, of which the first tells."""
    value, deep = part(value), 0
    while isinstance(value, (list, tuple)) and value and deep < 9:
        value, deep = part(value[0]), deep + 1
    return deep + (value.ndim if isinstance(value, np.ndarray) else 0)


def length(value: Any) -> int:
    """Items of a list or an array; 0 of what holds no items."""
    return len(value) if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim) else 0


def split(found: Mapping[str, Any], path: str | Path, lengths: Any = None) -> list[dict[str, Any]]:
    """The episodes of values [E, T, ...], or lists of E, by the names of `Demonstrations`; without what pads them.

    `lengths` [E] are the steps of each. Flags may be one value an episode. Raises UserError for numbers of episodes that
    differ, and for lengths that are not within the arrays.
    """
    fields = [name for name in CALLED if name in found]
    episodes = len(found["actions"])
    for name in fields:
        held = length(found[name])
        if held != episodes:
            raise UserError(f"{path}: {name}: expected {episodes} episodes as of actions, found {held}")
    made: list[dict[str, Any]] = [{name: found[name][i] for name in fields} for i in range(episodes)]
    if lengths is not None:
        for i, steps in enumerate(lengths_of(lengths, episodes, path).tolist()):
            made[i] = _cut(made[i], steps, f"{path}: episode {i}")
    return made


def lengths_of(values: Any, episodes: int, path: str | Path) -> np.ndarray:
    """[E] steps that an array or a list states. Raises UserError unless these are as many whole numbers."""
    lengths = arrays.array(values, f"{path}: lengths")
    if lengths.size != episodes or lengths.dtype.kind not in "iu":
        raise UserError(
            f"{path}: lengths: expected {episodes} whole numbers, found {lengths.dtype} {list(lengths.shape)}"
        )
    return lengths.reshape(-1).astype(np.int64)


def check_length(length: int, rows: int, where: str) -> None:
    """Raise UserError, which begins with `where`, unless an episode of this length is within its rows."""
    if not 1 <= length <= rows:
        raise UserError(f"{where}: expected a length from 1 to {rows}, found {length}")


def _cut(episode: dict[str, Any], length: int, where: str) -> dict[str, Any]:
    """Without the rows behind its length; of observations one more is kept if there is one more than actions."""
    rows = len(episode["actions"])
    check_length(length, rows, where)
    more = int(isinstance(episode["observations"], np.ndarray) and len(episode["observations"]) == rows + 1)
    cut = {}
    for name, values in episode.items():
        steps = isinstance(values, (list, tuple)) or (isinstance(values, np.ndarray) and values.ndim > 0)
        cut[name] = values[: length + more * (name == "observations")] if steps else values
    return cut
