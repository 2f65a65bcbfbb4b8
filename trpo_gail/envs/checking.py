"""Checks of an environment that a user can run before training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box

from trpo_gail.envs import repeating, vector
from trpo_gail.envs.one_by_one import Alone
from trpo_gail.envs.repeating import Walk, walk
from trpo_gail.envs.vector import VectorEnv
from trpo_gail.errors import RunError, UserError
from trpo_gail.spaces import layout
from trpo_gail.spaces.resolution import unresolved
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.spaces.units import UNBOUNDED

NUM_ENVS = 4
STEPS = 500  # of random actions, in each environment
PATIENCE = 20.0  # seconds after which fewer steps must do: some environments make ten a second
SECONDS = 1.0  # duration of the measurement of speed
ALONE = "it runs with one in each process: --num_envs 1, or as many as ranks, and --eval_every 0"


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    level: Literal["ok", "warning", "error"]
    subject: str
    text: str


def check(
    env_id: str, backend: vector.Backend = "auto", kwargs: Mapping[str, Any] | None = None, **more: Any
) -> Iterator[Finding]:
    """Yield findings one by one. A break of the interface is an error, and ends them."""
    alone = ""
    try:
        try:
            env = vector.make(env_id, NUM_ENVS, backend, kwargs, **more)
        except Alone as error:
            env, alone = vector.make(env_id, 1, backend, kwargs, **more), str(error)
    except UserError as error:
        yield Finding("error", "make", str(error))
        return
    try:
        if alone:
            yield Finding("warning", "make", f"{alone}: {ALONE}")
        yield from _spaces(env.spec)
        for warning in repeating.own_statistics(env):
            yield Finding("warning", "wrapper", warning)
        vector.try_out(env, early_reset=True, by_name=False)
        yield from _walks(env)
        yield _speed(env)
        yield from _beyond_bounds(env)  # last, since it may break
    except (UserError, RunError) as error:
        yield Finding("error", "step", str(error))
    finally:
        env.close()


def _spaces(spec: EnvSpec) -> Iterator[Finding]:
    yield Finding("ok", "backend", spec.backend)
    for part in spec.observations.parts:
        name = f"{part.name}: " if part.name else ""
        became = {
            "vector": "standardised", "onehot": "left as they are", "image": "through a convolutional net",
        }[part.kind]  # fmt: skip
        text = f"{name}{part.kind} of shape {part.shape} ({part.dtype}), {part.size} columns, {became}"
        yield Finding("ok", "observation", text)
    rows = spec.actions
    kind = f"labels of {', '.join(map(str, rows.labels))}" if rows.whole else f"{rows.size} numbers"
    scaled = ", scaled to [-1, 1]" if spec.action_scaling else ""
    yield Finding("ok", "action", f"{kind}{scaled}, from {' '.join(str(spec.executed_space).split())}")
    for warning in vector.cautions(spec):
        yield Finding("warning", "time limit" if "time limit" in warning else "observation", warning)
    if spec.max_episode_steps is not None:
        yield Finding("ok", "time limit", f"{spec.max_episode_steps} steps")


def _walks(env: VectorEnv) -> Iterator[Finding]:
    first = walk(env, 0, STEPS, PATIENCE)
    again, other = (walk(env, seed, len(first.rewards)) for seed in (0, 1000))
    if not first.equals(again):
        yield Finding("warning", "seeding", repeating.DIFFER)
    elif np.array_equal(first.observations[0], other.observations[0]):
        yield Finding("ok", "seeding", "the same seed gives the same episode; every seed has the same start")
    else:
        yield Finding("ok", "seeding", "the same seed gives the same episode")
    yield from _numbers(env.spec, first)
    ends = int(first.terminated.sum()), int(first.truncated.sum())
    steps = first.rewards.size
    yield Finding("ok", "episodes", f"{ends[0]} terminated and {ends[1]} truncated in {steps} random steps")


def _numbers(spec: EnvSpec, walk: Walk) -> Iterator[Finding]:
    for name, values in (("observation", walk.observations), ("reward", walk.paid)):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            yield Finding("error", name, f"{values[~np.isfinite(values)][0]} among {values.size} numbers")
        else:
            low, high = values.min(), values.max()
            yield Finding("ok", name, f"finite, {low:.4g} to {high:.4g}")
    if not np.ptp(walk.paid):
        text = "all rewards are the same: returns will only count steps"
        yield Finding("warning", "reward", text)
    columns = walk.observations.reshape(-1, spec.observation_size)
    for warning in spec.observations.codes(columns):
        yield Finding("warning", "observation", warning)
    for warning in unresolved(spec.observations, columns, "float32"):
        yield Finding("warning", "observation", warning)
    yield from _outside(spec, columns)
    constant = (columns == columns[0]).all(0) & spec.observations.columns("vector")
    if constant.any():
        text = f"{int(constant.sum())} of {len(constant)} columns never varied, the first is {int(constant.argmax())}"
        yield Finding("warning", "observation", text)


def _outside(spec: EnvSpec, columns: np.ndarray) -> Iterator[Finding]:
    """A warning for each Box whose bounds an observation exceeds."""
    boxes = {path: leaf for path, leaf in layout.leaves(spec.observation_space) if isinstance(leaf, Box)}
    for part in spec.observations.parts:
        if (box := boxes.get(part.path)) is None:
            continue
        values, low, high = columns[:, part.columns].astype(np.float64), box.low.ravel(), box.high.ravel()
        slack = 1e-6 * np.maximum(1.0, np.abs(values))  # of rounding
        wrong = (values < low - slack) | (values > high + slack)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            found, least, most = values[row, column], low[column], high[column]
            name = f"{part.name}: " if part.name else ""
            text = f"{name}{found:.4g} in column {column}, where its space says {least:.4g} to {most:.4g}"
            yield Finding("warning", "observation", text)


def _speed(env: VectorEnv, clock: Callable[[], float] = time.perf_counter) -> Finding:
    rng = np.random.default_rng(0)
    actions = [env.spec.actions.uniform(rng.random((env.num_envs, env.spec.actions.draws))) for _ in range(64)]
    env.restart(range(env.num_envs))
    start, steps = clock(), 0
    while (passed := clock() - start) < SECONDS:
        env.step(actions[steps % 64])
        steps += 1
    return Finding("ok", "speed", f"{steps * env.num_envs / passed:,.0f} steps per second on one core, random actions")


def _beyond_bounds(env: VectorEnv) -> Iterator[Finding]:
    """A warning if the environment refuses actions outside its bounds, which a Gaussian policy draws."""
    if (bounds := env.spec.actions.bounds) is None:
        return
    low, high = bounds
    for action in (high + 1.0, low - 1.0):
        rows = np.where(np.abs(action) < UNBOUNDED, action, env.spec.actions.zeros(1))
        try:
            env.restart(range(env.num_envs))
            env.step(np.repeat(rows, env.num_envs, axis=0).astype(low.dtype))
        except RunError as error:
            yield Finding("warning", "action", f"a policy draws actions outside the bounds, too: {error}")
            return
