"""Recording: episodes whose lengths and returns are known beforehand, however many run at a time; refusals."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete

from trpo_gail.config.tree import Config
from trpo_gail.envs import vector
from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.load import load, read
from trpo_gail.experts.policies.noisy import Noisy
from trpo_gail.runs import record as recording
from trpo_gail.runs.experts import load_actor
from trpo_gail.runs.record import record
from trpo_gail.seeding import RECORD_RESET, reset_seeds
from trpo_gail.spaces.spec import EnvSpec


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "envs"))
    importlib.import_module("toy_envs")


class Doubling:
    """Does 2 and the noise: outside the toys' bounds of [-1, 1]."""

    noise_kind, noise_size = "normal", 1
    observation_size, action_size, discrete = 2, 1, False
    description, checksum = "doubling", "0" * 64

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return 2.0 + 0.1 * noise


@pytest.fixture
def doubling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "load_actor", lambda *_: Doubling())


# --- Closed forms -------------------------------------------------------------------------------------------------


def test_every_episode_is_whole_and_none_is_favoured(tmp_path: Path, toys: None, doubling: None) -> None:
    """Episodes of 2 to 9 steps: their lengths must be those that their numbers' seeds give, however short."""
    held = record("ToyRandom-v0", "p", 11, tmp_path / "x.h5", num_envs=4, deterministic=True)
    expected = []
    for seed in reset_seeds(0, RECORD_RESET, 0, range(11)):
        env = gymnasium.make("ToyRandom-v0")
        env.reset(seed=seed)
        unwrapped: Any = env.unwrapped
        expected.append(unwrapped._length)
    assert len(set(expected)) > 3
    assert held.episode_lengths.tolist() == expected
    assert held.episode_returns is not None and held.episode_returns.tolist() == [2.0 * n for n in expected]
    steps = np.concatenate([np.arange(n) for n in expected])
    assert held.steps.tolist() == steps.tolist() and held.observations[:, 1].tolist() == steps.tolist()
    assert (held.observations[:, 0] == 1).all(), "each episode is the first of its stream"
    assert held.terminals.sum() == 11 and not held.timeouts.any()


@pytest.mark.parametrize("deterministic", [True, False])
def test_actions_are_sampled_only_if_that_is_asked_for(
    deterministic: bool, tmp_path: Path, toys: None, doubling: None
) -> None:
    """And the file says which: an expert that samples is a worse one."""
    held = record("ToyEndless-v0", "p", 2, tmp_path / "x.h5", deterministic=deterministic)
    assert (np.ptp(held.actions) == 0.0) == deterministic == held.provenance.deterministic


def test_a_time_limit_is_no_terminal(tmp_path: Path, toys: None, doubling: None) -> None:
    held = record("ToyEndless-v0", "p", 3, tmp_path / "x.h5")
    assert held.episode_lengths.tolist() == [100] * 3
    assert held.timeouts.sum() == 3 and not held.terminals.any()


def test_raw_actions_are_stored_as_they_are_and_executed_ones_clipped(
    tmp_path: Path, toys: None, doubling: None
) -> None:
    raw = record("ToyCounter-v0", "p", 4, tmp_path / "raw.h5")
    clipped = record("ToyCounter-v0", "p", 4, tmp_path / "clipped.h5", action_view="executed")
    assert raw.provenance.action_view == "raw" and clipped.provenance.action_view == "executed"
    assert raw.rewards is not None and clipped.rewards is not None
    np.testing.assert_array_equal(raw.actions[:, 0], raw.rewards)  # the toy pays its action
    assert raw.actions.min() > 1 and len(np.unique(raw.actions)) == 12
    assert (clipped.actions == 1).all() and (clipped.rewards == 1).all()


# --- Independence -------------------------------------------------------------------------------------------------


def same(a: Demonstrations, b: Demonstrations, episodes: int | None = None) -> bool:
    rows = None if episodes is None else int(a.episode_lengths[:episodes].sum())
    names = ("observations", "actions", "rewards", "terminals", "timeouts", "steps")
    return all(np.array_equal(getattr(a, name)[:rows], getattr(b, name)[:rows]) for name in names)


def test_neither_num_envs_nor_episodes_change_an_episode(tmp_path: Path, toys: None, doubling: None) -> None:
    runs = {
        (episodes, num_envs): record(
            "ToyRandom-v0", "p", episodes, tmp_path / f"{episodes}{num_envs}", num_envs=num_envs
        )
        for episodes, num_envs in ((7, 7), (7, 2), (7, 50), (3, 2))
    }
    assert same(runs[7, 7], runs[7, 2]) and same(runs[7, 7], runs[7, 50])
    assert (tmp_path / "77").read_bytes() == (tmp_path / "72").read_bytes()
    assert same(runs[3, 2], runs[7, 7], episodes=3)


