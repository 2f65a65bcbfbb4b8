"""Two ranks as threads of one process, for tests that need no launcher."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from trpo_gail.parallel import Workers


class Beside(Workers):
    """A rank that is a thread."""

    def __init__(self, rank: int, values: list[Any], barrier: threading.Barrier) -> None:
        super().__init__()
        self.rank, self.size, self._values, self._barrier = rank, len(values), values, barrier

    def gather(self, value: Any) -> list[Any]:
        self._values[self.rank] = value
        self._barrier.wait()
        found = list(self._values)
        self._barrier.wait()
        return found

    def sum(self, values: np.ndarray) -> np.ndarray:
        return np.sum(self.gather(np.array(values, np.float64)), axis=0)

    def max(self, value: float) -> float:
        return max(self.gather(value))

    def share_tensor(self, tensor: torch.Tensor) -> None:
        tensor.data.copy_(self.gather(tensor.clone())[0])


def on_two_ranks(function: Callable[[Workers], Any]) -> list[Any]:
    """What each rank gives."""
    values, barrier = [None, None], threading.Barrier(2, timeout=30.0)
    results: list[Any] = [None, None]

    def run(rank: int) -> None:
        try:
            results[rank] = function(Beside(rank, values, barrier))
        except BaseException as error:
            results[rank] = error
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
