"""What a model hands out stays the model's, and what it is given stays the caller's."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
import toys
from gymnasium.spaces import Box, Discrete
from gymnasium.wrappers import TimeLimit
from small import EXPERT, differing, gail

sys.path.append(str(Path(__file__).parents[1] / "envs"))
from toy_envs import AnySpace

import trpo_gail
from trpo_gail import (
    BC,
    GAIL,
    PPO,
    TRPO,
    Demonstrations,
    EvalCallback,
    RewardWrapper,
    StopTrainingOnMaxEpisodes,
    StopTrainingOnRewardThreshold,
    UserError,
    generate_expert_traj,
)
from trpo_gail.errors import RunError
from trpo_gail.experts.load import load

OBS, ACTS = np.zeros((5, 4), np.float32), np.array([0, 1, 0, 1, 0])


def state(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


# ---- what is handed out ----------------------------------------------------------------------------------------------


def test_changes_of_a_loaded_policy_stay(tmp_path: Path) -> None:
    gail().save(tmp_path / "model")
    model = GAIL.load(tmp_path / "model")
    policy = model.policy
    with torch.no_grad():
        for values in policy.parameters():
            values.add_(0.5)
    expected = state(model)
    model.save(tmp_path / "changed")
    model.evaluate(1)
    assert model.policy is policy and differing(expected, state(model)) == []
    assert differing(expected, state(GAIL.load(tmp_path / "changed"))) == []
    assert differing(expected, state(model.learn(300))) != []


@pytest.mark.parametrize("more", [{}, {"discriminator__schedule": "linear"}])
def test_what_was_handed_out_follows_the_training(more: dict[str, Any]) -> None:
    model = gail(**more)
    discriminator, reward, policy = model.discriminator, model.reward_train, model.policy
    first = discriminator.logit_expert(OBS, ACTS)
    model.learn(600).learn(300)
    assert not np.array_equal(discriminator.logit_expert(OBS, ACTS), first)
    np.testing.assert_array_equal(discriminator.logit_expert(OBS, ACTS), model.discriminator.logit_expert(OBS, ACTS))
    np.testing.assert_array_equal(reward(OBS, ACTS), model.reward_train(OBS, ACTS))
    assert policy is model.policy


def test_a_policy_that_is_held_may_be_changed_at_any_time() -> None:
    model = TRPO("MlpPolicy", "Pendulum-v1", num_envs=2, timesteps_per_batch=64, seed=0)
    policy, seen = model.policy, np.ones(3, np.float32)
    before = model.predict(seen, deterministic=True)[0]
    with torch.no_grad():
        for values in policy.parameters():
            values.add_(0.5)
    assert (model.predict(seen, deterministic=True)[0] != before).all()


def test_nobody_elses_random_numbers_are_used(tmp_path: Path) -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    model = gail().learn(300)
    model.save(tmp_path / "model")
    assert model.reward_test is not None and GAIL.load(tmp_path / "model").learn(300)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "around", [torch.inference_mode, partial(torch.autocast, "cpu"), partial(torch.device, "meta")]
)
def test_what_a_caller_sets_around_torch_changes_nothing(around: Any, tmp_path: Path) -> None:
    plain = gail().learn(1)
    with around():
        model = gail().learn(1)
        model.save(tmp_path / "model")
        loaded = GAIL.load(tmp_path / "model")
        acted, paid = loaded.predict(OBS, deterministic=True)[0], loaded.reward_train(OBS, ACTS)
    assert differing(state(model), state(plain)) == [] == differing(state(loaded), state(plain))
    assert (acted == plain.predict(OBS, deterministic=True)[0]).all() and (paid == plain.reward_train(OBS, ACTS)).all()


def test_a_schedule_starts_from_the_same_policy_whatever_was_handed_out() -> None:
    models = [PPO("MlpPolicy", "CartPole-v1", seed=0, num_envs=4, timesteps_per_batch=256, ppo__schedule="linear")
              for _ in range(2)]  # fmt: skip
    assert models[0].policy is models[0].learn(300).policy
    assert differing(state(models[0]), state(models[1].learn(300))) == []


# ---- what is given ---------------------------------------------------------------------------------------------------


def test_the_callers_arrays_may_be_used_again(tmp_path: Path) -> None:
    held = load(EXPERT, 1)
    x, y = held.observations.copy(), held.actions.copy()
    made = Demonstrations.from_arrays(x, y, episode_ends=[len(y)])
    model = gail(expert=made).learn(300)
    x[:] = 0
    y[:] = 0
    np.testing.assert_array_equal(made.observations, held.observations)
    model.save(tmp_path / "model")
    loaded = GAIL.load(tmp_path / "model").learn(300)
    assert differing(state(model.learn(300)), state(loaded)) == []


def test_an_environment_is_copied_when_it_is_given() -> None:
    env = gymnasium.make("CartPole-v1")
    model = TRPO("MlpPolicy", env, num_envs=2, timesteps_per_batch=256, seed=0)
    before = model.evaluate(3).returns
    env.unwrapped.force_mag = 0.0  # type: ignore[attr-defined]
    np.testing.assert_array_equal(model.evaluate(3).returns, before)


def test_demonstrations_may_be_compared_and_kept_in_a_set() -> None:
    one, other = (trpo_gail.load(EXPERT, 1) for _ in range(2))
    assert one == one and one != other and len({one, other}) == 2


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"max_kl": 0.01, "trpo__max_kl": 0.5}, "trpo__max_kl: given, but max_kl gives the same field"),
        (
            {"hidden_size": 8, "policy_kwargs": {"net_arch": [4]}},
            "hidden_size: given, but policy_kwargs gives the same",
        ),
        ({"policy_kwargs": [1]}, "policy_kwargs: [1] given, a mapping expected"),
        ({"gamma": "a"}, "gamma: a finite number expected, found 'a'"),
    ],
)
def test_two_names_of_one_field_are_refused(given: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        gail(**given)
    assert str(caught.value).startswith(line)
    numpy = gail(hidden_size=np.int64(8), gamma=np.array(0.9))
    assert numpy.config.policy.hidden_sizes == (8, 8) and numpy.config.gamma == 0.9


@pytest.mark.parametrize(
    "given",
    [
        {"obs": np.zeros((4, 2)), "actions": np.zeros(4, int), "episode_starts": ["True", "False", "False", "False"]},
        {"obs": np.zeros((4, 2)), "actions": np.zeros(4, int), "episode_starts": [1.0, np.nan, 0.0, 0.0]},
        [{"obs": np.zeros((4, 2)), "acts": np.zeros(4, int), "terminal": 0.3}],
    ],
)
def test_what_is_no_flag_is_refused(given: Any) -> None:
    with pytest.raises(UserError, match=r"(episode_starts|terminals?): expected (numbers )?0 or 1"):
        gail(expert=given)


def test_masked_numbers_are_refused() -> None:
    masked = np.ma.MaskedArray(OBS, mask=np.eye(5, 4, dtype=bool))
    with pytest.raises(UserError, match="observation: masked numbers given"):
        gail().predict(masked)
    with pytest.raises(UserError, match="'observations': expected numbers, found masked ones"):
        Demonstrations.from_arrays(masked, ACTS, episode_ends=[5])
    assert gail().predict(np.ma.MaskedArray(OBS))[0].shape == (5,)


def test_an_empty_batch_has_no_actions() -> None:
    assert gail().predict(np.zeros((0, 4), np.float32))[0].shape == (0,)


def test_a_reward_function_is_asked_for_by_name() -> None:
    with pytest.raises(
        UserError, match=r"reward_function: .*reward given, a RewardFunction expected: model\.reward_test"
    ):
        RewardWrapper(gymnasium.make("CartPole-v1"), gail().reward_train)  # type: ignore[arg-type]


# ---- other environments ----------------------------------------------------------------------------------------------


class Wide(gymnasium.ActionWrapper):
    """Ten times the torque."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.action_space = gymnasium.spaces.Box(-20.0, 20.0, (1,), np.float32)

    def action(self, action: np.ndarray) -> np.ndarray:
        return action / 10


