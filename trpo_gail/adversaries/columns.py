"""The inputs of a discriminator for many rows, in the blocks from which they are put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add

import torch
from torch import Tensor

from trpo_gail.networks.normaliser import Normaliser

AT_A_TIME = 1024  # rows of frames that are put together at a time


class Columns:
    """Blocks [B, .] of the columns [B, I].

    Blocks of numbers are put together at once. Frames stay uint8 beside them, and become a part of the whole for those
    rows that are asked for: as floats, they would take four times the memory.
    """

    def __init__(self, blocks: Sequence[Tensor]) -> None:
        self.blocks = list(blocks)
        self._whole = torch.uint8 not in {block.dtype for block in blocks}
        if self._whole:
            self.blocks = [torch.cat(self.blocks, 1)]

    def __len__(self) -> int:
        return len(self.blocks[0])

    @property
    def device(self) -> torch.device:
        return self.blocks[0].device

    @property
    def dtype(self) -> torch.dtype:
        """Of rows that are put together."""
        return reduce(torch.promote_types, (block.dtype for block in self.blocks))

    @property
    def size(self) -> int:
        """I."""
        return sum(block.shape[1] for block in self.blocks)

    def followed_by(self, *others: Columns) -> Columns:
        """These rows, then those of others; itself without others."""
        if not others:
            return self
        return Columns([torch.cat(parts) for parts in zip(self.blocks, *(o.blocks for o in others), strict=True)])

    def rows(self, index: Tensor | slice) -> Tensor:
        """[b, I] for the numbers of rows."""
        return torch.cat([block[index] for block in self.blocks], 1)

    def chunks(self) -> Iterator[Tensor]:
        """All rows [B, I], in consecutive pieces."""
        if self._whole:
            yield self.blocks[0]
        else:
            for start in range(0, len(self), AT_A_TIME):
                yield self.rows(slice(start, start + AT_A_TIME))

    def sums(self, normaliser: Normaliser, weight: float = 1.0) -> Tensor:
        """`Normaliser.sums` of all rows."""
        return reduce(add, (normaliser.sums(rows, weight) for rows in self.chunks()))

    def copy_rows(self, index: Tensor, into: Tensor) -> None:
        """Write the rows of these numbers into [b, I]."""
        if self._whole and into.dtype == self.blocks[0].dtype:
            torch.index_select(self.blocks[0], 0, index, out=into)
        else:
            into.copy_(self.rows(index))
