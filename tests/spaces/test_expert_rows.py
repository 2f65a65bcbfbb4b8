"""Demonstrations of any shape become rows before a learner sees them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space

from trpo_gail.errors import UserError
from trpo_gail.experts import structured
from trpo_gail.experts.checks import fit, validate
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Ends
from trpo_gail.experts.rows import as_rows
from trpo_gail.spaces import actions
from trpo_gail.spaces.spec import EnvSpec


def spec_of(observations: Space, own: Space) -> EnvSpec:
    rows = actions.flat_box(own) if isinstance(own, Box) else own
    other = None if rows is own else own
    return EnvSpec("Hand-v0", "gymnasium", {}, observations, rows, environment_actions=other)


def held(observations: np.ndarray, acted: np.ndarray) -> Demonstrations:
    n = len(observations)
    no = np.zeros(n, bool)
    return Demonstrations(observations, acted, no, no, np.arange(n), np.array([n]), path="demos")


VECTOR = Box(-1, 1, (2,), np.float32)


def test_pictures_and_labels_become_rows() -> None:
    spec = spec_of(Box(0, 255, (2, 2, 3), np.uint8), Discrete(3, start=1))
    data = held(np.arange(60, dtype=np.uint8).reshape(5, 2, 2, 3), np.array([1, 2, 3, 1, 2]))
    rows = as_rows(data, spec)
    fit.check(rows, spec)
    assert rows.observations.shape == (5, 12) and rows.observations.dtype == np.uint8
    assert rows.actions.tolist() == [0, 1, 2, 0, 1]


def test_what_are_rows_already_is_left_alone() -> None:
    data = held(np.zeros((4, 2), np.float32), np.zeros((4, 1)))
    assert as_rows(data, spec_of(VECTOR, Box(-1, 1, (1,)))) is data


@pytest.mark.parametrize("parts", [False, True])
def test_a_constant_has_the_environments_digits(parts: bool) -> None:
    """Those of a table's text would tell the sides apart. Columns that vary keep theirs."""
    seen = np.column_stack([np.linspace(-1.0, 1.0, 4), np.full(4, 1000.1)])
    spec = spec_of(Dict({"all": VECTOR, "wide": Box(-1, 1, (1,), np.float64)}) if parts else VECTOR, Box(-1, 1, (1,)))
    given = structured.packed({"all": seen, "wide": seen[:, 1:]}) if parts else seen
    rows = as_rows(replace(held(given, np.zeros((4, 1))), next_observations=given), spec)
    for found in (rows.observations, rows.next_observations):
        assert found is not None and found.dtype == np.float64
        np.testing.assert_array_equal(found[:, 0], seen[:, 0])
        assert (found[:, 1] == np.float32(1000.1)).all() and (found[:, 2:] == 1000.1).all()


def test_one_array_in_place_of_parts_is_told_with_the_order_in_which_it_is_taken() -> None:
    """Nothing shows that another order was meant."""
    space = Dict({"pos": VECTOR, "goal": VECTOR, "lamp": Box(0, 1, (1,), np.float32)})
    spec = spec_of(space, Box(-1, 1, (1,)))
    rows = as_rows(held(np.zeros((4, 5), np.float32), np.zeros((4, 1))), spec)
    assert len(rows.notes) == 1 and "goal in columns 0 to 1, lamp in column 2, pos in columns 3 to 4" in rows.notes[0]
    named = structured.packed(
        {name: np.zeros((4, size), np.float32) for name, size in (("pos", 2), ("goal", 2), ("lamp", 1))}
    )
    assert as_rows(held(named, np.zeros((4, 1))), spec).notes == ()