def test_the_seed_changes_all_of_it(tmp_path: Path, toys: None, doubling: None) -> None:
    runs = [record("ToyCounter-v0", "p", 2, tmp_path / f"{seed}.h5", seed=seed) for seed in (0, 1)]
    assert not np.isin(runs[0].actions, runs[1].actions).any()


@pytest.mark.parametrize("backend", ["envpool", "gymnasium"])
def test_the_papers_hopper_does_not_depend_on_num_envs(
    tmp_path: Path, paper_experts: Path, backend: vector.Backend
) -> None:
    pytest.importorskip("envpool" if backend == "envpool" else "mujoco", reason=f"{backend}'s Hopper is not installed")
    policy, episodes = paper_experts / "modern/log_Hopper-v0_3.h5", 3
    few, many = (
        record("Hopper-v4", policy, episodes, tmp_path / f"{n}.h5", num_envs=n, backend=backend) for n in (1, 3)
    )
    assert same(few, many)
    assert few.episode_returns is not None and few.episode_returns.mean() > 2500


def test_the_committed_cartpole_comes_out_again(tmp_path: Path, paper_experts: Path) -> None:
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    again = record("CartPole-v0", paper_experts / "classic/CartPole-v0.h5", 5, tmp_path / "x.h5")
    committed = read(Path(__file__).parents[2] / "expert_data" / "CartPole-v0.h5")
    assert same(again, committed, episodes=5)


def test_subsampled_rows_are_those_of_the_whole_episodes(tmp_path: Path, toys: None, doubling: None) -> None:
    paths = [tmp_path / f"{k}.h5" for k in (1, 3)]
    whole, few = (
        record("ToyRandom-v0", "p", 9, path, num_envs=4, subsample=k) for path, k in zip(paths, (1, 3), strict=True)
    )
    for size in (9, 4):
        expected, found = load(paths[0], size, 3), load(paths[1], size)
        for name in ("observations", "actions", "rewards", "terminals", "timeouts", "steps", "episode_of", "endings"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert found.ends == expected.ends
        np.testing.assert_array_equal(found.episode_returns, expected.episode_returns)
    assert few.subsample == 3 and len(few.steps) < len(whole.steps) / 2
    assert few.terminals.any() and not few.terminals.all()


# --- Provenance ---------------------------------------------------------------------------------------------------


def test_the_file_says_how_it_was_made(tmp_path: Path, toys: None, doubling: None) -> None:
    written = record(
        "ToyCounter-v0",
        "p",
        2,
        tmp_path / "x.h5",
        seed=5,
        deterministic=True,
        env_kwargs={"length": 4},
        dtype="float64",
        licence="CC0",
        attribution="me",
    )
    held = read(tmp_path / "x.h5")
    facts = held.provenance
    assert facts == written.provenance
    assert (facts.env_id, facts.env_kwargs, facts.backend) == ("ToyCounter-v0", {"length": 4}, "gymnasium")
    assert (facts.policy, facts.policy_sha256) == ("doubling", "0" * 64)
    assert (facts.seed, facts.deterministic, facts.licence, facts.attribution) == (5, True, "CC0", "me")
    assert facts.action_space == {"type": "Box", "shape": [1], "dtype": "float64", "low": [-1.0], "high": [1.0]}
    assert facts.observation_space is not None and facts.observation_space["low"] == [None, None]
    assert "gymnasium" in facts.versions
    assert held.episode_lengths.tolist() == [4, 4] and held.observations.dtype == np.float64


# --- Refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"episodes": 0}, "--episodes: expected at least 1, found 0"),
        ({"num_envs": 0}, "--num_envs: expected at least 1, found 0"),
        ({"seed": -1}, r"--seed: expected a number from 0 to 2\^63 - 1, found -1"),
        ({"seed": 2**63}, r"--seed: expected a number from 0 to 2\^63 - 1, found 9223372036854775808"),
        ({"subsample": 0}, "--subsample: expected at least 1, found 0"),
        ({"env_id": "NoSuch-v0"}, "NoSuch"),
        ({"out": "nowhere/x.h5"}, r"--out .*nowhere/x\.h5: the folder .*nowhere does not exist"),
        ({"out": "."}, "--out .*: a folder, expected the name of a file"),
        ({"env_id": "CartPole-v0"}, "observation_size: expected 4 as the environment 'CartPole-v0' has, found 2"),
    ],
)
def test_a_wrong_request_writes_nothing(tmp_path: Path, toys: None, doubling: None, wrong: dict, message: str) -> None:
    request = {"env_id": "ToyCounter-v0", "policy_path": "p", "episodes": 1, "out": "x.h5"} | wrong
    request["out"] = tmp_path / request["out"]
    with pytest.raises(UserError, match=message):
        record(**request)
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept_unless_overwriting_is_asked_for(tmp_path: Path, toys: None, doubling: None) -> None:
    (tmp_path / "x.h5").write_text("precious")
    with pytest.raises(UserError, match=r"--out .*x\.h5: the file exists; remove it or choose another"):
        record("ToyCounter-v0", "p", 1, tmp_path / "x.h5")
    assert (tmp_path / "x.h5").read_text() == "precious"
    record("ToyCounter-v0", "p", 1, tmp_path / "x.h5", overwrite=True)
    assert len(load(tmp_path / "x.h5").steps) == 3


