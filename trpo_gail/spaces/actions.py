"""Actions as rows of numbers: one kind per action space, and what those need who carry, clip, draw or feed actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Box, Discrete, Space

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
    def saved(space: Box) -> dict[str, Any]:
        return {"action_low": space.low, "action_high": space.high, "action_dtype": str(space.dtype)}

    @staticmethod
    def loaded(saved: Mapping[str, Any]) -> Box:
        return Box(saved["action_low"], saved["action_high"], dtype=np.dtype(saved["action_dtype"]).type)

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
    def saved(space: Discrete) -> dict[str, Any]:
        return {"n": int(space.n)}

    @staticmethod
    def loaded(saved: Mapping[str, Any]) -> Discrete:
        return Discrete(saved["n"])

    @staticmethod
    def problem(space: Discrete) -> str | None:
        return None if space.start == 0 else f"Discrete actions must start at 0, not {space.start}"

    def zeros(self, rows: int) -> np.ndarray:
        return np.zeros(rows, np.int64)

    def uniform(self, noise: np.ndarray) -> np.ndarray:
        return (noise[:, 0] * self.size).astype(np.int64)

    def encode(self, actions: np.ndarray) -> np.ndarray:
        return np.eye(self.size)[actions]


# Another kind is another row: a class whose instances are `Actions`, with the static methods of the two above.
KINDS: dict[type[Space], Any] = {Box: Reals, Discrete: Label}


def of(space: Space) -> Actions:
    """The rows of an action space that `check` lets pass."""
    made: Actions = KINDS[type(space)](space)
    return made


def check(space: Space, where: str) -> None:
    """Raise UserError, which begins with `where`, for an action space that cannot be rows."""
    kind = KINDS.get(type(space))
    problem = kind.problem(space) if kind else f"actions must be Discrete or a Box of one dimension, not {space}"
    if problem:
        raise UserError(f"{where}: {problem}")


def saved(space: Space) -> dict[str, Any]:
    """A space as numbers, texts and numpy arrays, by names that do not meet those of `EnvSpec`."""
    return {"action_kind": type(space).__name__, **KINDS[type(space)].saved(space)}


def loaded(content: Mapping[str, Any]) -> Space:
    """The space that `saved` was given. 0.1.0 did not say its kind."""
    name = content.get("action_kind", "Discrete" if "n" in content else "Box")
    kind = next(kind for space, kind in KINDS.items() if space.__name__ == name)
    made: Space = kind.loaded(content)
    return made
