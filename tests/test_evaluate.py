"""Evaluations: a fixed number of episodes for each environment, split over ranks, the same starts each time."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toys
from gymnasium.spaces import Box

from trpo_gail.build import make_learner
from trpo_gail.config.tree import Config, PolicyConfig
from trpo_gail.envs import vector
from trpo_gail.errors import UserError
from trpo_gail.parallel import Workers
from trpo_gail.policies.actor import PolicyActor
from trpo_gail.runs import checkpoint, evaluate
from trpo_gail.runs.evaluate import FINAL, PERIODIC, Evaluator, RandomActor, evaluate_run, load_policy
from trpo_gail.sampling.rollout import GivenUp
from trpo_gail.scores import scaled_score
from trpo_gail.spaces.actions import Reals

SCRIPT, WALK = "toys:Script-v0", "toys:Walk-v0"
LENGTHS, RETURNS = [3, 2, 4, 3], [3, 201, 806, 903]  # of the script's first episodes


def evaluator(env: str = SCRIPT, workers: Workers | None = None, **config: Any) -> Evaluator:
    return Evaluator(Config(env, **config), toys.spec_of(env), workers or Workers())


def actor(env: str = SCRIPT) -> PolicyActor:
    made = vector.make(env, 1, "gymnasium")
    return toys.policy(made.spec, (4,), dtype="float32").actor()


# ---- which episodes --------------------------------------------------------------------------------------------------


def test_each_environment_runs_its_first_episodes_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 over 4 environments are 3, 3, 2, 2: the first so many of each, not the first 10 to finish."""
    monkeypatch.setattr(evaluate, "MOST_ENVS", 4)
    done = evaluator().run(actor(), 10, PERIODIC)
    expected = [n for each in (3, 3, 2, 2) for n in range(each)]
    np.testing.assert_array_equal(done.lengths, [LENGTHS[n] for n in expected])
    np.testing.assert_array_equal(done.returns, [RETURNS[n] for n in expected])


@pytest.mark.parametrize("episodes", [1, 2, 3, 7, 64, 65, 130])
def test_the_number_of_episodes_is_exact(episodes: int) -> None:
    done = evaluator().run(actor(), episodes, PERIODIC)
    assert len(done.returns) == len(done.lengths) == episodes


def test_an_evaluation_is_given_up_by_all_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = evaluator("toys:Endless-v0")
    alone.give_up = iter([False] * 20 + [True]).__next__
    endless = toys.policy(vector.make("toys:Endless-v0", 1, "gymnasium").spec, (4,), dtype="float32").actor()
    with pytest.raises(GivenUp):
        alone.run(endless, 1, PERIODIC)
    other = evaluator(workers=toys.Pretend(0, 2))
    monkeypatch.setattr(other.workers, "gather", lambda mine: [mine, None])
    with pytest.raises(GivenUp):
        other.run(actor(), 2, PERIODIC)


@pytest.mark.parametrize("stochastic", [False, True])
def test_ranks_together_run_the_episodes_of_one(stochastic: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "MOST_ENVS", 4)
    policy = actor(WALK)
    for episodes in (2, 10):  # 2: one of three ranks has none
        whole = evaluator(WALK).run(policy, episodes, PERIODIC, stochastic=stochastic)
        parts = [
            evaluator(WALK, toys.Pretend(rank, 3)).run(policy, episodes, PERIODIC, stochastic=stochastic)
            for rank in range(3)
        ]
        np.testing.assert_array_equal(np.concatenate([p.returns for p in parts]), whole.returns)
        np.testing.assert_array_equal(np.concatenate([p.lengths for p in parts]), whole.lengths)


def test_evaluations_of_a_kind_meet_the_same_starts() -> None:
    policy = actor(WALK)

    def returns(stream: int, **config: Any) -> np.ndarray:
        return evaluator(WALK, **config).run(policy, 20, stream).returns

    np.testing.assert_array_equal(returns(PERIODIC), returns(PERIODIC))
    assert (returns(PERIODIC) != returns(FINAL)).all()
    assert (returns(PERIODIC) != returns(PERIODIC, seed=1)).all()