def test_a_policy_that_clips_cannot_be_recorded_raw(
    tmp_path: Path, toys: None, doubling: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Doubling, "action_view", "executed", raising=False)
    with pytest.raises(UserError, match=r"action_view: expected 'executed', .* found 'raw'"):
        record("ToyCounter-v0", "p", 1, tmp_path / "x.h5", action_view="raw")
    assert record("ToyCounter-v0", "p", 1, tmp_path / "x.h5").provenance.action_view == "executed"


def test_actions_that_are_not_finite_are_refused(
    tmp_path: Path, toys: None, doubling: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Doubling, "act", lambda self, observations, noise: noise * np.nan)
    with pytest.raises(UserError, match=r"'ToyCounter-v0': actions not finite at step 0 of episode 0"):
        record("ToyCounter-v0", "p", 1, tmp_path / "x.h5")


# --- Whose policy it is -------------------------------------------------------------------------------------------


class Trained(Doubling):
    """A policy that says what it was trained on, as policy files and run folders do."""

    def __init__(self, env_id: str | None, **kwargs: object) -> None:
        self.env_id = env_id
        self.config = Config("", env_kwargs=json.dumps(kwargs))


def warned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, actor: Doubling, **kwargs: object) -> list[str]:
    monkeypatch.setattr(recording, "load_actor", lambda path, env_id, snapshot=None: actor)
    told: list[str] = []
    record("ToyCounter-v0", "p", 1, tmp_path / "x.h5", env_kwargs=kwargs, overwrite=True, warn=told.append)
    return told


