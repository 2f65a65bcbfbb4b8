"""Images: which axes are which, one network whatever the layout, gradients, and memory that stays uint8."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete

from trpo_gail.networks import encoders
from trpo_gail.networks.mlp import MLP
from trpo_gail.networks.network import ByAutograd, linearise
from trpo_gail.networks.normaliser import Normaliser
from trpo_gail.optim.flat import of as flat_of
from trpo_gail.spaces.layout import Layout

SMALL = Box(0, 255, (6, 5, 3), np.uint8)
MIXED = Dict({"camera": SMALL, "speed": Box(-1, 1, (2,), np.float32), "mode": Discrete(3)})


def made(space: object, extra: int = 0, outputs: int = 2, encoder: str = "auto") -> torch.nn.Module:
    rng = torch.Generator().manual_seed(0)
    layout = Layout.of(space)  # type: ignore[arg-type]
    return encoders.make(layout, extra, (8,), outputs, out_scale=1.0, encoder=encoder, rng=rng)


def test_without_an_image_it_is_the_mlp() -> None:
    assert isinstance(made(Box(-1, 1, (4,))), MLP)


@pytest.mark.parametrize(
    ("shape", "channels"), [((6, 5), 1), ((6, 5, 3), 3), ((3, 6, 5), 3), ((4, 6, 5, 3), 12), ((4, 6, 5), 4)]
)
def test_axes_are_found(shape: tuple[int, ...], channels: int) -> None:
    net = made(Box(0, 255, shape, np.uint8))
    assert net.images[0].layers[0].in_channels == channels


def test_a_picture_is_the_same_with_channels_first_or_last() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (2, 6, 5, 3), np.uint8)
    last, first = made(SMALL), made(Box(0, 255, (3, 6, 5), np.uint8))
    first.load_state_dict(last.state_dict())
    rows = torch.from_numpy(picture.reshape(2, -1)), torch.from_numpy(picture.transpose(0, 3, 1, 2).reshape(2, -1))
    torch.testing.assert_close(last(rows[0]), first(rows[1]))
    assert not torch.equal(last(rows[0])[0], last(rows[0])[1])


def test_every_part_counts_and_so_do_columns_behind() -> None:
    layout, net = Layout.of(MIXED), made(MIXED, extra=1)
    rows = torch.zeros(1, layout.size + 1)
    for column in (0, layout.parts[1].columns.start, layout.parts[2].columns.start, layout.size):
        moved = rows.clone()
        moved[0, column] = 100.0
        assert not torch.equal(net(moved), net(rows)), column


@pytest.mark.parametrize("encoder", ["small", "nature"])
def test_gradients_are_those_of_finite_differences(encoder: str) -> None:
    space = SMALL if encoder == "small" else Box(0, 255, (36, 36), np.uint8)
    net = made(space, encoder=encoder).double()
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.integers(0, 256, (3, Layout.of(space).size), np.uint8))
    flat, here = flat_of(net), linearise(net, rows)
    v = torch.randn(flat.vector.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start, step = flat.vector.clone(), 1e-6
    with torch.no_grad():
        flat.vector.copy_(start + step * v)
        above = net(rows)
        flat.vector.copy_(start - step * v)
        below = net(rows)
        flat.vector.copy_(start)
    torch.testing.assert_close(here.pushforward(flat.split(v)), (above - below) / (2 * step), rtol=1e-4, atol=1e-5)
    delta, into = torch.ones(3, 2, dtype=torch.float64), torch.zeros_like(flat.vector)
    here.pullback(delta, flat.split(into))
    assert float(into @ v) == pytest.approx(float((delta * here.pushforward(flat.split(v))).sum()), rel=1e-9)


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "computed-anew"])
@pytest.mark.parametrize("space", [MIXED, Dict({"a": SMALL, "b": Box(0, 255, (40, 36), np.uint8)})], ids=["one", "two"])
def test_products_are_those_of_autograd(space: Dict, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kept:
        monkeypatch.setattr(encoders, "KEPT", 2)
        monkeypatch.setattr(encoders, "FRAMES", 3)
    net, layout = made(space, extra=1).double(), Layout.of(space)
    rows = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (7, layout.size + 1)))
    flat = flat_of(net)
    v = torch.randn(flat.vector.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    delta = torch.randn((7, 2), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    products = []
    for here in (linearise(net, rows), ByAutograd(net, rows)):
        into = torch.zeros_like(flat.vector)
        here.pullback(delta, flat.split(into))
        products.append((here.output, here.pushforward(flat.split(v)), into))
    for ours, theirs in zip(*products, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_pixels_and_codes_are_left_alone_by_statistics() -> None:
    layout = Layout.of(MIXED)
    normaliser = Normaliser(layout.size, 2.0, exempt=layout.exempt)
    rows = torch.from_numpy(np.random.default_rng(0).normal(50.0, 9.0, (40, layout.size)))
    normaliser.add(normaliser.sums(rows))
    z = normaliser(rows)
    exempt = torch.from_numpy(layout.exempt)
    assert torch.equal(z[:, exempt], rows[:, exempt])
    counted = z[:, ~exempt]
    torch.testing.assert_close(counted.mean(0), torch.zeros(2, dtype=torch.float64), atol=0.2, rtol=0)
    assert counted.abs().max() <= 2.0


def test_rows_of_pixels_alone_stay_uint8() -> None:
    layout = Layout.of(SMALL)
    rows = torch.zeros(4, layout.size, dtype=torch.uint8)
    z = Normaliser(layout.size, 10.0, exempt=layout.exempt)(rows)
    assert z is rows and made(SMALL)(z).dtype == torch.float32


# ---- A bright background -----------------------------------------------------------------------------------------------


def test_the_means_of_channels_are_kept() -> None:
    """They are subtracted before the convolutions, yet plain pictures of several greys are told apart."""
    net = made(Box(0, 255, (6, 5, 3), np.uint8))
    pictures = torch.tensor([[10.0], [200.0]]).repeat(1, 90)
    features = net.images[0](pictures)
    assert torch.equal(features[0, :-3], features[1, :-3])
    torch.testing.assert_close(features[:, -1], torch.tensor([10.0, 200.0]) / 255)
    assert not torch.equal(net(pictures)[0], net(pictures)[1])


@torch.no_grad()
def test_a_step_of_adam_moves_a_unit_as_little_as_with_few_inputs() -> None:
    """All weights of the head's first layer moved by 0.01 alike: a unit moves by 0.01 times at most 64 mean features."""
    net = made(Box(0, 255, (32, 32, 3), np.uint8))
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 3072))).float()
    features = net.images[0](pictures)
    assert features.shape[1] == 8 * 8 * 32 + 3

    def units() -> torch.Tensor:
        return net.head.layers[0](net.scale * features)

    before = units()
    layer = net.head.layers[0]
    layer.weight += 0.01
    moved = units() - before
    assert (moved.abs() <= 0.01 * 64 * features.abs().mean(1, keepdim=True) + 1e-6).all()
    layer.weight -= 0.01
    assert 0.02 < before.abs().mean() < 2.0, "at the start the units are neither saturated nor still"
