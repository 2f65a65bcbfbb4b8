"""Adam on a network's flat parameter vector, with gradients summed over ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from trpo_gail.networks.mlp import MLP, FlatParameters
from trpo_gail.parallel import Workers


class FlatAdam:
    """torch's Adam, its state and its gradient one vector each.

    Differs: the original adds epsilon to the root of the second moment before its correction, torch after it.
    """

    def __init__(self, net: MLP, stepsize: float, workers: Workers) -> None:
        self.net, self.flat, self.workers = net, FlatParameters(net), workers
        self._adam = torch.optim.Adam([self.flat.vector], lr=stepsize, fused=True)
        self._gradient = torch.zeros_like(self.flat.vector, dtype=torch.float64)
        self._parts = self.flat.split(self._gradient)

    @torch.no_grad()
    def step(self, x: Tensor, slope: Callable[[Tensor], Tensor], count: int) -> None:
        """Descend a mean loss over `count` rows of all ranks, divided after the reduction.

        x [B, I] are this rank's rows; `slope` maps the network's output [B, O] to the derivative [B, O] of the loss's sum
        over them. With minibatches this small autograd would take most of the time, for two formulas of one line.
        """
        hidden = self.net.activations(x)
        self._gradient.zero_()
        self.net.pullback(hidden, slope(self.net.layers[-1](hidden[-1])), self._parts)
        self.flat.vector.grad = (self.workers.sum_tensor(self._gradient) / count).to(self.flat.vector.dtype)
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        return self._adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._adam.load_state_dict(state)
