"""Demonstrations against an environment, and the view of their actions."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete

from trpo_gail.errors import UserError
from trpo_gail.experts.checks import cautions, fit
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.load import load
from trpo_gail.experts.own import Demonstrations as Held
from trpo_gail.experts.rows import as_rows
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.spaces.units import ActionScaling


def with_facts(held: Demonstrations, **facts: Any) -> Demonstrations:
    """The same rows from elsewhere."""
    return replace(held, provenance=replace(held.provenance, **facts))


def spec(observations: int = 2, actions: Box | Discrete | None = None) -> EnvSpec:
    action_space = Box(-0.2, 0.2, (1,)) if actions is None else actions
    return EnvSpec("Toy-v0", "gymnasium", {}, Box(-np.inf, np.inf, (observations,)), action_space)


def test_data_that_fit_are_accepted(native: Path) -> None:
    data = load(native)
    fit.check(data, spec())
    fit.check(replace(data, actions=np.arange(9) % 3), spec(actions=Discrete(3)))


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (spec(3), r"'observations': expected rows of shape \[3\] as the environment 'Toy-v0' has, found \[2\]"),
        (spec(actions=Box(-1, 1, (2,))), r"'actions': expected rows of 2 floats .*'Toy-v0'.*, found float32 \[1\]"),
        (spec(actions=Discrete(3)), r"'actions': expected integers from 0 to 2 .*, found float32 \[9, 1\]"),
    ],
    ids=["observations", "actions", "discrete"],
)
def test_data_that_do_not_fit_are_refused(native: Path, environment: EnvSpec, message: str) -> None:
    with pytest.raises(UserError, match=rf"demos\.h5: dataset {message}"):
        fit.check(load(native), environment)


def test_a_file_of_another_environment_is_warned_of(native: Path) -> None:
    data = with_facts(replace(load(native), path="x.h5"), env_id="CartPole-v0")
    told = "x.h5 was recorded on CartPole-v0, not CartPole-v1: its returns, and so scaled_score, are of that task"
    assert fit.other_environment(data, "CartPole-v1") == told
    assert fit.other_environment(data, "Paper/CartPole-v0") is not None
    for same in ("CartPole-v0", "module:CartPole-v0"):
        assert fit.other_environment(data, same) is None
    assert fit.other_environment(with_facts(data, env_id="module:CartPole-v0"), "CartPole-v0") is None
    assert fit.other_environment(with_facts(data, env_id=None), "CartPole-v1") is None


def test_other_arguments_of_the_environment_are_warned_of(native: Path) -> None:
    data = with_facts(replace(load(native), path="x.h5"), env_id="CartPole-v1")
    told = """x.h5 was recorded with --env_kwargs '{"length": [1, 2]}', not --env_kwargs '{}': its returns, and"""
    other = with_facts(data, env_kwargs={"length": (1, 2)})
    found = fit.other_environment(other, "CartPole-v1", {})
    assert found is not None and found.startswith(told)
    assert fit.other_environment(other, "CartPole-v1", {"length": [1, 2], "render_mode": "human"}) is None
    registered = with_facts(data, env_id="FrozenLake8x8-v1", env_kwargs={"map_name": "8x8"})
    assert fit.other_environment(registered, "FrozenLake8x8-v1", {}) is None
    assert fit.other_environment(other, "CartPole-v1") is None  # an object's are not known
    unsaid = with_facts(data, env_kwargs={}, backend=None)
    assert fit.other_environment(unsaid, "CartPole-v1", {"length": 3}) is None
    assert fit.other_environment(with_facts(unsaid, backend="gymnasium"), "CartPole-v1", {"length": 3}) is not None


def test_discrete_actions_out_of_range_or_for_a_box_are_refused(native: Path) -> None:
    data = replace(load(native), actions=np.arange(9) - 1)
    with pytest.raises(UserError, match=r"demos\.h5: .*'actions': expected integers from 0 to 2 .*, found -1 to 7"):
        fit.check(data, spec(actions=Discrete(3)))
    with pytest.raises(UserError, match=r"demos\.h5: .*'actions': expected rows of 1 floats .*, found int64 \[\]"):
        fit.check(data, spec())


NARROW, WIDE = Box(-0.2, 0.2, (1,)), Box(-1.0, 1.0, (1,))  # the actions are 0 to 0.23


@pytest.mark.parametrize(
    ("stated", "space", "override", "expected", "reason"),
    [
        ("raw", WIDE, None, "raw", r"demos\.h5 states"),
        ("executed", NARROW, None, "executed", r"demos\.h5 states"),
        ("raw", WIDE, "executed", "executed", "as asked for"),
        (None, NARROW, None, "raw", r"demos\.h5 does not say, but there are actions outside the bounds"),
        (None, WIDE, None, "executed", r"warning: .*demos\.h5 does not say"),
        (None, Discrete(2), None, "raw", "discrete actions have no bounds"),
        (None, MultiDiscrete([2, 3]), "raw", "raw", "discrete actions have no bounds"),
        (None, MultiBinary(2), "raw", "raw", "discrete actions have no bounds"),
    ],
)
def test_the_view_of_actions(native: Path, stated: Any, space: Any, override: Any, expected: str, reason: str) -> None:
    data = with_facts(load(native), action_view=stated)
    view, why = fit.action_view(data, space, override)
    assert view == expected
    assert re.search(reason, why)


def test_a_float32_bound_is_not_outside_a_float64_one() -> None:
    bound = np.array([0.1])  # float32(0.1) is larger
    assert not fit.outside(np.array([[0.1]], np.float32), -bound, bound).any()


def test_whole_numbers_are_outside_bounds_without_rounding() -> None:
    actions = np.array([[0, 1], [2, -1]])
    assert fit.outside(actions, np.zeros(2), np.ones(2)).tolist() == [[False, False], [True, True]]


CODED = EnvSpec(
    "Toy-v0", "gymnasium", {}, Dict({"pose": Box(-9, 9, (2,)), "wind": Discrete(3), "bits": MultiBinary(2)}), NARROW
)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            6,
            1.0,
            r"columns 4 to 6: expected one-hot codes of 'wind', 0 but for a 1 at the label, .*, found 0 1 1 in row 2",
        ),
        (5, 0.0, r"columns 4 to 6: .*found 0 0 0 in row 2"),
        (5, 0.5, r"columns 4 to 6: .*found 0 0.5 0 in row 2"),
        (0, 2.0, r"columns 0 to 1: expected bits of 'bits', 0 or 1, .*, found 2 0 in row 2"),
    ],
)
def test_columns_of_codes_hold_codes(native: Path, column: int, value: float, message: str) -> None:
    rows = np.tile([1.0, 0.0, 3.5, -2.0, 0.0, 1.0, 0.0], (9, 1))
    data = replace(load(native), observations=rows)
    fit.check(data, CODED)
    rows[2, column] = value
    with pytest.raises(UserError, match=rf"demos\.h5: dataset 'observations': {message}"):
        fit.check(data, CODED)


def test_a_clock_is_named_by_its_part_in_rows_too() -> None:
    parts = {"seen": np.random.default_rng(0).normal(size=(30, 3)), "battery": 1.0 - np.arange(30)[:, None] / 40}
    held = Held.from_arrays(parts, np.zeros((30, 1)), episode_lengths=[30])
    space = Dict({"battery": Box(0, 1, (1,)), "seen": Box(-9, 9, (3,))})
    rows = as_rows(held, EnvSpec("Toy-v0", "gymnasium", {}, space, Box(-1, 1, (1,))))
    assert rows.observations.shape == (30, 4)
    for data in (held, rows, rows.select(1)):
        assert [(name, column) for name, column, _ in fit.clocks(data)] == [("observations.battery", 0)]


@pytest.mark.parametrize(
    ("path", "said"), [("x.h5", "as x.h5 states"), ("demonstrations", "as the demonstrations state")]
)
def test_who_states_the_actions_is_said_in_plain_words(native: Path, path: str, said: str) -> None:
    data = replace(with_facts(load(native), action_view="raw"), path=path)
    assert fit.action_view(data, Box(-0.2, 0.2, (1,))) == ("raw", said)


@pytest.mark.parametrize(
    ("size", "center", "bound", "log_std", "said"),
    [
        (1.0, 0.0, np.inf, 0.0, None),
        (500.0, 1500.0, 1.0, 0.0, None),  # dimensions with bounds are scaled
        (50.0, 0.0, np.inf, 0.0, None),
        (
            500.0,
            1500.0,
            np.inf,
            0.0,
            r"size 1.5\de\+03, and the policy begins at 0 with a standard deviation of 1, .*bounds in",
        ),
        (500.0, 1500.0, np.inf, 6.0, None),  # a policy that begins as wide
        (
            1e-6,
            0.0,
            np.inf,
            0.0,
            r"dimension 0 are of size \d\.?\d*e-07, .* finite bounds in the environment's action_space",
        ),
        (1e-6, 0.0, np.inf, -14.0, None),
        (0.0, 0.0, np.inf, 0.0, None),
    ],
)
def test_actions_that_a_policy_hardly_comes_to(
    native: Path, size: float, center: float, bound: float, log_std: float, said: str | None
) -> None:
    data = load(native)
    data = replace(data, actions=center + size * np.linspace(-1.0, 1.0, len(data.actions))[:, None])
    box = Box(-bound, bound, (1,))
    scaling = ActionScaling.of(Box(-2.0, 2.0, (1,))) if np.isfinite(bound) else None
    found = fit.beyond_reach(data, replace(spec(actions=box), action_scaling=scaling), log_std)
    assert len(found) == (said is not None)
    assert said is None or re.search(said, found[0])


def test_bounds_that_are_not_scaled_to(native: Path) -> None:
    data = load(native)
    found = fit.beyond_reach(replace(data, actions=data.actions * 0 + 1500), spec(actions=Box(1000, 2000, (1,))), 0.0)
    assert found and found[0].endswith("--action_scaling makes [-1, 1] of the bounds")


def test_what_a_first_policy_is_warned_of(native: Path) -> None:
    """By all that make one: GAIL, `clone` and BC."""
    data, image = load(native), Box(0, 255, (3, 3), np.uint8)
    rows = np.zeros((len(data.actions), 9), np.uint8)
    rows[0, 0] = 10
    given = replace(data, observations=rows, actions=data.actions * 0 + 1500)
    seen = replace(spec(actions=Box(-np.inf, np.inf, (1,))), observation_space=image)
    found = cautions.of_first_policy(given, seen, 0.0)
    assert [bool(re.search(r"no pixel above 10 of 255|of size 1.5e\+03", text)) for text in found] == [True, True]
