"""Which columns are said to be invisible to networks."""

from __future__ import annotations

import re

import numpy as np
import pytest
from gymnasium.spaces import Box

from trpo_gail.spaces.layout import Layout
from trpo_gail.spaces.resolution import unresolved


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
