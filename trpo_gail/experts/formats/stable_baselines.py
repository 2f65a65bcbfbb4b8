"""The `.npz` files of Stable-Baselines: `obs` [N, O], `actions` [N, A], `rewards` [N], `episode_starts` [N].

Rewards and starts may be columns [N, 1]; discrete actions are integers [N, 1]. The layout does not say how episodes end.
`episode_returns` [E] are compared with the sums of the rewards. Arrays of objects may hold the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import structured
from trpo_gail.experts.check import FIELDS, check_length
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import npz
from trpo_gail.experts.streams import Append, cut_rows, gathering, row_bytes
from trpo_gail.experts.trajectories import ENDS, NAMES

NAME = "Stable-Baselines"

_COLUMNS = (1, 2)
_ARRAYS = {
    "obs": FIELDS["observations"],
    "actions": ("biuf", "[rows, action size]", _COLUMNS),
    "episode_starts": ("biuf", "0 or 1 [rows]", _COLUMNS),
    "rewards": ("fiu", "[rows]", _COLUMNS),
}
_MORE = {f"{name}.npy" for field in ENDS for name in NAMES[field]}  # read by array_files.py


def holds(path: Path) -> bool:
    """Whether it is a NumPy archive with observations and starts of episodes, and nothing that says more of their ends."""
    found = npz.members(path).keys()
    return {"obs.npy", "episode_starts.npy"} <= found and not _MORE & found


def read(path: Path) -> Demonstrations:
    """All episodes. Raises UserError for an array that is missing, no numbers, or of another length."""
    return next(_pieces(path, lambda lengths, _: iter([(slice(0, len(lengths)), slice(0, int(lengths.sum())))])))


def pieces(path: Path) -> Iterator[Demonstrations]:
    """The same, some episodes at a time."""
    return _pieces(path, cut_rows)


def write(path: Path, held: Demonstrations) -> None:
    """Write what Stable-Baselines' ExpertDataset reads. Lost: how episodes end, next observations, provenance.

    Raises UserError for rows that are subsampled, and for a disk that refuses.
    """
    with writing(path) as append:
        append(held)


@contextmanager
def writing(path: Path) -> Iterator[Append]:
    """The same of episodes that are appended in pieces."""
    with gathering(path, lambda piece: _written(piece, path)) as gathered:
        yield gathered.append
        npz.write(path, gathered.columns)


# --- Reading ------------------------------------------------------------------------------------------------------

_Cut = Callable[[np.ndarray, int], Iterator[tuple[slice, slice]]]


def _pieces(path: Path, cut: _Cut) -> Iterator[Demonstrations]:
    """Episodes, as `cut` divides them, which is given their lengths and the bytes of a row."""
    with npz.reading(path) as archive:
        names = [name for name in _ARRAYS if name != "rewards" or "rewards.npy" in npz.members(path)]
        columns = {name: archive.column(name, *_ARRAYS[name]) for name in names}
        rows = columns["obs"].shape[0]
        for name, column in columns.items():
            check_length(column, rows, f"{path}: array '{name}'")
            if name in ("episode_starts", "rewards") and column.shape[1:] not in ((), (1,)):
                raise UserError(f"{path}: array '{name}': expected one value a row, found shape {list(column.shape)}")
        starts = _column(columns.pop("episode_starts")[:]) != 0
        if rows and not starts[0]:
            raise UserError(f"{path}: array 'episode_starts': expected True in row 0, found False")
        lengths = np.diff(np.append(np.flatnonzero(starts), rows))
        stated = _stated(path, len(lengths))
        notes: tuple[str, ...] = ()
        for episodes, part in cut(lengths, row_bytes(columns.values())):
            held = _read({name: column[part] for name, column in columns.items()}, lengths[episodes])
            notes = notes or _contradicted(held.episode_returns, stated, episodes)
            yield replace(held, notes=notes)


def _read(found: dict[str, np.ndarray], lengths: np.ndarray) -> Demonstrations:
    rows, first = len(found["obs"]), np.cumsum(lengths) - lengths
    rewards = _column(found["rewards"]) if "rewards" in found else None
    unknown = np.zeros(rows, bool)
    return Demonstrations(
        observations=found["obs"],
        actions=_actions(found["actions"]),
        terminals=unknown,
        timeouts=unknown,
        steps=np.arange(rows) - np.repeat(first, lengths),
        episode_lengths=lengths,
        rewards=rewards,
        episode_returns=None if rewards is None else np.add.reduceat(rewards, first, dtype=np.float64),
        says_ends=False,
    )


def _column(values: np.ndarray) -> np.ndarray:
    """[N] of [N] or [N, 1]."""
    return values.reshape(len(values))


def _actions(values: np.ndarray) -> np.ndarray:
    """Labels [N] int64 of one column of integers, or [N, K] of several, else floats [N, A]."""
    columns = structured.columns(values)
    if columns.dtype.kind not in "biu":
        return columns
    return (columns[:, 0] if columns.shape[1] == 1 else columns).astype(np.int64)


def _stated(path: Path, episodes: int) -> np.ndarray | None:
    """The returns [E] that a file states; None if it states none, or of other episodes: they are not needed."""
    try:
        with npz.reading(path) as archive:
            stated = archive.column("episode_returns", "biuf", "[episodes]", _COLUMNS)[:]
    except UserError:
        return None
    return stated.astype(np.float64).ravel() if stated.size == episodes else None


def _contradicted(returns: np.ndarray | None, stated: np.ndarray | None, episodes: slice) -> tuple[str, ...]:
    """A note if other returns are stated of these episodes than their rewards make."""
    if returns is None or stated is None or np.allclose(stated[episodes], returns, rtol=1e-3, atol=1e-3):
        return ()
    row = int(np.argmax(np.abs(stated[episodes] - returns)))
    said = f"'episode_returns' says {stated[episodes][row]:.6g} of episode {episodes.start + row}"
    return (f"{said}, its rewards sum to {returns[row]:.6g}",)


# --- Writing ------------------------------------------------------------------------------------------------------


def _written(held: Demonstrations, path: Path) -> dict[str, np.ndarray]:
    if held.subsample != 1:
        raise UserError(f"{path}: Stable-Baselines' layout holds whole episodes, found one row in {held.subsample}")
    if structured.is_structured(held.observations):
        parts = listed(held.observations.dtype.names or ())
        raise UserError(f"{path}: Stable-Baselines' layout holds one array of observations, found the parts {parts}")
    if held.rewards is None or held.unfinished:
        what = "rewards, found none" if held.rewards is None else "whole episodes, found an unfinished one"
        raise UserError(f"{path}: Stable-Baselines' layout holds {what}")
    return {
        "obs": held.observations,
        "actions": structured.columns(held.actions),
        "rewards": held.rewards,
        "episode_returns": np.zeros(0) if held.episode_returns is None else held.episode_returns,
        "episode_starts": held.steps == 0,
    }
