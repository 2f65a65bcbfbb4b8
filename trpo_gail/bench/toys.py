"""A learner and a batch of random rows of an environment's sizes, for timing updates without environments."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from trpo_gail.build import make_learner
from trpo_gail.config.tree import Config
from trpo_gail.learner import Learner
from trpo_gail.parallel import Workers
from trpo_gail.sampling import transitions
from trpo_gail.sampling.batch import Batch, Rows
from trpo_gail.sampling.rollout import Rollout
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec


class Still:
    """Environments that are never stepped."""

    def __init__(self, spec: EnvSpec, num_envs: int) -> None:
        self.spec, self.num_envs = spec, num_envs


def spec(observations: int, actions: int) -> EnvSpec:
    """Of an environment with so many numbers in an observation and in an action, which are continuous."""
    from gymnasium.spaces import Box

    unbounded = Box(-np.inf, np.inf, (observations,))
    return EnvSpec("Toy", "gymnasium", {}, unbounded, Box(-1.0, 1.0, (actions,)), 1000)


def rollout(of: EnvSpec, steps: int, num_envs: int) -> Rollout:
    """Random transitions without an end."""
    rng, nothing = np.random.default_rng(0), np.zeros((steps, num_envs), bool)
    return Rollout(
        rng.standard_normal((steps + 1, num_envs, of.observation_size)),
        rng.standard_normal((steps, num_envs, of.action_size)).astype(np.float32),
        rng.standard_normal((steps, num_envs)),
        nothing,
        nothing,
        ~nothing,
        np.tile(np.arange(steps)[:, None], (1, num_envs)),
    )


@dataclass(frozen=True)
class Toy:
    """What updates are timed on."""

    config: Config
    learner: Learner
    rollout: Rollout
    seen: Transitions  # the rollout's rows, as the adversary sees them
    batch: Batch
    rows: Rows


def toy(config: Config, observations: int, actions: int) -> Toy:
    """`timesteps_per_batch` rows, or fewer if these are no multiple of `num_envs`."""
    of, workers = spec(observations, actions), Workers()
    held = rollout(of, max(1, config.timesteps_per_batch // config.num_envs), config.num_envs)
    count = int(held.valid.sum())
    rows = Rows(0, count, count)
    seen = transitions.of([held], rows)
    expert = dataclasses.replace(seen, observations=seen.observations.astype(np.float32))
    still: Any = Still(of, config.num_envs)
    learner = make_learner(config, still, expert, workers)
    normaliser = learner.policy.normaliser
    batch = learner.critic.batch(held, held.rewards, rows)
    normaliser.add(normaliser.sums(batch.observations))
    return Toy(config, learner, held, seen, batch, rows)
