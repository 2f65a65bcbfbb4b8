"""MuJoCo tasks whose actions are labels, a choice of five for each joint: an action space MultiDiscrete([5, ...]).

PYTHONPATH=scripts trpo-gail expert labelled_tasks:HopperLabels-v0 --steps 500000 --out runs/labels
"""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.wrappers import DiscretizeAction

BINS = 5


def make(task: str, **kwargs: Any) -> gymnasium.Env[Any, Any]:
    """The task with each joint's action cut into BINS equal bins, each of them meaning its middle."""
    return DiscretizeAction(gymnasium.make(task, **kwargs), BINS, multidiscrete=True)


for task, steps in (("Hopper", 1000), ("HalfCheetah", 1000), ("Swimmer", 1000), ("Reacher", 50)):
    gymnasium.register(f"{task}Labels-v0", make, max_episode_steps=steps, kwargs={"task": f"{task}-v5"})
