"""Whether a seed decides all that an environment does: the same seed and actions, twice.

Many environments of one's own draw from `np.random` or `random`, and then runs of one seed differ in silence.
"""

from __future__ import annotations

import contextlib
import math
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from trpo_gail.config.tree import Config
from trpo_gail.envs import named, vector
from trpo_gail.envs.sources import Source
from trpo_gail.envs.vector import VectorEnv
from trpo_gail.errors import RunError, UserError
from trpo_gail.seeding import RECORD_NOISE, stream
from trpo_gail.system import torch_settings, working_folder

STEPS = 10  # of a look before training
PATIENCE = 1.0  # seconds
DIFFER = (
    "the same seed and actions give two different episodes, so runs cannot be repeated or resumed exactly: draw from "
    "self.np_random, which reset(seed=...) seeds, in place of np.random or random, and keep nothing of earlier episodes"
)
_OWN_STATISTICS = {
    "NormalizeObservation": "observations are standardised already",
    "NormalizeReward": "advantages are standardised already",
}


@dataclass(frozen=True)
class Walk:
    """A record of random actions: T steps of N environments."""

    observations: np.ndarray  # [T + 1, N, O]
    rewards: np.ndarray  # [T, N]
    terminated: np.ndarray  # [T, N] bool
    truncated: np.ndarray  # [T, N] bool

    @property
    def paid(self) -> np.ndarray:
        """Rewards of the transitions; a row after an episode's end is a reset."""
        ended = (self.terminated | self.truncated)[:-1]
        return self.rewards[np.concatenate([np.ones((1, ended.shape[1]), bool), ~ended])]

    def equals(self, other: Walk) -> bool:
        """Whether another record holds the same numbers."""
        return all(
            np.array_equal(getattr(self, name), getattr(other, name), equal_nan=True)
            for name in ("observations", "rewards", "terminated", "truncated")
        )


def walk(env: VectorEnv, seed: int, most: int, seconds: float = math.inf) -> Walk:
    """At least one step and at most `most`, begun within these seconds."""
    rng, start = stream(seed, RECORD_NOISE), time.perf_counter()
    observations = [env.restart(range(seed, seed + env.num_envs)).copy()]
    steps: list[tuple[np.ndarray, ...]] = []
    while not steps or (len(steps) < most and time.perf_counter() - start < seconds):
        found = env.step(env.spec.actions.uniform(rng.random((env.num_envs, env.spec.actions.draws))))
        observations.append(found[0].copy())
        steps.append(found[1:])
    rewards, terminated, truncated = (np.array(column) for column in zip(*steps, strict=True))
    return Walk(np.array(observations), rewards, terminated, truncated)


def cautions(config: Config, env: VectorEnv, source: Source | None) -> Iterator[str]:
    """What to warn of before training in `env`, which stays as it is: another environment like it is looked at, if the run
    has several in this process anyway. Those of EnvPool, gymnasium and our own are known."""
    normalising = own_statistics(env)
    yield from normalising
    known = env.spec.backend == "envpool" or (source is None and named.is_known(config.env))
    # A simulator may be one for the whole process, and another environment would move it.
    alone = env.num_envs == 1 or (source is not None and source.most is not None)
    if not (normalising or known or alone or _repeats(config, source)):
        yield f"{env.spec.id}: {DIFFER}"


def _repeats(config: Config, source: Source | None) -> bool:
    """Whether a new environment lives through the same steps twice; True too if that cannot be tried."""
    with contextlib.suppress(UserError, RunError), _generators_kept(), torch_settings.kept(), working_folder.kept():
        env = vector.make(config.env, 1, "gymnasium", source=source, **config.env_settings)
        try:
            first = walk(env, 0, STEPS, PATIENCE)
            return first.equals(walk(env, 0, len(first.rewards)))
        finally:
            env.close()
    return True


def own_statistics(env: VectorEnv) -> list[str]:
    """What to warn of if wrappers of gymnasium standardise what an environment gives, by statistics of their own."""
    return [
        f"{env.spec.id}: the statistics of {name} are each environment's own, and evaluations begin new ones: leave it out, "
        f"{instead}"
        for name, instead in _OWN_STATISTICS.items()
        if name in getattr(env, "wrappers", ())
    ]


@contextlib.contextmanager
def _generators_kept() -> Iterator[None]:
    """Put the process's generators back, from which an environment may draw."""
    torch = sys.modules.get("torch")
    states: tuple[Any, ...] = np.random.get_state(), random.getstate(), torch and torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])
        if torch:
            torch.set_rng_state(states[2])
