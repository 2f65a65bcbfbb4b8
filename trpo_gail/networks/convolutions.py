"""A convolutional net for one image of a row, with Jacobian products computed by hand."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torch.nn.grad import conv2d_input, conv2d_weight

from trpo_gail.spaces.layout import Part

SMALL = 36  # shorter side, in pixels, below which the Nature network would have no output

# Filters, size and stride of each layer. Nature: Mnih et al. (2015), as in Stable-Baselines' CnnPolicy.
LAYERS = {
    "nature": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
    "small": ((16, 3, 2), (32, 3, 2)),
}


class Convolutions(nn.Module):
    """One image part [B, H * W * C] -> features [B, F]; the last C of them are the channels' means.

    Pixels are divided by the largest that there can be, of uint8 by 255; so rows can stay uint8 until then.
    Differs from Mnih et al.: the means are subtracted before the convolutions. A bright background would otherwise make
    thousands of features that are the same for each picture; a few steps of Adam along them saturate the tanh behind,
    and nothing is learned any more.
    """

    def __init__(self, part: Part, encoder: str, rng: torch.Generator) -> None:
        super().__init__()
        self._shape, self._order, channels, side = _arrange(part.shape)
        self._white = part.white
        kind = ("small" if side < SMALL else "nature") if encoder == "auto" else encoder
        layers: list[nn.Module] = []
        for filters, size, stride in LAYERS[kind]:
            layers += [
                nn.Conv2d(channels, filters, size, stride, padding=size // 2 if kind == "small" else 0),
                nn.ReLU(),
            ]
            channels = filters
        self.layers = nn.Sequential(*layers, nn.Flatten())
        for layer in self.filters:
            _glorot(layer, rng)
        with torch.no_grad():
            self.outputs = self(torch.zeros(1, math.prod(part.shape))).shape[1]

    @property
    def filters(self) -> list[nn.Conv2d]:
        """The layers that have parameters, in order."""
        return cast("list[nn.Conv2d]", list(self.layers)[:-1:2])

    def forward(self, x: Tensor) -> Tensor:
        pixels, brightness = self.pixels(x)
        return torch.cat([self.layers(pixels), brightness], 1)

    def pixels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [B, C, H, W] without the channels' means, and the means [B, C]; both from 0 to 1."""
        like = next(self.parameters())
        pixels = x.to(like.dtype).view(x.shape[0], *self._shape).permute(0, *self._order).flatten(1, -3)
        pixels = pixels / self._white  # a copy, which is then changed in place: frames are large
        brightness = pixels.mean((2, 3), keepdim=True)
        return pixels.sub_(brightness), brightness.flatten(1)

    @torch.no_grad()
    def linearise(self, x: Tensor) -> LinearisedConvolutions:
        """One forward pass over rows [B, H * W * C], kept for products with the Jacobian."""
        return LinearisedConvolutions(self.filters, *self.pixels(x))


class LinearisedConvolutions:
    """A `network.Linearised` of convolutions with ReLU. By autograd, J v would take about twice the time."""

    def __init__(self, layers: list[nn.Conv2d], pixels: Tensor, brightness: Tensor) -> None:
        self._layers, self._brightness = layers, brightness
        self._hidden = [pixels]
        for layer in layers:
            self._hidden.append(layer(self._hidden[-1]).relu_())
        self.output = torch.cat([self._hidden[-1].flatten(1), brightness], 1)

    def pushforward(self, v: list[Tensor]) -> Tensor:
        tangent = None
        for k, (layer, h, out) in enumerate(zip(self._layers, self._hidden, self._hidden[1:], strict=False)):
            step = conv2d(h, v[2 * k], v[2 * k + 1], layer.stride, layer.padding)
            if tangent is not None:
                step += conv2d(tangent, layer.weight, None, layer.stride, layer.padding)
            tangent = step.mul_(out > 0)
        assert tangent is not None
        return torch.cat([tangent.flatten(1), torch.zeros_like(self._brightness)], 1)

    def pullback(self, delta: Tensor, into: list[Tensor]) -> None:
        """Sums over these rows are taken in the network's dtype, and added to `into` in that of `into`."""
        features = delta.shape[1] - self._brightness.shape[1]
        back = delta[:, :features].view_as(self._hidden[-1])
        for k in reversed(range(len(self._layers))):
            layer, h = self._layers[k], self._hidden[k]
            stride, padding = cast("tuple[int, int]", layer.stride), cast("tuple[int, int]", layer.padding)
            back = back * (self._hidden[k + 1] > 0)
            into[2 * k].add_(conv2d_weight(h, list(layer.weight.shape), back, stride, padding))
            into[2 * k + 1].add_(back.sum((0, 2, 3)))
            if k > 0:
                back = conv2d_input(list(h.shape), layer.weight, back, stride, padding)


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
