"""Environments as people write them: each does one thing that a trainer should survive, or refuse in one line."""

from __future__ import annotations

import os
import sys
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.wrappers import TimeLimit, TransformReward


class Line(gymnasium.Env):
    """A point on a line, moved by a tenth of the action; 20 steps. `kind` says what is odd about it."""

    alive = 0  # instances of kind "single"

    def __init__(
        self, kind: str = "plain", low: float = -1.0, high: float = 1.0, at: int = 7, goal: list[float] | None = None
    ) -> None:
        if kind == "single" and Line.alive:
            raise RuntimeError("port 5005 is in use")
        Line.alive += kind == "single"
        self._kind, self._at, self._busy, self._made = kind, at, False, 0
        if kind == "elsewhere":
            os.chdir("/")
        if kind == "no gradients":
            torch.set_grad_enabled(False)
        if kind == "on a device":
            torch.set_default_device("meta")
        self._low, self._high, self.goal = low, high, goal or [0.0]
        self.goal[0] += 1.0  # its own argument, changed in place
        self.observation_space = Box(0, 255, (2,), np.uint8) if kind == "dtype" else Box(-np.inf, np.inf, (2,))
        self.action_space = Box(low, high, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if self._kind == "refuses reset" and self._busy:
            raise RuntimeError("reset before the episode is over")
        super().reset(seed=seed)
        self._x, self._t, self._busy = float(self.np_random.uniform(-1, 1)), 0, True
        if self._kind == "reset without info":
            return self._observation()
        return (self._observation()[None] if self._kind == "shape" else self._observation()), {}

    def _observation(self) -> Any:
        if self._kind == "buffer":
            self._buffer = getattr(self, "_buffer", np.zeros(2, np.float32))
            self._buffer[:] = self._x, self._t / 10
            return self._buffer
        if self._kind == "list":
            return [self._x, self._t / 10]
        if self._kind == "huge":
            return np.array([1e300 if self._t else 0.0, 0.0])
        return np.array([self._x, self._t / 10], np.float32)

    def step(self, action: np.ndarray) -> Any:
        self._made += 1
        if self._made == self._at:
            self._break()
        if self._kind == "no gradients from a step on":
            torch.set_grad_enabled(False)
            torch.set_default_dtype(torch.float64)
        unit = 2.0 * (float(action[0]) - self._low) / (self._high - self._low) - 1.0
        if self._kind == "changes its action":
            action *= 0.5
        self._x += 0.1 * float(np.clip(unit, -1, 1))
        self._t += 1
        ended = self._kind != "endless" and self._t >= 20
        self._busy = not ended
        reward: Any = -abs(self._x)
        if self._kind == "text reward":
            reward = "3"
        if self._kind == "reward":
            reward = np.array([reward], np.float32)
        if self._kind == "four values":
            return self._observation(), reward, ended, {}
        info = {"path": np.arange(self._t + int(10 * abs(self._x)))}  # ragged, and nobody's business
        return self._observation(), reward, None if self._kind == "flag" else ended, False, info

    def _break(self) -> None:
        if self._kind == "sys.exit":
            sys.exit(0)
        if self._kind == "raises":
            raise ZeroDivisionError("division by zero")

    def close(self) -> None:
        Line.alive -= self._kind == "single"
        if self._kind == "raises in close":
            raise RuntimeError("no simulator to close")


class Slower(gymnasium.Wrapper):
    """Begins each episode once more, so that it lasts twice as long as the one within."""

    def reset(self, **keywords: Any) -> Any:
        self._begun_again = False
        return super().reset(**keywords)

    def step(self, action: np.ndarray) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        if truncated and not self._begun_again:
            self._begun_again, truncated = True, False
            super().reset()
        return observation, reward, terminated, truncated, info


def within(limit: int, *, again: bool = False) -> gymnasium.Env:
    """An endless line that ends after this many steps, by a wrapper beneath others."""
    env = TransformReward(TimeLimit(Line("endless"), limit), lambda reward: 2.0 * reward)
    return Slower(env) if again else env


def longer(limit: int, again: bool = False) -> gymnasium.Env:
    """As someone who means to raise the limit writes it."""
    return TimeLimit(within(10, again=again), limit)


gymnasium.register("LineWithin-v0", entry_point=f"{__name__}:within", max_episode_steps=50)
gymnasium.register("Line-v0", entry_point=f"{__name__}:Line", max_episode_steps=100)
gymnasium.register("LineWithoutLimit-v0", entry_point=f"{__name__}:Line")
