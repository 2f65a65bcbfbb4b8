"""From environments and a policy to rows: fixed horizons that run on, or whole episodes from reset.

Legend of shapes, here and in the package: T steps, N environments on this rank, O observation size, A action size,
K noise size, B rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from trpo_gail.envs.vector import VectorEnv
from trpo_gail.seeding import stream

Noise = Literal["normal", "gumbel", "uniform"]


class Actor(Protocol):
    """A policy as the sampler sees it: noise in, action out, no generator of its own."""

    noise_kind: Noise
    noise_size: int  # K

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions [n, A] or [n] for observations [n, O] and noise [n, K]; zero noise is the deterministic action."""
        ...


@dataclass(frozen=True)
class Rollout:
    """What one rank's environments did. A row t that follows an episode's end is no transition: `valid` is False."""

    observations: np.ndarray  # [T + 1, N, O]; row t + 1 is the true successor of a valid row t, at an end too
    actions: np.ndarray  # [T, N, A] or [T, N]
    rewards: np.ndarray  # [T, N] float64, the environment's own
    terminated: np.ndarray  # [T, N] bool: the successor's value is 0
    truncated: np.ndarray  # [T, N] bool: an end by time limit, its successor has a value
    valid: np.ndarray  # [T, N] bool
    steps: np.ndarray  # [T, N] int: index within the episode

    @property
    def done(self) -> np.ndarray:  # [T, N] bool
        return self.terminated | self.truncated


def _draw(rng: np.random.Generator, kind: Noise, shape: tuple[int, int]) -> np.ndarray:
    if kind == "normal":
        return rng.standard_normal(shape)
    return rng.gumbel(size=shape) if kind == "gumbel" else rng.random(shape)


def draw_noise(
    kind: Noise, size: int, length: int, seed: int, purpose: int, where: int, envs: Sequence[int]
) -> np.ndarray:
    """A block of noise [length, N, size], each environment's from its own stream."""
    block = np.empty((length, len(envs), size))
    for column, index in enumerate(envs):
        rng = stream(seed, purpose, where, index)
        block[:, column] = _draw(rng, kind, (length, size))
    return block


@dataclass
class Position:
    """Where a set of environments stands between two rollouts."""

    observation: np.ndarray  # [N, O]
    ended: np.ndarray  # [N] bool: the next row is a reset
    step: np.ndarray  # [N] int: steps of the episode so far
    ret: np.ndarray  # [N] float64: its return so far

    @classmethod
    def start(cls, env: VectorEnv, seeds: Sequence[int]) -> Position:
        n = env.num_envs
        return cls(env.restart(seeds), np.zeros(n, bool), np.zeros(n, np.int64), np.zeros(n))

    def cut(self, env: VectorEnv, which: np.ndarray) -> int:
        """Let the next step reset these environments, [N] bool; the number of episodes under way that it cuts."""
        env.cut(which)
        cut = int((which & ~self.ended & (self.step > 0)).sum())
        self.ended = self.ended | which
        return cut


@dataclass(frozen=True)
class Episodes:
    """Episodes that finished, in the order of environment, then time."""

    returns: np.ndarray  # [E] float64
    lengths: np.ndarray  # [E] int64, steps


def collect_steps(env: VectorEnv, position: Position, actor: Actor, noise: np.ndarray) -> tuple[Rollout, Episodes]:
    """Step every environment len(noise) times; `position` is moved on. noise: [T, N, K]."""
    rows = _Rows()
    for t in range(len(noise)):
        rows.add(*_step(env, position, actor.act(position.observation, noise[t])))
    return rows.finish(position.observation, np.ones((len(noise), env.num_envs), bool))


class GivenUp(Exception):
    """Whole episodes were under way, and whoever could say so no longer wanted to wait for their ends."""


def never() -> bool:
    """Wait however long it takes."""
    return False


