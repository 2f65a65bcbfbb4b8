"""The layout in which Ho & Ermon's code stored demonstrations: trajectories padded to the longest.

`obs_B_T_Do` [B, T, O], `a_B_T_Da` [B, T, A] (Discrete: [B, T, 1] integers), `r_B_T` [B, T], `len_B` [B]. It says
nothing of the environment, nor of how an episode ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import hdf5

DATASETS = ("obs_B_T_Do", "a_B_T_Da", "r_B_T", "len_B")


@dataclass(frozen=True)
class PaperTrajectories:
    """The rows of all trajectories, one after the other, padding removed."""

    observations: np.ndarray  # [N, O]
    actions: np.ndarray  # [N, A], or [N] int64
    rewards: np.ndarray  # [N]
    lengths: np.ndarray  # [B] int64, steps


def holds(file: h5py.Group) -> bool:
    """Whether a file is of this layout, complete or not."""
    return any(name in file for name in DATASETS)


def read(file: h5py.Group, path: str | Path) -> PaperTrajectories:
    """All trajectories of an open file; raises UserError if it is malformed."""
    observations = hdf5.array(file, path, "obs_B_T_Do", "f", "[trajectories, steps, observation size]", (3,))
    actions = hdf5.array(file, path, "a_B_T_Da", "fiu", "[trajectories, steps, action size]", (3,))
    rewards = hdf5.array(file, path, "r_B_T", "f", "[trajectories, steps]", (2,))
    lengths = hdf5.array(file, path, "len_B", hdf5.INTEGERS, "[trajectories]", (1,)).astype(np.int64)
    trajectories, longest = observations.shape[:2]
    for name, found in (("a_B_T_Da", actions.shape[:2]), ("r_B_T", rewards.shape)):
        if found != (trajectories, longest):
            raise UserError(
                f"{path}: dataset '{name}': expected {[trajectories, longest]} trajectories and steps as in "
                f"'obs_B_T_Do', found {list(found)}"
            )
    if len(lengths) != trajectories:
        raise UserError(f"{path}: dataset 'len_B': expected {trajectories} lengths, found {len(lengths)}")
    if trajectories and (lengths.min() < 1 or lengths.max() > longest):
        found_range = f"{lengths.min()} to {lengths.max()}"
        raise UserError(f"{path}: dataset 'len_B': expected lengths of 1 to {longest} steps, found {found_range}")
    kept = np.arange(longest) < lengths[:, None]  # [B, T]: the rest is padding
    rows = actions[kept]
    if rows.dtype.kind in hdf5.INTEGERS:
        if rows.shape[1] != 1:
            raise UserError(f"{path}: dataset 'a_B_T_Da': expected 1 integer a step, found {rows.shape[1]}")
        rows = rows[:, 0].astype(np.int64)
    return PaperTrajectories(observations[kept], rows, rewards[kept], lengths)
