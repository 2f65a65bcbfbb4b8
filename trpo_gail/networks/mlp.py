"""A plain multi-layer perceptron, and its parameters as one vector."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MLP(nn.Module):
    """tanh layers and a linear output. Hidden weights are Glorot uniform, as in the original code."""

    def __init__(
        self, inputs: int, hidden: Sequence[int], outputs: int, *, out_scale: float, rng: torch.Generator
    ) -> None:
        super().__init__()
        sizes = [inputs, *hidden, outputs]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in zip(sizes[:-1], sizes[1:], strict=True))
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
            hidden.append(torch.tanh(layer(hidden[-1])))
        return hidden

    def forward(self, x: Tensor) -> Tensor:  # [B, I] -> [B, O]
        return self.layers[-1](self.activations(x)[-1])


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
            loss, self.parameters, create_graph=create_graph, retain_graph=retain_graph or create_graph,
            materialize_grads=True,
        )
        return torch.cat([g.reshape(-1) for g in grads])

    def split(self, vector: Tensor) -> list[Tensor]:
        """A vector [P] as views with the parameters' shapes."""
        parts = torch.split(vector, [p.numel() for p in self.parameters])
        return [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]
