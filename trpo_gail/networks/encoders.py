"""Networks for rows that hold images: each image through a convolutional net, then all parts through an MLP."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trpo_gail.networks.mlp import MLP
from trpo_gail.spaces.layout import Layout, Part

FEW = 64  # inputs of a layer, beyond which the steps of Adam are made smaller
SMALL = 36  # shorter side, in pixels, below which the Nature network would have no output

# Filters, size and stride of each layer. Nature: Mnih et al. (2015), as in Stable-Baselines' CnnPolicy.
LAYERS = {
    "nature": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
    "small": ((16, 3, 2), (32, 3, 2)),
}


def make(
    layout: Layout,
    extra: int,
    hidden: Sequence[int],
    outputs: int,
    *,
    out_scale: float,
    encoder: str,
    rng: torch.Generator,
) -> nn.Module:
    """A network for rows of a layout, followed by `extra` columns of numbers: [B, O + extra] -> [B, outputs].

    An MLP if no part is an image. `encoder` is one of LAYERS, or `auto` for the one that suits the image's size.
    """
    if not layout.columns("image").any():
        return MLP(layout.size + extra, hidden, outputs, out_scale=out_scale, rng=rng)
    return Encoded(layout, extra, hidden, outputs, out_scale, encoder, rng)


class Encoded(nn.Module):
    """Encodes images, then applies an MLP. Pixels are divided by 255 here, so rows can stay uint8 until then."""

    _others: Tensor

    def __init__(
        self, layout: Layout, extra: int, hidden: Sequence[int], outputs: int, out_scale: float, encoder: str,
        rng: torch.Generator,
    ) -> None:  # fmt: skip
        super().__init__()
        self.register_buffer("_others", torch.from_numpy(~layout.columns("image")), persistent=False)
        self._extra = extra
        self._parts = [part for part in layout.parts if part.kind == "image"]
        self.images = nn.ModuleList(Convolutions(part, encoder, rng) for part in self._parts)
        features = sum(net.outputs for net in self.images)  # type: ignore[misc]
        numbers = int((~layout.columns("image")).sum()) + extra
        self.head = MLP(int(features) + numbers, hidden, outputs, out_scale=out_scale, rng=rng)
        # Adam moves each weight alike, so a step moves a unit by as much as there are inputs. This makes it as much as
        # with FEW of them; at the start the head is what it would be without it (as in Yang & Hu 2021, table 8).
        self._scale = min(1.0, FEW / int(features))
        with torch.no_grad():
            self.head.layers[0].weight[:, : int(features)] /= self._scale

    def forward(self, x: Tensor) -> Tensor:
        like = self.head.layers[0].weight
        found = [self._scale * net(x[:, part.columns]) for net, part in zip(self.images, self._parts, strict=True)]
        size = x.shape[1] - self._extra
        numbers = x[:, :size][:, self._others].to(like.dtype)
        return self.head(torch.cat([*found, numbers, x[:, size:].to(like.dtype)], 1))

    def keep_outputs(self, before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> None:
        """See `MLP.keep_outputs`."""
        self.head.keep_outputs(before, after)


class Convolutions(nn.Module):
    """One image part [B, H * W * C] -> features [B, F]; the last C of them are the channels' means.

    Differs from Mnih et al.: the means are subtracted before the convolutions. A bright background would otherwise make
    thousands of features that are the same for each picture; a few steps of Adam along them saturate the tanh behind,
    and nothing is learned any more.
    """

    def __init__(self, part: Part, encoder: str, rng: torch.Generator) -> None:
        super().__init__()
        self._shape, self._order, channels, side = _arrange(part.shape)
        kind = ("small" if side < SMALL else "nature") if encoder == "auto" else encoder
        layers: list[nn.Module] = []
        for filters, size, stride in LAYERS[kind]:
            layers += [
                nn.Conv2d(channels, filters, size, stride, padding=size // 2 if kind == "small" else 0),
                nn.ReLU(),
            ]
            channels = filters
        self.layers = nn.Sequential(*layers, nn.Flatten())
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                _glorot(layer, rng)
        with torch.no_grad():
            self.outputs = self(torch.zeros(1, math.prod(part.shape))).shape[1]

    def forward(self, x: Tensor) -> Tensor:
        like = next(self.parameters())
        pixels = x.to(like.dtype).view(len(x), *self._shape).permute(0, *self._order).flatten(1, -3)
        pixels = pixels / 255.0
        brightness = pixels.mean((2, 3), keepdim=True)
        return torch.cat([self.layers(pixels - brightness), brightness.flatten(1)], 1)


def _arrange(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...], int, int]:
    """(shape to view, order of axes that ends in height and width, channels, shorter side) of an image part.

    Of three dimensions, the channels are the last or the first, whichever is smaller. A fourth one, in front, is a
    stack of frames.
    """
    if len(shape) == 2:
        return (1, *shape), (1, 2, 3), 1, min(shape)
    *stack, a, b, c = shape
    last = c <= a
    height, width, channels = (a, b, c) if last else (b, c, a)
    n = len(stack)
    inner = (n + 3, n + 1, n + 2) if last else (n + 1, n + 2, n + 3)
    return shape, (*range(1, n + 1), *inner), math.prod(stack) * channels, min(height, width)


@torch.no_grad()
def _glorot(layer: nn.Conv2d, rng: torch.Generator) -> None:
    filters, channels, *size = layer.weight.shape
    area = math.prod(size)
    scale = math.sqrt(6.0 / (area * (channels + filters)))
    layer.weight.uniform_(-scale, scale, generator=rng)
    assert layer.bias is not None
    layer.bias.zero_()
