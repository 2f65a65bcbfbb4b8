"""The nine tasks of Ho & Ermon (2016) in their original form, on today's simulators: ids Paper/CartPole-v0 to
Paper/Humanoid-v1.

Sizes, time limits and rewards are those of the gym of early 2016 (their Table 1). Against today's v4 (and classic)
environments:

- MuJoCo tasks: capsules have their old masses (`legacy_model`);
- Humanoid: controls are clamped before their cost is computed, and contact forces are observed and cost, as before v4;
- Ant: contact forces are observed, and cost;
- Reacher: the target is uniform in the square of side 0.4 m; rejection outside the inscribed disc came later (the old
  code required a norm below 2, not 0.2; the expert's normaliser has the square's variance 0.4**2 / 12);
- Acrobot: observes its two angles, not their cosines and sines, and ends after 200 steps.

Importing this module registers the ids with gymnasium, in a namespace, and does nothing else. Gymnasium's versions are
in `paper_gymnasium`; EnvPool runs its own environment, changed by a `Variant`. Both get the actions unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from trpo_gail.envs.tasks import legacy_model

NAMESPACE = "Paper"
GOAL_RANGE = 0.2  # m: Reacher's target is within +-this in x and y


@dataclass(frozen=True)
class Task:
    """One of the nine tasks: how gymnasium makes it, and the EnvPool environment that it is based on."""

    name: str  # without the namespace
    limit: int  # steps
    entry_point: str  # gymnasium's
    envpool_id: str
    envpool_kwargs: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None  # of MuJoCo, as `legacy_model` names them

    @property
    def id(self) -> str:
        return f"{NAMESPACE}/{self.name}"


@dataclass(frozen=True)
class Variant:
    """Changes to EnvPool's environment `id`. N environments, O observation size."""

    id: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    clamp: bool = False  # actions are clipped to their bounds before EnvPool gets them
    accepts: Callable[[np.ndarray], np.ndarray] | None = (
        None  # first observations [N, O] -> [N] bool; others are redrawn
    )
    observe: Callable[[np.ndarray], np.ndarray] | None = None  # EnvPool's observations [N, O'] -> [N, O]
    observation_space: Box | None = None  # if `observe` changes it


def _mujoco(name: str, version: str, limit: int = 1000, **envpool_kwargs: Any) -> Task:
    model = "half_cheetah" if name == "HalfCheetah" else name.lower()
    entry_point = f"trpo_gail.envs.tasks.paper_gymnasium:{name}"
    kwargs = {"xml_file": f"{model}.xml", **envpool_kwargs}
    return Task(f"{name}-{version}", limit, entry_point, f"{name}-v4", kwargs, model)


_CLASSIC = "gymnasium.envs.classic_control"
# Old MuJoCo computed contact forces in every step; EnvPool's v4 leave them 0 unless an option asks for them.
_CONTACTS = {"use_contact_force": True, "post_constraint": True}

TASKS = {
    task.id: task
    for task in (
        Task("CartPole-v0", 200, f"{_CLASSIC}.cartpole:CartPoleEnv", "CartPole-v0"),
        Task("Acrobot-v0", 200, "trpo_gail.envs.tasks.paper_gymnasium:Acrobot", "Acrobot-v1"),
        Task("MountainCar-v0", 200, f"{_CLASSIC}.mountain_car:MountainCarEnv", "MountainCar-v0"),
        # EnvPool draws targets in a disc. This disc contains the square, and targets outside the square are redrawn.
        _mujoco("Reacher", "v1", 50, reset_goal_scale=GOAL_RANGE * 2**0.5),
        _mujoco("HalfCheetah", "v1"),
        _mujoco("Hopper", "v1"),
        _mujoco("Walker2d", "v1"),
        _mujoco("Ant", "v1", **_CONTACTS),
        _mujoco("Humanoid", "v1", **_CONTACTS),
    )
}


def envpool_variant(env_id: str) -> Variant:
    """How EnvPool runs `env_id`: unchanged unless it is one of the nine. Raises UserError without mujoco."""
    task = TASKS.get(env_id)
    if task is None:
        return Variant(env_id)
    kwargs = {"max_episode_steps": task.limit, **task.envpool_kwargs}
    if task.model is not None:
        kwargs["base_path"] = legacy_model.base_path(task.model)
    if task.name == "Acrobot-v0":
        return Variant(task.envpool_id, kwargs, observe=acrobot_angles, observation_space=ACROBOT_SPACE)
    accepts = reacher_goal_in_square if task.name == "Reacher-v1" else None
    return Variant(task.envpool_id, kwargs, clamp=task.name == "Humanoid-v1", accepts=accepts)


_ACROBOT_BOUNDS = np.array([np.pi, np.pi, 4 * np.pi, 9 * np.pi], np.float32)  # rad, rad, rad/s, rad/s
ACROBOT_SPACE = Box(-_ACROBOT_BOUNDS, _ACROBOT_BOUNDS)


def acrobot_angles(observations: np.ndarray) -> np.ndarray:
    """(theta1, theta2, dtheta1, dtheta2) [N, 4] from today's (cos, sin, cos, sin, dtheta1, dtheta2) [N, 6]."""
    cosines, sines = observations[:, 0:4:2], observations[:, 1:4:2]
    return np.concatenate([np.arctan2(sines, cosines), observations[:, 4:]], axis=1)


def reacher_goal_in_square(observations: np.ndarray) -> np.ndarray:
    """Whether the target, columns 4 and 5 of Reacher's observations [N, 11], is in the paper's square: [N] bool."""
    return (np.abs(observations[:, 4:6]) <= GOAL_RANGE).all(axis=1)


for _task in TASKS.values():
    gymnasium.register(_task.id, entry_point=_task.entry_point, max_episode_steps=_task.limit)
