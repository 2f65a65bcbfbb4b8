"""Whatever holds demonstrations gives the same rows."""

from __future__ import annotations

import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import toys
from gymnasium.spaces import Box, Dict, Discrete
from small import EXPERT, gail

sys.path.append(str(Path(__file__).parents[1] / "envs"))
import toy_envs

from trpo_gail import BC, GAIL, Demonstrations, ExpertDataset, UserError, generate_expert_traj, load
from trpo_gail.api.datasets import demonstrations_of
from trpo_gail.experts.facts import Ends
from trpo_gail.experts.rows import as_rows

LENGTHS = (3, 2)


@dataclass
class Trajectory:
    """As `imitation` has it: an observation more than actions."""

    obs: np.ndarray
    acts: np.ndarray
    infos: Any
    terminal: bool


@dataclass
class Transitions:
    """As `imitation` has it."""

    obs: np.ndarray
    acts: np.ndarray
    infos: Any
    next_obs: np.ndarray
    dones: np.ndarray


def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, 4)).astype(np.float32), rng.integers(0, 2, 5)


def ways() -> dict[str, Any]:
    obs, acts = rows()
    ends, starts = np.array([False, False, True, False, True]), np.array([True, False, False, True, False])
    episodes = [(obs[:3], acts[:3]), (obs[3:], acts[3:])]
    return {
        "episodes": [{"obs": o, "acts": a} for o, a in episodes],
        "trajectories": [Trajectory(np.concatenate([o, o[-1:]]), a, None, True) for o, a in episodes],
        "transitions": Transitions(obs, acts, None, np.roll(obs, -1, 0), ends),
        "stable-baselines": {
            "obs": obs,
            "actions": acts[:, None],
            "episode_starts": starts,
            "rewards": np.ones((5, 1)),
        },
        "arrays": {"observations": obs, "actions": acts, "terminals": ends},
        "demonstrations": Demonstrations.from_arrays(obs, acts, episode_lengths=LENGTHS),
    }


@pytest.mark.parametrize("way", ways())
def test_the_rows_are_the_same_whatever_holds_them(way: str) -> None:
    obs, acts = rows()
    found = demonstrations_of(ways()[way])
    assert np.array_equal(found.observations, obs) and np.array_equal(found.actions, acts)
    assert tuple(found.episode_lengths) == LENGTHS and not found.unfinished
    assert ExpertDataset(traj_data=ways()[way], traj_limitation=1, verbose=0).demonstrations.observations.shape == (
        3,
        4,
    )


def test_imitations_own_trajectories_do_not_say_how_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trajectory, "__module__", "imitation.data.types")
    obs = np.zeros((21, 2), np.float32)
    whole = [Trajectory(obs, obs[1:], None, True)] * 3
    part = Trajectory(obs[:6], obs[1:6], None, False)
    for given in (whole, [*whole, part]):
        found = as_rows(demonstrations_of(given), toys.spec(2, 2, limit=100))
        assert found.ends == Ends(0, 3, 0, by_length=True)


def test_a_pair_of_arrays_is_one_unfinished_episode() -> None:
    found = demonstrations_of(rows())
    assert found.unfinished and tuple(found.episode_lengths) == (5,)


@pytest.mark.parametrize("kind", [tuple, list])
@pytest.mark.parametrize("held", [np.asarray, torch.as_tensor, lambda values: values.tolist(), list])
def test_a_pair_is_one_unfinished_episode_whatever_holds_its_rows(held: Any, kind: Any) -> None:
    obs, acts = rows()
    found = demonstrations_of(kind([held(obs), held(acts)]))
    assert found.unfinished and tuple(found.episode_lengths) == (5,)
    assert np.array_equal(found.observations.astype(np.float32), obs) and np.array_equal(found.actions, acts)


def test_a_mapping_holds_tensors_as_it_holds_arrays() -> None:
    obs, acts = rows()
    flags = np.array([False, False, True, False, True])
    given = {"observations": obs, "actions": acts, "dones": flags}
    held = {name: torch.as_tensor(values) for name, values in given.items()}
    learned = held | {"observations": held["observations"].clone().requires_grad_()}
    expected = demonstrations_of(given)
    for mapping in (held, learned, {name: Column(values) for name, values in given.items()}):
        found = demonstrations_of(mapping)
        assert found.sha256 == expected.sha256 and tuple(found.episode_lengths) == LENGTHS


