"""Gymnasium's versions of the paper's environments: today's v4 classes with the old model and the other old details.

This module is imported only when an environment is made, since gymnasium's MuJoCo classes need mujoco.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.envs.classic_control.acrobot import AcrobotEnv
from gymnasium.envs.mujoco.ant_v4 import AntEnv
from gymnasium.envs.mujoco.half_cheetah_v4 import HalfCheetahEnv
from gymnasium.envs.mujoco.hopper_v4 import HopperEnv
from gymnasium.envs.mujoco.humanoid_v4 import HumanoidEnv
from gymnasium.envs.mujoco.reacher_v4 import ReacherEnv
from gymnasium.envs.mujoco.walker2d_v4 import Walker2dEnv

from trpo_gail.envs.tasks import legacy_model, paper

IMPACT_WEIGHT, IMPACT_LIMIT = 5e-7, 10.0  # of Humanoid's contact cost


class _OldModel:
    """As the first base class, this makes a gymnasium class simulate the file of `legacy_model`."""

    model_name: str
    fullpath: str

    def _initialize_simulation(self) -> Any:
        self.fullpath = str(legacy_model.model_file(self.model_name))
        return super()._initialize_simulation()  # type: ignore[misc]


class HalfCheetah(_OldModel, HalfCheetahEnv):
    """HalfCheetah-v1."""

    model_name = "half_cheetah"


class Hopper(_OldModel, HopperEnv):
    """Hopper-v1."""

    model_name = "hopper"


class Walker2d(_OldModel, Walker2dEnv):
    """Walker2d-v1."""

    model_name = "walker2d"


class Ant(_OldModel, AntEnv):
    """Ant-v1: 111 observations, of which 84 are contact forces, clipped to +-1; they cost, too."""

    model_name = "ant"

    def __init__(self, use_contact_forces: bool = True, **kwargs: Any) -> None:
        super().__init__(use_contact_forces=use_contact_forces, **kwargs)


class Humanoid(_OldModel, HumanoidEnv):
    """Humanoid-v1: controls clamped before their cost, as MuJoCo did in place before 2.2.1; and a cost of impacts."""

    model_name = "humanoid"

    def step(self, action: np.ndarray) -> Any:
        clamped = np.clip(action, *self.model.actuator_ctrlrange.T)
        observation, reward, terminated, truncated, info = super().step(clamped)
        # v4 dropped this term, v5 brought it back.
        impact = min(IMPACT_WEIGHT * float(np.square(self.data.cfrc_ext).sum()), IMPACT_LIMIT)
        return observation, reward - impact, terminated, truncated, info | {"reward_impact": -impact}


class Reacher(_OldModel, ReacherEnv):
    """Reacher-v1: targets anywhere in the square, a fifth of them outside today's disc."""

    model_name = "reacher"

    def reset_model(self) -> np.ndarray:
        super().reset_model()
        self.goal = self.np_random.uniform(-paper.GOAL_RANGE, paper.GOAL_RANGE, size=2)
        self.set_state(np.concatenate([self.data.qpos[:2], self.goal]), self.data.qvel.copy())
        return self._get_obs()


class Acrobot(AcrobotEnv):
    """Acrobot-v0: observes (theta1, theta2, dtheta1, dtheta2)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.observation_space = paper.ACROBOT_SPACE

    def _get_ob(self) -> np.ndarray:
        return np.asarray(self.state, np.float32)
