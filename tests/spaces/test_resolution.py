"""Which columns are said to be invisible to networks."""

from __future__ import annotations

import re

import numpy as np
import pytest
from gymnasium.spaces import Box

from trpo_gail.spaces.layout import Layout
from trpo_gail.spaces.resolution import rounding_shows, unresolved


@pytest.mark.parametrize(
    ("mean", "spread", "said"),
    [
        (0.0, 1.0, None),
        (0.0, 1e-5, None),
        (0.0, 0.0, None),
        (1e-4, 5e-8, None),  # a constant with rounding
        (0.0, 1e-10, r"column 1: values near 0 differ by about 1e-10, little beside the 1e-06 .*: multiply them by"),
        (3e-10, 1e-10, "column 1: values near 3e-10 differ by about 1e-10, little beside"),
        (1e7, 1.0, "column 1: values near 1e\\+07 differ by about 1, which float32 does not tell apart: subtract"),
    ],
)
def test_far_and_tiny_numbers(mean: float, spread: float, said: str | None) -> None:
    column = mean + spread * np.tile([-1.0, 1.0], 50)
    found = unresolved(Layout.of(Box(-np.inf, np.inf, (2,), np.float64)), np.stack([column * 0, column], 1), "float32")
    assert len(found) == (said is not None)
    assert said is None or re.search(said, found[0])


def test_rounding_shows_where_a_column_hardly_varies(rng: np.random.Generator) -> None:
    """float32 has 0.5, and 1000.1 but for 2e-5, which is many of the 1e-6 that divide a constant."""
    rows = np.column_stack(
        [1000.1 + rng.standard_normal(50), *(np.full(50, value) for value in (1000.1, 0.5, 0.1, 1e39))]
    )
    assert rounding_shows(rows, np.dtype(np.float32)).tolist() == [False, True, False, False, False]
    assert not rounding_shows(rows, np.dtype(np.float64)).any()
    assert not rounding_shows(rows[:, :4].astype(np.int64), np.dtype(np.float32)).any()