@pytest.mark.parametrize(
    ("space", "acted", "expected"),
    [
        (Box(-1, 1, (2, 2)), np.arange(8.0).reshape(2, 2, 2) / 8, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (
            MultiDiscrete(np.array([[2, 3]]), start=np.array([[4, -1]])),
            np.array([[[4, 0]], [[5, 1]]]),
            [[0, 1], [1, 2]],
        ),
        (MultiBinary(2), np.array([[0, 1], [1, 1]]), [[0, 1], [1, 1]]),
    ],
)
def test_actions_of_any_shape_become_rows(space: Space, acted: np.ndarray, expected: list) -> None:
    spec = spec_of(VECTOR, space)
    rows = as_rows(held(np.zeros((2, 2), np.float32), acted), spec)
    fit.check(rows, spec)
    scale = 8 if isinstance(space, Box) else 1
    np.testing.assert_array_equal(rows.actions * scale, expected)


@pytest.mark.parametrize(
    ("space", "acted", "said"),
    [
        (Discrete(3), np.array([0, 3]), r"expected integers from 0 to 2 as .*, found 0 to 3"),
        (Discrete(3), np.full((2, 1), 0.5), r"expected integers from 0 to 2 as .*, found float64 \[2\]"),
        (
            MultiDiscrete([3, 2]),
            np.array([[0, 0], [2, 2]]),
            r"expected integers from 0 to 2 in rows of 2 .*, found 0 to 2",
        ),
        (Box(-1, 1, (2,)), np.zeros((2, 3)), r"expected rows of 2 floats .*, found float64 \[3\]"),
    ],
)
def test_others_are_named(space: Space, acted: np.ndarray, said: str) -> None:
    spec = spec_of(VECTOR, space)
    with pytest.raises(UserError, match=said):
        fit.check(as_rows(held(np.zeros((2, 2), np.float32), acted), spec), spec)


def test_a_label_that_the_environment_has_not_is_named() -> None:
    data = held(np.array([1, 4]), np.zeros((2, 1)))
    with pytest.raises(UserError, match=r"demos: dataset 'observations': 4 is no label of the environment 'Hand-v0'"):
        as_rows(data, spec_of(Discrete(3, start=1), Box(-1, 1, (1,))))


# ---- how episodes end, if the source does not say ---------------------------------------------------------------------


def of_lengths(*lengths: int, says_ends: bool = False) -> Demonstrations:
    n = sum(lengths)
    no, steps = np.zeros(n, bool), np.concatenate([np.arange(length) for length in lengths])
    return Demonstrations(
        np.zeros((n, 2), np.float32),
        np.zeros((n, 1)),
        no,
        no,
        steps,
        np.array(lengths),
        says_ends=says_ends,
        path="demos",
    )


@pytest.mark.parametrize(
    ("lengths", "limit", "terminal", "cut"),
    [
        ((3, 5, 10), 10, 2, 1),  # one lasts until the limit
        ((3, 5, 8), 10, 3, 0),
        ((3, 8, 8), 10, 1, 2),  # perhaps cut after 8 steps by whoever recorded them
        ((8, 8, 8), 10, 0, 3),
        ((10, 10), 10, 0, 2),
    ],
)
def test_episodes_that_are_short_have_ended(lengths: tuple[int, ...], limit: int, terminal: int, cut: int) -> None:
    spec = replace(spec_of(VECTOR, Box(-1, 1, (1,))), max_episode_steps=limit)
    ends = as_rows(of_lengths(*lengths), spec).ends
    assert ends is not None and ends.by_length
    assert (ends.terminal, ends.limit, ends.unsaid) == (terminal, cut, 0)
    unsaid = as_rows(of_lengths(*lengths, says_ends=True), spec).ends
    assert unsaid == ends, "flags that are all False say nothing either"


def test_rows_of_episodes_that_are_short_say_that_they_have_ended() -> None:
    """A discriminator that sees ends sees the learner's, so it must see the expert's."""
    spec = replace(spec_of(VECTOR, Box(-1, 1, (1,))), max_episode_steps=10)
    data = of_lengths(3, 5, 10)
    assert np.flatnonzero(as_rows(data, spec).transitions().terminated).tolist() == [2, 7]
    fewer = as_rows(data.select(subsample=2), spec)
    ends = fewer.last & (fewer.episode_of < 2)
    assert ends.any() and np.array_equal(fewer.transitions().terminated, ends)
    unfinished = as_rows(replace(of_lengths(10, 3, 5), unfinished=True), spec)
    assert np.flatnonzero(unfinished.transitions().terminated).tolist() == [12]


def test_flags_in_the_middle_of_episodes_stay_to_be_warned_of() -> None:
    """As those of first rows, where those of last rows are expected: then lengths judge, since no last row says an end."""
    spec = replace(spec_of(VECTOR, Box(-1, 1, (1,))), max_episode_steps=10)
    data = of_lengths(3, 5, 10, says_ends=True)
    first = np.isin(np.arange(18), [0, 3, 8])
    found = as_rows(replace(data, terminals=first), spec)
    assert np.flatnonzero(found.terminals).tolist() == [0, 2, 3, 7, 8]
    assert any("is True in 3 rows in the middle of an episode" in text for text in validate.cheap(found))


def test_what_a_source_says_of_its_ends_counts() -> None:
    spec = replace(spec_of(VECTOR, Box(-1, 1, (1,))), max_episode_steps=10)
    data = of_lengths(3, 5, says_ends=True)
    timeouts = np.zeros(8, bool)
    timeouts[[2, 7]] = True
    assert as_rows(replace(data, timeouts=timeouts), spec).ends == Ends(0, 2, 0)


def test_without_a_time_limit_nothing_is_judged() -> None:
    assert as_rows(of_lengths(3, 5), spec_of(VECTOR, Box(-1, 1, (1,)))).ends is None
