"""Which rows are of one episode, if a column names it. N rows, E episodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import structured

_FEW = 3  # rows that may be in any order by chance
IN_TURN = 4  # rows that one has at most, on average, before another has its turn


@dataclass(frozen=True)
class Episodes:
    """The rows of each episode."""

    order: np.ndarray  # [N]
    lengths: np.ndarray  # [E] of the rows in this order
    notes: tuple[str, ...]


def counts(step: np.ndarray | None) -> bool:
    """Whether a column of steps holds numbers, one a row."""
    return step is not None and step.ndim == 1 and step.dtype.kind in "iuf" and bool(np.isfinite(step).all())


def by_episode(names: np.ndarray, step: np.ndarray | None, ends: np.ndarray | None, path: str | Path) -> Episodes:
    """The rows of each name [N] together; episodes in the order of their first rows.

    Rows of one name are in the order of their step; if steps come twice, the name is of several episodes, and so it is if
    it comes back behind others (`_comes_back`). `ends` are the rows [N] bool that a flag ends.
    """
    values = structured.columns(names)[:, 0]
    empty = (
        np.isnan(values) if values.dtype.kind == "f" else values == "" if values.dtype.kind == "U" else values != values
    )
    if empty.any():
        raise UserError(
            f"{path}: episode: expected a name or a number in each row, row {int(np.argmax(empty))} has none"
        )
    steps = step if counts(step) else None
    which, notes = _comes_back(codes(values), steps, ends)
    order, lengths = np.argsort(which, kind="stable"), np.bincount(which)
    if steps is None:
        return Episodes(order, lengths, notes)
    held = _by_step(order, lengths, steps, ends)
    return Episodes(held.order, held.lengths, (*notes, *held.notes))


def codes(names: np.ndarray) -> np.ndarray:
    """Numbers [N] of the names, in the order in which they come first."""
    values = structured.columns(names)[:, 0]
    _, first, which = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[which.reshape(-1)]


# --- Names that come back -----------------------------------------------------------------------------------------


def _comes_back(
    which: np.ndarray, step: np.ndarray | None, ends: np.ndarray | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(names [N] of which none comes back as another episode, notes).

    It does, as in files that were put together, where a flag ends its rows before, which is not set in the next one; and
    without flags, unless rows of several names come in turn. It never does where its step goes on.
    """
    first = np.flatnonzero(np.r_[True, np.diff(which) != 0])
    last = np.r_[first[1:], len(which)] - 1
    order = np.argsort(which[first], kind="stable")  # blocks of rows by their names
    again = np.flatnonzero(which[first][order][1:] == which[first][order][:-1])
    before, after = last[order][again], first[order][again + 1]  # last row of a block, first of the next of its name
    if not len(before):
        return which, ()
    goes_on = np.zeros(len(before), bool) if step is None else step[after] == step[before] + 1
    # a flag that stays set, or behind which the step goes on, ends no episode
    flagged = np.zeros(len(before), bool) if ends is None else ends[before] & ~ends[after] & ~goes_on
    falls = np.zeros(len(before), bool) if step is None else step[after] <= step[before]  # which `_by_step` judges
    if step is not None:  # whose numbers each come once are of one episode, whose rows are in no order
        flagged &= ~falls | ~_come_once(which, step)[which[after]]
    in_turn = len(which) < IN_TURN * len(first)
    if ends is not None and not flagged.any():  # parts of episodes, as several samplers write them
        apart = np.zeros(len(before), bool)
    else:
        apart = flagged | (not in_turn and ~goes_on)
    apart &= ~falls | flagged
    new = np.zeros(len(first), np.int64)  # of blocks in the order of names, as all below
    new[again + 1] = apart
    so_far, begins = np.cumsum(new), np.flatnonzero(np.diff(which[first][order], prepend=-1) != 0)
    count = np.empty(len(first), np.int64)  # how often a name has come back as another episode
    count[order] = so_far - np.repeat(so_far[begins], np.diff(np.r_[begins, len(first)]))
    several = np.repeat(count, np.diff(np.r_[first, len(which)]))
    notes = []
    if apart.any():
        notes.append(f"names of episodes come back behind others, {int(apart.sum())} times: taken for further episodes")
    if (same := ~apart & ~goes_on & ~falls).any() and not in_turn:
        notes.append(f"names of episodes come back behind others, {int(same.sum())} times: taken for the same episodes")
    return codes(which + several * (which.max() + 1)), tuple(notes)


def _come_once(which: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Whether no step comes twice under a name, for each of these."""
    order = np.lexsort((step, which))
    twice = (np.diff(which[order]) == 0) & (np.diff(step[order]) == 0)
    found = np.ones(int(which.max()) + 1, bool)
    found[which[order][1:][twice]] = False
    return found


# --- Steps --------------------------------------------------------------------------------------------------------


def _by_step(order: np.ndarray, lengths: np.ndarray, step: np.ndarray, ends: np.ndarray | None) -> Episodes:
    parts, found, moved, several, left, twice = [], [], 0, 0, 0, 0
    for rows in np.split(order, np.cumsum(lengths)[:-1]):
        steps = step[rows]
        twice += len(steps) > _FEW and 2 * int((np.diff(steps) == 0).sum()) >= len(steps) - 1
        down = np.flatnonzero(np.diff(steps) < 0) + 1
        if len(down) and len(np.unique(steps)) == len(steps):
            flags = None if ends is None else ends[rows]
            if len(steps) <= _FEW or len(down) < len(steps) - 1 or _newest_first(flags):
                rows, moved = rows[np.argsort(steps)], moved + 1
            else:  # it counts down
                left += flags is None or not flags[-1]
            down = down[:0]
        elif (steps[down] > steps.min()).any():
            down = down[:0]  # it does not begin again, so it counts something else
        several += bool(len(down))
        parts.append(rows)
        found.append(np.diff(np.r_[down, len(rows)], prepend=0))
    notes = [f"rows were put in the order of their step, in {moved} of {len(lengths)} episodes"] if moved else []
    if left:
        of_all = f"{left} of {len(lengths)} episodes"
        notes.append(f"steps go down in {of_all}: taken for the time that is left, so the rows stay as they are")
    if several:
        of_all = f"{several} of {len(lengths)} names of episodes"
        notes.append(f"steps begin again under {of_all}: taken for further episodes")
    if twice:
        of_all = f"{twice} of {len(lengths)} episodes"
        notes.append(f"the step stays in most rows of {of_all}: are rows written twice, or of several environments?")
    return Episodes(np.concatenate(parts), np.concatenate(found), tuple(notes))


def _newest_first(flags: np.ndarray | None) -> bool:
    """Whether the first row of an episode is the one that a flag ends."""
    return flags is not None and bool(flags[0] and not flags[1:].any())
