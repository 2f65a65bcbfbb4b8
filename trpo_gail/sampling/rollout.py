"""From environments and a policy to rows: a fixed horizon across episodes, or whole episodes from reset.

Letters of shapes, in the whole package: T steps, N environments on this rank, O observation size, A action size,
K noise size, B rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from trpo_gail.envs.vector import VectorEnv
from trpo_gail.seeding import stream
from trpo_gail.success import Rule, rate

Noise = Literal["normal", "gumbel", "uniform"]
GROWTH = 256  # steps for which there is room behind those that a rollout is known to need


class Actor(Protocol):
    """A policy as the sampler sees it: noise in, action out, without a random generator."""

    noise_kind: Noise
    noise_size: int  # K

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions [n, A] or [n] for observations [n, O] and noise [n, K]; zero noise is the deterministic action."""
        ...


@dataclass(frozen=True)
class Rollout:
    """The steps of one rank's environments. A row t after an episode's end is not a transition: `valid` is False."""

    observations: np.ndarray  # [T + 1, N, O]; row t + 1 is the true successor of a valid row t, even at an end
    actions: np.ndarray  # [T, N, A] or [T, N]
    rewards: np.ndarray  # [T, N] float64, the environment's own
    terminated: np.ndarray  # [T, N] bool: the successor's value is 0
    truncated: np.ndarray  # [T, N] bool: an end by time limit; its successor has a value
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
    """State of a set of environments between two rollouts."""

    observation: np.ndarray  # [N, O]
    ended: np.ndarray  # [N] bool: the next row is a reset
    step: np.ndarray  # [N] int: steps of the episode so far
    ret: np.ndarray  # [N] float64: its return so far

    @classmethod
    def start(cls, env: VectorEnv, seeds: Sequence[int]) -> Position:
        n = env.num_envs
        return cls(env.restart(seeds), np.zeros(n, bool), np.zeros(n, np.int64), np.zeros(n))

    def cut(self, env: VectorEnv, which: np.ndarray) -> int:
        """Let the next step reset these environments, [N] bool; returns how many unfinished episodes this cuts."""
        env.cut(which)
        cut = int((which & ~self.ended & (self.step > 0)).sum())
        self.ended = self.ended | which
        return cut


@dataclass(frozen=True)
class Episodes:
    """Finished episodes, in the order of environment, then time."""

    returns: np.ndarray  # [E] float64
    lengths: np.ndarray  # [E] int64, steps
    terminated: np.ndarray  # [E] bool; the others were truncated
    successes: np.ndarray  # [E] float64: 1 or 0, NaN where it is not known

    @classmethod
    def together(cls, parts: Sequence[Episodes]) -> Episodes:
        """The episodes of all parts, of which there may be none."""
        nothing = cls(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0))
        names = ("returns", "lengths", "terminated", "successes")
        return cls(*(np.concatenate([getattr(part, name) for part in (nothing, *parts)]) for name in names))

    def judged(self, rule: Rule | None) -> Episodes:
        """The same, and successes by a rule; without one, by what the environment says."""
        return (
            self if rule is None else replace(self, successes=rule.judge(self.returns, self.lengths, self.terminated))
        )

    @property
    def success_rate(self) -> float | None:
        return rate(self.successes)


def collect_steps(env: VectorEnv, position: Position, actor: Actor, noise: np.ndarray) -> tuple[Rollout, Episodes]:
    """Step every environment len(noise) times, and move `position` on. noise: [T, N, K]."""
    rows = _Rows(len(noise))
    for t in range(len(noise)):
        rows.add(*_step(env, position, actor.act(position.observation, noise[t])))
    return rows.finish(position.observation, np.ones((len(noise), env.num_envs), bool))


class GivenUp(Exception):
    """`give_up` asked to stop before the episodes had ended."""


def never() -> bool:
    """Never give up."""
    return False


