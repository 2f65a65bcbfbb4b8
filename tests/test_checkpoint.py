"""Checkpoints: there and back to the bit, whole or not at all, and nothing in them is run."""

from __future__ import annotations

import dataclasses
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trpo_gail import checkpoint
from trpo_gail.config import Config, DiscriminatorConfig, PolicyConfig
from trpo_gail.envs import vector
from trpo_gail.errors import UserError
from trpo_gail.evaluate import load_policy
from trpo_gail.learner import Demonstrations, Learner, make_learner
from trpo_gail.parallel import Workers
from trpo_gail.train import epoch

WORKERS = Workers()
CONFIG = Config(
    "toys:Walk-v0", num_envs=2, timesteps_per_batch=60, restart_every=2, d_step=2,
    policy=PolicyConfig(hidden_sizes=(8,)), discriminator=DiscriminatorConfig(hidden_size_adversary=8),
)  # fmt: skip


def learner_of(config: Config, clip: bool = False) -> Learner:
    env, rng = vector.make(config.env, config.num_envs, "gymnasium"), np.random.default_rng(0)
    actions = rng.integers(0, 2, 30) if env.spec.discrete else rng.standard_normal((30, env.spec.action_size))
    expert = Demonstrations(rng.standard_normal((30, env.spec.observation_size)), actions)
    return make_learner(config, env, expert, clip, WORKERS)


def trained(epochs: int, config: Config = CONFIG, learner: Learner | None = None) -> Learner:
    learner = learner or learner_of(config)
    for _ in range(epochs):
        epoch(learner, config, WORKERS)
    return learner


