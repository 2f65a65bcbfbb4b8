"""The matrix products of an update: their number of operations, and that a measurement does them all."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trpo_gail.bench.products import (
    Operands,
    Product,
    backward,
    clocked,
    fisher,
    forward,
    operations,
    penalty,
    runner,
    sizes_of,
)
from trpo_gail.networks.mlp import MLP

I, H, O, B = 11, 64, 3, 100
SIZES = (I, H, H, O)
LAYERS = I * H + H * H + H * O  # weights


def test_a_forward_pass_multiplies_each_row_by_each_weight() -> None:
    assert operations([forward(SIZES, B)]) == 2 * B * LAYERS


def test_a_backward_pass_takes_twice_that_without_the_first_layers_inputs() -> None:
    assert operations([backward(SIZES, B)]) == 2 * B * (2 * LAYERS - I * H)


def test_a_fisher_product_is_two_forward_passes_and_one_back() -> None:
    twice = 2 * B * (2 * LAYERS - I * H)  # the inputs do not move
    assert operations([fisher(SIZES, B)]) == twice + operations([backward(SIZES, B)])


def test_the_penalty_goes_to_the_inputs_and_through_that_again() -> None:
    by_hand = [
        LAYERS,  # the outputs
        LAYERS,  # back to the inputs
        I * H + H * H,  # the change of the hidden units as the inputs move
        H * H,  # and what they do to the layer before
        LAYERS + I * H + H * H,  # the sums: a weight of a hidden layer acts twice
    ]
    assert operations([penalty(SIZES, B)]) == 2 * B * sum(by_hand)


def test_sizes_are_those_of_the_network(torch_rng: torch.Generator) -> None:
    assert sizes_of(MLP(I, (5, 7), O, out_scale=1.0, rng=torch_rng)) == [I, 5, 7, O]


class Counted(torch.overrides.TorchFunctionMode):
    """The products that torch is asked for, as (rows, inner, columns, precision)."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int, int, torch.dtype]] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if function is torch.mm:
            self.seen.append((*args[0].shape, args[1].shape[1], args[0].dtype))
        elif function is torch.Tensor.addmm_:
            self.seen.append((*args[1].shape, args[2].shape[1], args[1].dtype))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("float64_sums", [False, True])
def test_a_chunk_of_rows_goes_through_a_pass_before_the_next_does(float64_sums: bool) -> None:
    first, second = [Product(1500, 4, 5), Product(1500, 6, 7, sums=True)], [Product(10, 4, 5)]
    run = runner([first, second], Operands(), float64_sums=float64_sums)
    with Counted() as counted:
        run()
    sums = torch.float64 if float64_sums else torch.float32
    assert counted.seen == [
        (1024, 4, 5, torch.float32), (6, 1024, 7, sums), (476, 4, 5, torch.float32), (6, 476, 7, sums),
        (10, 4, 5, torch.float32),
    ]  # fmt: skip


def test_operands_are_shared_and_no_larger_with_more_rows() -> None:
    few, many = Operands(), Operands()
    for operands, rows, passes in ((few, 2048, 1), (many, 51_200, 10)):
        runner([fisher(SIZES, rows)] * passes, operands, float64_sums=True)
    assert 0 < few.bytes == many.bytes < 8_000_000


def test_a_result_is_not_written_over_its_operands() -> None:
    operands = Operands()
    run = runner([[Product(8, 5, 5)]], operands, float64_sums=False)
    left, right = (operands(role, rows, 5, torch.float32) for role, rows in (("left", 8), ("right", 5)))
    before = left.clone()
    run()
    assert left.equal(before)
    torch.testing.assert_close(operands("out", 8, 5, torch.float32), left @ right)


def test_a_call_is_repeated_until_it_took_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 0.25, 10.0, 10.5, 20.0, 20.75])
    monkeypatch.setattr("trpo_gail.bench.products.time.perf_counter", lambda: next(ticks))
    calls: list[str] = []
    taken = clocked(lambda: calls.append("call"), 1.0, lambda: calls.append("before"))
    assert taken == 1e3 * 0.5
    assert calls == ["before", "call"] * 3


def test_a_network_that_is_none_of_ours_has_no_sizes() -> None:
    with pytest.raises(AttributeError):
        sizes_of(nn.Linear(2, 3))