class Column:
    """What gives an array if it is asked to, as pandas' columns do."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self._values.astype(dtype or self._values.dtype)

    def __len__(self) -> int:
        return len(self._values)


def test_steps_in_memory_are_read_as_those_of_a_file(tmp_path: Path) -> None:
    obs, acts = rows()
    ends = [False, False, True, False, True]
    for convert in (np.asarray, torch.as_tensor):
        steps = [
            {"obs": convert(o), "action": convert(a), "next_obs": convert(o), "reward": convert([1.0]), "done": end}
            for o, a, end in zip(obs, acts, ends, strict=True)
        ]
        found = demonstrations_of(steps)
        assert np.array_equal(found.observations, obs) and np.array_equal(found.actions, acts)
        assert tuple(found.episode_lengths) == LENGTHS and not found.unfinished
    (tmp_path / "steps.pkl").write_bytes(pickle.dumps(steps))
    assert np.array_equal(demonstrations_of(tmp_path / "steps.pkl").actions, acts)


@pytest.mark.parametrize(
    "wrong",
    [
        [(np.zeros((3, 4)), np.zeros(3))] * 2,
        [[np.zeros((3, 4)), np.zeros(3)]] * 2,
        [[[[1.0, 2.0]], [3]], [[[1.0]], [4]]],
    ],
)
def test_episodes_that_are_no_mappings_are_refused_as_before(wrong: Any) -> None:
    with pytest.raises(UserError, match="expected a mapping or an object of observations and actions"):
        demonstrations_of(wrong)


def test_a_model_learns_the_same_from_a_file_and_from_what_it_holds() -> None:
    names = EXPERT, load(EXPERT), ExpertDataset(str(EXPERT), verbose=0)
    policies = [gail(expert=given).learn(300).policy.state_dict() for given in names]
    for other in policies[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(policies[0].values(), other.values(), strict=True))


def test_fields_select_episodes_and_rows() -> None:
    assert len(gail(trajectories=2, subsample=10)._expert.actions) == 40


def test_a_dataset_says_what_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    ExpertDataset(EXPERT, traj_limitation=1)
    assert capsys.readouterr().out.startswith("expert: 200 pairs of the first of ")
    ExpertDataset(EXPERT, traj_limitation=10**6, verbose=0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: ExpertDataset(), "ExpertDataset: expert_path or traj_data, one of the two expected"),
        (lambda: ExpertDataset(EXPERT, {}), "ExpertDataset: expert_path or traj_data, one of the two expected"),
        (lambda: ExpertDataset("nothing.h5"), "nothing.h5: no such file"),
        (lambda: ExpertDataset("nothing"), "nothing.npz: no such file"),
        (lambda: ExpertDataset(EXPERT, traj_limitation=0), "ExpertDataset: traj_limitation (-1 for all): 0 given, a"),
        (lambda: ExpertDataset(EXPERT, train_fraction=1.0), "ExpertDataset: train_fraction: 1.0 given, a number between"),
        (lambda: ExpertDataset(EXPERT, batch_size=0), "ExpertDataset: batch_size: 0 given, a whole number of"),
        (lambda: ExpertDataset(EXPERT, randomize=False), "ExpertDataset: randomize=False given, but pairs are always"),
        (lambda: gail(expert=3), "expert_dataset: 3 given, expected an ExpertDataset, Demonstrations, the path"),
        (lambda: gail(expert=[]), "expert_dataset: [] given, expected an ExpertDataset"),
        (lambda: gail(expert={"states": 3}), "expert_dataset: a mapping of states given, observations and actions expected"),
        (lambda: gail(expert=[{"obs": np.zeros((3, 4))}]), "demonstrations: 'episode 0' has no actions, expected one of"),
        (lambda: gail(expert=(np.zeros((5, 3)), np.zeros(5, int))), "demonstrations: dataset 'observations': expected rows"),
        (lambda: gail(expert=(np.array(1.0), np.array(2.0))), "demonstrations: 'episode 0': expected a mapping or an object"),
        (lambda: gail(expert=(np.zeros((5, 4)), torch.tensor(2))), "demonstrations: 'episode 0': expected a mapping or an"),
        (lambda: generate_expert_traj(3), "model: int given, expected a function or an object that has predict"),
        (lambda: generate_expert_traj(max, n_episodes=0), "n_episodes: 0 given, a whole number of at least 1"),
        (lambda: generate_expert_traj(max, n_timesteps=-1), "n_timesteps: -1 given, a whole number of at least 0"),
        (lambda: generate_expert_traj(max, n_timesteps=9), "n_timesteps: 9 given, but builtin_function_or_method has no"),
        (lambda: generate_expert_traj(max), "env: not given, and the model has none: an environment to play in expected"),
        (
            lambda: generate_expert_traj(lambda o: 0 / 0, env="CartPole-v1"),
            "model <lambda>: raised ZeroDivisionError('division by zero')",
        ),
    ],
)  # fmt: skip
def test_wrong_demonstrations_are_one_clear_line(make: Any, line: str) -> None:
    with pytest.raises(UserError) as caught:
        make()
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value), caught.value


# ---- recording -------------------------------------------------------------------------------------------------------


class Vec:
    """What `generate_expert_traj` knows of Stable-Baselines3's VecNormalize and DummyVecEnv."""

    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


