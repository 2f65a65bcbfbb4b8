"""Small runs to export, on environments of any spaces."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Space

sys.path.append(str(Path(__file__).parents[1] / "envs"))
import toy_envs as toy_envs

from trpo_gail import Config, Demonstrations, run
from trpo_gail.build import make_learner
from trpo_gail.config.presets import changed
from trpo_gail.config.tree import DiscriminatorConfig, PolicyConfig
from trpo_gail.learner import Learner
from trpo_gail.parallel import Workers
from trpo_gail.runs import checkpoint
from trpo_gail.runs.preparing import prepare
from trpo_gail.runs.resuming import saved_config
from trpo_gail.sampling import transitions
from trpo_gail.sampling.batch import number_rows
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec

WORKERS = Workers()
SPEED = Box(-np.inf, np.inf, (3,), np.float32)
ROBOT = Dict({"camera": Box(0, 255, (6, 6, 3), np.uint8), "speed": Box(-1, 1, (2,)), "mode": Discrete(2, start=3)})
SPACES: dict[str, tuple[Space, Space]] = {
    "box": (SPEED, Box(-1, 1, (2,), np.float32)),
    "half": (SPEED, Box(-1, 1, (2,), np.float16)),
    "scaled": (SPEED, Box(-3, 5, (2, 1), np.float32)),
    "label": (Box(-1, 1, (2, 2), np.float64), Discrete(3, start=1)),
    "labels": (Discrete(4, start=2), MultiDiscrete([3, 2], dtype=np.int32, start=[1, -1])),
    "robot": (ROBOT, Box(-2, 2, (2,), np.float32)),
    "picture": (Box(0, 255, (6, 6, 3), np.uint8), Discrete(2)),
    "switches": (Box(0, 1, (3,), np.bool_), Discrete(2)),
    "counts": (Box(0, 1000, (3,), np.uint16), Discrete(2)),
}


def demonstrations(observation: Space, action: Space, rows: int = 20) -> Demonstrations:
    """Random ones, of five steps each."""
    observation.seed(1)
    action.seed(1)
    seen = [observation.sample() for _ in range(rows)]
    shown: Any = np.stack(seen) if not isinstance(observation, Dict) else {
        name: np.stack([each[name] for each in seen]) for name in observation.spaces
    }  # fmt: skip
    acts = np.stack([np.asarray(action.sample()) for _ in range(rows)])
    return Demonstrations.from_arrays(shown, acts, episode_lengths=[5] * (rows // 5))


def make_run(out: Path, kind: str, **given: Any) -> Path:
    """A run folder after two iterations, with outputs that are not small."""
    spaces = SPACES[kind]
    config = changed(
        Config(
            toy_envs.env_id(*spaces), num_envs=2, timesteps_per_batch=40, iterations=2, eval_every=0, final_episodes=0,
            policy=PolicyConfig(hidden_sizes=(8,), output_scale=1.0),
            discriminator=DiscriminatorConfig(hidden_size_adversary=8, d_stepsize=0.005),
        ),
        given,
    )  # fmt: skip
    run(config, out, quiet=True, workers=WORKERS, expert=demonstrations(*spaces) if config.imitates else None)
    return out


@contextmanager
def resumed(folder: Path) -> Iterator[Learner]:
    """A run's learner, as its last checkpoint has it."""
    config = saved_config(folder)
    _, expert, env = prepare(config, folder, WORKERS)
    learner = make_learner(config, env, expert.transitions() if expert else None, WORKERS)
    last = checkpoint.last_path(folder)
    assert last
    checkpoint.restore(last, learner)
    yield learner
    env.close()


def batch(learner: Learner) -> Transitions:
    """Rows of its next batch."""
    rollout, _ = learner.sampler.collect(learner.policy.actor())
    return transitions.of([rollout], number_rows(int(rollout.valid.sum()), WORKERS))


def in_own_structure(seen: Transitions, spec: EnvSpec) -> tuple[Any, np.ndarray, Any, np.ndarray]:
    """(obs, act, next_obs, done) of rows, as whoever steps the environment has them."""
    actions = spec.shown(seen.actions)
    executed = spec.action_scaling.executed(actions) if spec.action_scaling else actions
    following = spec.observations.unflatten(seen.next_observations)
    return spec.observations.unflatten(seen.observations), spec.executed.outward(executed), following, seen.terminated


def first(value: Any, n: int) -> Any:
    """The n-th of a batch."""
    return {name: part[n] for name, part in value.items()} if isinstance(value, dict) else value[n]