def test_a_loaded_model_is_given_no_other_environment(tmp_path: Path) -> None:
    TRPO("MlpPolicy", "Pendulum-v1", num_envs=2, timesteps_per_batch=64).save(tmp_path / "model")
    for env, line in (
        (gymnasium.make("CartPole-v1"), "env: observation_space "),
        (Wide(gymnasium.make("Pendulum-v1")), "env: action_space Box"),
        (gymnasium.make("Pendulum-v1", max_episode_steps=50), "env: it has a time limit of 50 steps, 200 expected"),
    ):
        model = TRPO.load(tmp_path / "model", env=env)
        with pytest.raises(UserError) as caught:
            model.learn(64)
        assert str(caught.value).startswith(line)
        assert model.predict(np.zeros(3, np.float32))[0].shape == (1,)
    assert TRPO.load(tmp_path / "model", env=gymnasium.make("Pendulum-v1")).learn(64).num_timesteps >= 64


def test_an_object_that_its_name_makes_again_needs_none_when_the_model_is_loaded(tmp_path: Path) -> None:
    given: Any
    for given in (toys.Walk, gymnasium.make("Pendulum-v1")):
        TRPO("MlpPolicy", given, num_envs=2, timesteps_per_batch=64, max_episode_steps=50).learn(64).save(
            tmp_path / "model"
        )
        loaded = TRPO.load(tmp_path / "model")
        assert loaded.evaluate(2).lengths.max() <= 50
        assert loaded.learn(64).spec.backend == "gymnasium"
        loaded.save(tmp_path / "again")
        TRPO.load(tmp_path / "again").learn(64)
    several: Any = gymnasium.vector.SyncVectorEnv([partial(gymnasium.make, "Pendulum-v1", g=g) for g in (10.0, 0.0)])
    for given in (lambda: TimeLimit(toys.Walk(), 50), several):
        TRPO("MlpPolicy", given, num_envs=2, timesteps_per_batch=64).save(tmp_path / "model")
        with pytest.raises(UserError, match="given as an object"):
            TRPO.load(tmp_path / "model").learn(64)


