"""Rows that an adversary sees: valid ones, environment by environment, each with its true successor."""

from __future__ import annotations

import dataclasses

import numpy as np
import toys

from trpo_gail.parallel import Workers
from trpo_gail.sampling import transitions
from trpo_gail.sampling.batch import Rows, number_rows
from trpo_gail.sampling.transitions import flat_rows, to_rollout


def test_valid_rows_are_flattened_environment_by_environment() -> None:
    rollout = toys.rollout([".T_.", "...."])
    number = np.arange(8).reshape(4, 2)  # t * 2 + n
    np.testing.assert_array_equal(flat_rows(rollout, number), [0, 2, 6, 1, 3, 5, 7])
    np.testing.assert_array_equal(to_rollout(rollout, flat_rows(rollout, number)), number * rollout.valid)
    assert toys.seen(rollout).rows == Rows(0, 7, 7)


def test_a_row_keeps_what_belongs_to_it() -> None:
    rollout = toys.rollout([".T_.", "..L_"], observations=2)
    seen = toys.seen(rollout)
    at = [(0, 0), (1, 0), (3, 0), (0, 1), (1, 1), (2, 1)]
    for row, (t, n) in enumerate(at):
        np.testing.assert_array_equal(seen.observations[row], rollout.observations[t, n])
        np.testing.assert_array_equal(seen.next_observations[row], rollout.observations[t + 1, n])
        np.testing.assert_array_equal(seen.actions[row], rollout.actions[t, n])
        assert seen.env_rewards is not None and seen.env_rewards[row] == rollout.rewards[t, n]
        assert seen.steps[row] == rollout.steps[t, n]
    assert seen.terminated.tolist() == [False, True, False, False, False, False]
    assert seen.truncated.tolist() == [False, False, False, False, False, True]
    assert len(seen) == 6 and seen.log_prob is None


def test_rollouts_together_are_each_environments_in_time() -> None:
    """And a row's successor is its own rollout's: the next one may begin another episode."""
    first, second = toys.rollout(["..", ".T"], seed=1), toys.rollout([".", "_"], seed=2)
    seen = toys.seen(first, second)
    np.testing.assert_array_equal(
        seen.observations[:, 0],
        [*first.observations[:2, 0, 0], second.observations[0, 0, 0], *first.observations[:2, 1, 0]],
    )
    np.testing.assert_array_equal(
        seen.next_observations[:, 0],
        [*first.observations[1:, 0, 0], second.observations[1, 0, 0], *first.observations[1:, 1, 0]],
    )
    assert seen.rows == Rows(0, 5, 5)


def test_log_probabilities_go_with_their_rows() -> None:
    rollouts = [toys.rollout([".T_.", "...."], seed=seed) for seed in (0, 1)]
    numbers = [np.arange(7.0), 10 + np.arange(7.0)]
    seen = transitions.of(rollouts, number_rows(14, Workers()), numbers)
    assert seen.log_prob is not None
    assert seen.log_prob.tolist() == [0, 1, 2, 10, 11, 12, 3, 4, 5, 6, 13, 14, 15, 16]


def test_rows_that_are_no_transitions_have_no_influence() -> None:
    rollout = toys.rollout(["..T_.", "....."])
    other = dataclasses.replace(rollout, observations=rollout.observations.copy(), rewards=rollout.rewards.copy())
    other.observations[3, 0], other.rewards[3, 0] = 1e6, 1e6
    before, after = toys.seen(rollout), toys.seen(other)
    np.testing.assert_array_equal(before.observations, after.observations)
    np.testing.assert_array_equal(before.env_rewards, after.env_rewards)
