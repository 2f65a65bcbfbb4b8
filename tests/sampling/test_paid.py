"""Returns under the adversary's reward: each episode's own, whole, whatever batches it spans."""

from __future__ import annotations

import numpy as np
import pytest
import toys

from trpo_gail.algorithm import iteration
from trpo_gail.build import make_learner
from trpo_gail.config.presets import changed
from trpo_gail.config.tree import Config
from trpo_gail.envs import vector
from trpo_gail.learner import Learner
from trpo_gail.parallel import Workers
from trpo_gail.sampling.paid import PaidReturns
from trpo_gail.sampling.rollout import Rollout

WORKERS = Workers()
CONFIG = changed(Config("toys:Walk-v0"), {"adversary": "env_reward", "num_envs": 4, "timesteps_per_batch": 64})


def cut(rollout: Rollout, rows: slice) -> Rollout:
    """Some of a rollout's rows."""
    parts = {name: array[rows] for name, array in vars(rollout).items()}
    return Rollout(**parts)


def test_sums_by_hand() -> None:
    rollout = toys.rollout([".T_.L_", "......", "T_T_.T"])
    reward = np.arange(1.0, 7)[:, None] * [1, 10, 100] * rollout.valid
    paid = PaidReturns(3)
    assert paid.finish(rollout, reward).tolist() == [1 + 2, 4 + 5, 100, 300, 500 + 600]
    assert paid.unfinished[1] == 210


def test_an_episode_goes_on_in_the_next_batch() -> None:
    rollout = toys.rollout(["...T_...", "..T_...L"], seed=1)
    reward = np.random.default_rng(0).standard_normal(rollout.valid.shape) * rollout.valid
    whole = PaidReturns(2).finish(rollout, reward)
    paid, found = PaidReturns(2), []
    for t in range(8):
        found += paid.finish(cut(rollout, slice(t, t + 1)), reward[t : t + 1]).tolist()
    np.testing.assert_allclose(sorted(found), sorted(whole), rtol=1e-12)


def test_paid_by_the_environment_all_episodes_agree() -> None:
    """Over batches in which no episode is whole, and over restarts and cuts: the sums are the environment's own."""
    config = changed(CONFIG, {"timesteps_per_batch": 12, "restart_every": 7})
    learner = make_learner(config, vector.make(config.env, 4, "gymnasium"), None, WORKERS)
    rows = [iteration(learner, config, WORKERS) for _ in range(30)]
    found = [row["reward_rank_correlation"] for row in rows]
    assert {None, 1.0} == {None if x is None else round(x, 12) for x in found}


def test_a_resume_goes_on_with_what_was_paid() -> None:
    def made() -> Learner:
        return make_learner(CONFIG, vector.make(CONFIG.env, 4, "gymnasium"), None, WORKERS)

    learner = made()
    iteration(learner, CONFIG, WORKERS)
    state = learner.state_dict()
    again = made()
    again.load_state_dict(state)
    np.testing.assert_array_equal(again.sampler.paid.unfinished, learner.sampler.paid.unfinished)
    old = made()
    del state["sampler"]["paid"]
    old.load_state_dict(state)
    assert np.isnan(old.sampler.paid.unfinished).all()
    rows = [iteration(other, CONFIG, WORKERS) for other in (learner, again, old)]
    numbers = [{k: v for k, v in row.items() if not k.endswith("_s")} for row in rows]
    assert numbers[0] == numbers[1]
    assert numbers[2]["reward_rank_correlation"] == 1.0, "episodes of which a part is not known do not count"


def test_the_spread_of_the_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    config = changed(CONFIG, {"adversary": "constant"})
    learner = make_learner(config, vector.make(config.env, 4, "gymnasium"), None, WORKERS)
    row = iteration(learner, config, WORKERS)
    assert row["reward_std"] < 1e-15
    before = learner.progress.steps
    monkeypatch.setattr(learner.adversary, "reward", lambda seen: np.arange(float(len(seen))))
    row, n = iteration(learner, config, WORKERS), learner.progress.steps - before
    assert (row["reward_mean"], row["reward_std"]) == pytest.approx(((n - 1) / 2, np.sqrt((n * n - 1) / 12)))