@pytest.mark.parametrize(
    "name", [None, "ToyCounter-v0", "ToyCounter-v4", "toycounter", "Paper/ToyCounter-v1", "m:ToyCounter-v0"]
)
def test_versions_and_spellings_of_one_task_are_no_news(
    name: str | None, toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert warned(tmp_path, monkeypatch, Trained(name)) == []


@pytest.mark.parametrize("name", ["Walker2d", "ToyRandom-v0", "ToyCounter2d-v0"])
def test_a_policy_of_another_task_is_warned_of(
    name: str, toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"p: the policy is one for {name}, not for ToyCounter-v0: its episodes are no expert's"
    assert warned(tmp_path, monkeypatch, Trained(name)) == [said]
    with pytest.warns(UserWarning, match="the policy is one for"):
        record("ToyCounter-v0", "p", 1, tmp_path / "x.h5", overwrite=True)


def test_other_arguments_of_the_environment_are_warned_of(
    toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (told,) = warned(tmp_path, monkeypatch, Trained("ToyCounter-v0", length=5))
    assert told == "p: the policy was trained with --env_kwargs '{\"length\": 5}', and is recorded with '{}'"
    assert warned(tmp_path, monkeypatch, Trained("ToyCounter-v0", length=5), length=5) == []


def test_what_float32_cannot_hold_is_not_written(
    tmp_path: Path, toys: None, doubling: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Doubling, "act", lambda self, observations, noise: noise * 0 + 1e40)
    with pytest.raises(UserError, match=r"'ToyCounter-v0': actions beyond float32 at step 0 of episode 0"):
        record("ToyCounter-v0", "p", 1, tmp_path / "x.h5")
    assert not list(tmp_path.iterdir())
    held = record("ToyCounter-v0", "p", 1, tmp_path / "x.h5", dtype="float64")
    assert (held.actions == 1e40).all()


# --- Which episodes, and by whom ----------------------------------------------------------------------------------


class Still:
    """Does nothing, whatever it is told."""

    noise_kind, noise_size = "normal", 0
    observation_size, action_size, discrete = 2, 1, False

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return np.zeros((len(observations), 1))


@pytest.mark.parametrize("num_envs", [1, 3, 8])
def test_episodes_of_a_least_return_are_kept(tmp_path: Path, toys: None, doubling: None, num_envs: int) -> None:
    """The doubling's return is twice the length: those of 6 steps and more, in their order."""
    held = record("ToyRandom-v0", "p", 30, tmp_path / "all.h5", deterministic=True)
    assert held.episode_returns is not None
    good = held.episode_returns[held.episode_returns >= 12.0][:5]
    assert len(good) == 5 < (held.episode_returns >= 0).sum()
    kept = record("ToyRandom-v0", "p", 5, tmp_path / "x.h5", deterministic=True, min_return=12.0, num_envs=num_envs)
    assert kept.episode_returns is not None and kept.episode_returns.tolist() == good.tolist()
    assert kept.provenance.policy == "doubling, episodes of return 12 or more"


def test_a_return_that_is_never_reached_is_noted_early_and_given_up(tmp_path: Path, toys: None, doubling: None) -> None:
    said: list[str] = []
    found = r"--min_return 1000: of {} episodes 0 return so much, 2 expected \(the best returns [\d.]+\)"
    with pytest.raises(UserError, match=found.format(200) + "$"):
        record("ToyRandom-v0", "p", 2, tmp_path / "x.h5", min_return=1000.0, warn=said.append)
    assert len(said) == 1 and re.fullmatch(found.format(50) + "; after 200 it is given up", said[0])


def test_noise_is_added_in_half_widths_of_the_bounds(
    tmp_path: Path, toys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "load_actor", lambda *_: Still())
    held = record("ToyRandom-v0", "p", 50, tmp_path / "x.h5", noise=0.3, deterministic=True)
    assert 0.25 < held.actions.std() < 0.35 and held.provenance.deterministic is False
    assert str(held.provenance.policy).endswith(", noise 0.3")
    with pytest.raises(UserError, match="--noise: expected a number of at least 0, found -1"):
        record("ToyRandom-v0", "p", 1, tmp_path / "y.h5", noise=-1.0)


@pytest.mark.parametrize("kind", ["gumbel", "uniform", "normal"])
def test_noise_on_labels_draws_them_uniformly(kind: str) -> None:
    """A policy that always takes label 2 of 3, and noise of 0.6: the others 0.2 each."""

    class Stubborn:
        noise_kind, noise_size = kind, 3

        def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
            assert noise.shape == (len(observations), 3)
            return np.full(len(observations), 2)

    actor: Any = Stubborn()
    noisy = Noisy(actor, 0.6, EnvSpec("Toy-v0", "gymnasium", action_space=Discrete(3)), deterministic=False)
    assert noisy.noise_size == 5 and noisy.noise_kind == kind
    rng = np.random.default_rng(0)
    draw = {"gumbel": rng.gumbel, "uniform": rng.random, "normal": rng.standard_normal}[kind]
    labels = noisy.act(np.zeros((20_000, 1)), draw(size=(20_000, 5)))
    np.testing.assert_allclose(np.bincount(labels) / 20_000, [0.2, 0.2, 0.6], atol=0.02)


def test_a_function_of_ones_own(tmp_path: Path, toys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_to_record.py").write_text(
        "def half(observation): return [0.5]\ndef number(observation): return 0.5\n"
        "def wrong(observation): return 'left'\ndef fails(observation): raise KeyError('x')\nlist_ = [1]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("half", "number"):
        held = record("ToyRandom-v0", f"mine_to_record:{name}", 2, tmp_path / f"{name}.h5")
        assert (held.actions == 0.5).all() and held.action_view == "raw"
        assert held.provenance.policy == f"mine_to_record:{name}"
    for name, said in (
        ("wrong", "'left' is no action of Box"),
        ("fails", r"raised KeyError\('x'\)"),
        ("list_", "expected a function of one observation, found list"),
        ("nothing", "cannot be imported"),
    ):
        with pytest.raises(UserError, match=f"--policy mine_to_record:{name}: {said}"):
            record("ToyRandom-v0", f"mine_to_record:{name}", 1, tmp_path / "x.h5")
    with pytest.raises(UserError, match="--snapshot 3: mine_to_record:half holds one policy only"):
        load_actor("mine_to_record:half", "x", "3")


@pytest.mark.parametrize("name", ["function", "act"])
def test_code_of_ones_own_may_write_into_its_arrays(
    name: str, tmp_path: Path, toys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "writes.py").write_text(
        "import numpy as np\nmade = np.zeros(1)\n"
        "def function(observation):\n    made[:] = observation[1] / 10\n    observation *= 0\n    return made\n"
        "class Whole:\n    noise_kind, noise_size = 'normal', 0\n"
        "    def act(self, observations, noise): return np.array([function(one).copy() for one in observations])\n"
        "act = Whole()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "writes", raising=False)
    held = record("ToyRandom-v0", f"writes:{name}", 3, tmp_path / "x.h5", num_envs=3)
    assert held.observations[:, 1].tolist() == held.steps.tolist() and (held.observations[:, 0] == 1).all()
    np.testing.assert_allclose(held.actions[:, 0], held.steps / 10, rtol=1e-6)


_ASKED = """
asked = []
def function(observation):
    assert observation[0] > 0, "an observation that no environment made"
    asked.append(observation)
    return 0.5
class Whole:
    noise_kind, noise_size = "normal", 1
    def act(self, observations, noise):
        assert len(noise) == len(observations)
        return [function(one) for one in observations] and noise
act = Whole()
"""


@pytest.mark.parametrize("num_envs", [1, 3, 50])
@pytest.mark.parametrize(("name", "noise"), [("function", 0.0), ("function", 0.3), ("act", 0.0), ("act", 0.3)])
def test_code_of_ones_own_is_asked_once_for_each_row(
    name: str, noise: float, num_envs: int, tmp_path: Path, toys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "counts_rows.py").write_text(_ASKED)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "counts_rows", raising=False)
    held = record("ToyRandom-v0", f"counts_rows:{name}", 8, tmp_path / "a.h5", num_envs=num_envs, noise=noise)
    assert len(sys.modules["counts_rows"].asked) == len(held.actions) == held.episode_lengths.sum()
    alone = record("ToyRandom-v0", f"counts_rows:{name}", 8, tmp_path / "b.h5", num_envs=1, noise=noise)
    assert np.array_equal(held.actions, alone.actions) and np.array_equal(held.observations, alone.observations)


def test_an_object_that_keeps_a_state_for_each_row_keeps_its_rows(
    tmp_path: Path, toys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`begin` says when all episodes start, so it may hold an array of states."""

    class Stateful(Doubling):
        def begin(self) -> None:
            self.state = np.zeros((3, 1))

        def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
            self.state = self.state + 1
            return self.state

    monkeypatch.setattr(recording, "load_actor", lambda *_: Stateful())
    held = record("ToyRandom-v0", "x", 3, tmp_path / "a.h5", num_envs=3)
    assert np.array_equal(held.actions[:, 0], held.steps + 1)


def test_linear_policies(tmp_path: Path) -> None:
    """ARS's array of objects, which needs a pickle, and plain arrays."""
    matrix, mean, std = np.array([[1.0, 2.0]]), np.array([0.5, 0.0]), np.array([2.0, 1.0])
    objects = np.empty(3, object)
    objects[:] = [matrix, mean, std]
    np.savez(tmp_path / "ars.npz", objects)
    np.savez(tmp_path / "plain.npz", weights=matrix, bias=[1.0])
    rows = np.array([[1.0, 1.0], [0.0, -1.0]])
    acted = [load_actor(tmp_path / name, "x").act(rows, np.zeros((2, 0))) for name in ("ars.npz", "plain.npz")]
    assert acted[0].tolist() == [[2.25], [-2.25]] and acted[1].tolist() == [[4.0], [-1.0]]
    np.savez(tmp_path / "bad.npz", M=matrix, mean=[1.0])
    with pytest.raises(UserError, match="array 'mean': expected \\[2\\] as 'M' has, found \\[1\\]"):
        load_actor(tmp_path / "bad.npz", "x")


def test_a_policy_of_the_course_and_of_ars(tmp_path: Path) -> None:
    """The real files, which stand beside the repository if they are there."""
    folder = Path(__file__).parents[3] / "shared" / "formats"
    if not folder.is_dir():
        pytest.skip("the files of other projects are not beside the repository")
    course: Any = load_actor(folder / "berkeley" / "expert_policy_Hopper.pkl", "Hopper-v4")
    assert (course.observation_size, course.action_size) == (11, 3)
    ars: Any = load_actor(folder / "ars" / "HalfCheetah-v1_lin_policy_plus.npz", "HalfCheetah-v4")
    assert (ars.observation_size, ars.action_size) == (17, 6)


def test_weights_alone_are_refused_with_a_way_on(tmp_path: Path) -> None:
    torch.save({"net.0.weight": torch.zeros(2, 2)}, tmp_path / "p.ckpt")
    with pytest.raises(UserError, match="of a network that the file does not describe"):
        load_actor(tmp_path / "p.ckpt", "x")