def collect_episodes(
    env: VectorEnv,
    actor: Actor,
    seeds: Sequence[int],
    draw: NoiseBlocks,
    steps: np.ndarray,
    episodes: np.ndarray,
    give_up: Callable[[], bool] = never,
) -> tuple[Rollout, Episodes]:
    """Whole episodes from reset: each environment runs until it alone has `steps[n]` steps and `episodes[n]` episodes.

    There is no stopping rule over environments, so that none favours short episodes. An environment that has enough
    rests (its rows are not valid) until the last has. `give_up` is asked before every step; GivenUp is raised on its yes.
    """
    position = Position.start(env, seeds)
    rows, active = _Rows(), []
    have_steps, have_episodes = np.zeros(env.num_envs, np.int64), np.zeros(env.num_envs, np.int64)
    open_ = (have_steps < steps) | (have_episodes < episodes)
    t = 0
    while open_.any():
        if give_up():
            raise GivenUp
        row = _step(env, position, actor.act(position.observation, draw(t)))
        rows.add(*row)
        active.append(open_.copy())
        done, valid = row[3] | row[4], row[5]
        have_steps += valid & open_
        have_episodes += done & open_
        enough = done & (have_steps >= steps) & (have_episodes >= episodes)
        if (open_ & enough).any():
            open_ &= ~enough
            env.rest(~open_)
        t += 1
    return rows.finish(position.observation, np.array(active).reshape(t, env.num_envs))


class NoiseBlocks(Protocol):
    """Noise [N, K] for step t of a rollout whose length is not known beforehand."""

    def __call__(self, t: int) -> np.ndarray: ...


class BlockedNoise:
    """Noise drawn in blocks of `block` steps from the environments' own streams."""

    def __init__(
        self, actor: Actor, seed: int, purpose: int, where: int, envs: Sequence[int], block: int = 256
    ) -> None:
        self._draw = [stream(seed, purpose, where, index) for index in envs]
        self._kind, self._size, self._block = actor.noise_kind, actor.noise_size, block
        self._noise = np.empty((block, len(envs), actor.noise_size))

    def __call__(self, t: int) -> np.ndarray:
        if t % self._block == 0:
            shape = (self._block, self._size)
            for column, rng in enumerate(self._draw):
                self._noise[:, column] = _draw(rng, self._kind, shape)
        return self._noise[t % self._block]


def no_noise(actor: Actor, num_envs: int) -> NoiseBlocks:
    """The deterministic policy's noise: zeros."""
    zeros = np.zeros((num_envs, actor.noise_size))
    return lambda t: zeros


_Step = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _step(env: VectorEnv, position: Position, actions: np.ndarray) -> _Step:
    """One step of all; the row holds (observation, action, reward, terminated, truncated, valid, step, return)."""
    before, valid, step = position.observation, ~position.ended, position.step
    position.observation, reward, terminated, truncated = env.step(actions)
    position.ended = terminated | truncated
    position.ret = np.where(valid, position.ret, 0.0) + np.where(valid, reward, 0.0)
    position.step = np.where(valid, step + 1, 0)
    return before, actions, reward, terminated, truncated, valid, step * valid, position.ret


class _Rows:
    """Rows as they come, stacked once at the end."""

    def __init__(self) -> None:
        self._rows: list[_Step] = []

    def add(self, *row: np.ndarray) -> None:
        self._rows.append(row)  # type: ignore[arg-type]

    def finish(self, last: np.ndarray, active: np.ndarray) -> tuple[Rollout, Episodes]:
        observation, action, reward, terminated, truncated, valid, step, ret = (
            np.stack(column) for column in zip(*self._rows, strict=True)
        )
        observations = np.concatenate([observation, last[None]])
        rollout = Rollout(observations, action, reward, terminated, truncated, valid & active, step)
        env, t = np.nonzero((rollout.done & rollout.valid).T)
        return rollout, Episodes(ret[t, env], step[t, env] + 1)
