"""The flat parameter vector, and a network's own forward and reverse products."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from trpo_gail.errors import UserError
from trpo_gail.networks.mlp import ACTIVATIONS, MLP, tanh
from trpo_gail.networks.network import ByAutograd, linearise, row_chunk
from trpo_gail.optim import flat
from trpo_gail.optim.flat import FlatParameters
from trpo_gail.optim.flat import of as flat_of


def mlp(rng: torch.Generator, hidden: tuple[int, ...] = (4, 5)) -> MLP:
    return MLP(3, hidden, 2, out_scale=1.0, rng=rng).double()


def assert_one_vector(net: MLP, flat: FlatParameters) -> None:
    """The parameters are the vector: a change of either is a change of both."""
    assert torch.equal(flat.vector, torch.cat([p.detach().reshape(-1) for p in net.parameters()]))
    start = flat.vector.data_ptr()
    for p in net.parameters():
        assert p.data_ptr() == start and p.is_contiguous()
        start += p.numel() * p.element_size()


@pytest.mark.parametrize("hidden", [(), (4,), (4, 5)])
def test_outputs_are_the_formula(hidden: tuple[int, ...], torch_rng: torch.Generator) -> None:
    net, x = mlp(torch_rng, hidden), torch.randn(6, 3, generator=torch_rng, dtype=torch.float64)
    h = x
    for layer in net.layers[:-1]:
        h = torch.tanh(h @ layer.weight.T + layer.bias)
    torch.testing.assert_close(net(x), h @ net.layers[-1].weight.T + net.layers[-1].bias)


def test_weights_begin_glorot_uniform_and_the_output_scaled(torch_rng: torch.Generator) -> None:
    net = MLP(30, (200,), 100, out_scale=0.01, rng=torch_rng)
    for layer, scale in zip(net.layers, (1.0, 0.01), strict=True):
        limit = scale * math.sqrt(6 / sum(layer.weight.shape))
        assert 0.99 * limit < layer.weight.abs().max() <= limit
        assert layer.weight.mean().abs() < 0.02 * limit and not layer.bias.any()


def test_a_flat_vector_survives_loading_and_optimising(torch_rng: torch.Generator) -> None:
    net, other = mlp(torch_rng), mlp(torch_rng)
    flat = flat_of(net)
    assert_one_vector(net, flat)
    net.load_state_dict(other.state_dict())
    assert_one_vector(net, flat)
    assert torch.equal(flat.vector, flat_of(other).vector)
    before = flat.vector.clone()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    net(torch.ones(2, 3, dtype=torch.float64)).sum().backward()
    optimiser.step()
    assert_one_vector(net, flat)
    assert not torch.equal(flat.vector, before)
    flat.vector.zero_()
    assert not net(torch.ones(2, 3, dtype=torch.float64)).any()


def test_gradient_is_autograds_and_zero_where_nothing_depends(torch_rng: torch.Generator) -> None:
    net = mlp(torch_rng)
    flat, x = flat_of(net), torch.randn(6, 3, generator=torch_rng, dtype=torch.float64)
    gradient = flat.gradient(net(x).square().sum())
    net(x).square().sum().backward()
    torch.testing.assert_close(gradient, torch.cat([p.grad.reshape(-1) for p in net.parameters()]))
    only_last = flat.gradient(net.layers[-1].bias.sum())
    assert only_last[-2:].tolist() == [1, 1] and not only_last[:-2].any()


def test_split_gives_views_in_the_parameters_shapes(torch_rng: torch.Generator) -> None:
    net = mlp(torch_rng)
    flat = flat_of(net)
    vector = torch.zeros_like(flat.vector)
    parts = flat.split(vector)
    assert [part.shape for part in parts] == [p.shape for p in net.parameters()]
    parts[-1].add_(1)
    assert vector.sum() == 2


@pytest.mark.parametrize("hidden", [(), (4,), (4, 5)])
def test_pushforward_and_pullback_are_the_jacobian(hidden: tuple[int, ...], torch_rng: torch.Generator) -> None:
    net = mlp(torch_rng, hidden)
    flat, x = flat_of(net), torch.randn(6, 3, generator=torch_rng, dtype=torch.float64)
    out = net(x)
    J = torch.stack([flat.gradient(o, retain_graph=True) for o in out.reshape(-1)])  # [B * O, P]
    here = net.linearise(x)
    v = torch.randn(len(flat.vector), generator=torch_rng, dtype=torch.float64)
    torch.testing.assert_close(here.pushforward(flat.split(v)), (J @ v).view_as(out))
    delta, into = torch.randn(6, 2, generator=torch_rng, dtype=torch.float64), v.clone()
    here.pullback(delta, flat.split(into))
    torch.testing.assert_close(into, v + J.T @ delta.reshape(-1))  # it adds


@pytest.mark.parametrize("hidden", [(), (4,), (4, 5)])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_slopes_and_their_pullback_are_autograds(
    hidden: tuple[int, ...], activation: str, torch_rng: torch.Generator
) -> None:
    """Of a penalty on the derivative by the inputs, twice differentiated by torch."""
    net = MLP(3, hidden, 2, out_scale=1.0, rng=torch_rng, activation=activation).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.uniform_(-1.0, 1.0, generator=torch_rng)
    x, delta, v = (torch.randn(7, n, dtype=torch.float64, generator=torch_rng) for n in (3, 2, 3))
    inputs = x.clone().requires_grad_()
    with torch.enable_grad():
        (expected,) = torch.autograd.grad((delta * net(inputs)).sum(), inputs, create_graph=True)
        along = (v * expected).sum()
        parameters = list(net.parameters())
        by = (
            torch.autograd.grad(along, parameters, materialize_grads=True)
            if along.requires_grad
            else [torch.zeros_like(p) for p in parameters]
        )
    here, into = net.linearise(x), [torch.zeros_like(p) for p in parameters]
    slopes = here.to_inputs(delta)
    torch.testing.assert_close(slopes.by_inputs(), expected.detach())
    torch.testing.assert_close(slopes.by_inputs(2), expected[:, :2].detach())
    slopes.pullback(v, into)
    torch.testing.assert_close(into, list(by))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tanh_is_torchs_with_both_derivatives(dtype: torch.dtype, torch_rng: torch.Generator) -> None:
    x = 3 * torch.randn(100, generator=torch_rng, dtype=dtype)
    torch.testing.assert_close(tanh(x), torch.tanh(x))

    def derivatives(function: object) -> tuple[Tensor, Tensor]:
        at = x.clone().requires_grad_()
        (first,) = torch.autograd.grad(function(at).sum(), at, create_graph=True)
        return first.detach(), torch.autograd.grad(first.sum(), at)[0]

    for ours, theirs in zip(derivatives(tanh), derivatives(torch.tanh), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_in_float64_a_sum_over_float32_rows_does_not_depend_on_how_they_are_shared(torch_rng: torch.Generator) -> None:
    net = MLP(7, (32,), 3, out_scale=1.0, rng=torch_rng)
    x, delta = torch.randn(400, 7, generator=torch_rng), torch.randn(400, 3, generator=torch_rng)

    def summed(dtype: torch.dtype, *shares: slice) -> Tensor:
        flat = flat_of(net)
        into = torch.zeros(len(flat.vector), dtype=dtype)
        for share in shares:
            net.linearise(x[share]).pullback(delta[share], flat.split(into))
        return into.float()

    whole, halves = (slice(None),), (slice(0, 144), slice(144, 400))
    assert torch.equal(summed(torch.float64, *whole), summed(torch.float64, *halves))
    assert not torch.equal(summed(torch.float32, *whole), summed(torch.float32, *halves))


# ---- one view --------------------------------------------------------------------------------------------------------


def test_a_second_view_is_the_same(torch_rng: torch.Generator) -> None:
    net = mlp(torch_rng)
    first = flat_of(net)
    assert flat_of(net) is first
    assert_one_vector(net, first)


def test_a_view_that_nobody_holds_may_be_made_again(torch_rng: torch.Generator) -> None:
    net = mlp(torch_rng)
    before = flat_of(net).vector.clone()
    again = flat_of(net.float())
    assert again.vector.dtype == torch.float32 and torch.equal(again.vector, before.float())


def test_a_view_of_a_part_or_of_a_whole_with_a_part_that_is_viewed_is_refused(torch_rng: torch.Generator) -> None:
    part = mlp(torch_rng)
    whole = torch.nn.ModuleList([part, mlp(torch_rng)])
    held = flat_of(part)
    with pytest.raises(UserError, match="ModuleList: some of its parameters learn already"):
        flat_of(whole)
    assert_one_vector(part, held)
    other = torch.nn.ModuleList([mlp(torch_rng), mlp(torch_rng)])
    held = flat_of(other)
    with pytest.raises(UserError, match="learn already"):
        flat_of(other[0])
    assert held.is_whole()


def test_parameters_that_left_their_view_are_an_error(torch_rng: torch.Generator) -> None:
    net = mlp(torch_rng)
    held = flat_of(net)
    net.float()
    with pytest.raises(RuntimeError, match="left their flat view"):
        flat_of(net)
    assert held.vector.dtype == torch.float64


def assigned(net: torch.nn.Module) -> None:
    net.load_state_dict({name: value + 1.0 for name, value in net.state_dict().items()}, assign=True)


def pointed(net: torch.nn.Module) -> None:
    vector = parameters_to_vector(net.parameters())
    vector_to_parameters(vector.detach() + 1.0, net.parameters())


def replaced(net: torch.nn.Module) -> None:
    for module in net.modules():
        for name, value in module._parameters.items():
            assert value is not None
            module._parameters[name] = torch.nn.Parameter(value.detach() + 1.0)


@pytest.mark.parametrize("change", [assigned, pointed, replaced])
def test_values_that_are_put_in_place_of_the_views_are_learned_from(
    change: Callable[[torch.nn.Module], None], torch_rng: torch.Generator
) -> None:
    part = mlp(torch_rng)
    whole = torch.nn.ModuleList([part, mlp(torch_rng)])
    held = flat_of(part)
    before = held.vector.clone()
    change(part)
    assert not all(mine is view for mine, view in zip(part.parameters(), held.parameters, strict=True)) or (
        not held.is_whole()
    )
    flat.hold(whole)
    assert torch.equal(held.vector, before + 1.0)
    assert_one_vector(part, held)
    assert all(mine is view for mine, view in zip(part.parameters(), held.parameters, strict=True))
    assert flat_of(part) is held


def test_another_dtype_or_shape_or_number_of_parameters_is_refused_by_name(torch_rng: torch.Generator) -> None:
    net = mlp(torch_rng)
    held = flat_of(net)
    net.float()
    with pytest.raises(
        UserError, match=r"'layers\.0\.weight' of a network: torch.float64 expected, found torch.float32"
    ):
        flat.hold(net)
    net.double()
    net.layers[0].weight = torch.nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))
    with pytest.raises(UserError, match=r"'layers\.0\.weight' of a network: \[.*\] expected, found \[2, 2\]"):
        flat.hold(net)
    net.more = torch.nn.Linear(1, 1)
    with pytest.raises(UserError, match=r"'more\.bias' of a network came or went"):
        flat.hold(net)
    assert held.vector.dtype == torch.float64


# ---- any module ------------------------------------------------------------------------------------------------------


def test_products_by_autograd_are_the_mlps_own(torch_rng: torch.Generator) -> None:
    net = mlp(torch_rng)
    plain = torch.nn.Sequential(net.layers[0], torch.nn.Tanh(), net.layers[1], torch.nn.Tanh(), net.layers[2])
    rows = row_chunk(torch.zeros(1)) + 3
    x = torch.randn(rows, 3, generator=torch_rng, dtype=torch.float64)
    delta = torch.randn(rows, 2, generator=torch_rng, dtype=torch.float64)
    v = [torch.randn(p.shape, generator=torch_rng, dtype=p.dtype) for p in net.parameters()]
    ours, theirs = linearise(net, x), linearise(plain, x)
    assert isinstance(theirs, ByAutograd) and not isinstance(ours, ByAutograd)
    torch.testing.assert_close(ours.output, theirs.output)
    torch.testing.assert_close(ours.pushforward(v), theirs.pushforward(v))
    sums = [[torch.zeros_like(p) for p in net.parameters()] for _ in range(2)]
    for here, into in zip((ours, theirs), sums, strict=True):
        here.pullback(delta, into)
    torch.testing.assert_close(*sums)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_can_be_pickled(activation: str) -> None:
    made = MLP(3, (8,), 2, out_scale=1.0, rng=torch.Generator().manual_seed(0), activation=activation)
    rows = torch.ones(4, 3)
    assert torch.equal(pickle.loads(pickle.dumps(made))(rows), made(rows))
