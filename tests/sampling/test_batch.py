"""Global row numbers: pretend ranks together do what one does."""

from __future__ import annotations

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


# ---- as the demonstrations were kept ---------------------------------------------------------------------------------


def seen(value: float, kept: str) -> tuple[float, float]:
    """An observation and an action of this value, as an adversary sees them beside demonstrations of this dtype."""
    rollout = toys.rollout([".."])
    rollout.observations[:], rollout.actions[:] = value, value
    observations, actions = View(np.dtype(kept), np.dtype(kept), None).rows(rollout)
    assert observations.dtype == np.float64 and observations.shape == (2, 1)
    return float(observations[0, 0]), float(actions[0, 0])


@pytest.mark.parametrize("kept", ["float16", "float32", ">f4", "float64"])
def test_both_sides_are_rounded_alike(kept: str) -> None:
    assert seen(0.1, kept) == (float(np.dtype(kept).type(0.1)),) * 2


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (7e4, "float16"),
        (-7e4, "float16"),
        (1e39, "float32"),
        (0.7, "int64"),
        (300.0, "uint8"),
        (-1.0, "uint8"),
        (3.0, "int8"),
    ],
)
def test_nothing_is_cast_to_a_type_that_it_does_not_fit_in(value: float, kept: str) -> None:
    assert seen(value, kept) == (value, value)


def test_an_adversary_sees_discrete_actions_as_integers() -> None:
    rollout = toys.rollout(["...."], actions=300, discrete=True)
    actions = View(np.dtype("float32"), np.dtype("int8"), None).rows(rollout)[1]
    np.testing.assert_array_equal(actions, rollout.actions[:, 0])
    assert actions.dtype.kind == "i" and actions.max() > 127
