"""Rows for learning, and which of the global rows this rank holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from trpo_gail.errors import RunError
from trpo_gail.parallel import Workers
from trpo_gail.sampling.rollout import Rollout


@dataclass(frozen=True)
class Rows:
    """Valid rows are numbered over all ranks, environment by environment and in time within each.

    Whatever picks rows (minibatches, subsamples) picks these numbers, the same on every rank; each uses those it holds.
    """

    offset: int
    count: int  # B, on this rank
    total: int  # on all ranks

    @classmethod
    def number(cls, counts: list[int], rank: int) -> Rows:
        return cls(sum(counts[:rank]), counts[rank], sum(counts))

    def mine(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions within `numbers` that this rank holds, and the local row of each."""
        positions = np.nonzero((numbers >= self.offset) & (numbers < self.offset + self.count))[0]
        return positions, numbers[positions] - self.offset

    def every(self, k: int) -> slice:
        """The local rows whose global number is a multiple of k."""
        return slice(-self.offset % k, None, k)

    def minibatches(self, rng: np.random.Generator, parts: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
        """A random split of all rows into `parts`: (positions in the permutation, local rows, global size) of each."""
        order = rng.permutation(self.total)
        edges = np.linspace(0, self.total, parts + 1).astype(int)
        for start, stop in pairwise(edges):
            if stop > start:
                positions, local = self.mine(order[start:stop])
                yield positions + start, local, int(stop - start)


def flat_rows(rollout: Rollout, array: np.ndarray) -> np.ndarray:
    """Valid rows of an array [T, N, ...], environment by environment: [B, ...]."""
    return array.swapaxes(0, 1)[rollout.valid.T]


def to_rollout(rollout: Rollout, rows: np.ndarray) -> np.ndarray:
    """The inverse of `flat_rows` for numbers [B]: [T, N] float64, 0 in rows that are no transitions."""
    array = np.zeros(rollout.valid.shape[::-1])
    array[rollout.valid.T] = rows
    return array.T


@dataclass(frozen=True)
class View:
    """How an adversary sees both sides alike: as the demonstrations were kept."""

    observations: np.dtype  # theirs: a feature that never varies would tell the sides apart by its rounding
    actions: np.dtype
    bounds: tuple[np.ndarray, np.ndarray] | None  # actions are clipped to them if the environment executed them so

    def rows(self, rollout: Rollout) -> tuple[np.ndarray, np.ndarray]:
        """A rollout's valid rows: observations [B, O] float64 and actions [B, A] or [B]."""
        actions = flat_rows(rollout, rollout.actions)
        if self.bounds is not None:
            actions = np.clip(actions, *self.bounds)
        observations = rounded(flat_rows(rollout, rollout.observations[:-1]), self.observations)
        return observations.astype(np.float64), rounded(actions, self.actions)


def rounded(values: np.ndarray, kept: np.dtype) -> np.ndarray:
    """`values` with the digits that the float dtype `kept` has, and with their own where its range ends before them.

    Integers are no scale to round to: a file of them may hold what an environment gives as fractions.
    """
    if kept.kind != "f" or np.can_cast(values.dtype, kept):
        return values
    with np.errstate(over="ignore"):
        cast = values.astype(kept)
    lost = np.isinf(cast) & np.isfinite(values)
    return np.where(lost, values, cast) if lost.any() else cast


@dataclass(frozen=True)
class Batch:
    """What a generator and a critic learn from: this rank's valid rows."""

    rows: Rows
    observations: Tensor  # [B, O]
    actions: Tensor  # [B, A] or int64 [B]: the policy's own sample, before any clipping
    times: Tensor  # [B] step within the episode over its limit
    advantages: Tensor  # [B], standardised over all ranks
    targets: Tensor  # [B], what the critic is fitted to
    values: np.ndarray  # [T + 1, N] float64: V where the rollout went, before the fit
    readvantage: Callable[[np.random.Generator], Tensor] | None = None  # fits the critic a little; new advantages [B]


def action_tensor(actions: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Discrete actions stay integers."""
    kind = torch.int64 if actions.dtype.kind in "iu" else dtype
    return torch.as_tensor(actions, dtype=kind, device=device)


def number_rows(rollout: Rollout, workers: Workers) -> Rows:
    """Number the valid rows of a rollout over all ranks. Raises RunError, on all of them, if they have none in all."""
    rows = Rows.number(workers.gather(int(rollout.valid.sum())), workers.rank)
    if rows.total == 0:
        raise RunError("a batch holds no transition, resets alone: a larger --timesteps_per_batch is needed")
    return rows
