"""Where episodes end in rows that mark no end: where the dynamics that fit all other rows are far from what follows."""

from __future__ import annotations

import numpy as np

_SAMPLE = 20_000  # rows that the dynamics are fitted to
_SHARE = 0.1  # at most one row in ten ends an episode
_FAR = 15.0  # times what nine rows in ten differ by
_GAP = 3.0  # how much nearer all other rows are


def jumps(observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Rows [N] bool after which the next row does not follow, of observations [N, O] and actions [N, A]; none if unsure.

    What follows is fitted as linear in observation and action. A reset lies far off it, by a clear gap to all other rows;
    if there is no such gap, or more than `_SHARE` of all rows are beyond it, no row is taken for one.
    """
    rows = len(observations)
    found = np.zeros(rows, bool)
    if rows < 20:
        return found
    distance = _distance(observations.astype(np.float64), actions.astype(np.float64))
    order = np.sort(distance)
    few = order[-max(1, int(_SHARE * rows)) - 1 :]
    ratios = few[1:] / np.maximum(few[:-1], 1.0)
    at = int(np.argmax(ratios))
    if ratios[at] >= _GAP and few[at + 1] >= _FAR:
        found[:-1] = distance >= few[at + 1]
    return found


def _distance(observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """How far each change of observations [N - 1] is from the one that fits, in units of what most rows differ by."""
    known = np.concatenate([observations, actions, np.ones((len(observations), 1))], axis=1)[:-1]
    change = np.diff(observations, axis=0)
    kept = np.arange(0, len(change), max(1, len(change) // _SAMPLE))
    tiny = 1e-9 * np.abs(observations).max(axis=0) + 1e-12
    ratio = np.zeros(len(change))
    for _ in range(3):  # each time without the rows that the last fit is farthest from
        weights = np.linalg.lstsq(known[kept], change[kept], rcond=None)[0]
        apart = np.abs(change - known @ weights)
        ratio = (apart / (np.quantile(apart, 1 - _SHARE, axis=0) + tiny)).max(axis=1)
        kept = kept[ratio[kept] <= np.quantile(ratio[kept], 0.97)]
    return ratio
