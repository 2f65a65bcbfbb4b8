"""The protocol of a network: its output, and how that changes with its parameters. No other code looks inside one."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn


def row_chunk(x: Tensor) -> int:
    """Rows at a time: few on the CPU, so that their activations stay in its cache between products; many on a device,
    which would wait for Python."""
    return 1024 if x.device.type == "cpu" else 16384


class Linearised(Protocol):
    """A network at some rows and at its current parameters; valid until these change. J is the Jacobian there."""

    output: Tensor  # [B, K]

    def pushforward(self, v: list[Tensor]) -> Tensor:
        """J v [B, K]: the change of the output as the parameters move along v, which has one tensor per parameter, in
        order."""
        ...

    def pullback(self, delta: Tensor, into: list[Tensor]) -> None:
        """Add J^T delta, for delta [B, K], to `into`, which has one tensor per parameter, in order."""
        ...


def linearise(net: nn.Module, x: Tensor) -> Linearised:
    """A network at rows x [B, I], by its own method `linearise` if it has one, else by autograd."""
    own = getattr(net, "linearise", None)
    made: Linearised = own(x) if own else ByAutograd(net, x)
    return made


class ByAutograd:
    """For any torch module whose rows are independent, and whose backward pass can be differentiated again."""

    def __init__(self, net: nn.Module, x: Tensor) -> None:
        self._parameters = list(net.parameters())
        with torch.enable_grad():
            self._chunks = [net(rows) for rows in x.split(row_chunk(x))]
        self.output = torch.cat([chunk.detach() for chunk in self._chunks])

    def _gradients(self, of: Tensor, towards: Tensor, again: bool = False) -> tuple[Tensor, ...]:
        return torch.autograd.grad(
            of, self._parameters, towards, retain_graph=True, create_graph=again, materialize_grads=True
        )

    def pushforward(self, v: list[Tensor]) -> Tensor:
        return torch.cat([self._along(chunk, v) for chunk in self._chunks])

    @torch.enable_grad()
    def _along(self, chunk: Tensor, v: list[Tensor]) -> Tensor:
        """J v for some rows, computed as the derivative of v . (J^T u) with respect to u."""
        u = torch.zeros_like(chunk, requires_grad=True)
        product = sum((g * part).sum() for g, part in zip(self._gradients(chunk, u, again=True), v, strict=True))
        return torch.autograd.grad(product, u, materialize_grads=True)[0]  # type: ignore[arg-type]

    def pullback(self, delta: Tensor, into: list[Tensor]) -> None:
        # Chunks are added in the dtype of `into`: in float64, neither the order of rows nor their ranks matter much.
        for chunk, part in zip(self._chunks, delta.split(row_chunk(delta)), strict=True):
            for total, gradient in zip(into, self._gradients(chunk, part), strict=True):
                total.add_(gradient)
