"""`imitation`'s `.npz`: episodes one after the other, cut at `indices` [E - 1].

`obs` [N + E, ...] have one more an episode than `acts` [N, ...]; `terminal` [E] is false of a part of an episode. If it
is true, how the episode ends is not known. `rews` [N] if they are known. `infos` are not read.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import trajectories
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import npz

NAME = "imitation (.npz)"

_ARRAYS = {
    "obs": ("biuf", "[rows + episodes, ...]", (1, 2, 3, 4)),
    "acts": ("biuf", "[rows, action size], or integers [rows]", (1, 2)),
    "indices": ("iu", "[episodes - 1]", (1,)),
    "terminal": ("biu", "0 or 1 [episodes]", (1,)),
    "rews": ("biuf", "[rows]", (1, 2)),
}
_OPTIONAL = ("terminal", "rews")


def holds(path: Path) -> bool:
    """Whether it is a NumPy archive with observations, actions, and the rows where episodes are cut."""
    return {"obs", "acts", "indices"} <= set(npz.names(path))


def read(path: Path) -> Demonstrations:
    """All episodes. Raises UserError for arrays that do not fit one another."""
    names = npz.names(path)
    with npz.reading(path) as archive:
        wanted = {name: of for name, of in _ARRAYS.items() if name in names or name not in _OPTIONAL}
        found = {name: _all(archive.column(name, *of)) for name, of in wanted.items()}
    rows, after = len(found["acts"]), [int(i) for i in found["indices"]] if found["indices"].size else []
    cuts = [0, *after, rows]
    if any(one >= other for one, other in pairwise(cuts)):
        raise UserError(f"{path}: array 'indices': expected rows between 0 and {rows} that go up, found others")
    episodes = len(cuts) - 1
    sizes = {"obs": rows + episodes, "rews": rows, "terminal": episodes}
    for name, size in sizes.items():
        if name in found and len(found[name]) != size:
            what = f"{size} rows, of {rows} actions and {episodes} episodes"
            raise UserError(f"{path}: array '{name}': expected {what}, found {len(found[name])}")
    made = [_episode(found, i, slice(cuts[i], cuts[i + 1])) for i in range(episodes)]
    return trajectories.of_unknown_kind(trajectories.joined(made, path))


def _all(column: npz.Column) -> np.ndarray:
    return column[:]


def _episode(found: dict[str, np.ndarray], i: int, rows: slice) -> dict[str, Any]:
    """Before its observations are those of the others, with one more for each."""
    episode: dict[str, Any] = {
        "observations": found["obs"][rows.start + i : rows.stop + i + 1],
        "actions": found["acts"][rows],
    }
    if "rews" in found:
        episode["rewards"] = found["rews"][rows]
    if "terminal" in found:
        episode["terminals"] = bool(found["terminal"][i])
    return episode
