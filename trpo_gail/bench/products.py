"""The matrix products of an update alone: what it would take if nothing else were done.

Products have the shapes that a multi-layer perceptron gives them, and take as many rows at a time as the networks do. Those
that sum over rows are done in the network's own precision or, as the updates do them, in float64.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from trpo_gail.networks.network import row_chunk

Sizes = Sequence[int]  # of the layers: inputs, hidden ones, outputs


@dataclass(frozen=True)
class Product:
    """[rows, left] times [left, right]; or, if it sums over rows, the transpose of [rows, left] times [rows, right]."""

    rows: int
    left: int
    right: int
    sums: bool = False


def sizes_of(net: nn.Module) -> list[int]:
    """The layers' sizes of an `MLP`."""
    layers = cast("list[nn.Linear]", net.layers)
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def forward(sizes: Sizes, rows: int) -> list[Product]:
    """The outputs of some rows."""
    return [Product(rows, i, o) for i, o in pairwise(sizes)]


def _back(sizes: Sizes, rows: int) -> list[Product]:
    """From the outputs to the inputs of the second layer."""
    return [Product(rows, o, i) for i, o in pairwise(sizes[1:])]


def backward(sizes: Sizes, rows: int) -> list[Product]:
    """The gradient by the weights, after a forward pass."""
    return _back(sizes, rows) + [Product(rows, o, i, sums=True) for i, o in pairwise(sizes)]


def fisher(sizes: Sizes, rows: int) -> list[Product]:
    """One Fisher-vector product, after a forward pass: the outputs' change along v, then back."""
    return forward(sizes, rows) + forward(sizes[1:], rows) + backward(sizes, rows)


def penalty(sizes: Sizes, rows: int) -> list[Product]:
    """The gradient penalty: forward, back to the inputs, and through that again to the weights."""
    to_inputs = [Product(rows, o, i) for i, o in pairwise(sizes)]
    again = [*forward(sizes[:-1], rows), *_back(sizes, rows), *_back(sizes[:-1], rows)]
    sums = [Product(rows, o, i, sums=True) for i, o in pairwise(sizes)]
    return forward(sizes, rows) + to_inputs + again + sums + sums[:-1]


def operations(products: Sequence[Product]) -> int:
    """Multiplications and additions."""
    return sum(2 * p.rows * p.left * p.right for p in products)


def runner(products: Sequence[Product], *, float64_sums: bool) -> Callable[[], None]:
    """A function that does all of them, on operands that are there already."""
    rng = torch.Generator().manual_seed(0)
    made = [
        _one(product, torch.float64 if float64_sums and product.sums else torch.float32, rng) for product in products
    ]

    def run() -> None:
        for one in made:
            one()

    return run


def _one(product: Product, dtype: torch.dtype, rng: torch.Generator) -> Callable[[], None]:
    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng).to(dtype)

    left = random(product.rows, product.left)
    most = row_chunk(left)
    if product.sums:
        right, into = random(product.rows, product.right), torch.zeros(product.left, product.right, dtype=dtype)
        chunks = [*zip(left.split(most), right.split(most), strict=True)]

        def summed() -> None:
            for a, b in chunks:
                into.addmm_(a.T, b, beta=0.0)

        return summed
    right = random(product.left, product.right)
    out = torch.empty(product.rows, product.right, dtype=dtype)
    parts = [*zip(left.split(most), out.split(most), strict=True)]

    def multiplied() -> None:
        for a, c in parts:
            torch.mm(a, right, out=c)

    return multiplied


def clocked(call: Callable[[], object], least: float, before: Callable[[], object] = lambda: None) -> float:
    """Milliseconds of a call, in the mean over calls that take `least` seconds together; `before` each, something that is
    not counted."""
    taken = list(_calls(call, least, before))
    return 1e3 * sum(taken) / len(taken)


def _calls(call: Callable[[], object], least: float, before: Callable[[], object]) -> Iterator[float]:
    total = 0.0
    while total < least or not total:
        before()
        start = time.perf_counter()
        call()
        took = max(time.perf_counter() - start, 1e-9)
        total += took
        yield took
