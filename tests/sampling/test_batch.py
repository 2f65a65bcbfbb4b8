"""Global row numbers: pretend ranks together do what one does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import toys

from trpo_gail.errors import RunError
from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import Rows, View, action_tensor, flat_rows, number_rows
from trpo_gail.sampling.rollout import join

COUNTS = [5, 0, 3, 9]  # of four ranks
TOTAL = sum(COUNTS)
RANKS = [Rows.number(COUNTS, rank) for rank in range(len(COUNTS))]


def test_ranks_number_their_rows_one_after_the_other() -> None:
    assert [Rows(0, 5, 17), Rows(5, 0, 17), Rows(5, 3, 17), Rows(8, 9, 17)] == RANKS


def test_each_row_is_one_ranks() -> None:
    numbers = np.random.default_rng(0).integers(0, TOTAL, 40)  # with repeats, as draws have them
    found = np.full(40, -1)
    for rows in RANKS:
        positions, local = rows.mine(numbers)
        assert (found[positions] == -1).all()
        assert ((local >= 0) & (local < rows.count)).all()
        found[positions] = local + rows.offset
    np.testing.assert_array_equal(found, numbers)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 7, 17, 30])
def test_every_kth_row_is_the_same_rows_on_any_number_of_ranks(k: int) -> None:
    taken = [rows.offset + i for rows in RANKS for i in np.arange(rows.count)[rows.every(k)]]
    assert taken == list(range(0, TOTAL, k))


@pytest.mark.parametrize("parts", [1, 2, 5, 17, 40])
def test_minibatches_hold_every_row_once(parts: int) -> None:
    alone = Rows(0, TOTAL, TOTAL)
    whole = list(alone.minibatches(np.random.default_rng(1), parts))
    assert len(whole) == min(parts, TOTAL)
    np.testing.assert_array_equal(np.sort(np.concatenate([local for _, local, _ in whole])), np.arange(TOTAL))
    np.testing.assert_array_equal(np.concatenate([positions for positions, _, _ in whole]), np.arange(TOTAL))
    sizes = [size for _, _, size in whole]
    assert sum(sizes) == TOTAL and max(sizes) - min(sizes) <= 1
    assert parts == TOTAL or parts > TOTAL or (np.diff(np.concatenate([local for _, local, _ in whole])) < 0).any()


@pytest.mark.parametrize("parts", [1, 3, 17, 40])
def test_ranks_together_hold_the_minibatches_of_one(parts: int) -> None:
    whole = list(Rows(0, TOTAL, TOTAL).minibatches(np.random.default_rng(1), parts))
    split = [list(rows.minibatches(np.random.default_rng(1), parts)) for rows in RANKS]
    for b, (positions, local, size) in enumerate(whole):
        found = {}
        for rows, batches in zip(RANKS, split, strict=True):
            assert len(batches) == len(whole) and batches[b][2] == size
            found |= dict(zip(batches[b][0], batches[b][1] + rows.offset, strict=True))
        assert [found[p] for p in positions] == list(local)


def test_two_draws_give_two_orders() -> None:
    rng, rows = np.random.default_rng(1), Rows(0, TOTAL, TOTAL)
    first, second = (np.concatenate([local for _, local, _ in rows.minibatches(rng, 2)]) for _ in range(2))
    assert (first != second).any()


def test_valid_rows_are_flattened_environment_by_environment() -> None:
    rollout = toys.rollout([".T_.", "...."])
    number = np.arange(8).reshape(4, 2)  # t * 2 + n
    np.testing.assert_array_equal(flat_rows(rollout, number), [0, 2, 6, 1, 3, 5, 7])
    assert number_rows(join([rollout, rollout]), Workers()) == Rows(0, 14, 14)


def test_discrete_actions_stay_integers() -> None:
    cpu = torch.device("cpu")
    assert action_tensor(np.array([1, 2], np.int32), torch.float32, cpu).dtype == torch.int64
    assert action_tensor(np.array([1.0, 2.0]), torch.float32, cpu).dtype == torch.float32


def test_a_batch_without_a_transition_is_refused() -> None:
    with pytest.raises(RunError, match="no transition, resets alone: a larger --timesteps_per_batch"):
        number_rows(toys.rollout(["_", "_"]), Workers())


# ---- both sides alike ------------------------------------------------------------------------------------------------


def seen(values: list[float], given: str, kept: str) -> np.ndarray:
    """Observations that an environment gives as one dtype, by the view of demonstrations in another."""
    T = len(values)
    rollout = toys.rollout(["." * T])
    observations = np.array([*values, 0.0], given).reshape(T + 1, 1, 1)
    rollout = dataclasses.replace(rollout, observations=observations, actions=observations[:-1])
    view = View(np.dtype(kept), np.dtype(kept), None)
    rows, actions = view.rows(rollout)
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
    _, actions = View(np.dtype(np.float16), np.dtype(np.int64), None).rows(rollout)
    assert actions.dtype.kind == "i" and actions.tolist() == rollout.actions[:, 0].tolist()


def test_executed_actions_are_clipped_before_they_are_rounded() -> None:
    rollout = dataclasses.replace(toys.rollout(["..."]), actions=np.array([[[-9.0]], [[0.05]], [[9.0]]]))
    bounds = np.array([-0.1]), np.array([0.1])
    _, actions = View(np.dtype(np.float32), np.dtype(np.float32), bounds).rows(rollout)
    assert actions[:, 0].tolist() == [np.float32(-0.1), np.float32(0.05), np.float32(0.1)]
