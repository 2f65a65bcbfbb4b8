"""HDF5 with a group for each episode: robomimic, Isaac Lab, and others that name their groups and datasets differently.

Episodes are `data/demo_N/{obs, actions, rewards, dones}`, `demo_N/{observation, action}` or the like, or datasets
`states_N` and `actions_N` side by side. Numbered ones come in the order of their numbers, others in that of their names.
`obs` may be a group of arrays, the parts of an observation. An episode ends with its last row: by termination if `dones`
or `terminals` is set there, else by a time limit; without such flags it is not known how.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py

from trpo_gail.errors import shortened
from trpo_gail.experts import hdf5, trajectories
from trpo_gail.experts.check import FIELDS
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.trajectories import CALLED

NAME = "a group per episode (robomimic, Isaac Lab and others)"

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
        episodes = [_episode(file, path, member) for _, member in found]
        return trajectories.joined(episodes, path, [name for name, _ in found], _provenance(file))


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
    return next((name for name in CALLED[field] if name in group), None)


def _of_group(group: h5py.Group) -> Member:
    return lambda name: (group, name) if name in group else None


def _numbered(file: h5py.Group, number: int) -> Member:
    return lambda name: (file, f"{name}_{number}") if f"{name}_{number}" in file else None


# --- One episode --------------------------------------------------------------------------------------------------


def _episode(file: h5py.File, path: Path, member: Member) -> dict[str, Any]:
    """What is there of an episode, by the names of `Demonstrations`."""
    found: dict[str, Any] = {}
    for field, called in CALLED.items():
        place = next((place for place in map(member, called) if place is not None), None)
        if place is not None:
            expected = _FLAGS if field in ("terminals", "timeouts") else FIELDS[field]
            if field == "rewards":
                expected = ("fiu", "[rows]", (1, 2))
            found[field] = hdf5.rows(file, path, "/".join([place[0].name.strip("/"), place[1]]).lstrip("/"), *expected)
    return found


def _provenance(file: h5py.File) -> dict[str, Any]:
    """The environment that robomimic states, if it can be read."""
    place = file["data"] if file.get("data", getclass=True) is h5py.Group else file
    try:
        stated = json.loads(place.attrs["env_args"])
        return {"env_id": shortened(str(stated["env_name"]), 100)}
    except (KeyError, TypeError, ValueError, OSError):
        return {}
