"""Actions as rows: there and back, as inputs, at random, and saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text
from gymnasium.vector.utils import concatenate, create_empty_array

from trpo_gail.errors import UserError
from trpo_gail.spaces import actions

SPACES: dict[str, Space] = {
    "vector": Box(-1, 1, (3,), np.float32),
    "matrix": Box(-2, 2, (2, 3), np.float64),
    "number": Box(0, 1, (), np.float32),
    "half": Box(np.array([-np.inf, 0.0]), np.array([1.0, np.inf])),
    "label": Discrete(4),
    "from 2": Discrete(4, start=2),
    "labels": MultiDiscrete([3, 2, 5]),
    "table": MultiDiscrete(np.array([[3, 2], [4, 6]]), start=np.array([[1, 0], [0, -2]])),
    "bits": MultiBinary(4),
    "bit table": MultiBinary((2, 2)),
}


def empty(space: Space, n: int) -> Any:
    return create_empty_array(space, n)


def batch_of(space: Space, n: int) -> np.ndarray:
    space.seed(0)
    return np.asarray(concatenate(space, [space.sample() for _ in range(n)], empty(space, n)))


def contains(space: Space, action: np.ndarray) -> bool:
    return space.contains(action[()] if isinstance(space, Discrete) else np.asarray(action))


@pytest.mark.parametrize("name", SPACES)
def test_rows_go_out_and_come_back(name: str) -> None:
    space, kind = SPACES[name], actions.of(SPACES[name])
    actions.check(space, "here")
    batch = batch_of(space, 20)
    rows = kind.inward(batch)
    assert rows.shape == (20, *kind.shape)
    out = kind.outward(rows)
    np.testing.assert_array_equal(out, batch)
    assert all(contains(space, each) for each in out.astype(space.dtype))


@pytest.mark.parametrize("name", SPACES)
def test_random_and_zero_actions_are_the_spaces(name: str, rng: np.random.Generator) -> None:
    space, kind = SPACES[name], actions.of(SPACES[name])
    for rows in (kind.uniform(rng.random((50, kind.draws))), kind.zeros(3)):
        out = kind.outward(rows).astype(space.dtype)
        assert all(contains(space, each) for each in out)
    if kind.labels:
        seen = kind.uniform(rng.random((2000, kind.draws))).reshape(2000, -1)
        assert [len(np.unique(column)) for column in seen.T] == list(kind.labels)


@pytest.mark.parametrize("name", SPACES)
def test_inputs_are_numbers_or_one_hot(name: str) -> None:
    kind = actions.of(SPACES[name])
    rows = kind.inward(batch_of(SPACES[name], 20))
    encoded = kind.encode(rows)
    assert encoded.shape == (20, kind.inputs)
    if kind.labels:
        assert (encoded.sum(1) == len(kind.labels)).all() and set(np.unique(encoded)) <= {0.0, 1.0}
        edges = np.cumsum(kind.labels)[:-1]
        codes = np.stack([part.argmax(1) for part in np.split(encoded, edges, axis=1)], 1)
        np.testing.assert_array_equal(codes, rows.reshape(20, -1))
    else:
        np.testing.assert_array_equal(encoded, rows)


@pytest.mark.parametrize("space", [Text(3), Dict({"a": Discrete(2)}), Box(0, 1, (0,))])
def test_others_are_refused_in_one_line(space: Space) -> None:
    with pytest.raises(UserError, match=r"env: actions must (be one of Box, Discrete|hold a number)"):
        actions.check(space, "env")
