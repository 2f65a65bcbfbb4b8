"""Steps of many small kernels, recorded once on a CUDA device and replayed: Python would launch them one by one."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

MOST = 16  # recordings that are kept, and as many kinds of calls that were met once


class Recorded:
    """Calls of a function of a number and of tensors that moves state in place and returns nothing.

    On a CUDA device the second call with a number and tensors of some shapes is recorded (a CUDA graph); it and those
    after it replay the recording on copies of their tensors. The function must not wait for the device. It may only move
    state that stays where it is: call `forget` after that has been replaced. On the CPU the function is simply called.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function
        self._stream: torch.cuda.Stream | None = None
        self._pool: Any = None
        self._met: dict[Hashable, None] = {}  # called once
        self._made: dict[Hashable, _Recording] = {}

    def __call__(self, number: int, *tensors: Tensor) -> None:
        """Call the function."""
        if tensors[0].device.type != "cuda":
            self._function(number, *tensors)
            return
        key = (number, *(tensor.shape for tensor in tensors))
        if key not in self._made and key not in self._met:
            self._first(number, tensors)
            _keep(self._met, key, None)
            return
        if key not in self._made:
            _keep(self._made, key, self._record(number, tensors))
        self._made[key].replay(tensors)

    def _first(self, number: int, tensors: tuple[Tensor, ...]) -> None:
        """A plain call, which makes what is made at first use; beside the other work, as a recording must be made."""
        self._stream = self._stream or torch.cuda.Stream()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            self._function(number, *tensors)
        torch.cuda.current_stream().wait_stream(self._stream)

    def _record(self, number: int, tensors: tuple[Tensor, ...]) -> _Recording:
        assert self._stream is not None
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        made = _Recording([tensor.clone() for tensor in tensors])
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            made.graph.capture_begin(pool=self._pool)
            try:
                self._function(number, *made.inputs)
            finally:
                made.graph.capture_end()
        torch.cuda.current_stream().wait_stream(self._stream)
        return made

    def forget(self) -> None:
        """Drop all recordings."""
        self._met.clear()
        self._made.clear()
        self._pool = None


def _keep(table: dict[Hashable, T], key: Hashable, value: T) -> None:
    """Add to a table of the last MOST."""
    table[key] = value
    if len(table) > MOST:
        del table[next(iter(table))]


class _Recording:
    def __init__(self, inputs: list[Tensor]) -> None:
        self.inputs, self.graph = inputs, torch.cuda.CUDAGraph()

    def replay(self, tensors: tuple[Tensor, ...]) -> None:
        for own, given in zip(self.inputs, tensors, strict=True):
            own.copy_(given)
        self.graph.replay()
