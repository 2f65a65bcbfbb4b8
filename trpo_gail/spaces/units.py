"""Policies act in normalised units: a Box's bounded dimensions become [-1, 1], whatever the environment's bounds are.

A Gaussian policy starts at mean 0 with a standard deviation near 1. It could not
reach actions between 1000 and 2000. In normalised units, the task equals its copy with the bounds [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from gymnasium.spaces import Box, Space

UNBOUNDED = 1e10  # a bound beyond this counts as no bound: some environments write 1e38


def uniform_range(space: Box) -> tuple[np.ndarray, np.ndarray]:
    """The range of random actions, its two ends [A] float64 each: the bounds. A missing bound is replaced by -1 or 1;
    if the other bound is beyond that, by a number at a distance of 2 from it."""
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    low = np.where(low > -UNBOUNDED, low, np.where(high > -1.0, -1.0, high - 2.0))
    high = np.where(high < UNBOUNDED, high, np.where(low < 1.0, 1.0, low + 2.0))
    return low, high


@dataclass(frozen=True)
class ActionScaling:
    """Converts between the policy's units and the environment's. A is the action size."""

    environment: Box  # the environment's own space
    policy: Box  # the policy's space: [-1, 1] in the scaled dimensions, the environment's bounds in the others
    scaled: np.ndarray  # [A] bool

    @cached_property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The environment's bounds, [A] float64 each; cached, since every step needs them."""
        return self.environment.low.astype(np.float64), self.environment.high.astype(np.float64)

    @cached_property
    def _range(self) -> tuple[np.ndarray, np.ndarray]:
        """Its low end and width, [A] float64 each; zeros in the other dimensions, where infinite bounds give no number."""
        low, high = self._bounds
        return np.where(self.scaled, low, 0.0), np.where(self.scaled, high - low, 0.0)

    @classmethod
    def of(cls, space: Space) -> ActionScaling | None:
        """The scaling of an action space; None if it would change nothing."""
        if not isinstance(space, Box):
            return None
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        bounded = (np.abs(low) < UNBOUNDED) & (np.abs(high) < UNBOUNDED)
        scaled = bounded & ((low != -1.0) | (high != 1.0))
        if not scaled.any():
            return None
        dtype = np.result_type(space.dtype, np.float32)
        policy = Box(
            np.where(scaled, -1.0, low).astype(dtype), np.where(scaled, 1.0, high).astype(dtype), dtype=dtype.type
        )
        return cls(space, policy, scaled)

    def executed(self, actions: np.ndarray) -> np.ndarray:
        """The environment's actions [B, A] for the policy's [B, A]; actions within [-1, 1] stay within the bounds."""
        begin, width = self._range
        wide = actions.astype(np.float64)
        values = np.where(self.scaled, begin + (wide + 1.0) * 0.5 * width, wide)
        within = np.clip(values, *self._bounds)  # rounding may exceed a bound by the last digit
        values = np.where(self.scaled & (np.abs(wide) <= 1.0), within, values)
        return values.astype(self.environment.dtype)

    def normalised(self, actions: np.ndarray) -> np.ndarray:
        """The policy's actions [B, A] for the environment's [B, A], such as an expert's; float32 at least."""
        low, high = self._bounds
        wide, width = actions.astype(np.float64), high - low
        # Unbounded dimensions stay as they are; the caller must check for overflow.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            # A single possible action becomes the middle of the range.
            units = np.where(width > 0.0, 2.0 * (wide - low) / width - 1.0, 0.0)
            return np.where(self.scaled, units, wide).astype(np.result_type(actions.dtype, np.float32))
