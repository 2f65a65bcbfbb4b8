"""A saved space is the same space."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple

from trpo_gail.spaces import saved

SPACES: list[Space] = [
    Box(np.array([-np.inf, 0.1]), np.array([1.0, np.inf])),
    Box(0, 255, (4, 5, 3), np.uint8),
    Box(-1, 1, (), np.float32),
    Discrete(4),
    Discrete(4, start=-2),
    MultiDiscrete([3, 2]),
    MultiDiscrete([3, 2], dtype=np.int32),
    MultiDiscrete(np.array([[3, 2], [4, 6]]), start=np.array([[1, 0], [0, -2]])),
    MultiBinary(4),
    MultiBinary((2, 2)),
    Dict({"a": Discrete(2), "b": Tuple((Box(0, 1, (3,)), MultiBinary(2)))}),
]


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_a_space_comes_back(space: Space) -> None:
    assert saved.load(saved.save(space)) == space


def test_labels_of_before_are_read_without_a_dtype() -> None:
    kept = saved.save(MultiDiscrete([3, 2], start=[1, 0]))
    del kept["dtype"]
    assert saved.load(kept) == MultiDiscrete([3, 2], start=[1, 0])
