"""Global row numbers: pretend ranks together do what one does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trpo_gail.errors import RunError
from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import Rows, action_tensor, number_rows

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


def test_discrete_actions_stay_integers() -> None:
    cpu = torch.device("cpu")
    assert action_tensor(np.array([1, 2], np.int32), torch.float32, cpu).dtype == torch.int64
    assert action_tensor(np.array([1.0, 2.0]), torch.float32, cpu).dtype == torch.float32


def test_a_batch_without_a_transition_is_refused() -> None:
    with pytest.raises(RunError, match="no transition, only resets: a larger --timesteps_per_batch"):
        number_rows(0, Workers())
