"""A plain multi-layer perceptron, with Jacobian products computed by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import elu, leaky_relu, linear

from trpo_gail.networks.network import row_chunk


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
    """Hyperbolic tangent; on the CPU by numpy, which takes a sixth of torch's time."""
    if x.device.type != "cpu" or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return torch.tanh(x)
    return _HostTanh.apply(x) if x.requires_grad else torch.from_numpy(np.tanh(x.numpy()))


@dataclass(frozen=True)
class Activation:
    """What stands behind a hidden layer: a function, and its derivative as a function of its result h."""

    of: Callable[[Tensor], Tensor]
    through: Callable[[Tensor, Tensor], Tensor]  # x times the derivative; x may be changed in place
    bend: Callable[[Tensor], Tensor]  # the derivative by h of that derivative


def _through_tanh(x: Tensor, h: Tensor) -> Tensor:
    """x times tanh' = 1 - h^2, in place."""
    return x.addcmul_(x * h, h, value=-1.0)


LEAK = 0.01  # slope of `leaky-relu` below 0


def _bend_of_tanh(h: Tensor) -> Tensor:
    return -2.0 * h


def _through_relu(x: Tensor, h: Tensor) -> Tensor:
    return x.mul_(h > 0)


def _leaky_relu(x: Tensor) -> Tensor:
    return leaky_relu(x, LEAK)


def _through_leaky_relu(x: Tensor, h: Tensor) -> Tensor:
    return torch.where(h > 0, x, LEAK * x)


def _through_elu(x: Tensor, h: Tensor) -> Tensor:
    return x * (h.clamp(max=0.0) + 1.0)


def _bend_of_elu(h: Tensor) -> Tensor:
    return (h < 0).to(h.dtype)


ACTIVATIONS = {  # of functions with names, since a module that holds a lambda cannot be pickled
    "tanh": Activation(tanh, _through_tanh, _bend_of_tanh),
    "relu": Activation(torch.relu, _through_relu, torch.zeros_like),
    "leaky-relu": Activation(_leaky_relu, _through_leaky_relu, torch.zeros_like),
    "elu": Activation(elu, _through_elu, _bend_of_elu),
}


