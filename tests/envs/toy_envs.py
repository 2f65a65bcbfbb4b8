"""Environments whose every number is known beforehand; importing this module registers them with gymnasium."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Space, Text


class Counter(gymnasium.Env):
    """Observes [episodes begun, steps made]; pays its (first) action; ends after `length` steps, or 2 to 9 by seed."""

    def __init__(
        self, length: int | None = 3, observation_space: Space | None = None, action_space: Space | None = None
    ):
        self.observation_space = observation_space or Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = action_space or Box(-1.0, 1.0, (1,), np.float64)
        self._fixed, self._episode = length, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        if seed is not None:
            self._episode = 0
        self._episode, self._step = self._episode + 1, 0
        self._length = self._fixed or int(self.np_random.integers(2, 10))
        return np.array([self._episode, 0.0]), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self._step += 1
        observation = np.array([self._episode, float(self._step)])
        return observation, float(np.ravel(action)[0]), self._step >= self._length, False, {}


def _register(name: str, **kwargs: Any) -> None:
    gymnasium.register(f"Toy{name}-v0", entry_point=f"{__name__}:Counter", kwargs=kwargs, max_episode_steps=100)


_register("Counter")
_register("Random", length=None)
_register("Endless", length=10**9)
_register("Words", observation_space=Text(5))
_register("Parts", observation_space=Dict({"x": Box(-1, 1, (2,)), "words": Text(5)}))
_register("Say", action_space=Text(5))
_register("Both", action_space=Dict({"x": Discrete(2)}))


class AnySpace(gymnasium.Env):
    """Shows samples of its observation space and pays 1 for an action that its action space holds; five steps."""

    def __init__(self, observation_space: Space, action_space: Space) -> None:
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self._left = 5
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        self._left -= 1
        floats = isinstance(self.action_space, Box)
        inside = self.action_space.contains(action if floats else np.asarray(action, self.action_space.dtype)[()])
        return self.observation_space.sample(), float(inside), self._left == 0, False, {}


def env_id(observation: Space, action: Space) -> str:
    """Register an environment of these spaces, if there is none yet."""
    name = f"ToyAny{abs(hash(repr((observation, action))))}-v0"
    if name not in gymnasium.registry:
        spaces = {"observation_space": observation, "action_space": action}
        gymnasium.register(name, entry_point=lambda **given: AnySpace(**given), kwargs=spaces, max_episode_steps=100)
    return name


class Strict(gymnasium.Env):
    """A point that stays between bounds that are not symmetric; raises for an action outside of its own. Ten steps."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float32)
    action_space = Box(np.array([-0.5, 10.0], np.float32), np.array([2.0, 10.5], np.float32))
    widest = 0.0  # part of the range, of either side of its middle, that any instance was given

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._x, self._left = self.np_random.uniform(-1, 1, 2), 10
        return self._x.astype(np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        low, high = self.action_space.low.astype(np.float64), self.action_space.high.astype(np.float64)
        units = 2.0 * (np.asarray(action, np.float64) - low) / (high - low) - 1.0
        if (np.abs(units) > 1.0).any():
            raise ValueError(f"{action} is outside of the bounds")
        Strict.widest = max(Strict.widest, float(np.abs(units).max()))
        self._x, self._left = 0.9 * self._x + 0.1 * units, self._left - 1
        return self._x.astype(np.float32), -float(np.abs(self._x).sum()), False, self._left == 0, {}


gymnasium.register("Strict-v0", entry_point=f"{__name__}:Strict", max_episode_steps=100)