def test_stochastic_means_noise() -> None:
    policy = actor(WALK)
    quiet, noisy, again = (evaluator(WALK).run(policy, 20, FINAL, stochastic=s).returns for s in (False, True, True))
    np.testing.assert_array_equal(noisy, again)
    assert (quiet != noisy).mean() > 0.8  # an episode of two steps may not notice


@pytest.mark.parametrize("stochastic", [False, True])
def test_one_environment_at_a_time_meets_the_same_episodes(stochastic: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where only one may live in a process."""
    monkeypatch.setattr(evaluate, "MOST_ENVS", 4)
    policy, make = actor(WALK), vector.make
    together = evaluator(WALK).run(policy, 10, PERIODIC, stochastic=stochastic)

    def alone(env_id: str, num_envs: int, *given: Any, **more: Any) -> vector.VectorEnv:
        if num_envs > 1:
            raise UserError("port 5005 is in use")
        return make(env_id, num_envs, *given, **more)

    monkeypatch.setattr(vector, "make", alone)
    in_turn = evaluator(WALK).run(policy, 10, PERIODIC, stochastic=stochastic)
    np.testing.assert_array_equal(in_turn.returns, together.returns)
    np.testing.assert_array_equal(in_turn.lengths, together.lengths)


# ---- random actions --------------------------------------------------------------------------------------------------


def test_random_actions_are_uniform(rng: np.random.Generator) -> None:
    box = Box(np.array([-2.0, -np.inf]), np.array([1.0, np.inf]), dtype=np.float64)
    random = RandomActor(Reals(box))
    actions = random.act(np.zeros((4000, 1)), rng.random((4000, random.noise_size)))
    assert random.noise_kind == "uniform" and actions.shape == (4000, 2)
    np.testing.assert_allclose(actions.min(0), [-2, -1], atol=0.01)
    np.testing.assert_allclose(actions.max(0), [1, 1], atol=0.01)
    np.testing.assert_allclose(actions.mean(0), [-0.5, 0.0], atol=0.06)

    levers = RandomActor(toys.spec(1, 3, discrete=True).actions)
    chosen = levers.act(np.zeros((3000, 1)), rng.random((3000, levers.noise_size)))
    np.testing.assert_allclose(np.bincount(chosen) / 3000, [1 / 3] * 3, atol=0.05)


def test_random_episodes_do_not_depend_on_a_policy() -> None:
    first, again = (evaluator(WALK).random(5).returns for _ in range(2))
    np.testing.assert_array_equal(first, again)


# ---- a run's policy --------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with an untrained policy."""
    config = Config(WALK, adversary="env_reward", num_envs=2, policy=PolicyConfig(hidden_sizes=(4,), output_scale=1.0))
    learner = make_learner(config, vector.make(WALK, 2, "gymnasium"), None, Workers())
    checkpoint.save(tmp_path, learner, config, learner.sampler.env.spec, Workers())
    return tmp_path


def test_a_runs_evaluation_tells_what_it_measured(run: Path) -> None:
    told, played = evaluate_run(run, 7, False, "last", 3, Workers())
    assert str(played.path) == told["checkpoint"]
    policy = load_policy(run)
    done = evaluator(WALK, seed=3).run(policy, 7, FINAL)
    assert told["episodes"] == 7 and told["deterministic"] and told["env"] == WALK
    assert Path(told["checkpoint"]).is_file()
    assert told["return_mean"] == done.returns.mean() and told["return_std"] == done.returns.std()
    assert told["return_min"] == done.returns.min() and told["return_max"] == done.returns.max()
    assert told["length_mean"] == done.lengths.mean()
    assert evaluate_run(run, 7, True, "last", 3, Workers())[0]["return_mean"] != told["return_mean"]


def test_all_ranks_play_what_rank_0_has_read(run: Path, tmp_path: Path) -> None:
    """A run that goes on may save between two ranks' reading, and another host may have another folder, or none."""

    class Rank(Workers):
        """One of two ranks, whose messages are kept in a list."""

        def __init__(self, rank: int, messages: list[Any]) -> None:
            super().__init__()
            self.rank, self._messages = rank, messages

        def share(self, value: Any) -> Any:
            if self.main:
                self._messages.append(value)
            return self._messages[-1]

    sent: list[Any] = []
    first = evaluate.load_in_env(run, workers=Rank(0, sent))
    other = evaluate.load_in_env(tmp_path / "absent", workers=Rank(1, sent))
    rows = np.ones((2, 3))
    np.testing.assert_array_equal(first.predict(rows), other.predict(rows))
    assert first.path == other.path and first.checksum == other.checksum == load_policy(run).checksum


def test_predict_takes_one_observation_or_several(run: Path, rng: np.random.Generator) -> None:
    policy, observations = load_policy(run), rng.standard_normal((6, 3))
    several = policy.predict(observations)
    assert several.shape == (6, 2)
    np.testing.assert_array_equal(policy.predict(observations[0]), several[0])
    np.testing.assert_array_equal(several, policy.act(observations, np.zeros((6, 2))))
    assert (policy.predict(observations[0], deterministic=False) != several[0]).all()


@pytest.mark.parametrize("shape", [(), (4,), (3, 2), (1, 2, 3)])
def test_an_observation_of_another_shape_is_named(run: Path, shape: tuple[int, ...]) -> None:
    said = f"observation of shape {shape}, (3,) or (n, 3) expected"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        load_policy(run).predict(np.zeros(shape))


def test_a_run_that_was_not_evaluated_yet_has_no_best_policy(run: Path) -> None:
    with pytest.raises(UserError, match=r"no periodic evaluation yet \(--eval_every 50000\), so no best\.pt"):
        load_policy(run, "best")


@pytest.mark.parametrize("which", ["last", "best"])
def test_a_folder_without_a_checkpoint_is_named(tmp_path: Path, which: str) -> None:
    with pytest.raises(UserError, match="nothing: no such folder, a run folder expected"):
        load_policy(tmp_path / "nothing", which)
    with pytest.raises(UserError, match=f"no {which} checkpoint"):
        load_policy(tmp_path, which)


def test_a_config_of_a_later_version_is_refused_where_it_names_the_environment(run: Path) -> None:
    """A checkpoint says itself what its policy is; with another environment, nothing else is needed."""
    (run / "config.json").write_text('{"format": 2}')
    with pytest.raises(UserError, match=r"config\.json: format 2, made by a later version of trpo_gail"):
        evaluate_run(run, 1, False, "last", 0, Workers())
    assert load_policy(run).env_id == WALK
    assert evaluate_run(run, 1, False, "last", 0, Workers(), env=WALK)[0]["episodes"] == 1


def test_no_episodes_are_refused(run: Path) -> None:
    with pytest.raises(UserError, match="--episodes: 0"):
        evaluate_run(run, 0, False, "last", 0, Workers())


# ---- the score -------------------------------------------------------------------------------------------------------


def test_the_score_is_0_at_random_and_1_at_the_experts() -> None:
    assert scaled_score(20.0, 100.0, 20.0) == 0
    assert scaled_score(100.0, 100.0, 20.0) == 1
    assert scaled_score(60.0, 100.0, 20.0) == 0.5
    assert scaled_score(-60.0, -20.0, -100.0) == 0.5
    assert scaled_score(140.0, 100.0, 20.0) == 1.5


@pytest.mark.parametrize("case", [(None, 1.0, 0.0), (1.0, None, 0.0), (1.0, 1.0, None), (1.0, 2.0, 2.0)])
def test_the_score_is_none_where_it_means_nothing(case: tuple[float | None, float | None, float | None]) -> None:
    assert scaled_score(*case) is None
    assert not math.isnan(scaled_score(1.0, 2.0, 0.0) or 0.0)
