"""Adam on a module's flat parameter vector, with gradients summed over ranks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trpo_gail.networks.mlp import FlatParameters
from trpo_gail.parallel import Workers


class FlatAdam:
    """torch's Adam, its state and its gradient one vector each."""

    def __init__(self, module: nn.Module, stepsize: float, workers: Workers) -> None:
        self.flat, self.workers = FlatParameters(module), workers
        self._adam = torch.optim.Adam([self.flat.vector], lr=stepsize)

    def step(self, loss_sum: Tensor, count: int) -> None:
        """Descend mean loss: this rank's sum [scalar], over `count` rows of all ranks; divided after the reduction."""
        self.flat.vector.grad = self.workers.sum_tensor(self.flat.gradient(loss_sum)) / count
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        return self._adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._adam.load_state_dict(state)
