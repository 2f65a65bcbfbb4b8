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


@dataclass(frozen=True)
class Rows:
    """Valid rows are numbered over all ranks, environment by environment and in time within each.

    Minibatches and subsamples choose numbers, the same ones on every rank; each rank uses those rows that it holds.
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
        """Split all rows at random into `parts`; yields (positions in the permutation, local rows, global size) of
        each."""
        for start, numbers in self.split(rng, parts):
            positions, local = self.mine(numbers)
            yield positions + start, local, len(numbers)

    def split(self, rng: np.random.Generator, parts: int) -> Iterator[tuple[int, np.ndarray]]:
        """The same on every rank: (position of the first in the permutation, numbers of all rows) of each part."""
        order = rng.permutation(self.total)
        edges = np.linspace(0, self.total, parts + 1).astype(int)
        for start, stop in pairwise(edges):
            if stop > start:
                yield int(start), order[start:stop]


@dataclass(frozen=True)
class Batch:
    """This rank's valid rows, from which generator and critic learn."""

    rows: Rows
    observations: Tensor  # [B, O]
    actions: Tensor  # [B, A] or int64 [B]: the policy's own sample, before any clipping
    times: Tensor  # [B], step within the episode divided by its limit
    advantages: Tensor  # [B], standardised over all ranks
    targets: Tensor  # [B], to which the critic is fitted
    values: np.ndarray  # [T + 1, N] float64: V of the rollout's states, before the fit
    readvantage: Callable[[np.random.Generator], Tensor] | None = None  # refits the critic; new advantages [B]


def observation_tensor(observations: np.ndarray, dtype: torch.dtype, device: torch.device, frames: bool) -> Tensor:
    """A tensor of observations. `frames`: no column is standardised, so uint8 stays uint8, since networks convert
    pixels themselves."""
    kind = torch.uint8 if frames and observations.dtype == np.uint8 else dtype
    return torch.as_tensor(observations, dtype=kind, device=device)


def action_tensor(actions: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor of actions; Discrete actions stay integers."""
    kind = torch.int64 if actions.dtype.kind in "iu" else dtype
    return torch.as_tensor(actions, dtype=kind, device=device)


def number_rows(count: int, workers: Workers) -> Rows:
    """Number the rows of all ranks; this one has `count`. Raises RunError, on all ranks, if there is no row at all."""
    rows = Rows.number(workers.gather(count), workers.rank)
    if rows.total == 0:
        raise RunError("a batch holds no transition, only resets: a larger --timesteps_per_batch is needed")
    return rows
