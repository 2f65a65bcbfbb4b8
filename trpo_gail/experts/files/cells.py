"""Cells of tables that are no numbers as they are written: what to write in place of them."""

from __future__ import annotations

import re

_MISSING = {"na", "n/a", "null", "none", "nil", "-", "?", ".", "missing", "#n/a", "#value!"}
_HINTS = (
    (r"[+-]?\d*,\d+(e[+-]?\d+)?", "write decimal points in place of commas"),
    (r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", "write it without commas"),
    (r"[+-]?(\d+\.?\d*|\.\d+)d[+-]?\d+", "write the exponent with E in place of D"),
    (r"\u2212[\d.]+.*", "write a minus in place of the dash"),
    (r"[+-]?0x[\da-f.p+-]+", "write decimal numbers"),
)


def hint(cell: str, name: str | None = None) -> str:
    """What to do with a cell that is no number, in the column `name`, to stand behind a message; empty if it is not
    known."""
    low = cell.strip().lower()
    if name is not None and low == name.strip().lower():
        return ": the line of names comes again, leave it out"
    if low in _MISSING:
        return ": a number is missing"
    return next((f": {what}" for pattern, what in _HINTS if re.fullmatch(pattern, low)), "")