def save(folder: Path, learner: Learner, config: Config = CONFIG, clip: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    return checkpoint.save(folder, learner, config, learner.sampler.env.spec, clip, WORKERS)


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """A nest of dictionaries and lists as flat names and bytes or numbers; times apart."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() if key != "wall_s" for k, v in flat(item, f"{name}.{key}").items()}
    if isinstance(value, list | tuple):
        return {k: v for key, item in enumerate(value) for k, v in flat(item, f"{name}.{key}").items()}
    return {name: np.asarray(value).tobytes() if isinstance(value, torch.Tensor | np.ndarray) else value}


# ---- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["steps", "episodes"])
@pytest.mark.parametrize("env_id", ["toys:Walk-v0", "CartPole-v0"])
@pytest.mark.parametrize("k", [1, 2, 3])  # within a restart's epochs and at their end
def test_k_plus_m_epochs_are_k_save_resume_m(k: int, env_id: str, sampling: str, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, env=env_id, sampling=sampling)
    learner = trained(k, config)
    path = save(tmp_path, learner, config)
    assert path.name == f"iteration_000000{k}.pt" == checkpoint.last_path(tmp_path).name
    resumed = learner_of(config)
    checkpoint.restore(path, resumed)
    assert flat(resumed.state_dict()) == flat(learner.state_dict())
    expected, got = (flat(trained(2, config, x).state_dict()) for x in (learner, resumed))
    assert got == expected
    assert got != flat(trained(2, config).state_dict()), "a blind control"


@pytest.mark.parametrize("env_id", ["toys:Walk-v0", "CartPole-v0"])
def test_what_a_checkpoint_was_made_with_comes_back(env_id: str, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, env=env_id)
    learner = learner_of(config)
    path = save(tmp_path, learner, config)
    state = checkpoint.read(path)
    assert checkpoint.config_of(state, path) == config
    assert checkpoint.spec_of(state) == learner.sampler.env.spec


def test_a_loaded_policy_acts_as_the_learners(tmp_path: Path) -> None:
    learner = trained(2)
    rng = np.random.default_rng(0)
    observations, noise = rng.standard_normal((9, 3)), 5 * rng.standard_normal((9, 2))
    expected = learner.policy.actor().act(observations, noise)
    assert np.abs(expected).max() > 1
    save(tmp_path, learner)
    np.testing.assert_array_equal(load_policy(tmp_path).act(observations, noise), expected)
    save(tmp_path, learner, clip=True)
    np.testing.assert_array_equal(load_policy(tmp_path).act(observations, noise), np.clip(expected, -1, 1))


def test_the_last_few_are_kept_and_the_best(tmp_path: Path) -> None:
    learner = learner_of(CONFIG)
    assert checkpoint.last_path(tmp_path) is None
    with pytest.raises(UserError, match="no best checkpoint"):
        load_policy(tmp_path, "best")
    save(tmp_path, learner)
    checkpoint.save_best(tmp_path, learner, CONFIG, learner.sampler.env.spec, False, WORKERS)
    best = learner.policy.actor()
    for _ in range(5):
        save(tmp_path, trained(1, learner=learner))
    names = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert names == ["best.pt", "iteration_0000003.pt", "iteration_0000004.pt", "iteration_0000005.pt"]
    x, zero = np.ones((4, 3)), np.zeros((4, 2))
    np.testing.assert_array_equal(load_policy(tmp_path, "best").act(x, zero), best.act(x, zero))
    assert (load_policy(tmp_path).act(x, zero) != best.act(x, zero)).all()


def test_ranks_that_have_come_apart_do_not_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers()
    monkeypatch.setattr(workers, "gather", lambda value: [value, "another"] if isinstance(value, str) else [value])
    learner = learner_of(CONFIG)
    with pytest.raises(RuntimeError, match="the ranks' policies differ"):
        checkpoint.save(tmp_path, learner, CONFIG, learner.sampler.env.spec, False, workers)
    assert not list(tmp_path.iterdir())


# ---- whole or not at all ---------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Learner, Path]:
    """A learner, and its checkpoint of one iteration."""
    learner = trained(1)
    return learner, save(tmp_path, learner)


def assert_the_one_before_is_good(folder: Path, path: Path, before: bytes) -> None:
    assert checkpoint.last_path(folder) == path and path.read_bytes() == before
    checkpoint.restore(path, learner_of(CONFIG))


def test_a_full_disk_leaves_the_one_before(tmp_path: Path, saved: tuple[Learner, Path]) -> None:
    learner, path = saved
    before = path.read_bytes()
    trained(1, learner=learner)
    (path.parent / "iteration_0000002.part").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"iteration_0000002\.pt: .*No space left on device.*the one before is good"):
        save(tmp_path, learner)
    assert_the_one_before_is_good(tmp_path, path, before)
    assert [p.name for p in path.parent.iterdir()] == [path.name], "something was left behind"


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_being_killed_while_writing_leaves_the_one_before(
    call: str, tmp_path: Path, saved: tuple[Learner, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, path = saved
    before = path.read_bytes()
    trained(1, learner=learner)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, call, killed)
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, learner)
    assert list(path.parent.glob("*.part"))
    assert_the_one_before_is_good(tmp_path, path, before)
    assert save(tmp_path, learner) == checkpoint.last_path(tmp_path)


# ---- what is none ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, b"", b"nonsense", pickle.dumps({"format": 1}), "torn", "tensor", "dict"])
def test_what_is_not_a_checkpoint_is_named(content: Any, tmp_path: Path, saved: tuple[Learner, Path]) -> None:
    path = tmp_path / "x.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "torn":
        path.write_bytes(saved[1].read_bytes()[:-1000])
    elif content is not None:
        torch.save(torch.ones(2) if content == "tensor" else {"format": 77}, path)
    with pytest.raises(UserError, match=r"x\.pt: not a checkpoint") as caught:
        checkpoint.read(path)
    assert "\n" not in str(caught.value)


class Evil:
    """What a pickle may do to whoever loads it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "x.pt"
    torch.save({"format": checkpoint.FORMAT, "learner": Evil(trace)}, path)
    with pytest.raises(UserError, match="not a checkpoint"):
        checkpoint.read(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists(), "a blind control"


def test_a_policy_loads_without_its_environment(
    tmp_path: Path, saved: tuple[Learner, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(vector, "make")
    assert load_policy(tmp_path).predict(np.zeros(3)).shape == (2,)
    assert load_policy(tmp_path).predict(np.zeros((5, 3)), deterministic=False).shape == (5, 2)
