"""HDF5 with a group for each episode: robomimic, Isaac Lab, and others that name their groups and datasets differently.

Episodes are `data/demo_N/{obs, actions, rewards, dones}`, `demo_N/{observation, action}` or the like, or datasets
`states_N` and `actions_N` side by side. Numbered ones come in the order of their numbers, others in that of their names.
`obs` may be a group of flat arrays, which are laid side by side in the sorted order of their names. An episode ends with
its last row: by termination if `dones` or `terminals` is set there, else by a time limit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trpo_gail.errors import UserError, listed, shortened
from trpo_gail.experts import arrays, hdf5
from trpo_gail.experts.check import FIELDS
from trpo_gail.experts.data import Demonstrations

NAME = "a group per episode (robomimic, Isaac Lab and others)"

# What a dataset of an episode may be called; the first that is there is read.
_CALLED = {
    "observations": ("obs", "observations", "observation", "states", "state"),
    "actions": ("actions", "action", "acts"),
    "rewards": ("rewards", "reward", "rews"),
    "terminals": ("dones", "terminals", "terminated", "done"),
    "timeouts": ("timeouts", "truncated"),
    "next_observations": ("next_obs", "next_observations", "next_states"),
}
_REQUIRED = ("observations", "actions")
_FLAGS = ("biuf", "0 or 1 [rows]", (1, 2))
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
        found = _found(file)
        read = [_episode(file, path, name, member) for name, member in found]
        provenance, notes = _provenance(file), _notes(found[0][1])
    names = [name for name, _ in found]
    held = {field: [episode[field] for episode in read if field in episode] for field in _CALLED}
    for field, parts in held.items():
        if parts and len(parts) < len(read):
            without = next(name for name, episode in zip(names, read, strict=True) if field not in episode)
            raise UserError(f"{path}: '{without}' has no {field}, expected them of each episode or of none")
    lengths = np.array([len(episode["observations"]) for episode in read])
    joined: dict[str, Any] = {field: _joined(parts, names, field, path) for field, parts in held.items() if parts}
    terminals, timeouts = _ends(joined, lengths)
    steps = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    known = joined | {"terminals": terminals, "timeouts": timeouts, "steps": steps, "episode_lengths": lengths}
    return replace(arrays.demonstrations(known | provenance, path), notes=notes)


# --- Which episodes there are -------------------------------------------------------------------------------------


def _found(file: h5py.Group) -> list[tuple[str, Member]]:
    """(name, members) of each episode, in order; empty if this is no such file."""
    for prefix, group in _places(file):
        names = sorted((name for name in group if group.get(name, getclass=True) is h5py.Group), key=_by_number)
        held = [(name, group[name]) for name in names]
        with_actions = [(f"{prefix}{name}", one) for name, one in held if _name_of("actions", one) is not None]
        if with_actions:
            return [(name, _of_group(one)) for name, one in with_actions]
    numbers = sorted(
        {int(match[1]) for name in file for match in [re.fullmatch(r"(?:actions?|acts)_(\d+)", name)] if match}
    )
    return [(str(number), _numbered(file, number)) for number in numbers]


def _places(file: h5py.Group) -> Iterable[tuple[str, h5py.Group]]:
    """Groups that may hold the episodes: the file itself, `data`, and others, by their prefix."""
    yield "", file
    for name in sorted(file, key=lambda name: (name != "data", name))[:_MOST_PARTS]:
        if file.get(name, getclass=True) is h5py.Group:
            yield f"{name}/", file[name]


def _by_number(name: str) -> tuple[Any, ...]:
    """demo_10 comes behind demo_9."""
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", name) if part)


def _name_of(field: str, group: h5py.Group) -> str | None:
    return next((name for name in _CALLED[field] if name in group), None)


def _of_group(group: h5py.Group) -> Member:
    return lambda name: (group, name) if name in group else None


def _numbered(file: h5py.Group, number: int) -> Member:
    return lambda name: (file, f"{name}_{number}") if f"{name}_{number}" in file else None


# --- One episode --------------------------------------------------------------------------------------------------


def _episode(file: h5py.File, path: Path, name: str, member: Member) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for field, called in _CALLED.items():
        place = next((place for place in map(member, called) if place is not None), None)
        if place is None:
            if field in _REQUIRED:
                raise UserError(f"{path}: '{name}' has no {field}, expected one of {', '.join(called)}")
            continue
        expected = _FLAGS if field in ("terminals", "timeouts") else FIELDS[field]
        if field == "rewards":
            expected = ("fiu", "[rows]", (1, 2))
        found[field] = _values(file, path, place[0], place[1], expected)
    rows, actions = len(found["observations"]), len(found["actions"])
    if rows == actions + 1:  # the last is what was observed after the last action
        whole = found["observations"]
        found["observations"] = whole[:-1]
        found.setdefault("next_observations", whole[1:])
        rows = actions
    for field, values in found.items():
        if len(values) != rows:
            raise UserError(f"{path}: '{name}': expected {rows} {field} as observations, found {len(values)}")
    return found


def _values(file: h5py.File, path: Path, group: h5py.Group, name: str, expected: tuple[Any, ...]) -> np.ndarray:
    """A dataset, or the parts of a group side by side."""
    place = f"{group.name.strip('/')}/{name}".lstrip("/")
    if group.get(name, getclass=True) is not h5py.Group:
        return hdf5.array(file, path, place, *expected)
    parts = sorted(group[name])
    if not 0 < len(parts) <= _MOST_PARTS:
        raise UserError(f"{path}: '{place}': expected 1 to {_MOST_PARTS} arrays in a group, found {len(parts)}")
    flat = [hdf5.array(file, path, f"{place}/{part}", "fiu", "[rows, size] or [rows]", (1, 2)) for part in parts]
    if len({len(part) for part in flat}) > 1:
        raise UserError(f"{path}: '{place}': expected as many rows of each part, found {listed(map(len, flat))}")
    return np.concatenate([part.reshape(len(part), -1) for part in flat], axis=1)


def _notes(member: Member) -> tuple[str, ...]:
    """That observations are several arrays, if they are."""
    place = next((place for place in map(member, _CALLED["observations"]) if place is not None), None)
    if place is None or place[0].get(place[1], getclass=True) is not h5py.Group:
        return ()
    return (f"an observation is the parts {listed(sorted(place[0][place[1]]), 20)} side by side, in this order",)


def _joined(parts: list[np.ndarray], names: list[str], field: str, path: Path) -> np.ndarray:
    for name, part in zip(names, parts, strict=True):
        if part.shape[1:] != parts[0].shape[1:]:
            expected, found = list(parts[0].shape[1:]), list(part.shape[1:])
            raise UserError(f"{path}: '{name}': expected {field} of shape {expected} as '{names[0]}', found {found}")
    return np.concatenate(parts)


def _ends(joined: dict[str, Any], lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(terminals [N], timeouts [N]), set in the last rows alone: a demonstration may go on after its success."""
    last = np.zeros(lengths.sum(), bool)
    last[np.cumsum(lengths) - 1] = True
    said = joined.get("terminals")
    terminals = last & (said.reshape(len(last), -1)[:, 0] != 0) if said is not None else np.zeros(len(last), bool)
    return terminals, last & ~terminals


def _provenance(file: h5py.File) -> dict[str, Any]:
    """The environment that robomimic states, if it can be read."""
    place = file["data"] if file.get("data", getclass=True) is h5py.Group else file
    try:
        stated = json.loads(place.attrs["env_args"])
        return {"env_id": shortened(str(stated["env_name"]), 100)}
    except (KeyError, TypeError, ValueError, OSError):
        return {}
