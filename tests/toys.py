"""Environments whose every number is known beforehand, and parts made by hand.

Importing this module registers the environments with gymnasium, so `toys:Script-v0` names one wherever tests/ is on the
path (pytest puts it there).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from trpo_gail.build import make_policy
from trpo_gail.config.tree import Config, PolicyConfig
from trpo_gail.envs import vector
from trpo_gail.parallel import Workers
from trpo_gail.policies.policy import Policy
from trpo_gail.sampling import transitions
from trpo_gail.sampling.batch import Rows, number_rows
from trpo_gail.sampling.rollout import Rollout
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec

# ---- environments ----------------------------------------------------------------------------------------------------


class Script(gymnasium.Env):
    """Observes [episode, step]; pays 100 * episode + step; episodes last `lengths` in turn.

    Episodes 0, 2, ... terminate, 1, 3, ... are truncated. `broken` = "observation" or "reward" makes the third step of
    episode 1 give one (of an observation, feature 1) that is `value`. With `says`, `info` has that entry: at their last
    steps, episodes 0, 3, ... are successes and others are not; at all steps before, it is the other way round.
    """

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Box(-1.0, 1.0, (1,), np.float64)

    def __init__(
        self,
        lengths: Sequence[int] = (3, 2, 4),
        broken: str | None = None,
        value: float = np.nan,
        says: str | None = None,
    ) -> None:
        self._lengths, self._broken, self._value, self._episode = lengths, broken, value, -1
        self._says = says

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        self._episode, self._step = 0 if seed is not None else self._episode + 1, 0
        return np.array([self._episode, 0.0]), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        observation, reward = np.array([self._episode, self._step + 1.0]), 100.0 * self._episode + self._step
        if self._broken and (self._episode, self._step) == (1, 2):
            if self._broken == "observation":
                observation[1] = self._value
            else:
                reward = self._value
        self._step += 1
        ended, terminates = self._step >= self._lengths[self._episode % len(self._lengths)], self._episode % 2 == 0
        info = {} if self._says is None else {self._says: self._episode % 3 == 0 if ended else self._episode % 3 != 0}
        return observation, reward, ended and terminates, ended and not terminates, info


class Walk(gymnasium.Env):
    """A random walk that the action pushes, with random lengths: everything depends on the environment's own stream."""

    observation_space = Box(-np.inf, np.inf, (3,), np.float32)
    action_space = Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._left, self._x = int(self.np_random.integers(2, 12)), self.np_random.standard_normal(3)
        return self._x.astype(np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self._left -= 1
        self._x = 0.9 * self._x + 0.1 * self.np_random.standard_normal(3) + 0.1 * float(np.sum(action))
        ends = self._left == 0
        return self._x.astype(np.float32), float(self._x[0]), ends and self._x[1] > 0, ends and self._x[1] <= 0, {}


class Endless(gymnasium.Env):
    """An episode without an end. `made` counts the environments, so that a test can tell when an evaluation begins."""

    observation_space = Box(-1.0, 1.0, (4,), np.float32)  # as CartPole's in size, so that its demonstrations fit
    action_space = Discrete(2)
    made = 0

    def __init__(self) -> None:
        type(self).made += 1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return np.zeros(4, np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        return np.zeros(4, np.float32), 1.0, False, False, {}


gymnasium.register("Endless-v0", entry_point=f"{__name__}:Endless")
gymnasium.register("Script-v0", entry_point=f"{__name__}:Script", max_episode_steps=1000)
gymnasium.register("Script-v7", entry_point=f"{__name__}:Script", max_episode_steps=1000)
gymnasium.register("Other-v0", entry_point=f"{__name__}:Script", max_episode_steps=1000)
gymnasium.register("Walk-v0", entry_point=f"{__name__}:Walk", max_episode_steps=1000)

# ---- parts -----------------------------------------------------------------------------------------------------------


def spec(
    observations: int = 3,
    actions: int = 2,
    *,
    discrete: bool = False,
    limit: int | None = None,
    bounds: tuple[np.ndarray, np.ndarray] | None = None,
) -> EnvSpec:
    """`bounds`: actions are clipped to them before they are executed."""
    space = Discrete(actions) if discrete else Box(-1.0, 1.0, (actions,), np.float32)
    if bounds:
        space = Box(*bounds, dtype=np.float64)  # type: ignore[arg-type]
    sees = Box(-np.inf, np.inf, (observations,), np.float32)
    return EnvSpec("Hand-v0", "gymnasium", {}, sees, space, limit, action_view="executed" if bounds else "raw")


def spec_of(env_id: str, **keywords: Any) -> EnvSpec:
    """What is known of an environment that gymnasium makes."""
    made = vector.make(env_id, 1, "gymnasium", **keywords)
    made.close()
    return made.spec


def policy(
    env: EnvSpec, hidden: Sequence[int] = (5, 4), *, seed: int = 0, dtype: str = "float64", log_std: float = -0.3
) -> Policy:
    """A policy whose outputs are not small, as training would make it."""
    config = PolicyConfig(hidden_sizes=tuple(hidden), init_log_std=log_std, output_scale=1.0)
    made = make_policy(Config("Hand-v0", seed=seed, dtype=dtype, policy=config), env)  # type: ignore[arg-type]
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in made.net.layers:
            layer.bias.copy_(0.3 * torch.randn(layer.bias.shape, generator=rng, dtype=layer.bias.dtype))
    return made


def rollout(
    ends: Sequence[str], *, observations: int = 1, actions: int = 1, discrete: bool = False, seed: int = 0
) -> Rollout:
    """Random rows; `ends` has one string per environment and a letter per row: `.` goes on, `T` terminates, `L` meets a
    time limit, `_` is no transition."""
    rng = np.random.default_rng(seed)
    letters = np.array([list(row) for row in ends]).T
    T, N = letters.shape
    valid, step = letters != "_", np.zeros((T, N), np.int64)
    for t in range(1, T):
        step[t] = np.where(valid[t] & valid[t - 1], step[t - 1] + 1, 0)
    action = rng.integers(0, actions, (T, N)) if discrete else rng.standard_normal((T, N, actions))
    return Rollout(
        observations=rng.standard_normal((T + 1, N, observations)),
        actions=action,
        rewards=rng.standard_normal((T, N)) * valid,
        terminated=letters == "T",
        truncated=letters == "L",
        valid=valid,
        steps=step,
    )


def pairs(observations: np.ndarray, actions: np.ndarray) -> Transitions:
    """Rows [B, O] and [B, A] or [B] of which nothing else is known, of one rank."""
    n = len(observations)
    no, unknown = np.zeros(n, bool), np.full(np.shape(observations), np.nan)
    return Transitions(observations, actions, no, no, np.arange(n), lambda: unknown, rows=Rows(0, n, n))


def numbered(*rollouts: Rollout) -> Rows:
    """The valid rows of one rank's rollouts."""
    return number_rows(sum(int(r.valid.sum()) for r in rollouts), Workers())


def seen(*rollouts: Rollout, workers: Workers | None = None) -> Transitions:
    """What an adversary sees of rollouts."""
    count = sum(int(r.valid.sum()) for r in rollouts)
    return transitions.of(rollouts, number_rows(count, workers or Workers()))


class Pretend(Workers):
    """Rank `rank` of `size` without the others: it holds their share's place, and its sums are of its own rows alone."""

    def __init__(self, rank: int, size: int) -> None:
        super().__init__()
        self.rank, self.size = rank, size

    def sum(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(values, np.float64)

    def sum_tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor

    def gather(self, value: Any) -> list[Any]:
        return [value]

    def share(self, value: Any) -> Any:
        return value
