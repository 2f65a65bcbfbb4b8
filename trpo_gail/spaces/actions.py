"""Actions as rows of numbers: one kind per action space, with everything that carrying, clipping or drawing actions
needs.

A row is [A] floats for a Box of any shape, an int64 for Discrete, [K] int64 for MultiDiscrete and MultiBinary. Labels
count from 0 whatever the space's start is. B rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space

from trpo_gail.errors import UserError
from trpo_gail.spaces.units import uniform_range

Bounds = tuple[np.ndarray, np.ndarray]


class Actions(Protocol):
    """Rows of one action space."""

    shape: tuple[int, ...]  # of one row
    whole: bool  # labels, int64; else floats
    labels: tuple[int, ...]  # number of labels for each number of a row; empty for floats
    size: int  # dimensions of a Box, or the total number of labels
    inputs: int  # E, columns as a network's input
    draws: int  # U, uniform numbers that a random action takes
    bounds: Bounds | None  # to which rows can be clipped, [A] each

    def zeros(self, rows: int) -> np.ndarray:
        """This many rows of the action nearest to 0."""
        ...

    def uniform(self, noise: np.ndarray) -> np.ndarray:
        """Random actions for noise [B, U] in [0, 1)."""
        ...

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """Rows as a network's input [B, E]: floats as they are, labels one-hot."""
        ...

    def outward(self, actions: np.ndarray) -> np.ndarray:
        """Rows in the form of the environment: [B, *shape of the space]."""
        ...

    def inward(self, actions: np.ndarray) -> np.ndarray:
        """The inverse of `outward`."""
        ...


class Reals:
    """A Box: rows [B, A]."""

    whole = False
    labels: tuple[int, ...] = ()

    def __init__(self, space: Box) -> None:
        self._outer, self._space = space.shape, flat_box(space)
        self.size = self.inputs = self.draws = int(self._space.shape[0])
        self.shape: tuple[int, ...] = (self.size,)
        self.bounds: Bounds | None = (self._space.low, self._space.high)

    @staticmethod
    def problem(space: Box) -> str | None:
        if space.dtype.kind in "iub":
            return (
                f"actions of a Box must be floats, not {space}: MultiDiscrete has whole numbers, MultiBinary has bits"
            )
        if space.low.size == 0:
            return f"actions must hold a number, not {space}"
        if not (space.low <= space.high).all():  # also true for NaN
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

    def outward(self, actions: np.ndarray) -> np.ndarray:
        return actions if len(self._outer) == 1 else actions.reshape(len(actions), *self._outer)

    def inward(self, actions: np.ndarray) -> np.ndarray:
        return actions.reshape(len(actions), self.size)


class Label:
    """Discrete: rows [B]."""

    whole = True
    shape: tuple[int, ...] = ()
    bounds: Bounds | None = None
    draws = 1

    def __init__(self, space: Discrete) -> None:
        self.size = self.inputs = int(space.n)
        self.labels: tuple[int, ...] = (self.size,)
        self._start = int(space.start)

    @staticmethod
    def problem(space: Discrete) -> str | None:
        return None

    def zeros(self, rows: int) -> np.ndarray:
        return np.zeros(rows, np.int64)

    def uniform(self, noise: np.ndarray) -> np.ndarray:
        return (noise[:, 0] * self.size).astype(np.int64)

    def encode(self, actions: np.ndarray) -> np.ndarray:
        return one_hot(np.asarray(actions)[:, None], [self.size])

    def outward(self, actions: np.ndarray) -> np.ndarray:
        return actions + self._start if self._start else actions

    def inward(self, actions: np.ndarray) -> np.ndarray:
        return actions - self._start


class Labels:
    """MultiDiscrete and MultiBinary: rows [B, K], a label from each of K sets."""

    whole = True
    bounds: Bounds | None = None

    def __init__(self, space: MultiDiscrete | MultiBinary) -> None:
        counts, starts = _counts(space)
        self.labels: tuple[int, ...] = tuple(map(int, counts.ravel()))
        self._outer, self._starts, self._dtype = counts.shape, starts.ravel().astype(np.int64), space.dtype
        self._counts = counts.ravel()
        self.size = self.inputs = int(self._counts.sum())
        self.draws = len(self._counts)
        self.shape: tuple[int, ...] = (self.draws,)

    @staticmethod
    def problem(space: MultiDiscrete | MultiBinary) -> str | None:
        return None if _counts(space)[0].size else f"actions must hold a number, not {space}"

    def zeros(self, rows: int) -> np.ndarray:
        return np.zeros((rows, self.draws), np.int64)

    def uniform(self, noise: np.ndarray) -> np.ndarray:
        return (noise * self._counts).astype(np.int64)

    def encode(self, actions: np.ndarray) -> np.ndarray:
        return one_hot(actions, self.labels)

    def outward(self, actions: np.ndarray) -> np.ndarray:
        return (actions + self._starts).astype(self._dtype).reshape(len(actions), *self._outer)

    def inward(self, actions: np.ndarray) -> np.ndarray:
        return actions.reshape(len(actions), self.draws).astype(np.int64) - self._starts


def unknown(kind: Actions, rows: np.ndarray) -> np.ndarray:
    """Which numbers of rows of labels, in their shape, are none of the space's."""
    return (rows < 0) | (rows >= np.asarray(kind.labels if kind.shape else kind.size))


def one_hot(codes: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """[B, sum of the labels] float64 for codes [B, K], each below its number of labels."""
    out = np.zeros((len(codes), sum(labels)))
    first = np.cumsum(labels) - np.asarray(labels)
    np.put_along_axis(out, first + codes, 1.0, axis=1)
    return out


def flat_box(space: Box) -> Box:
    """A Box of one dimension with the numbers of a Box of any shape."""
    return space if len(space.shape) == 1 else Box(space.low.ravel(), space.high.ravel(), dtype=space.dtype.type)


def _counts(space: MultiDiscrete | MultiBinary) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of labels, and the first label of each, in the space's shape."""
    if isinstance(space, MultiBinary):
        return np.full(space.shape, 2), np.zeros(space.shape, np.int64)
    return np.asarray(space.nvec), np.asarray(space.start)


# To add a kind, add a row: a class whose instances are `Actions`, with the static method `problem`.
KINDS: dict[type[Space], Any] = {Box: Reals, Discrete: Label, MultiDiscrete: Labels, MultiBinary: Labels}


def of(space: Space) -> Actions:
    """The rows of an action space that passes `check`."""
    made: Actions = KINDS[type(space)](space)
    return made


def check(space: Space, where: str) -> None:
    """Raise UserError, beginning with `where`, for an action space that cannot be rows."""
    kind = KINDS.get(type(space))
    known = ", ".join(each.__name__ for each in KINDS)
    problem = kind.problem(space) if kind else f"actions must be one of {known}, not {space}"
    if problem:
        raise UserError(f"{where}: {problem}")
