"""Repetitions of a test that `scripts/test.sh` leaves out, so that it ends within minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def every(step: int, cases: Sequence[Any]) -> list[Any]:
    """The cases of a parametrised test, of which only every `step`th, from the first, is not marked as long."""
    kept = []
    for place, case in enumerate(cases):
        values = case if isinstance(case, tuple) else (case,)
        kept.append(case if place % step == 0 else pytest.param(*values, marks=pytest.mark.long))
    return kept
