"""Under mpirun: train on images, on several parts and on several labels, in one go and interrupted.

usage: python worker_spaces.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pictures
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Space, Tuple

sys.path.append(str(Path(__file__).parents[1] / "envs"))
import toy_envs

import trpo_gail
from trpo_gail.config.tree import PolicyConfig
from trpo_gail.experts.arrays import array

IMAGE = Box(0, 255, (10, 9, 3), np.uint8)
NEST = Dict(
    {"camera": Box(0, 255, (8, 8), np.uint8), "inner": Tuple((Discrete(3, start=1), Box(-1, 1, (2,), np.float64)))}
)
TASKS: dict[str, tuple[Space, Space]] = {
    "Images-v0": (IMAGE, Discrete(2)),
    "Parts-v0": (NEST, Box(-1, 1, (2,), np.float32)),
    "Labels-v0": (Box(-1, 1, (3,), np.float64), MultiDiscrete([3, 2])),
}
STEPS, HALF = 128, 64  # of batches of 64


def register() -> None:
    """So that the ids mean the same on every rank and in every start."""
    for name, (observations, actions) in TASKS.items():
        given = {"observation_space": observations, "action_space": actions}
        gymnasium.register(name, entry_point=lambda **k: toy_envs.AnySpace(**k), kwargs=given, max_episode_steps=100)


def expert(name: str) -> trpo_gail.Demonstrations:
    """Four episodes of five steps that nobody lived through."""
    observations, actions = TASKS[name]
    observations.seed(1)
    actions.seed(1)
    seen = [_named(observations.sample()) for _ in range(20)]
    acted = np.array([actions.sample() for _ in range(20)])
    return trpo_gail.Demonstrations.from_arrays(array(seen, "seen"), acted, episode_ends=[5, 10, 15, 20])


def _named(value: object) -> object:
    if isinstance(value, tuple):
        return {str(i): _named(part) for i, part in enumerate(value)}
    return {key: _named(part) for key, part in value.items()} if isinstance(value, dict) else value


def main() -> None:
    pictures.blank_from_here()
    register()
    workers = trpo_gail.Workers.world()
    for name in TASKS:
        config: dict[str, Any] = {
            "num_envs": 4, "timesteps_per_batch": 64, "d_step": 4, "dtype": "float64", "eval_every": 0,
            "final_episodes": 2, "policy": PolicyConfig(hidden_sizes=(8,)),
        }  # fmt: skip
        folder, held = Path(sys.argv[1]), expert(name)
        whole = trpo_gail.Config(name, steps=STEPS, **config)
        trpo_gail.run(whole, folder / f"{name}-whole", quiet=True, workers=workers, expert=held)
        if workers.size > 2:
            continue
        half = trpo_gail.Config(name, steps=HALF, **config)
        trpo_gail.run(half, folder / f"{name}-parts", quiet=True, workers=workers, expert=held)
        trpo_gail.run(whole, folder / f"{name}-parts", resume=True, quiet=True, workers=workers)


if __name__ == "__main__":
    main()
