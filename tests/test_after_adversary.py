"""A critic that is fitted after the adversary: on what the same transitions are paid by the new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trpo_gail.adversaries.discriminator import Discriminator
from trpo_gail.algorithm import iteration
from trpo_gail.build import make_learner
from trpo_gail.config.presets import changed
from trpo_gail.config.tree import Config
from trpo_gail.envs import vector
from trpo_gail.experts.load import load
from trpo_gail.learner import Learner
from trpo_gail.parallel import Workers
from trpo_gail.sampling.transitions import Transitions

EXPERT = Path(__file__).parents[1] / "expert_data" / "CartPole-v0.h5"
WORKERS = Workers()
BASE = Config("CartPole-v0", steps=300, num_envs=2, timesteps_per_batch=64, g_step=2, backend="gymnasium")


def made(**fields: Any) -> tuple[Config, Learner]:
    config = changed(BASE, {"critic.after_adversary": True, "critic.vf_iters": 1, **fields})
    env = vector.make(config.env, config.num_envs, config.backend)
    return config, make_learner(config, env, load(EXPERT, 1, 10).transitions(), WORKERS)


def test_the_critic_is_fitted_with_the_weight_of_the_task_that_the_policy_was_paid_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, learner = made(adversary="constant", task_weight=1.0, task_weight_end=0.0)
    paid, fitted = list[np.ndarray](), list[np.ndarray]()
    batch, retarget = learner.critic.batch, learner.critic.retarget
    monkeypatch.setattr(
        learner.critic, "batch", lambda ro, reward, rows: (paid.append(reward), batch(ro, reward, rows))[1]
    )
    monkeypatch.setattr(
        learner.critic, "retarget", lambda old, ro, reward: (fitted.append(reward), retarget(old, ro, reward))[1]
    )
    iteration(learner, config, WORKERS)
    assert len(paid) == len(fitted) == 2 and paid[0].max() > paid[1].max()  # the weight falls from step to step
    for before, after in zip(paid, fitted, strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_reward_of_ones_own_is_asked_again_too() -> None:
    config, learner = made(**{"discriminator.absorbing": False})
    assert isinstance(learner.adversary, Discriminator)
    calls: list[bool] = []
    own = learner.adversary.reward

    def reward(seen: Transitions) -> np.ndarray:
        calls.append(True)
        return own(seen)

    learner.adversary.reward = reward  # type: ignore[method-assign, assignment]
    iteration(learner, config, WORKERS)
    assert len(calls) == 2 * config.g_step


def test_statistics_of_rewards_count_each_transition_once() -> None:
    config, learner = made(**{"discriminator.reward_normalise": "scale", "discriminator.absorbing": False})
    for _ in range(2):
        iteration(learner, config, WORKERS)
    assert isinstance(learner.adversary, Discriminator)
    assert learner.adversary._pay._running.count == learner.progress.steps
