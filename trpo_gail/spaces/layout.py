"""An observation is a row of numbers, and a layout says what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gymnasium.spaces import Box, Space

from trpo_gail.errors import UserError

Kind = Literal["vector"]


@dataclass(frozen=True)
class Part:
    """Some columns of the rows that belong together."""

    path: str  # within the space; empty if the space has no parts
    columns: slice
    shape: tuple[int, ...]  # as the environment has it
    kind: Kind


@dataclass(frozen=True)
class Layout:
    """The parts of a row, in the order of their columns."""

    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Columns of a row: O."""
        return self.parts[-1].columns.stop

    @classmethod
    def of(cls, space: Space) -> Layout:
        """The layout of an observation space that `check` lets pass."""
        assert isinstance(space, Box) and space.shape is not None
        return cls((Part("", slice(0, space.shape[0]), space.shape, "vector"),))


def check(space: Space, where: str) -> None:
    """Raise UserError, which begins with `where`, for a space whose observations cannot be rows."""
    if not isinstance(space, Box) or len(space.shape) != 1:
        raise UserError(f"{where}: observations must be a Box of one dimension, not {space}")
