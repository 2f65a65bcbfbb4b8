"""The matrix products of an update alone: what it would take if nothing else were done.

Products have the shapes that a multi-layer perceptron gives them. As in the updates, a chunk of rows goes through all
products of a pass before the next chunk does, so that it stays in the processor's cache. Products that sum over rows are
done in the network's own precision or, as the updates do them, in float64.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
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


Pass = Sequence[Product]  # of the same rows; the next pass needs the results of all of them


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
    again = [*forward(sizes[:-1], rows), *_back(sizes[:-1], rows)]
    sums = [Product(rows, o, i, sums=True) for i, o in pairwise(sizes)]
    return forward(sizes, rows) + to_inputs + again + sums + sums[:-1]


def operations(passes: Sequence[Pass]) -> int:
    """Multiplications and additions."""
    return sum(2 * p.rows * p.left * p.right for products in passes for p in products)


class Operands:
    """Random matrices of a chunk of rows, one for each role, shape and precision. All products share them: they need little
    memory however many rows there are, and stay in the cache, so nothing can be faster."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int, int, torch.dtype], Tensor] = {}
        self._rng = torch.Generator().manual_seed(0)

    def __call__(self, role: str, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        key = role, rows, columns, dtype
        if key not in self._held:
            self._held[key] = torch.randn(rows, columns, generator=self._rng).to(dtype)
        return self._held[key]

    @property
    def bytes(self) -> int:
        """Of all that are there."""
        return sum(matrix.nbytes for matrix in self._held.values())


def runner(passes: Sequence[Pass], operands: Operands, *, float64_sums: bool) -> Callable[[], None]:
    """A function that does all of them, chunk by chunk, on operands that are there already."""
    made = [one for products in passes for one in _pass(products, operands, float64_sums)]

    def run() -> None:
        for one in made:
            one()

    return run


def _pass(products: Pass, operands: Operands, float64_sums: bool) -> Iterator[Callable[[], object]]:
    (rows,) = {product.rows for product in products}
    most = row_chunk(torch.empty(0))
    for start in range(0, rows, most):
        for product in products:
            yield _one(product, min(most, rows - start), operands, float64_sums)


def _one(product: Product, rows: int, operands: Operands, float64_sums: bool) -> Callable[[], object]:
    """A product of a chunk of so many rows."""
    dtype = torch.float64 if float64_sums and product.sums else torch.float32
    left = operands("left", rows, product.left, dtype)
    if product.sums:
        right = operands("right", rows, product.right, dtype)
        return partial(operands("sum", product.left, product.right, dtype).addmm_, left.T, right, beta=0.0)
    right, out = (operands(role, n, product.right, dtype) for role, n in (("right", product.left), ("out", rows)))
    return partial(torch.mm, left, right, out=out)


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
