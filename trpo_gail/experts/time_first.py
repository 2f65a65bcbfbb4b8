"""Whether arrays taken for [episodes, steps, ...] are [steps, episodes, ...], as vector environments record them.

Episodes have no order: a row is as far from the same step of the next episode as from that of any other. Steps have one:
far ones are farther from each other than neighbours, or nearer if they alternate.
E episodes, T steps, as the arrays are taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import structured

_MOST = 300  # of episodes and of steps that are looked at
_COLUMNS = 64
_NEAR = 0.5  # times as far as others
_SOME = 0.25  # of the columns that move
_FEWEST = 10  # episodes
_FEWEST_STEPS = 3  # of two, any other is the next
_ALIKE = (0.6, 1.3)  # times as far as neighbours any two are that have no order
_SWAP = "swap the first two axes of each array (numpy.swapaxes(x, 0, 1))"


def note(observations: np.ndarray, of: tuple[int, int] | None = None) -> str | None:
    """What to say of observations [E, T, ...] if neighbours along the first axis follow one another, and those along the
    second do not; None if that is not clear. `of`: E and T, if these are the `first` ones alone."""
    episodes, steps = of or observations.shape[:2]
    if episodes < _FEWEST or steps < _FEWEST_STEPS:
        return None
    seen = observations[:_MOST, :_MOST]
    rows = structured.columns(seen.reshape(-1, *seen.shape[2:]))[:, :_COLUMNS]
    if rows.dtype.kind not in "biuf" or not np.isfinite(rows).all():
        return None
    values = rows.reshape(*seen.shape[:2], -1).astype(np.float64)
    ahead, across = _far(values, 0), _far(values, 1)
    any_other, any_step = _far_of_any(values, 0), _far_of_any(values, 1)
    moving = (ahead > 0) & (across > 0)
    no_order = (any_step > _ALIKE[0] * across) & (any_step < _ALIKE[1] * across)
    follows = moving & no_order & (ahead < _NEAR * np.minimum(any_other, across))
    if follows.sum() < max(1.0, _SOME * moving.sum()):
        return None
    return (
        f"the next of {episodes} episodes is nearer than the next of its {steps} steps: is the first axis time, as vector "
        f"environments record it? If so, {_SWAP}"
    )


def first(episodes: Iterable[np.ndarray]) -> np.ndarray:
    """What is looked at [E, T, columns] of the observations of episodes [T, ...] of one length, one by one."""
    few = itertools.islice(episodes, _MOST)
    return np.stack([structured.columns(values[:_MOST])[:, :_COLUMNS] for values in few])


def check(observations: np.ndarray, following: np.ndarray | None, path: str | Path) -> None:
    """Raise UserError if next observations [E, T, ...] are those of the next row along the first axis, not the second."""
    if following is None or observations.dtype != following.dtype or observations.shape != following.shape:
        return
    if len(observations) < 2 or observations.shape[1] < 2:
        return
    ahead = observations[1:_MOST] == following[: min(len(following), _MOST) - 1]
    across = observations[:_MOST, 1:] == following[:_MOST, :-1]
    if ahead.mean() > 0.5 > across.mean():
        raise UserError(
            f"{path}: next observations are those of the next row of the first axis, so that it is time: expected arrays "
            f"[episodes, steps, ...]: {_SWAP}"
        )


def _far(values: np.ndarray, axis: int) -> np.ndarray:
    """How far neighbours along an axis are apart, in each column."""
    found: np.ndarray = np.abs(np.diff(values, axis=axis)).mean(axis=(0, 1))
    return found


def _far_of_any(values: np.ndarray, axis: int) -> np.ndarray:
    """How far any two along an axis are apart, in each column."""
    count = values.shape[axis]
    ordered = np.moveaxis(np.sort(values, axis=axis), axis, 0)
    weights = (
        2.0 * np.arange(count) - count + 1
    )  # how often each is the larger one of a pair, less how often the smaller
    found: np.ndarray = np.tensordot(weights, ordered, 1).mean(axis=0) * 2 / (count * (count - 1))
    return found