def test_a_network_for_images_without_any_is_said() -> None:
    space = Box(0, 1, (36, 36, 4), np.float32)
    with pytest.warns(UserWarning, match=r"'CnnPolicy' given, but no part .*MlpPolicy's: images=\[''\] has a conv"):
        TRPO("CnnPolicy", lambda: AnySpace(space, Discrete(2)), num_envs=2, timesteps_per_batch=16, max_episode_steps=9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        more: Any = {"num_envs": 2, "timesteps_per_batch": 16, "max_episode_steps": 9, "images": [""]}
        TRPO("CnnPolicy", lambda: AnySpace(space, Discrete(2)), **more)


def test_a_model_plays_in_no_other_environment(tmp_path: Path) -> None:
    model = TRPO("MlpPolicy", "Pendulum-v1", num_envs=2, timesteps_per_batch=64)
    with pytest.raises(UserError, match="env: observation_space"):
        generate_expert_traj(model, env="CartPole-v1", n_episodes=1)
    with pytest.raises(UserError, match="env: action_space"):
        generate_expert_traj(model, env=Wide(gymnasium.make("Pendulum-v1")), n_episodes=1)


@pytest.mark.parametrize("env", ["CartPole-v1", gymnasium.make("CartPole-v1")])
def test_labels_that_an_environment_does_not_have_are_refused(env: Any, tmp_path: Path) -> None:
    for label in (7, -1):
        with pytest.raises(UserError, match=rf"{label} is no label of Discrete\(2\)"):
            generate_expert_traj(lambda _, label=label: label, tmp_path / "x.npz", env=env, n_episodes=1)
    assert not (tmp_path / "x.npz").exists()


# ---- callbacks -------------------------------------------------------------------------------------------------------


def test_numpys_false_stops_the_training() -> None:
    model = gail().learn(2000, callback=lambda model, record: np.float64(1.0) < 0)
    assert len(model.logger.records) == 1
    with pytest.raises(UserError, match="callback: it returned 0, expected True, False or None"):
        gail().learn(2000, callback=lambda model, record: 0)
    with pytest.raises(
        UserError, match="callback: the class StopTrainingOnMaxEpisodes given, a callback of it expected"
    ):
        gail().learn(2000, callback=StopTrainingOnMaxEpisodes)


def test_episodes_are_counted_from_the_start_of_the_call() -> None:
    model = gail().learn(600)
    seen = model.num_episodes
    assert seen >= 10
    model.learn(100_000, callback=StopTrainingOnMaxEpisodes(20))
    assert 20 <= model.num_episodes - seen < 60


def test_learn_within_learn_is_refused() -> None:
    model = gail()
    with pytest.raises(UserError, match="learn: the model is learning already"):
        model.learn(600, callback=lambda model, record: model.learn(300))
    assert model.learn(300).num_timesteps >= 300


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: StopTrainingOnMaxEpisodes(0), "max_episodes: 0 given, a whole number of at least 1 expected"),
        (lambda: StopTrainingOnRewardThreshold(float("nan")), "reward_threshold: nan given, a number expected"),
        (lambda: EvalCallback(n_eval_episodes=1.5), "n_eval_episodes: 1.5 given, a whole number"),  # type: ignore[arg-type]
        (lambda: gail().evaluate(True), "n_episodes: True given, a whole number of at least 1 expected"),
        (lambda: gail().pretrain(n_epochs=1.5), "n_epochs: 1.5 given, a whole number"),  # type: ignore[arg-type]
        (lambda: gail().pretrain(learning_rate=0), "learning_rate: 0 given, a number above 0 expected"),
        (lambda: gail().pretrain(val_interval=-1), "val_interval: -1 given, a whole number of at least 1 expected"),
        (lambda: BC("MlpPolicy", "CartPole-v0", EXPERT, seed=1.5), "seed: 1.5 given, a whole number of at least 0"),  # type: ignore[arg-type]
        (lambda: trpo_gail.ExpertDataset(EXPERT, traj_limitation=float("nan")), "ExpertDataset: traj_limitation (-1 for"),  # type: ignore[arg-type]
        (lambda: trpo_gail.run(None), "config: None given, a trpo_gail.Config expected"),  # type: ignore[arg-type]
        (lambda: trpo_gail.load_policy(None), "run: None given, the name of a run folder expected"),  # type: ignore[arg-type]
        (lambda: trpo_gail.RewardFunction.load(5), "path: 5 given, the name of a file expected"),  # type: ignore[arg-type]
        (lambda: trpo_gail.load(5), "demonstrations: 5 given, the name of a file or folder expected"),  # type: ignore[arg-type]
        (lambda: Demonstrations.from_trajectories(None), "demonstrations: NoneType given, a list of episodes expected"),  # type: ignore[arg-type]
        (lambda: gail().save("/"), "path: '/' given, the name of a file expected"),
        (lambda: gail().save("."), "path: '.' given, the name of a file expected"),
    ],
)  # fmt: skip
def test_numbers_and_names_that_are_none_are_refused(make: Any, line: str) -> None:
    with pytest.raises(UserError) as caught:
        make()
    assert str(caught.value).startswith(line), caught.value


