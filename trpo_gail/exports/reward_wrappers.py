"""Environments that pay an exported reward, for any library that learns in gymnasium's; their own goes to
`env_reward`."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Space
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

from trpo_gail.errors import UserError
from trpo_gail.exports.reward_function import RewardFunction
from trpo_gail.spaces import alike
from trpo_gail.spaces.known import known
from trpo_gail.spaces.layout import Layout, at

ENV_REWARD = "env_reward"  # key of `info`


class RewardWrapper(gymnasium.Wrapper):
    """An environment that pays a learned reward. Its own is `info["env_reward"]`."""

    def __init__(self, env: gymnasium.Env, reward_function: RewardFunction) -> None:
        """Raises UserError if the reward was learned on other spaces than the environment's."""
        super().__init__(env)
        self.reward_function = reward_function
        _check_spaces(env.observation_space, env.action_space, reward_function)
        self._obs: Any = None

    def reset(self, **given: Any) -> tuple[Any, dict[str, Any]]:
        obs, info = self.env.reset(**given)
        self._obs = copy.deepcopy(obs)  # the environment may go on writing into its own
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        taken = copy.deepcopy(action)
        obs, reward, terminated, truncated, info = self.env.step(action)
        paid = float(self.reward_function(self._obs, taken, obs, terminated))
        self._obs = copy.deepcopy(obs)
        return obs, paid, terminated, truncated, {**info, ENV_REWARD: reward}


class VectorRewardWrapper(VectorWrapper):
    """Environments that pay a learned reward, float64 [N]. Their own is `info["env_reward"]`, [N].

    The true successor of a step that ends an episode is found in both modes of resetting: in NEXT_STEP it is the
    observation itself, and the next step, which only resets, pays 0; in SAME_STEP it is `info["final_obs"]`.
    """

    def __init__(self, env: VectorEnv, reward_function: RewardFunction) -> None:
        """Raises UserError if the reward was learned on other spaces, and if the environments do not say when they
        reset."""
        super().__init__(env)
        self.reward_function = reward_function
        _check_spaces(env.single_observation_space, env.single_action_space, reward_function)
        if not isinstance(mode := env.metadata.get("autoreset_mode"), AutoresetMode):
            raise UserError(f"metadata['autoreset_mode']: {mode!r} given, one of gymnasium's AutoresetMode expected")
        self._mode: AutoresetMode = mode
        self._obs: Any = None
        self._resets = np.zeros(env.num_envs, bool)  # by the next step

    def reset(self, **given: Any) -> tuple[Any, dict[str, Any]]:
        obs, info = self.env.reset(**given)
        self._obs = copy.deepcopy(obs)
        self._resets = np.zeros(self.num_envs, bool)
        return obs, info

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        taken = copy.deepcopy(actions)
        obs, rewards, terminations, truncations, info = self.env.step(actions)
        done = np.logical_or(terminations, truncations)
        followers = self._followers(obs, done, info) if self._mode == AutoresetMode.SAME_STEP else obs
        paid = self.reward_function(self._obs, taken, followers, np.asarray(terminations, bool))
        paid = np.where(self._resets, 0.0, paid)
        if self._mode == AutoresetMode.NEXT_STEP:
            self._resets = done
        self._obs = copy.deepcopy(obs)
        return obs, paid, terminations, truncations, {**info, ENV_REWARD: rewards, f"_{ENV_REWARD}": np.ones_like(done)}

    def _followers(self, obs: Any, done: np.ndarray, info: dict[str, Any]) -> Any:
        """Observations with the final ones in place of those after a reset."""
        if not done.any():
            return obs
        layout = self.reward_function.spec.observations
        followers = copy.deepcopy(obs)
        for part in layout.parts:
            rows = at(followers, part.path)
            for n in np.flatnonzero(done):
                rows[n] = at(info["final_obs"][n], part.path)
        return followers


def _check_spaces(observation: Space, action: Space, function: object) -> None:
    """Bounds and digits of observations may differ, as they do between libraries; shapes and labels may not."""
    if not isinstance(function, RewardFunction):
        what = getattr(function, "__qualname__", None) or type(function).__name__
        raise UserError(
            f"reward_function: {what} given, a RewardFunction expected: model.reward_test, or one of a file"
        )
    learned = function.spec
    # In the order and of the classes that training took them for.
    observation, action = known(observation, "observation_space"), known(action, "action_space")
    try:
        found = [(part.path, part.shape, part.labels, part.starts) for part in Layout.of(observation).parts]
    except (AttributeError, TypeError):
        found = []
    wanted = [(part.path, part.shape, part.labels, part.starts) for part in learned.observations.parts]
    if found != wanted:
        raise UserError(f"observation_space: {observation} given, {learned.observation_space} expected by the reward")
    if not alike.same_space(action, learned.executed_space):
        raise UserError(f"action_space: {action} given, {learned.executed_space} expected by the reward")
