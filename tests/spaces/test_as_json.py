"""Spaces as plain data and back, by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space

from trpo_gail.spaces.as_json import bounds_from_json, space_to_json

BOX = Box(np.array([-1.0, -np.inf]), np.array([0.5, 2.0]), dtype=np.float64)


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (Discrete(3), {"type": "Discrete", "n": 3}),
        (MultiDiscrete([2, 5]), {"type": "MultiDiscrete", "nvec": [2, 5]}),
        (BOX, {"type": "Box", "shape": [2], "dtype": "float64", "low": [-1.0, None], "high": [0.5, 2.0]}),
    ],
)
def test_a_space_is_plain_data(space: Space, expected: dict) -> None:
    assert json.loads(json.dumps(space_to_json(space))) == expected


def test_bounds_come_back() -> None:
    bounds = bounds_from_json(space_to_json(BOX))
    assert bounds is not None
    np.testing.assert_array_equal(bounds[0], BOX.low)
    np.testing.assert_array_equal(bounds[1], BOX.high)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"type": "Discrete", "n": 2},
        {"type": "Box"},
        {"type": "Box", "low": ["a"], "high": [1]},
        {"type": "Box", "low": 3},
    ],
)
def test_other_data_have_no_bounds(other: dict) -> None:
    assert bounds_from_json(other) is None