def test_a_clone_takes_numpys_numbers(tmp_path: Path) -> None:
    model = BC("MlpPolicy", "CartPole-v0", EXPERT, hidden_size=np.int64(8), seed=np.int64(3)).learn(5)  # type: ignore[arg-type]
    model.save(tmp_path / "clone")
    assert BC.load(tmp_path / "clone").seed == 3


# ---- copies and processes --------------------------------------------------------------------------------------------


def test_a_model_is_saved_rather_than_copied() -> None:
    for copying in (copy.deepcopy, pickle.dumps):
        with pytest.raises(UserError, match=r"GAIL: .* save\(path\), and load\(path\) where it is needed, expected"):
            copying(gail())


def test_envpool_in_a_forked_process_is_an_error_and_no_hang() -> None:
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    model = gail(backend="envpool").learn(300)

    def child(told: Any) -> None:
        try:
            model.learn(300)
        except RunError as error:
            told.send(str(error))
        else:
            told.send("")

    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=child, args=(there,))
    process.start()
    try:
        assert here.poll(60) and "it was made before this process was forked" in here.recv()
    finally:
        process.kill()
        process.join()


@pytest.mark.long
def test_a_type_checker_sees_what_is_there(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    (tmp_path / "user.py").write_text(
        "import trpo_gail\nfrom trpo_gail import GAIL, BaseCallback\n"
        "class Mine(BaseCallback): ...\nmodel = GAIL('MlpPolicy', 'CartPole-v1', 'x.h5')\nmodel.nonsense(3)\n"
        "trpo_gail.Nonsense\n"
    )
    root = str(Path(trpo_gail.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports", "silent", "--ignore-missing-imports", "user.py"],
        cwd=tmp_path, env={"PATH": "", "MYPYPATH": root}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    errors = [line for line in done.stdout.splitlines() if "error" in line and line.startswith("user.py")]
    assert len(errors) == 2 and "nonsense" in errors[0] and "Nonsense" in errors[1], done.stdout
    assert set(trpo_gail.__all__) <= set(dir(trpo_gail))
