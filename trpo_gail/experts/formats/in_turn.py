"""Whose rows come in turn with others': columns that name the environment or agent of each row. N rows.

Such a column may as well say of the rows of one sequence who has acted, which tells nothing apart.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trpo_gail.errors import listed
from trpo_gail.experts import structured
from trpo_gail.experts.formats.by_name import IN_TURN, codes, counts
from trpo_gail.experts.formats.d4rl import differ

_MOST = 10_000  # rows that are compared
_NEAR = 0.5  # times as far as others

Fields = Mapping[str, np.ndarray]


def told_apart(
    columns: Mapping[str, np.ndarray],
    names: np.ndarray | None,
    step: np.ndarray | None,
    fields: Fields,
    ends: np.ndarray | None,
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """(number [N] of the environment or agent of each row, notes), of columns [N] that name these; None if rows do not come
    in turn. `names` and `step` [N] are those of episodes, `fields` [N, ...] by the names of `Demonstrations`, `ends` the
    rows [N] bool that a flag ends."""
    rows = len(fields["actions"])
    usable = {name: values for name, values in columns.items() if names_several(values, rows)}
    if not usable:
        return None, ()
    lanes = np.zeros(rows, np.int64)
    for values in usable.values():
        lanes = both(lanes, values)
    called = listed(repr(name) for name in usable)
    together = np.zeros(rows, np.int64) if names is None else codes(names)
    if not _in_turn(lanes, together, step if counts(step) else None, names is not None, fields, ends):
        return None, (f"{called} is left out: rows that it tells apart do not come in turn",)
    return lanes, (f"rows are of {lanes.max() + 1} by {called}, whose episodes are told apart",)


def both(names: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Numbers [N] of pairs of names."""
    first, second = codes(names), codes(others)
    return codes(first * (int(second.max()) + 1) + second)


def names_several(values: np.ndarray, rows: int) -> bool:
    """Whether a column names several environments or agents, each in more than a row."""
    if (
        values.shape != (rows,)
        or values.dtype.kind not in "biufU"
        or (values.dtype.kind == "f" and np.isnan(values).any())
    ):
        return False
    return 1 < len(np.unique(values)) <= len(values) // 2


def _in_turn(
    lanes: np.ndarray,
    together: np.ndarray,
    step: np.ndarray | None,
    named: bool,
    fields: Fields,
    ends: np.ndarray | None,
) -> bool:
    """Whether rows of several environments come in turn, or one environment's after the other's: not if a column only says
    something of the rows of one sequence, as who has acted. `together` [N] numbers the episodes, if they are `named`.

    Next observations prove it, and the step tells it, which goes up more often from row to row of each environment; unless
    it numbers all rows. If flags end rows of some environments alone, two must end in neighbouring rows, or observations
    must be nearer in each than in the file.
    """
    apart = both(together, lanes)
    in_file, in_each = _followed(together, fields, ends), _followed(apart, fields, ends)
    if in_file != in_each:
        return in_each > in_file
    if step is not None:
        moves = _moves(together, step)
        if named and (moves == 1).all():
            return False
        if (moves <= 0).any():
            return bool((_moves(apart, step) > 0).sum() > (moves > 0).sum())
    changes = int((np.diff(lanes) != 0).sum())
    if changes == lanes.max():
        return True
    if IN_TURN * changes < len(lanes):
        return False
    if ends is None or not ends.any() or len(np.unique(apart[ends])) > apart.max():
        return True
    return bool((ends[1:] & ends[:-1]).any()) or _nearer(together, apart, fields, ends)  # some end at the same step


def _moves(which: np.ndarray, step: np.ndarray) -> np.ndarray:
    """By how much the step changes from row to row of one name."""
    row, following = _pairs(which)
    return step[following].astype(np.float64) - step[row]


def _pairs(which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that have another one of their name behind them, and that one."""
    order = np.argsort(which, kind="stable")
    same = np.diff(which[order]) == 0
    return order[:-1][same], order[1:][same]


def _looked_at(which: np.ndarray, ends: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The same, of the first rows of the file, and of those that no flag ends."""
    row, following = _pairs(which)
    kept = (following < _MOST) & (True if ends is None else ~ends[row])
    return row[kept], following[kept]


def _followed(which: np.ndarray, fields: Fields, ends: np.ndarray | None) -> int:
    """How many rows have the next observation that the next row of their name begins with."""
    observations, after = fields["observations"], fields.get("next_observations")
    if after is None or not len(which) == len(observations) == len(after) or not structured.alike(after, observations):
        return 0
    if {*structured.kinds(after), *structured.kinds(observations)} - {*"biuf"}:
        return 0
    row, following = _looked_at(which, ends)
    return int((~differ(after[row], observations[following])).sum())


def _nearer(together: np.ndarray, apart: np.ndarray, fields: Fields, ends: np.ndarray | None) -> bool:
    """Whether next rows of one environment are much nearer than next rows of the file, in half of the columns that move."""
    observations = fields["observations"]
    if len(observations) != len(apart) or set(structured.kinds(observations)) - {*"biuf"}:
        return False
    found = []
    for which in (together, apart):
        row, following = _looked_at(which, ends)
        before, after = (structured.columns(observations[rows]).astype(np.float64) for rows in (row, following))
        found.append(np.abs(after - before).mean(axis=0) if len(row) else np.zeros(before.shape[1]))
    in_file, in_each = found
    moving = np.maximum(in_file, in_each) > 0
    return bool(2 * (in_each < _NEAR * in_file)[moving].sum() >= max(1, moving.sum()))