class Expert:
    """A model of Stable-Baselines3, as far as recording knows it."""

    def __init__(self, env: Any) -> None:
        self._env, self.learned, self.seen = env, 0, list[np.ndarray]()

    def get_env(self) -> Any:
        return self._env

    def learn(self, steps: int) -> None:
        self.learned += steps

    def predict(self, observation: np.ndarray, deterministic: bool = False) -> tuple[Any, None]:
        assert deterministic
        self.seen.append(np.array(observation))
        return np.array([0.5], np.float32), None


def test_recorded_episodes_have_stable_baselines_arrays(tmp_path: Path) -> None:
    found = generate_expert_traj(lambda o: [0.0], tmp_path / "script", env="Script-v0", n_episodes=2)
    # Each seeded episode of Script is episode 0: three steps that pay 0, 1 and 2.
    assert found["obs"].tolist() == [[0, 0], [0, 1], [0, 2]] * 2
    assert found["rewards"].tolist() == [0, 1, 2] * 2 and found["episode_returns"].tolist() == [3, 3]
    assert found["episode_starts"].tolist() == [True, False, False] * 2 and found["actions"].shape == (6, 1)
    with np.load(tmp_path / "script.npz") as file:
        assert all(np.array_equal(file[name], found[name]) for name in found)
    assert ExpertDataset(traj_data=found, verbose=0).demonstrations.return_mean == 3.0
    generate_expert_traj(lambda o: [0.0], tmp_path / "script.h5", env="Script-v0", n_episodes=2)
    native = load(tmp_path / "script.h5")
    assert native.terminals.tolist() == [False, False, True] * 2 and native.env_id == "Script-v0"


def test_a_file_that_cannot_be_written_is_refused_before_an_episode(tmp_path: Path) -> None:
    """Observations of parts do not fit Stable-Baselines' layout; the native one has them."""
    name = toy_envs.env_id(Dict({"pose": Box(-1.0, 1.0, (3,)), "wind": Discrete(3)}), Box(-1.0, 1.0, (1,)))
    seen: list[Any] = []

    def play(observation: Any) -> list[float]:
        seen.append(observation)
        return [0.5]

    for path in (tmp_path / "x", tmp_path / "x.npz"):
        with pytest.raises(UserError, match=r"has the parts pose, wind: a path that ends in \.h5 holds them"):
            generate_expert_traj(play, path, env=name, n_episodes=2)
    for path, said in (
        (tmp_path / "no" / "x", "folder .*no does not exist"),
        (Path("."), "a folder, expected the name"),
    ):
        with pytest.raises(UserError, match=f"save_path .*{said}"):
            generate_expert_traj(play, path, env=name, n_episodes=2)
    assert not seen and not list(tmp_path.iterdir())
    found = generate_expert_traj(play, tmp_path / "x.h5", env=name, n_episodes=2)
    assert load(tmp_path / "x.h5").trajectories == 2 and len(seen) == len(found["actions"])


def test_a_model_is_shown_what_it_was_trained_on_and_the_file_what_the_environment_gives() -> None:
    class Normalising(Vec):
        def normalize_obs(self, observation: np.ndarray) -> np.ndarray:
            return observation + 100.0

    inner = Vec(envs=[toys.Script()])
    model = Expert(Normalising(venv=inner))
    found = generate_expert_traj(model, n_timesteps=7, n_episodes=1)
    assert model.learned == 7 and found["obs"][:, 1].tolist() == [0, 1, 2]
    assert [seen[1] for seen in model.seen] == [100, 101, 102]
    with pytest.raises(UserError, match="env: Vec changes observations in a way that no file keeps"):
        generate_expert_traj(Expert(Vec(venv=inner)), n_episodes=1)


def test_what_is_no_expert_or_no_demonstrations_is_named() -> None:
    with pytest.raises(UserError, match=r"^model: the class Mock given, an object of it expected: Mock\(\.\.\.\)$"):
        generate_expert_traj(Mock, env="CartPole-v1", n_episodes=1)
    with pytest.raises(
        UserError, match=r"^expert_dataset: Mock given, a buffer of Tianshou: save_hdf5\(FILE\), and FILE"
    ):
        demonstrations_of(Mock(spec=["save_hdf5"]))


def test_our_models_record_themselves_in_the_environments_units() -> None:
    model = BC("MlpPolicy", "Pendulum-v1", _pendulum()).learn(50)
    found = generate_expert_traj(model, n_episodes=2)
    again = model.predict(found["obs"], deterministic=True)[0]
    assert np.allclose(again, found["actions"], atol=1e-6) and found["obs"].shape == (400, 3)
    assert not np.array_equal(
        generate_expert_traj(model, n_episodes=2, deterministic=False)["actions"], found["actions"]
    )
    assert GAIL("MlpPolicy", "Pendulum-v1", found, num_envs=2, timesteps_per_batch=100).learn(100).num_timesteps > 90


def _pendulum() -> dict[str, np.ndarray]:
    def feedback(observation: np.ndarray) -> np.ndarray:
        return np.clip(np.array([-2.0 * observation[1] - observation[2]]), -2.0, 2.0)

    return generate_expert_traj(feedback, env="Pendulum-v1", n_episodes=2)
