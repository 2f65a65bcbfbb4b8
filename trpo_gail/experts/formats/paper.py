"""The layout in which Ho & Ermon's code stored demonstrations: trajectories padded to the longest.

`obs_B_T_Do` [B, T, O], `a_B_T_Da` [B, T, A] (Discrete: [B, T, 1] integers), `r_B_T` [B, T], `len_B` [B]. It says
nothing of the environment, nor of how an episode ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import numbers
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import hdf5, hdf5_writing
from trpo_gail.experts.files.hdf5_writing import put
from trpo_gail.experts.streams import Append, Rows, cut, gathering, row_bytes
from trpo_gail.experts.subsampling import paper_rows

NAME = "paper (obs_B_T_Do)"
DATASETS = ("obs_B_T_Do", "a_B_T_Da", "r_B_T", "len_B")


def holds(path: Path) -> bool:
    """Whether one of the layout's names is there."""
    return not hdf5.names(path).isdisjoint(DATASETS)


def read(path: Path) -> Demonstrations:
    """All trajectories, one after the other, padding removed. Raises UserError if the file is malformed."""
    with hdf5.reading(path) as file:
        columns, lengths = _columns(file, path)
        return _read(columns, lengths, slice(None), path)


def pieces(path: Path) -> Iterator[Demonstrations]:
    """The same, some trajectories at a time."""
    with hdf5.reading(path) as file:
        columns, lengths = _columns(file, path)
        for trajectories in cut(np.full(len(lengths), row_bytes(columns))):
            yield _read(columns, lengths, trajectories, path)


def write(path: Path, held: Demonstrations) -> None:
    """Write a file of padded trajectories. Lost: how they end, last observations and where they come from.

    Raises UserError for rows that are subsampled, an unfinished episode, and numbers that the layout does not hold.
    """
    with writing(path) as append:
        append(held)


@contextmanager
def writing(path: Path) -> Iterator[Append]:
    """The same of episodes that are appended in pieces."""
    with gathering(path, lambda piece: _written(piece, path)) as gathered:
        yield gathered.append
        lengths = gathered.columns["len_B"][:]
        with hdf5_writing.writing(path) as file:
            for name in DATASETS[:3]:
                put(file, name, _Padded(gathered.columns[name], lengths))
            file["len_B"] = lengths


# --- Reading ------------------------------------------------------------------------------------------------------


def _columns(file: h5py.File, path: Path) -> tuple[list[hdf5.Column], np.ndarray]:
    """Observations, actions and rewards, which agree with the lengths."""
    columns = [
        hdf5.column(file, path, "obs_B_T_Do", "f", "[trajectories, steps, observation size]", (3,)),
        hdf5.column(file, path, "a_B_T_Da", "fiu", "[trajectories, steps, action size]", (3,)),
        hdf5.column(file, path, "r_B_T", "f", "[trajectories, steps]", (2,)),
    ]
    lengths = hdf5.array(file, path, "len_B", numbers.INTEGERS, "[trajectories]", (1,)).astype(np.int64)
    _check_lengths(columns[0].shape, columns[1].shape, columns[2].shape, lengths, path)
    return columns, lengths


def _read(columns: list[hdf5.Column], lengths: np.ndarray, trajectories: slice, path: Path) -> Demonstrations:
    lengths = lengths[trajectories]
    kept = np.arange(columns[0].shape[1]) < lengths[:, None]  # [B, T]: the rest is padding
    observations, actions, rewards = (column[trajectories][kept] for column in columns)
    rows = int(lengths.sum())
    return Demonstrations(
        observations=observations,
        actions=_labels(actions, path),
        terminals=np.zeros(rows, bool),
        timeouts=np.zeros(rows, bool),
        steps=paper_rows(lengths, 1)[1],
        episode_lengths=lengths,
        rewards=rewards,
        says_ends=False,
    )


def _check_lengths(
    observations: tuple[int, ...], actions: tuple[int, ...], rewards: tuple[int, ...], lengths: np.ndarray, path: Path
) -> None:
    trajectories, longest = observations[:2]
    for name, found in (("a_B_T_Da", actions[:2]), ("r_B_T", rewards)):
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


# --- Writing ------------------------------------------------------------------------------------------------------


def _written(held: Demonstrations, path: Path) -> dict[str, np.ndarray]:
    """Rows that are to be padded, and their lengths."""
    if held.subsample != 1 or held.unfinished:
        found = "an unfinished one" if held.unfinished else f"one row in {held.subsample}"
        raise UserError(f"{path}: the paper's layout holds whole episodes, found {found}")
    if held.rewards is None or held.observations.ndim != 2:
        raise UserError(f"{path}: the paper's layout holds rewards and rows of numbers, which these are not")
    for name in ("observations", "rewards"):
        if (dtype := getattr(held, name).dtype).kind != "f":
            raise UserError(f"{path}: the paper's layout holds {name} as floats, found {dtype}")
    actions = held.actions.reshape(len(held.actions), -1)
    if actions.dtype.kind in numbers.INTEGERS and actions.shape[1] > 1:
        raise UserError(f"{path}: the paper's layout holds one label a step, found {actions.shape[1]}")
    return dict(zip(DATASETS, (held.observations, actions, held.rewards, held.episode_lengths), strict=True))


class _Padded:
    """Rows [N, ...] as trajectories [B, T, ...], with zeros behind the shorter ones."""

    def __init__(self, rows: Rows, lengths: np.ndarray) -> None:
        self._rows, self._lengths = rows, lengths
        self._ends = np.append(0, np.cumsum(lengths))
        self.shape = (len(lengths), int(lengths.max()), *rows.shape[1:])
        self.dtype = rows.dtype

    def __getitem__(self, trajectories: slice) -> np.ndarray:
        start, stop, _ = trajectories.indices(len(self._lengths))
        kept = np.arange(self.shape[1]) < self._lengths[start:stop, None]
        padded = np.zeros((*kept.shape, *self.shape[2:]), self.dtype)
        padded[kept] = self._rows[int(self._ends[start]) : int(self._ends[stop])]
        return padded
