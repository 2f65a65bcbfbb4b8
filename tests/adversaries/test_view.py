"""Both sides alike: the learner's rows as the demonstrations were kept."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import toys

from trpo_gail.adversaries.view import View
from trpo_gail.build import make_adversary
from trpo_gail.config.presets import changed
from trpo_gail.config.tree import Config
from trpo_gail.parallel import Workers
from trpo_gail.spaces.spec import ActionView


def seen(values: list[float], given: str, kept: str) -> np.ndarray:
    """Observations that an environment gives as one dtype, by the view of demonstrations in another."""
    T = len(values)
    rollout = toys.rollout(["." * T])
    observations = np.array([*values, 0.0], given).reshape(T + 1, 1, 1)
    rollout = dataclasses.replace(rollout, observations=observations, actions=observations[:-1])
    view = View(np.dtype(kept), np.dtype(kept), toys.spec(1, 1))
    rows, actions = view.rows(toys.seen(rollout))
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows, actions)
    return rows[:, 0]


@pytest.mark.parametrize("kept", ["float16", "float32"])
def test_a_learners_numbers_are_rounded_as_the_demonstrations_were(kept: str) -> None:
    values = np.random.default_rng(0).standard_normal(50)
    np.testing.assert_array_equal(seen(list(values), "float64", kept), values.astype(kept))
    assert (seen(list(values), "float64", kept) != values).all()


@pytest.mark.parametrize(
    ("values", "given", "kept", "expected"),
    [
        # 65504 is float16's largest; 0.1 is 1638 / 2**14 in it.
        ([0.1, 65504.0, 65536.0, -1e30], "float64", "float16", [1638 / 2**14, 65504.0, 65536.0, -1e30]),
        ([1e5, 3.0], "float32", "float16", [1e5, 3.0]),
        ([1e300, -1e300, 0.5], "float64", "float32", [1e300, -1e300, 0.5]),
        ([0.1], "float64", "float64", [0.1]),
        ([0.3, -1.5, 300.0], "float64", "int8", [0.3, -1.5, 300.0]),
        ([0.3, 300.0], "float64", "uint8", [0.3, 300.0]),
        ([300.0, 70000.0], "int64", "int8", [300.0, 70000.0]),
        ([300.0, 70000.0], "int64", "float16", [300.0, 70000.0]),
        ([2.0**24 + 1], "int64", "float32", [2.0**24]),
    ],
)
def test_no_value_is_lost_for_being_rounded(values: list, given: str, kept: str, expected: list) -> None:
    assert seen(values, given, kept).tolist() == expected


def test_what_is_not_finite_stays_so() -> None:
    assert np.isnan(seen([np.nan], "float64", "float16")).all()
    assert seen([np.inf, -np.inf], "float64", "float16").tolist() == [np.inf, -np.inf]


def test_discrete_actions_are_as_the_policy_took_them() -> None:
    rollout = toys.rollout(["...."], actions=3, discrete=True)
    _, actions = View(np.dtype(np.float16), np.dtype(np.int64), toys.spec(1, 3, discrete=True)).rows(toys.seen(rollout))
    assert actions.dtype.kind == "i" and actions.tolist() == rollout.actions[:, 0].tolist()


def test_executed_actions_are_clipped_before_they_are_rounded() -> None:
    rollout = dataclasses.replace(toys.rollout(["..."]), actions=np.array([[[-9.0]], [[0.05]], [[9.0]]]))
    bounds = np.array([-0.1]), np.array([0.1])
    _, actions = View(np.dtype(np.float32), np.dtype(np.float32), toys.spec(1, 1, bounds=bounds)).rows(
        toys.seen(rollout)
    )
    assert actions[:, 0].tolist() == [np.float32(-0.1), np.float32(0.05), np.float32(0.1)]


@pytest.mark.parametrize(
    "given", [{}, {"adversary": "airl", "airl.shaping": False}, {"adversary": "fem"}], ids=["gail", "airl", "fem"]
)
def test_the_experts_samples_are_clipped_if_the_learners_are(given: dict[str, Any]) -> None:
    """Otherwise those outside the bounds, where no learner's action is, would show whose they are."""
    spec = toys.spec(1, 1, bounds=(np.array([-0.5]), np.array([0.5])))
    learner = toys.seen(toys.rollout(["....", "..1."]))
    observations, samples = np.arange(4.0)[:, None], np.array([[-9.0], [0.1], [0.4], [2.0]], np.float32)
    config = changed(Config("Hand-v0", dtype="float64"), given)

    def pays(expert: np.ndarray, view: ActionView) -> np.ndarray:
        seen_as = spec.viewed(view)
        made = make_adversary(config, seen_as, toys.pairs(observations, expert), toys.policy(seen_as), Workers())
        rows = toys.policy(seen_as).judged(learner, True, seen_as.clipped_to)
        made.reward(rows)
        made.fit(rows, np.random.default_rng(0))
        return made.reward(rows)

    np.testing.assert_array_equal(pays(samples, "executed"), pays(samples.clip(-0.5, 0.5), "executed"))
    assert (pays(samples, "raw") != pays(samples.clip(-0.5, 0.5), "raw")).any()
