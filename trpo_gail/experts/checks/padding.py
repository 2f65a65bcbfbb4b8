"""Rows that only fill episodes up to one length: zero throughout, at the ends of most of them, or as episodes of their
own. E episodes."""

from __future__ import annotations

import numpy as np

from trpo_gail.experts import structured
from trpo_gail.experts.data import Demonstrations

DO = "cut them off, and give each episode its own length (docs/expert_data.md, Padding)"


def zeros(held: Demonstrations) -> np.ndarray:
    """How many rows at each episode's end hold zeros alone, in observation and action: [E]."""
    found = np.zeros(held.trajectories, np.int64)
    parts = [*(values for _, values in structured.parts(held.observations)), held.actions]
    if held.subsample != 1 or not held.has_actions or _columns(parts[:-1], slice(0, 1)).size < 2:
        return found  # a label that is 0 says nothing
    behind = np.cumsum(held.episode_lengths)
    for i, (begin, end) in enumerate(zip(behind - held.episode_lengths, behind, strict=True)):
        if not _columns(parts, slice(end - 1, end)).any():
            used = np.flatnonzero(_columns(parts, slice(begin, end)).any(axis=1))
            found[i] = end - begin - (used[-1] + 1 if len(used) else 0)
    return found


def told(zero: np.ndarray, lengths: np.ndarray) -> str | None:
    """What to say of an array's `zeros` [E] if they are padding, for episodes of these lengths [E]."""
    blank = (zero == lengths) & (lengths > 1)
    if blank.any() and not blank.all():
        return (
            f"{int(blank.sum())} of {len(zero)} episodes are zero throughout, of {int(zero[blank].sum())} rows in all, as if "
            "to pad others: leave them out (docs/expert_data.md, Padding)"
        )
    padded = int((zero > 0).sum())
    if len(zero) < 2 or (lengths != lengths[0]).any() or padded <= len(zero) // 2:
        return None
    return (
        f"{int(zero.sum())} rows at the ends of {padded} of {len(zero)} episodes, which all have {lengths[0]} steps, are "
        f"zero throughout, as if to pad them, and are learned from: {DO}"
    )


def _columns(parts: list[np.ndarray], rows: slice) -> np.ndarray:
    """Which numbers of these rows are not 0: [rows, columns] bool."""
    return np.concatenate([structured.columns(values[rows]) != 0 for values in parts], axis=1)
