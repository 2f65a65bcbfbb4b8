"""Environments that pay an exported reward: for each true transition what the function says, in every mode of resetting."""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from runs import SPACES, first, make_run, toy_envs

from trpo_gail import RewardFunction, RewardWrapper, UserError, VectorRewardWrapper
from trpo_gail.exports.write_reward import export_reward

WALK = "toys:Walk-v0"  # of the spaces of `box`, and of random lengths
STEPS, SEEDS = 40, (3, 8)


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory) -> RewardFunction:
    folder = tmp_path_factory.mktemp("box")
    return export_reward(make_run(folder / "run", "box"), folder / "reward.pt")


def walked(reward: RewardFunction, seed: int, actions: np.ndarray, next_step: bool) -> tuple[list[float], list[float]]:
    """What is paid for these actions [T, A], and the environment's own reward, by hand."""
    env = gymnasium.make(WALK)
    obs, _ = env.reset(seed=seed)
    done, paid, own = False, list[float](), list[float]()
    for action in actions:
        if done:
            obs, _ = env.reset()
            done = False
            if next_step:
                paid.append(0.0)
                own.append(0.0)
                continue
        following, r, terminated, truncated, _ = env.step(action)
        paid.append(float(reward(obs, action, following, terminated)))
        own.append(float(r))
        obs, done = following, terminated or truncated
    return paid, own


@pytest.fixture
def actions(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-1, 1, (STEPS, 2, 2)).astype(np.float32)  # [T, N, A]


def test_one_environment(reward: RewardFunction, actions: np.ndarray) -> None:
    env = RewardWrapper(gymnasium.make(WALK), reward)
    found, own = [], []
    env.reset(seed=SEEDS[0])
    for action in actions[:, 0]:
        _, paid, terminated, truncated, info = env.step(action)
        assert type(paid) is float
        found.append(paid)
        own.append(info["env_reward"])
        if terminated or truncated:
            env.reset()
    assert (found, own) == walked(reward, SEEDS[0], actions[:, 0], False)
    assert len(set(found)) > STEPS / 2


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("copy", [True, False])
def test_several_environments(
    mode: AutoresetMode, copy: bool, reward: RewardFunction, actions: np.ndarray, recwarn: pytest.WarningsRecorder
) -> None:
    env = VectorRewardWrapper(SyncVectorEnv([lambda: gymnasium.make(WALK)] * 2, copy=copy, autoreset_mode=mode), reward)
    env.reset(seed=list(SEEDS))
    rows, own = [], []
    for action in actions:
        _, paid, _, _, info = env.step(action)
        assert paid.dtype == np.float64
        rows.append(paid)
        own.append(info["env_reward"].copy())
    expected = [walked(reward, seed, actions[:, n], mode == AutoresetMode.NEXT_STEP) for n, seed in enumerate(SEEDS)]
    np.testing.assert_allclose(np.array(rows).T, [paid for paid, _ in expected], rtol=1e-5)
    np.testing.assert_array_equal(np.array(own).T, [r for _, r in expected])


class Spy(gymnasium.vector.VectorWrapper):
    """Keeps what the environments answered."""

    def step(self, actions: Any) -> Any:
        self.answer = self.env.step(actions)
        return self.answer


def test_observations_of_several_parts(tmp_path: Path) -> None:
    """The final observations take the place of those after a reset, part by part."""
    learned = export_reward(make_run(tmp_path / "run", "robot"), tmp_path / "reward.pt")
    made = [lambda: gymnasium.make(toy_envs.env_id(*SPACES["robot"]))] * 2
    spy = Spy(SyncVectorEnv(made, autoreset_mode=AutoresetMode.SAME_STEP))
    env = VectorRewardWrapper(spy, learned)
    before, _ = env.reset(seed=0)
    ends = 0
    for _ in range(12):
        action = env.action_space.sample()
        obs, paid, terminated, truncated, info = env.step(action)
        for n, done in enumerate(terminated | truncated):
            following = info["final_obs"][n] if done else first(obs, n)
            expected = learned(first(before, n), action[n], following, terminated[n])
            assert paid[n] == pytest.approx(expected, rel=1e-5)
            ends += done
        before = obs
    assert ends == 4


class Other(gymnasium.Env):
    def __init__(self, observation_space: gymnasium.Space, action_space: gymnasium.Space) -> None:
        self.observation_space, self.action_space = observation_space, action_space


def test_other_spaces_are_refused(reward: RewardFunction) -> None:
    sees, acts = SPACES["box"]
    wider = Box(-9, 9, (3,), np.float64)  # other bounds and digits, as between libraries
    RewardWrapper(Other(wider, acts), reward)
    for observation, action, message in (
        (Box(-1, 1, (4,)), acts, "observation_space: Box(-1.0, 1.0, (4,), float32) given, Box("),
        (Discrete(3), acts, "observation_space: Discrete(3) given, Box("),
        (gymnasium.spaces.Text(3), acts, "observation_space: Text("),
        (sees, Box(-2, 2, (2,)), "action_space: Box(-2.0, 2.0, (2,), float32) given, Box("),
        (sees, Discrete(2), "action_space: Discrete(2) given, Box("),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            RewardWrapper(Other(observation, action), reward)
    several = SyncVectorEnv([lambda: gymnasium.make(WALK)])
    del several.metadata["autoreset_mode"]
    with pytest.raises(UserError, match="metadata\\['autoreset_mode'\\]: None given"):
        VectorRewardWrapper(several, reward)


@pytest.mark.slow
def test_stable_baselines3_learns_from_it(reward: RewardFunction) -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    env = RewardWrapper(gymnasium.make(WALK), reward)
    sb3.PPO("MlpPolicy", env, n_steps=64, batch_size=32, n_epochs=1, device="cpu", seed=0).learn(128)


class Kind(Box):
    """A library's own class of Box."""


def test_the_environment_of_training_is_taken_whatever_order_and_classes_its_spaces_have(tmp_path: Path) -> None:
    """A Dict made of keywords or an OrderedDict keeps their order; training takes the parts in that of their names."""
    learned = export_reward(make_run(tmp_path / "run", "robot"), tmp_path / "reward.pt")
    sees, acts = SPACES["robot"]
    assert isinstance(sees, gymnasium.spaces.Dict) and isinstance(acts, Box)
    turned = gymnasium.spaces.Dict(OrderedDict(reversed(sees.spaces.items())))
    assert list(turned.spaces) != list(sees.spaces)
    RewardWrapper(Other(turned, Kind(acts.low, acts.high, dtype=np.float32)), learned)


def test_labels_of_another_dtype_are_the_same_actions(tmp_path: Path) -> None:
    learned = export_reward(make_run(tmp_path / "run", "labels"), tmp_path / "reward.pt")
    sees, acts = SPACES["labels"]
    assert isinstance(acts, MultiDiscrete)
    RewardWrapper(Other(sees, MultiDiscrete(acts.nvec, dtype=np.int32, start=acts.start.astype(np.int32))), learned)
    with pytest.raises(UserError, match=r"^action_space: MultiDiscrete"):
        RewardWrapper(Other(sees, MultiDiscrete(acts.nvec)), learned)