def collect_episodes(
    env: VectorEnv,
    actor: Actor,
    seeds: Sequence[int],
    draw: NoiseBlocks,
    steps: np.ndarray,
    episodes: np.ndarray,
    give_up: Callable[[], bool] = never,
    *,
    only_valid: bool = False,
) -> tuple[Rollout, Episodes]:
    """Whole episodes from reset: each environment runs until it alone has `steps[n]` steps and `episodes[n]` episodes.

    No rule stops all environments together, since such a rule would favour short episodes. An environment that has
    enough rests until the others have (its rows are not valid). `give_up` is called before every step; if it returns
    True, GivenUp is raised. With `only_valid` the actor gets the observations of valid rows alone, fewer than N.
    """
    position = Position.start(env, seeds)
    rows, active = _Rows(int(steps.max(initial=0)) + GROWTH), []
    have_steps, have_episodes = np.zeros(env.num_envs, np.int64), np.zeros(env.num_envs, np.int64)
    open_ = (have_steps < steps) | (have_episodes < episodes)
    t = 0
    while open_.any():
        if give_up():
            raise GivenUp
        asked = open_ & ~position.ended if only_valid else np.ones_like(open_)
        row = _step(env, position, _actions(env, position, actor, draw(t), asked))
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


def _actions(env: VectorEnv, position: Position, actor: Actor, noise: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Actions [N, A] or [N] of all environments. The actor is `asked` for some, [N] bool; others do not count."""
    if asked.all():
        # A copy, since code of the user's may write into it, and the row must not change.
        return actor.act(position.observation.copy(), noise)
    actions = env.spec.actions.zeros(len(asked))
    if asked.any():
        found = actor.act(position.observation[asked], noise[asked])
        actions = actions.astype(found.dtype)
        actions[asked] = found
    return actions


class NoiseBlocks(Protocol):
    """Noise [N, K] for step t of a rollout of unknown length."""

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


_Step = tuple[np.ndarray, ...]  # nine, as `_step` says


def _step(env: VectorEnv, position: Position, actions: np.ndarray) -> _Step:
    """Step all environments; the row holds (observation, action, reward, terminated, truncated, valid, step,
    return, success)."""
    before, valid, step = position.observation, ~position.ended, position.step
    position.observation, reward, terminated, truncated = env.step(actions)
    position.ended = terminated | truncated
    position.ret = np.where(valid, position.ret, 0.0) + np.where(valid, reward, 0.0)
    position.step = np.where(valid, step + 1, 0)
    success = getattr(env, "successes", None) if position.ended.any() else None
    if success is None:
        success = np.full(env.num_envs, np.nan)
    return before, actions, reward, terminated, truncated, valid, step * valid, position.ret, success


class _Rows:
    """Collects rows one by one, each column in one array that grows in place.

    Rows that are kept apart and stacked at the end take two or three times as much: for a time they are there twice, and
    small arrays that stay lie scattered over the memory that each step takes for its observations.
    """

    def __init__(self, expected: int) -> None:
        """`expected`: for how many rows there is room at first."""
        self._columns: list[np.ndarray] = []
        self._expected, self._count = expected, 0

    def add(self, *row: np.ndarray) -> None:
        """Add what `_step` returns."""
        if not self._columns:
            self._columns = [np.empty((self._expected + 1, *values.shape), values.dtype) for values in row]
        elif self._count == len(self._columns[0]):
            self._resize(self._count + GROWTH)
        for which, values in enumerate(row):
            self._put(which, values)
        self._count += 1

    def _put(self, which: int, values: np.ndarray) -> None:
        """Write the next row of a column, in a dtype that holds all its rows: steps may have another one than resets."""
        kept = self._columns[which].dtype
        if values.dtype != kept and (both := np.result_type(values.dtype, kept)) != kept:
            self._columns[which] = self._columns[which].astype(both)
        self._columns[which][self._count] = values

    def _resize(self, rows: int) -> None:
        for column in self._columns:
            column.resize((rows, *column.shape[1:]), refcheck=False)  # nobody else has seen it

    def finish(self, last: np.ndarray, active: np.ndarray) -> tuple[Rollout, Episodes]:
        """The rollout, behind whose rows `last` was observed, and its episodes."""
        self._resize(self._count + 1)
        self._put(0, last)
        observations, *others = self._columns
        action, reward, terminated, truncated, valid, step, ret, success = (column[:-1] for column in others)
        rollout = Rollout(observations, action, reward, terminated, truncated, valid & active, step)
        env, t = np.nonzero((rollout.done & rollout.valid).T)
        return rollout, Episodes(ret[t, env], step[t, env] + 1, terminated[t, env], success[t, env])
