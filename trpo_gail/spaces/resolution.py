"""Columns whose differences no network sees: less than a dtype can tell apart, such as a time stamp's seconds since 1970, or
far less than what is added to a standard deviation, such as lengths of atoms in metres."""

from __future__ import annotations

import numpy as np

from trpo_gail.magnitudes import FLOOR
from trpo_gail.spaces.layout import MOST_ROWS, Layout

# Of float64, half the digits: a standard deviation is the root of E[x^2] - E[x]^2, which needs the squares' digits.
_MOST = {"float32": 2.0**21, "float64": 2.0**24}
_SHOWS = 0.1  # standard deviations by which rounding moves a number that a network then takes for another
_NOISE = 1e-3  # a column that varies by less than this share of its mean may be a constant with rounding


def unresolved(layout: Layout, rows: np.ndarray, dtype: str) -> list[str]:
    """What to warn of if networks of `dtype` cannot see the differences in columns of rows [N, O] that are standardised,
    since these lie too far from 0, or are too small: texts, one of either kind for each part."""
    some = rows[:: max(1, len(rows) // MOST_ROWS)].astype(np.float64)
    mean = some.mean(0)
    spread = (some - mean).std(0)
    far = np.abs(mean) > _MOST[dtype] * spread
    # A Box of float32 has lost small differences before: such a number is the same in all rows.
    lost = far & ((spread > 0) | (np.abs(mean) >= _MOST["float64"])) & layout.columns("vector")
    tiny = (spread > _NOISE * np.abs(mean)) & (spread < FLOOR) & layout.columns("vector")
    found = []
    for part in layout.parts:
        for which in (lost, tiny):
            if not (columns := np.flatnonzero(which[part.columns])).size:
                continue
            first, at = columns[0], part.columns.start + columns[0]
            more = f" and {len(columns) - 1} more" if len(columns) > 1 else ""
            name = f"{part.name!r}, column" if part.name else "column"
            differ = f"differ by about {spread[at]:.2g}, which {dtype} does not tell apart: subtract a constant"
            if not spread[at]:
                differ = "are all the same, as if float32 had lost their differences: subtract a constant"
            if which is tiny:
                differ = (
                    f"differ by about {spread[at]:.2g}, little beside the {FLOOR:g} that standardising adds to the standard "
                    "deviation: multiply them by a constant"
                )
            found.append(
                f"the observation's {name} {first}{more}: values near {mean[at]:.6g} {differ} in the environment"
            )
    return found


@np.errstate(over="ignore", invalid="ignore")
def rounding_shows(rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Columns [O] bool of rows [N, O] that differ from themselves in `dtype` by much of their standard deviation: those that
    hardly vary, such as a constant 1000.1 in float64, which float32 has not."""
    if rows.dtype.kind != "f" or np.can_cast(rows.dtype, dtype) or not len(rows):
        return np.zeros(rows.shape[1], bool)
    some = rows[:: max(1, len(rows) // MOST_ROWS)].astype(np.float64)
    off = np.abs(some.astype(dtype) - some).max(0)
    shows: np.ndarray = (off > _SHOWS * ((some - some.mean(0)).std(0) + FLOOR)) & np.isfinite(off)
    return shows
