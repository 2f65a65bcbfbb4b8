"""The learner's rows of earlier iterations, from which a discriminator goes on learning (as in AMP and in DAC)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import Rows


@dataclass(frozen=True)
class Past:
    """This rank's rows of one iteration: the blocks of their inputs, [B, .] each, and their actions; before any
    normalisation."""

    tensors: tuple[Tensor, ...]
    rows: Rows


@dataclass(frozen=True)
class Numbers:
    """Global numbers of the rows of several iterations, one after the other, and which of them this rank holds."""

    iterations: Sequence[Rows]

    @property
    def total(self) -> int:
        """Rows of all ranks."""
        return sum(rows.total for rows in self.iterations)

    def mine(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions within `numbers` that this rank holds, and the local row of each, counted over all iterations."""
        local, first, before = np.full(len(numbers), -1), 0, 0
        for rows in self.iterations:
            positions, places = rows.mine(numbers - first)
            local[positions] = before + places
            first, before = first + rows.total, before + rows.count
        positions = np.flatnonzero(local >= 0)
        return positions, local[positions]


class Replay:
    """The last iterations' rows, the newest first."""

    def __init__(self, iterations: int, workers: Workers) -> None:
        self._most, self._workers = iterations, workers
        self.held: list[Past] = []

    def add(self, past: Past) -> None:
        """Keep an iteration's rows, and forget the oldest if there are too many."""
        self.held = [past, *self.held][: self._most]

    # ---- resume ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All ranks' rows, and how many of them each rank had. A collective."""
        if not self._most:
            return {}
        return {"iterations": [self._whole(past) for past in self.held]}

    def _whole(self, past: Past) -> dict[str, Any]:
        parts = self._workers.gather([tensor.cpu() for tensor in past.tensors])
        columns = [torch.cat(column) for column in zip(*parts, strict=True)]
        return {"tensors": columns, "counts": self._workers.gather(past.rows.count)}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Each rank takes its former share; if the number of ranks has changed, an equal one."""
        self.held = []
        for whole in state.get("iterations", []):
            counts = list(whole["counts"])
            if len(counts) != self._workers.size:
                total, size = sum(counts), self._workers.size
                counts = [(rank + 1) * total // size - rank * total // size for rank in range(size)]
            rows = Rows.number(counts, self._workers.rank)
            mine = slice(rows.offset, rows.offset + rows.count)
            self.held.append(Past(tuple(tensor[mine].to(device) for tensor in whole["tensors"]), rows))
