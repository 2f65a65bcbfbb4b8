"""Whether episodes are cut in the wrong place: ends that are marked one row too early, or too late.

It shows where observation and action tell what follows: a reset is far from that (`breaks`). E episodes, N rows.
"""

from __future__ import annotations

import numpy as np

from trpo_gail.experts import breaks
from trpo_gail.experts.data import Demonstrations

_ROWS = 10_000  # that are looked at, in whole episodes
_FEWEST = 3  # ends
_MOST, _HARDLY = 0.9, 0.1  # shares of the ends


def shift(held: Demonstrations) -> int | None:
    """By how many rows the marks of nearly all ends are off: -1 if they come too early, 1 if too late. None if they are in
    the right place, or if it is not clear."""
    observations, actions = held.observations, held.actions
    if held.subsample != 1 or observations.dtype.kind != "f" or observations.ndim != 2:
        return None
    lengths = held.episode_lengths
    between = (lengths[:-1] > 2) & (lengths[1:] > 2)  # wrong marks may leave a row or two before the first end
    ends = (np.cumsum(lengths)[:-1] - 1)[between]
    ends = ends[: max(_FEWEST, int(np.searchsorted(ends, _ROWS)))]
    if len(ends) < _FEWEST:
        return None
    rows = int(ends[-1]) + 3
    far = breaks.jumps(observations[:rows], _floats(actions[:rows]))
    early, right, late = (float(far[ends + off].mean()) for off in (1, 0, -1))
    if right > _HARDLY or max(early, late) < _MOST:
        return None
    return -1 if early > late else 1


def _floats(actions: np.ndarray) -> np.ndarray:
    """[N, A], labels one-hot: what follows is no line in their number."""
    rows = actions.reshape(len(actions), -1)
    if rows.dtype.kind == "f":
        return rows
    return np.concatenate([column[:, None] == np.unique(column) for column in rows.T], axis=1).astype(np.float64)
