"""The layout in which Ho & Ermon's code stored demonstrations: trajectories padded to the longest.

`obs_B_T_Do` [B, T, O], `a_B_T_Da` [B, T, A] (Discrete: [B, T, 1] integers), `r_B_T` [B, T], `len_B` [B]. It says
nothing of the environment, nor of how an episode ended.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import hdf5, numbers
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.subsampling import paper_rows

NAME = "paper (obs_B_T_Do)"
DATASETS = ("obs_B_T_Do", "a_B_T_Da", "r_B_T", "len_B")


def holds(path: Path) -> bool:
    """Whether one of the layout's names is there."""
    return not hdf5.names(path).isdisjoint(DATASETS)


def read(path: Path) -> Demonstrations:
    """All trajectories, one after the other, padding removed. Raises UserError if the file is malformed."""
    with hdf5.reading(path) as file:
        observations = hdf5.array(file, path, "obs_B_T_Do", "f", "[trajectories, steps, observation size]", (3,))
        actions = hdf5.array(file, path, "a_B_T_Da", "fiu", "[trajectories, steps, action size]", (3,))
        rewards = hdf5.array(file, path, "r_B_T", "f", "[trajectories, steps]", (2,))
        lengths = hdf5.array(file, path, "len_B", numbers.INTEGERS, "[trajectories]", (1,)).astype(np.int64)
    _check_lengths(observations, actions, rewards, lengths, path)
    kept = np.arange(observations.shape[1]) < lengths[:, None]  # [B, T]: the rest is padding
    rows = int(lengths.sum())
    return Demonstrations(
        observations=observations[kept],
        actions=_labels(actions[kept], path),
        terminals=np.zeros(rows, bool),
        timeouts=np.zeros(rows, bool),
        steps=paper_rows(lengths, 1)[1],
        episode_lengths=lengths,
        rewards=rewards[kept],
        says_ends=False,
    )


def write(path: Path, held: Demonstrations) -> None:
    """Write a file of padded trajectories. Lost: how they end, last observations and where they come from.

    Raises UserError for rows that are subsampled, an unfinished episode, and numbers that the layout does not hold.
    """
    if held.subsample != 1 or held.unfinished:
        found = "an unfinished one" if held.unfinished else f"one row in {held.subsample}"
        raise UserError(f"{path}: the paper's layout holds whole episodes, found {found}")
    if held.rewards is None or held.observations.ndim != 2:
        raise UserError(f"{path}: the paper's layout holds rewards and rows of numbers, which these are not")
    for name in ("observations", "rewards"):
        if (dtype := getattr(held, name).dtype).kind != "f":
            raise UserError(f"{path}: the paper's layout holds {name} as floats, found {dtype}")
    actions = held.actions if held.actions.ndim == 2 else held.actions[:, None]
    shape = (held.trajectories, int(held.episode_lengths.max()))
    kept = np.arange(shape[1]) < held.episode_lengths[:, None]
    with hdf5.writing(path) as file:
        for name, values in zip(DATASETS, (held.observations, actions, held.rewards), strict=False):
            padded = np.zeros((*shape, *values.shape[1:]), values.dtype)
            padded[kept] = values
            file.create_dataset(name, data=padded, compression="gzip", shuffle=True)
        file["len_B"] = held.episode_lengths


def _check_lengths(
    observations: np.ndarray, actions: np.ndarray, rewards: np.ndarray, lengths: np.ndarray, path: Path
) -> None:
    trajectories, longest = observations.shape[:2]
    for name, found in (("a_B_T_Da", actions.shape[:2]), ("r_B_T", rewards.shape)):
        if found != (trajectories, longest):
            raise UserError(
                f"{path}: dataset '{name}': expected {[trajectories, longest]} trajectories and steps as in "
                f"'obs_B_T_Do', found {list(found)}"
            )
    if len(lengths) != trajectories:
        raise UserError(f"{path}: dataset 'len_B': expected {trajectories} lengths, found {len(lengths)}")
    if not trajectories:
        raise UserError(f"{path}: dataset 'len_B': expected at least 1 trajectory, found 0")
    if lengths.min() < 1 or lengths.max() > longest:
        found_range = f"{lengths.min()} to {lengths.max()}"
        raise UserError(f"{path}: dataset 'len_B': expected lengths of 1 to {longest} steps, found {found_range}")


def _labels(actions: np.ndarray, path: Path) -> np.ndarray:
    """[N] int64 of integers [N, 1]; floats as they are."""
    if actions.dtype.kind not in numbers.INTEGERS:
        return actions
    if actions.shape[1] != 1:
        raise UserError(f"{path}: dataset 'a_B_T_Da': expected 1 integer a step, found {actions.shape[1]}")
    return actions[:, 0].astype(np.int64)
