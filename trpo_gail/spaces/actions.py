"""Actions as rows of numbers: one kind per action space, and what those need who carry, clip, draw or feed actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space

from trpo_gail.errors import UserError
from trpo_gail.spaces.units import uniform_range

Bounds = tuple[np.ndarray, np.ndarray]


class Actions(Protocol):
    """Rows of one action space; B rows."""

    shape: tuple[int, ...]  # of one row: (A,) for a Box, () for Discrete, (K,) for K labels
    whole: bool  # labels, int64; else floats
    size: int  # dimensions of a Box, labels in all
    inputs: int  # E, columns as a network's input
    draws: int  # U, uniform numbers that a random action takes
    bounds: Bounds | None  # that actions may be clipped to

    def zeros(self, rows: int) -> np.ndarray:
        """That many times the action that is nearest to 0, in the space's own dtype."""
        ...

    def uniform(self, noise: np.ndarray) -> np.ndarray:
        """Random actions for noise [B, U] in [0, 1)."""
        ...

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """Actions as a network's input [B, E]: floats as they are, labels one-hot."""
        ...


class Reals:
    """A Box of one dimension: rows [B, A]."""

    whole = False

    def __init__(self, space: Box) -> None:
        self._space = space
        self.shape: tuple[int, ...] = space.shape
        self.size = self.inputs = self.draws = int(space.shape[0])
        self.bounds: Bounds | None = (space.low, space.high)

    @staticmethod
    def problem(space: Box) -> str | None:
        if len(space.shape) != 1:
            return f"actions must be Discrete or a Box of one dimension, not {space}"
        if not (space.low <= space.high).all():  # also if one is not a number
            return f"actions must have a low bound of at most the high one, not {space}"
        return None

    def zeros(self, rows: int) -> np.ndarray:
        nearest = np.clip(0.0, self._space.low, self._space.high)
        return np.repeat(np.asarray(nearest, self._space.dtype)[None], rows, axis=0)

    def uniform(self, noise: np.ndarray) -> np.ndarray:
        low, high = uniform_range(self._space)
        return low + noise * (high - low)

    def encode(self, actions: np.ndarray) -> np.ndarray:
        return actions


class Label:
    """Discrete: rows [B]."""

    whole, draws = True, 1
    shape: tuple[int, ...] = ()
    bounds: Bounds | None = None

    def __init__(self, space: Discrete) -> None:
        self.size = self.inputs = int(space.n)

    @staticmethod
    def problem(space: Discrete) -> str | None:
        return None if space.start == 0 else f"Discrete actions must start at 0, not {space.start}"

    def zeros(self, rows: int) -> np.ndarray:
        return np.zeros(rows, np.int64)

    def uniform(self, noise: np.ndarray) -> np.ndarray:
        return (noise[:, 0] * self.size).astype(np.int64)

    def encode(self, actions: np.ndarray) -> np.ndarray:
        return np.eye(self.size)[actions]


class Labels:
    """MultiDiscrete: rows [B, K], a label from each of K sets."""

    whole = True
    bounds: Bounds | None = None

    def __init__(self, space: MultiDiscrete) -> None:
        self.sizes = np.asarray(space.nvec, np.int64)  # [K]
        self.shape: tuple[int, ...] = self.sizes.shape
        self.size = self.inputs = int(self.sizes.sum())
        self.draws = len(self.sizes)

    @staticmethod
    def problem(space: MultiDiscrete) -> str | None:
        if space.nvec.ndim != 1 or np.any(space.start):
            return f"MultiDiscrete actions must have one dimension and start at 0, not {space}"
        return None

    def zeros(self, rows: int) -> np.ndarray:
        return np.zeros((rows, *self.shape), np.int64)

    def uniform(self, noise: np.ndarray) -> np.ndarray:
        return (noise * self.sizes).astype(np.int64)

    def encode(self, actions: np.ndarray) -> np.ndarray:
        return np.concatenate([np.eye(n)[actions[:, k]] for k, n in enumerate(self.sizes)], axis=1)


KINDS: dict[type[Space], Any] = {Box: Reals, Discrete: Label, MultiDiscrete: Labels}


def of(space: Space) -> Actions:
    """The rows of an action space that `problem` has no word for."""
    made: Callable[[Space], Actions] = KINDS[type(space)]
    return made(space)


def problem(space: Space) -> str | None:
    """Why actions of this space cannot be rows, if they cannot."""
    kind = KINDS.get(type(space))
    if kind is None:
        return f"actions must be Discrete or a Box of one dimension, not {space}"
    found: str | None = kind.problem(space)
    return found


def check(space: Space, where: str) -> None:
    """Raise UserError, which begins with `where`, for an action space that cannot be rows."""
    if found := problem(space):
        raise UserError(f"{where}: {found}")
