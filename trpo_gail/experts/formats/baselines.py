"""openai/baselines' `.npz`: `obs`, `acs`, `rews` and `ep_rets`, an episode a row.

Arrays are [E, T, ...], padded with zeros if episodes differ in length, or arrays of objects that are arrays [T, ...]. The
layout does not say how episodes end. `ep_rets` [E] are compared with the sums of the rewards; without rewards they are the
returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import arrays, batches, blanks, check, trajectories
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import npz

NAME = "openai/baselines"

_NAMES = {"observations": "obs", "actions": "acs", "rewards": "rews"}
_RETURNS = "ep_rets"


def holds(path: Path) -> bool:
    """Whether it is a NumPy archive with baselines' names for observations and actions, of whole episodes."""
    names = npz.names(path)
    return {"obs", "acs"} <= set(names) and not {"episode_starts", "dones", "next_obs"} & set(names)


def read(path: Path) -> Demonstrations:
    """All episodes; rows at the end of one that are zero throughout are padding."""
    with npz.reading(path) as archive:
        there = npz.names(path)
        found: dict[str, Any] = {field: archive.whole(name) for field, name in _NAMES.items() if name in there}
        returns = archive.whole(_RETURNS) if _RETURNS in there else None
    episodes, notes = _episodes(found, path)
    held = trajectories.joined(episodes, path, notes=notes)
    return held if returns is None else _with_returns(held, returns)


def _episodes(found: Mapping[str, Any], path: Path) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The episodes, and a note if they were padded."""
    found = {field: _rows(values, f"{path}: array '{_NAMES[field]}'") for field, values in found.items()}
    padded = all(isinstance(values, np.ndarray) for values in found.values())
    if padded and found["observations"].ndim < 3 and found["actions"].ndim < 3:
        return [dict(found)], (trajectories.NO_ENDS,)
    made = batches.split(found, path)
    if not padded or any(len(episode["actions"]) == 0 for episode in made):
        return made, ()
    lengths = [blanks.without_padding(episode) for episode in made]
    rows = sum(len(episode["actions"]) - n for episode, n in zip(made, lengths, strict=True))
    notes = (f"{rows} rows at the ends of episodes, zero throughout, are taken for padding",) if rows else ()
    return batches.split(found, path, lengths), notes


def _rows(values: np.ndarray, where: str) -> Any:
    """Objects as a list, if they are arrays of several lengths, else as numbers; numbers as they are."""
    if values.dtype.kind != "O":
        return values
    items = values.tolist()
    try:
        return arrays.array(items, where)
    except UserError:
        if not all(isinstance(item, (np.ndarray, list)) for item in items):
            raise
        return items


def _with_returns(held: Demonstrations, returns: np.ndarray) -> Demonstrations:
    """With the returns that the file states, or a note if they are not what its rewards add up to."""
    if returns.dtype.kind not in "biuf" or returns.size != held.trajectories:
        return held
    stated = returns.reshape(-1).astype(np.float64)
    if held.rewards is None:
        return replace(held, episode_returns=stated)
    sums = (
        check.returns(held.rewards, held.episode_lengths) if held.rewards.ndim == 1 else stated
    )  # else it is refused later
    if np.allclose(stated, sums, rtol=1e-3, atol=1e-3):
        return held
    row = int(np.argmax(np.abs(stated - sums)))
    note = f"'{_RETURNS}' says {stated[row]:.6g} of episode {row}, its rewards sum to {sums[row]:.6g}"
    return replace(held, notes=(*held.notes, note))