class MLP(nn.Module):
    """Hidden layers with an activation, and a linear output. Hidden weights are Glorot uniform, as in the original
    code."""

    def __init__(
        self, inputs: int, hidden: Sequence[int], outputs: int, *, out_scale: float, rng: torch.Generator,
        activation: str = "tanh",
    ) -> None:  # fmt: skip
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        sizes = [inputs, *hidden, outputs]
        layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))
        self.layers = cast("list[nn.Linear]", layers)  # ModuleList does not type its members
        self._own = list(self.layers)  # to index a ModuleList takes as long as a small layer
        for k, layer in enumerate(self.layers):
            fan_out, fan_in = layer.weight.shape
            scale = math.sqrt(6.0 / (fan_in + fan_out)) * (out_scale if k == len(hidden) else 1.0)
            with torch.no_grad():
                layer.weight.uniform_(-scale, scale, generator=rng)
                layer.bias.zero_()

    def activations(self, x: Tensor, kept: Sequence[Tensor] = ()) -> list[Tensor]:
        """Input and hidden layers' outputs: [B, I], then [B, H] each; with `kept`, each times its factors [B, H]."""
        hidden = [x]
        for k, layer in enumerate(self._own[:-1]):
            h = self.activation.of(linear(hidden[-1], layer.weight, layer.bias))
            hidden.append(h * kept[k] if kept else h)
        return hidden

    def forward(self, x: Tensor, kept: Sequence[Tensor] = ()) -> Tensor:
        """[B, I] -> [B, O]. `kept` are factors of the hidden units, [B, H] for each layer, as dropout has them."""
        out = self._own[-1]
        return linear(self.activations(x, kept)[-1], out.weight, out.bias)

    @torch.no_grad()
    def keep_outputs(self, before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> None:
        """Change the output layer so that output * scale + shift stays the same when (shift, scale), [O] each,
        change."""
        out = self._own[-1]
        out.weight.mul_((before[1] / after[1]).to(out.weight.dtype)[:, None])
        out.bias.copy_((before[1] * out.bias + before[0] - after[0]) / after[1])

    @torch.no_grad()
    def linearise(self, x: Tensor) -> LinearisedMLP:
        """One forward pass over rows [B, I], kept for products with the Jacobian."""
        return LinearisedMLP(self._own, self.activations(x), self.activation)


class LinearisedMLP:
    """A `network.Linearised` of an MLP. With minibatches this small, autograd would take most of the time."""

    def __init__(self, layers: list[nn.Linear], hidden: list[Tensor], activation: Activation) -> None:
        self._weights, self._hidden = [layer.weight for layer in layers], hidden
        self._activation, self._through = activation, activation.through
        self.output = linear(hidden[-1], self._weights[-1], layers[-1].bias)

    @torch.no_grad()
    def pushforward(self, v: list[Tensor], moved: Tensor | None = None) -> Tensor:
        """`moved` [B, F]: the change of the first F inputs, if these move too."""
        hidden, tangent = self._hidden, moved
        for k, weight in enumerate(self._weights):
            step = torch.addmm(v[2 * k + 1], hidden[k], v[2 * k].T)
            if tangent is not None:
                step.addmm_(tangent, weight[:, : tangent.shape[1]].T)
            tangent = self._through(step, hidden[k + 1]) if k + 1 < len(hidden) else step
        assert tangent is not None
        return tangent

    @torch.no_grad()
    def pullback(self, delta: Tensor, into: list[Tensor]) -> None:
        """Sums over rows are taken in the dtype of `into`. A float64 sum of float32 rows, rounded to float32 again, is
        nearly always exact; so it does not depend on which rank holds which rows."""
        most = row_chunk(delta)
        if len(delta) <= most:
            self._pullback(self._hidden, delta, into)
            return
        for start in range(0, len(delta), most):
            rows = slice(start, start + most)
            self._pullback([h[rows] for h in self._hidden], delta[rows], into)

    @torch.no_grad()
    def to_inputs(self, delta: Tensor) -> InputSlopes:
        """The derivative of delta . output with respect to the inputs, for delta [B, K]."""
        return InputSlopes(self._weights, self._hidden, self._activation, delta)

    def _pullback(self, hidden: list[Tensor], delta: Tensor, into: list[Tensor]) -> None:
        for k in reversed(range(len(self._weights))):
            rows = delta.to(into[2 * k].dtype)
            into[2 * k].addmm_(rows.T, hidden[k].to(rows.dtype))
            into[2 * k + 1].add_(rows.sum(0))
            if k > 0:
                delta = self._through(delta @ self._weights[k], hidden[k])


class InputSlopes:
    """The derivative of delta . output with respect to an MLP's inputs, at B rows, and its own gradient."""

    def __init__(self, weights: list[Tensor], hidden: list[Tensor], activation: Activation, delta: Tensor) -> None:
        """`hidden` are `MLP.activations`, delta [B, K]."""
        self._weights, self._hidden, self._delta = weights, hidden, delta
        self._through, self._bend = activation.through, activation.bend
        # By each activation's results, and by what goes into it, from the last activation on; delta is by the outputs.
        self._behind: list[Tensor] = []
        self._before = [delta]
        for weight, h in zip(weights[:0:-1], hidden[:0:-1], strict=True):
            self._behind.append(self._before[-1] @ weight)
            self._before.append(self._through(self._behind[-1].clone(), h))

    @torch.no_grad()
    def by_inputs(self, count: int | None = None) -> Tensor:
        """[B, count] for the first inputs, or for all."""
        return self._before[-1] @ self._weights[0][:, :count]

    @torch.no_grad()
    def pullback(self, v: Tensor, into: list[Tensor]) -> None:
        """Add the gradient of v . by_inputs(), summed over rows, for v [B, I]: one tensor per parameter, in order.

        v . by_inputs() is the change of delta . output as the inputs move along v. Its backward pass goes over that of
        the outputs, too, on which the derivative of each activation depends.
        """
        steps, moved = [], [v]  # of the sums before each activation, and of what comes behind it
        for k, weight in enumerate(self._weights[:-1]):
            steps.append(moved[k] @ weight.T)
            moved.append(self._through(steps[k].clone(), self._hidden[k + 1]))
        _add(into[2 * len(steps)], self._delta, moved[-1])
        across = None  # the gradient by `_hidden`
        for k, behind, before in zip(reversed(range(len(steps))), self._behind, self._before[1:], strict=True):
            h = self._hidden[k + 1]
            bent = self._bend(h).mul_(steps[k]).mul_(behind)
            across = self._through(bent if across is None else across.add_(bent), h)
            _add(into[2 * k], before, moved[k])
            rows = across.to(into[2 * k].dtype)
            _add(into[2 * k], rows, self._hidden[k])
            into[2 * k + 1].add_(rows.sum(0))
            if k > 0:
                across = across @ self._weights[k]


def _add(into: Tensor, left: Tensor, right: Tensor) -> None:
    """left^T right, summed over rows in the dtype of `into`."""
    into.addmm_(left.to(into.dtype).T, right.to(into.dtype))
