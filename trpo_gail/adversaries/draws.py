"""Which rows each update of a discriminator takes: the same on every rank, each using those that it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from trpo_gail.adversaries.replay import Numbers
from trpo_gail.config.tree import DiscriminatorConfig
from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import Rows


@dataclass(frozen=True)
class Draw:
    """Rows of one update."""

    learner: np.ndarray  # this rank's rows; of the current iteration first, then of those replayed
    expert: np.ndarray  # of the expert's rows
    places: tuple[np.ndarray, np.ndarray]  # their positions among those of all ranks, for either side
    counts: tuple[int, int]  # rows of all ranks, for either side

    @property
    def paired(self) -> bool:
        """Whether row i of the learner belongs to row i of the expert."""
        return self.counts[0] == self.counts[1]


@dataclass(frozen=True)
class Absorbed:
    """The row of the absorbing state among those of a side, and the share of steps that are spent in it."""

    row: int
    share: float


def draws(
    config: DiscriminatorConfig,
    updates: int,
    rows: Rows,
    experts: int,
    rng: np.random.Generator,
    workers: Workers,
    past: Sequence[Rows] = (),
    absorbed: tuple[Absorbed, Absorbed] | None = None,
) -> Iterator[Draw]:
    """One for each of `updates`: a minibatch of a random split of the iteration's rows, with rows drawn of `experts`.

    Rows of the `past` take the place of a share of the learner's; the absorbing state takes that of its share on each
    side.
    """
    size = config.d_batch_size
    parts = max(1, rows.total // size) if size else updates

    def passes() -> Iterator[Draw]:
        while True:
            # Position i of the permutation gets draw i, so ranks split the expert's rows like the learner's.
            drawn = rng.integers(0, experts, rows.total)
            for start, numbers in rows.split(rng, parts):
                theirs = drawn[start : start + len(numbers)]
                yield _draw(config, numbers, theirs, rows, experts, rng, workers, past, absorbed)

    return islice(passes(), updates)


def _draw(
    config: DiscriminatorConfig, numbers: np.ndarray, drawn: np.ndarray, rows: Rows, experts: int,
    rng: np.random.Generator, workers: Workers, past: Sequence[Rows], absorbed: tuple[Absorbed, Absorbed] | None,
) -> Draw:  # fmt: skip
    held = Numbers([rows, *past])
    if past:
        replaced = rng.random(len(numbers)) < config.replay_share
        old = rng.integers(rows.total, held.total, len(numbers))
        numbers = np.where(replaced, old, numbers)
    positions, local = held.mine(numbers)
    theirs = positions
    if config.expert_batch_size is not None:
        drawn = rng.integers(0, experts, config.expert_batch_size)
        theirs = np.asarray(workers.block(len(drawn)), np.int64)  # also where a rank gets none
    chosen = drawn[theirs]
    if absorbed is not None:
        ours, others = absorbed
        local = np.where((rng.random(len(numbers)) < ours.share)[positions], ours.row, local)
        chosen = np.where((rng.random(len(drawn)) < others.share)[theirs], others.row, chosen)
    return Draw(local, chosen, (positions, theirs), (len(numbers), len(drawn)))
