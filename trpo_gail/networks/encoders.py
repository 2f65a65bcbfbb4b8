"""Networks for rows that hold images: each image through a convolutional net, then all parts through an MLP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from trpo_gail.networks.convolutions import Convolutions, LinearisedConvolutions
from trpo_gail.networks.mlp import MLP
from trpo_gail.spaces.layout import Layout

FEW = 64  # inputs of a layer, beyond which the steps of Adam are made smaller
KEPT = 1024  # rows, up to which what is computed on the way is kept
FRAMES = 256  # rows that are encoded at a time, if nothing of them is kept


def make(
    layout: Layout,
    extra: int,
    hidden: Sequence[int],
    outputs: int,
    *,
    out_scale: float,
    encoder: str,
    rng: torch.Generator,
    activation: str = "tanh",
) -> MLP | Encoded:
    """A network for rows of a layout, followed by `extra` columns of numbers: [B, O + extra] -> [B, outputs].

    An MLP if no part is an image. `encoder` is one of `convolutions.LAYERS`, or `auto` for the one that suits the
    image's size.
    """
    if not layout.columns("image").any():
        return MLP(layout.size + extra, hidden, outputs, out_scale=out_scale, rng=rng, activation=activation)
    return Encoded(layout, extra, hidden, outputs, out_scale, encoder, rng, activation)


class Encoded(nn.Module):
    """Encodes images, then applies an MLP to their features and the other numbers."""

    _others: Tensor

    def __init__(
        self, layout: Layout, extra: int, hidden: Sequence[int], outputs: int, out_scale: float, encoder: str,
        rng: torch.Generator, activation: str = "tanh",
    ) -> None:  # fmt: skip
        super().__init__()
        self.register_buffer("_others", torch.from_numpy(~layout.columns("image")), persistent=False)
        self._extra = extra
        self._parts = [part for part in layout.parts if part.kind == "image"]
        images = nn.ModuleList(Convolutions(part, encoder, rng) for part in self._parts)
        self.images = cast("list[Convolutions]", images)  # ModuleList does not type its members
        self.features = sum(net.outputs for net in self.images)
        numbers = int((~layout.columns("image")).sum()) + extra
        inputs = self.features + numbers
        self.head = MLP(inputs, hidden, outputs, out_scale=out_scale, rng=rng, activation=activation)
        # Adam moves each weight alike, so a step moves a unit by as much as there are inputs. This makes it as much as
        # with FEW of them; at the start the head is what it would be without it (as in Yang & Hu 2021, table 8).
        self.scale = min(1.0, FEW / self.features)
        with torch.no_grad():
            self.head.layers[0].weight[:, : self.features] /= self.scale

    def forward(self, x: Tensor, kept: Sequence[Tensor] = ()) -> Tensor:
        """[B, O + extra] -> [B, outputs]. `kept`: see `MLP.forward`."""
        if torch.is_grad_enabled():
            return self._output(x, kept)
        return torch.cat([self._output(rows) for rows in x.split(FRAMES)])

    def _output(self, x: Tensor, kept: Sequence[Tensor] = ()) -> Tensor:
        return self.head(self.joined(x, [net(rows) for net, rows in self.rows(x)]), kept)

    def rows(self, x: Tensor) -> Iterator[tuple[Convolutions, Tensor]]:
        """Each image's net and its pixels."""
        return ((net, x[:, part.columns]) for net, part in zip(self.images, self._parts, strict=True))

    def joined(self, x: Tensor, features: Sequence[Tensor]) -> Tensor:
        """The head's input: features of the images, then the other numbers of rows x."""
        dtype = self.head.layers[0].weight.dtype
        size = x.shape[1] - self._extra
        numbers = [x[:, :size][:, self._others].to(dtype), x[:, size:].to(dtype)]
        return torch.cat([*(self.scale * found for found in features), *numbers], 1)

    def keep_outputs(self, before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> None:
        """See `MLP.keep_outputs`."""
        self.head.keep_outputs(before, after)

    @torch.no_grad()
    def linearise(self, x: Tensor) -> LinearisedEncoded:
        """See `network.Linearised`."""
        return LinearisedEncoded(self, x)


class LinearisedEncoded:
    """A `network.Linearised` of an encoder. Of many rows nothing but the output is kept: activations are computed anew,
    a few rows at a time, since those of 4,096 frames would take gigabytes."""

    def __init__(self, net: Encoded, x: Tensor) -> None:
        self._net = net
        self._split = [2 * len(images.filters) for images in net.images]  # parameters of each image's net
        few = len(x) <= KEPT
        self._rows = [x] if few else list(x.split(FRAMES))
        self._kept = _Activations(net, x) if few else None
        self.output = self._kept.head.output if self._kept else net(x)

    @torch.no_grad()
    def pushforward(self, v: list[Tensor]) -> Tensor:
        *images, head = self._parted(v)
        return torch.cat([here.pushforward(images, head) for here in self._activations()])

    @torch.no_grad()
    def pullback(self, delta: Tensor, into: list[Tensor]) -> None:
        *images, head = self._parted(into)
        parts = delta.split([len(rows) for rows in self._rows])
        for here, part in zip(self._activations(), parts, strict=True):
            here.pullback(part, images, head)

    def _activations(self) -> Iterator[_Activations]:
        return iter([self._kept]) if self._kept else (_Activations(self._net, rows) for rows in self._rows)

    def _parted(self, parameters: list[Tensor]) -> list[list[Tensor]]:
        """Those of each image's net, then those of the head."""
        parts, first = [], 0
        for count in [*self._split, len(parameters) - sum(self._split)]:
            parts.append(parameters[first : first + count])
            first += count
        return parts


class _Activations:
    """One forward pass over rows [B, O + extra]."""

    def __init__(self, net: Encoded, x: Tensor) -> None:
        self._net = net
        self.images: list[LinearisedConvolutions] = [images.linearise(rows) for images, rows in net.rows(x)]
        self.head = net.head.linearise(net.joined(x, [here.output for here in self.images]))

    def pushforward(self, images: list[list[Tensor]], head: list[Tensor]) -> Tensor:
        moved = [self._net.scale * here.pushforward(v) for here, v in zip(self.images, images, strict=True)]
        return self.head.pushforward(head, torch.cat(moved, 1))

    def pullback(self, delta: Tensor, images: list[list[Tensor]], head: list[Tensor]) -> None:
        self.head.pullback(delta, head)
        back = self._net.scale * self.head.to_inputs(delta).by_inputs(self._net.features)
        parts = back.split([here.output.shape[1] for here in self.images], 1)
        for here, part, into in zip(self.images, parts, images, strict=True):
            here.pullback(part, into)
