"""Whether an environment can show what demonstrations show: their first observations beside those of resets, and all of them
beside the bounds of the observation space.

What is compared is each column by itself, and the evidence must be strong: a column counts if half of the episodes begin
beyond three times the range of the resets. E episodes, R resets, N rows, K columns of a part of the observations; `part`
is its name, empty of a space without parts.
"""

from __future__ import annotations

import numpy as np

from trpo_gail.experts.numbers import listed_numbers
from trpo_gail.spaces.units import UNBOUNDED

_HALF = 0.5  # of the episodes
_SOME = 0.1  # of the rows
_ROUNDING = 1e-3  # relative


def elsewhere(firsts: np.ndarray, resets: np.ndarray, part: str = "") -> str | None:
    """What to warn of if the episodes, whose first observations are [E, K], begin where no reset [R, K] comes near."""
    if not len(firsts):  # they were left out
        return None
    low, high = resets.min(axis=0).astype(np.float64), resets.max(axis=0).astype(np.float64)
    far = _outside(firsts.astype(np.float64), low, high, high - low)
    found = np.flatnonzero(far.mean(axis=0) >= _HALF)
    if not len(found):
        return None
    one, many = found[0], int(far[:, found].any(axis=1).sum())
    here, there = f"{np.median(firsts[:, one]):.4g}", f"{low[one]:.4g} to {high[one]:.4g}"
    return (
        f"the first {_called(part)} of {many} of {len(firsts)} episodes are none that {len(resets)} resets come near, in "
        f"columns {listed_numbers(found)} (column {one} is {here}, and {there} after resets): the order or the units of "
        "columns, the environment's version, or where episodes are cut?"
    )


def out_of_space(seen: np.ndarray, low: np.ndarray, high: np.ndarray, resets: np.ndarray, part: str = "") -> str | None:
    """What to warn of if observations [N, K] leave the bounds [K] of the environment's space. Left out are columns whose
    bounds are none, or not kept by the environment's own resets [R, K]: not all spaces are true."""
    low, high = low.astype(np.float64), high.astype(np.float64)
    true = (np.maximum(np.abs(low), np.abs(high)) < UNBOUNDED) & ~_outside(resets, low, high, 0.0).any(axis=0)
    outside = _outside(seen, low, high, 0.0) & true
    found = np.flatnonzero(outside.mean(axis=0) >= _SOME)
    if not len(found):
        return None
    one = found[0]
    return (
        f"{_called(part)} leave the bounds of the environment's space in columns {listed_numbers(found)} (column {one} is "
        f"{seen[:, one].min():.4g} to {seen[:, one].max():.4g}, its bounds are {low[one]:.4g} to {high[one]:.4g}): the "
        "order or the units of columns?"
    )


def _called(part: str) -> str:
    return f"observations {part!r}" if part else "observations"


def _outside(values: np.ndarray, low: np.ndarray, high: np.ndarray, margin: np.ndarray | float) -> np.ndarray:
    """Which are beyond low or high [O] by more than a margin and rounding; [.., O] bool."""
    below, above = (margin + _ROUNDING * np.maximum(1.0, np.abs(bound)) for bound in (low, high))
    return (values < low - below) | (values > high + above)
