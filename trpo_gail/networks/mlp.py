"""A plain multi-layer perceptron, and its parameters as one vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

ROW_CHUNK = 1024  # rows whose activations stay in the cache from one product to the next


class _HostTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = tanh(x.detach())
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return gradient * (1.0 - y * y)


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent; on the CPU by numpy, whose vector code takes a sixth of the time of torch's."""
    if x.device.type != "cpu":
        return torch.tanh(x)
    return _HostTanh.apply(x) if x.requires_grad else torch.from_numpy(np.tanh(x.numpy()))


class MLP(nn.Module):
    """tanh layers and a linear output. Hidden weights are Glorot uniform, as in the original code."""

    def __init__(
        self, inputs: int, hidden: Sequence[int], outputs: int, *, out_scale: float, rng: torch.Generator
    ) -> None:
        super().__init__()
        sizes = [inputs, *hidden, outputs]
        layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))
        self.layers = cast("list[nn.Linear]", layers)  # ModuleList has no type for what it holds
        for k, layer in enumerate(self.layers):
            fan_out, fan_in = layer.weight.shape
            scale = math.sqrt(6.0 / (fan_in + fan_out)) * (out_scale if k == len(hidden) else 1.0)
            with torch.no_grad():
                layer.weight.uniform_(-scale, scale, generator=rng)
                layer.bias.zero_()

    def activations(self, x: Tensor) -> list[Tensor]:
        """Input and hidden layers' outputs: [B, I], then [B, H] each."""
        hidden = [x]
        for layer in self.layers[:-1]:
            hidden.append(tanh(layer(hidden[-1])))
        return hidden

    def forward(self, x: Tensor) -> Tensor:  # [B, I] -> [B, O]
        return self.layers[-1](self.activations(x)[-1])

    @torch.no_grad()
    def pushforward(self, hidden: list[Tensor], v: list[Tensor]) -> Tensor:
        """J v: how the output [B, O] moves with the parameters along v, one tensor each in their order."""
        tangent = None
        for k, layer in enumerate(self.layers):
            step = torch.addmm(v[2 * k + 1], hidden[k], v[2 * k].T)
            if tangent is not None:
                step.addmm_(tangent, layer.weight.T)
            tangent = _through_tanh(step, hidden[k + 1]) if k + 1 < len(hidden) else step
        assert tangent is not None
        return tangent

    @torch.no_grad()
    def pullback(self, hidden: list[Tensor], delta: Tensor, into: list[Tensor]) -> None:
        """Add J^T delta, for delta [B, O], to `into`, one tensor for each parameter in their order.

        Sums over rows are taken in the dtype of `into`. In float64 the sum of float32 rows is exact, nearly always, once it
        is rounded to float32 again; so it does not depend on which rank holds which of the rows.
        """
        for start in range(0, len(delta), ROW_CHUNK):
            rows = slice(start, start + ROW_CHUNK)
            self._pullback([h[rows] for h in hidden], delta[rows], into)

    def _pullback(self, hidden: list[Tensor], delta: Tensor, into: list[Tensor]) -> None:
        for k in reversed(range(len(self.layers))):
            rows = delta.to(into[2 * k].dtype)
            into[2 * k].addmm_(rows.T, hidden[k].to(rows.dtype))
            into[2 * k + 1].add_(rows.sum(0))
            if k > 0:
                delta = _through_tanh(delta @ self.layers[k].weight, hidden[k])


def _through_tanh(x: Tensor, h: Tensor) -> Tensor:
    """x times tanh' = 1 - h^2, in place."""
    return x.addcmul_(x * h, h, value=-1.0)


class FlatParameters:
    """A module's parameters as views of one vector, so that reductions and optimisers see a single array.

    Build it after the module is on its device and in its dtype; `load_state_dict` copies in place and keeps the views.
    """

    def __init__(self, module: nn.Module) -> None:
        self.parameters = list(module.parameters())
        self.vector = torch.cat([p.detach().reshape(-1) for p in self.parameters])  # [P]
        start = 0
        for p in self.parameters:
            p.data = self.vector[start : start + p.numel()].view_as(p)
            start += p.numel()

    def gradient(self, loss: Tensor, *, create_graph: bool = False, retain_graph: bool = False) -> Tensor:  # [P]
        """Gradient of a scalar; zeros for parameters that it does not depend on."""
        grads = torch.autograd.grad(
            loss,
            self.parameters,
            create_graph=create_graph,
            retain_graph=retain_graph or create_graph,
            materialize_grads=True,
        )
        return torch.cat([g.reshape(-1) for g in grads])

    def split(self, vector: Tensor) -> list[Tensor]:
        """A vector [P] as views with the parameters' shapes."""
        parts = torch.split(vector, [p.numel() for p in self.parameters])
        return [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]
