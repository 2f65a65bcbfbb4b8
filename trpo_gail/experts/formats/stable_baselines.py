"""The `.npz` files of Stable-Baselines: `obs` [N, O], `actions` [N, A], `rewards` [N], `episode_starts` [N].

Rewards and starts may be columns [N, 1]; discrete actions are integers [N, 1]. The layout does not say how episodes end.
`episode_returns` [E] are compared with the sums of the rewards. Arrays of objects would need a pickle, and are refused.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import apart, numbers
from trpo_gail.experts.check import FIELDS, check_length
from trpo_gail.experts.data import Demonstrations
from trpo_gail.system import whole_file

NAME = "Stable-Baselines"

_COLUMNS = (1, 2)
_ARRAYS = {
    "obs": FIELDS["observations"],
    "actions": ("biuf", "[rows, action size]", _COLUMNS),
    "episode_starts": ("biuf", "0 or 1 [rows]", _COLUMNS),
    "rewards": ("fiu", "[rows]", _COLUMNS),
}


def holds(path: Path) -> bool:
    """Whether it is a NumPy archive with observations and starts of episodes."""
    return {"obs.npy", "episode_starts.npy"} <= _members(path).keys()


def read(path: Path) -> Demonstrations:
    """All episodes. Raises UserError for an array that is missing, of objects, or of another length."""
    found = {name: _array(path, name) for name in _ARRAYS if name != "rewards" or "rewards.npy" in _members(path)}
    rows = len(found["obs"])
    for name, values in found.items():
        check_length(values, rows, f"{path}: array '{name}'")
    starts = found["episode_starts"].reshape(rows, -1)[:, 0] != 0
    if rows and not starts[0]:
        raise UserError(f"{path}: array 'episode_starts': expected True in row 0, found False")
    first = np.flatnonzero(starts)
    lengths = np.diff(np.append(first, rows))
    rewards = found["rewards"].reshape(rows, -1)[:, 0] if "rewards" in found else None
    returns = None if rewards is None else np.add.reduceat(rewards, first, dtype=np.float64)
    unknown = np.zeros(rows, bool)
    return Demonstrations(
        observations=found["obs"],
        actions=_actions(found["actions"]),
        terminals=unknown,
        timeouts=unknown,
        steps=np.arange(rows) - np.repeat(first, lengths),
        episode_lengths=lengths,
        rewards=rewards,
        episode_returns=returns,
        says_ends=False,
        notes=_contradicted(path, returns),
    )


def write(path: Path, held: Demonstrations) -> None:
    """Write what Stable-Baselines' ExpertDataset reads. Lost: how episodes end, next observations, provenance.

    Raises UserError for rows that are subsampled, and for a disk that refuses.
    """
    if held.subsample != 1:
        raise UserError(f"{path}: Stable-Baselines' layout holds whole episodes, found one row in {held.subsample}")
    rows = len(held.observations)
    arrays = {
        "obs": held.observations,
        "actions": held.actions.reshape(rows, -1),
        "rewards": np.zeros(rows) if held.rewards is None else held.rewards,
        "episode_returns": np.zeros(0) if held.episode_returns is None else held.episode_returns,
        "episode_starts": held.steps == 0,
    }
    out = BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    try:
        whole_file.write(path, out.getvalue())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def _members(path: Path) -> dict[str, int]:
    """Sizes of an archive's members by name; none if it is no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {member.filename: member.file_size for member in archive.infolist()}
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return {}


def _array(path: Path, name: str) -> np.ndarray:
    """One array. What its header claims is compared with the limit before its numbers are made."""
    members, file = _members(path), f"{name}.npy"
    where = f"{path}: array '{name}'"
    if file not in members:
        raise UserError(f"{where} is missing, expected {_ARRAYS[name][1]}; found {listed(sorted(members))}")
    if (size := members[file]) > (most := apart.most_bytes(path)):
        raise UserError(f"{where}: {size >> 20} MB unpacked, expected at most {most >> 20} MB ({apart.EXPANSION})")
    try:
        with np.load(path, allow_pickle=False) as archive:
            values: np.ndarray = archive[name]
    except ValueError as error:
        problem = "objects, which need a pickle to be read" if "pickle" in str(error) else str(error)
        raise UserError(f"{where}: expected numbers, found {problem}") from error
    except Exception as error:  # a damaged archive raises what its compression raises
        raise UserError(f"{where}: damaged ({type(error).__name__})") from error
    numbers.check_kind(values.dtype, values.shape, where, *_ARRAYS[name])
    return values


def _actions(values: np.ndarray) -> np.ndarray:
    """Labels [N] int64 of one column of integers, else floats [N, A]."""
    columns = values.reshape(len(values), -1)
    whole = columns.dtype.kind in "biu"
    if whole and columns.shape[1] == 1:
        return columns[:, 0].astype(np.int64)
    return columns.astype(np.float64) if whole else columns


def _contradicted(path: Path, returns: np.ndarray | None) -> tuple[str, ...]:
    """A note if the file states other returns than its rewards make."""
    if returns is None or "episode_returns.npy" not in _members(path):
        return ()
    try:
        with np.load(path, allow_pickle=False) as archive:
            stated = np.asarray(archive["episode_returns"], np.float64).ravel()
    except Exception:  # it is not needed
        return ()
    if len(stated) == len(returns) and not np.allclose(stated, returns, rtol=1e-3, atol=1e-3):
        row = int(np.argmax(np.abs(stated - returns)))
        return (f"'episode_returns' says {stated[row]:.6g} of episode {row}, its rewards sum to {returns[row]:.6g}",)
    return ()
