"""Whatever plays random actions, or a policy's, plays within bounds that are not symmetric: the environment raises else."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trpo_gail import TRPO, generate_expert_traj, load_policy
from trpo_gail.bench import child
from trpo_gail.cli import main
from trpo_gail.config.tree import Config
from trpo_gail.parallel import Workers
from trpo_gail.reports.run_data import load
from trpo_gail.reports.same_start import pairs
from trpo_gail.reports.visits import of_learner
from trpo_gail.runs.evaluate import Evaluator

ENVS = str(Path(__file__).parent / "envs")
ID = "toy_envs:Strict-v0"


@pytest.fixture(scope="module", autouse=True)
def strict() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ENVS)
        yield importlib.import_module("toy_envs").Strict


def random_function(observation: np.ndarray) -> np.ndarray:
    return np.random.default_rng(abs(hash(observation.tobytes()))).uniform([-0.5, 10.0], [2.0, 10.5])


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("strict") / "strict.h5"
    generate_expert_traj(random_function, path, ID, n_episodes=6)
    return path


@pytest.fixture(scope="module")
def run(demonstrations: Path) -> Path:
    """A run that ends with the random policy's baseline."""
    out = demonstrations.parent / "run"
    flags = ["--num_envs", "2", "--timesteps_per_batch", "40", "--steps", "40", "--final_episodes", "2", "--quiet"]
    assert main(["train", ID, "--expert", str(demonstrations), "--actions", "executed", "--out", str(out), *flags]) == 0
    return out


def by_command(*words: str) -> None:
    assert main(list(words)) == 0


def random_by_loaded(run: Path) -> None:
    policy = load_policy(run)
    Evaluator(policy.config, policy.own_spec, Workers()).random(4)


def random_by_model(action_scaling: bool) -> None:
    model = TRPO("MlpPolicy", ID, num_envs=2, action_scaling=action_scaling)
    model._evaluator(None).random(4)
    model._evaluator(ID).random(4)


def generated(run: Path) -> None:
    model = load_policy(run)
    generate_expert_traj(model, env=ID, n_episodes=2, deterministic=False)


PLAYS: dict[str, Callable[[Path, Path], Any]] = {
    "check": lambda run, _: by_command("check", ID),
    "validate": lambda run, file: by_command("data", "validate", str(file), "--env", ID),
    "evaluate": lambda run, _: by_command("evaluate", str(run), "--episodes", "3", "--stochastic"),
    "visits": lambda run, _: of_learner(load([run])[0], 3, stochastic=True),
    "same start": lambda run, _: pairs(load([run])[0]),
    "record": lambda run, file: by_command(
        "record", ID, "--policy", str(run), "--episodes", "3", "--out", str(file.with_name("a.h5"))
    ),
    "record with noise": lambda run, file: by_command(
        "record", ID, "--policy", str(run), "--episodes", "3", "--noise", "0.5", "--out", str(file.with_name("b.h5"))
    ),
    "random, of a loaded policy": lambda run, _: random_by_loaded(run),
    "random, of a model": lambda run, _: random_by_model(True),
    "random, of a model without scaling": lambda run, _: random_by_model(False),
    "generate_expert_traj": lambda run, _: generated(run),
    "bench": lambda run, _: child.raw(Config(ID, num_envs=2), 0.0, Workers()),
    "bench, demonstrations": lambda run, _: child._random_demonstrations(Config(ID, num_envs=2)),
}


@pytest.mark.parametrize("play", PLAYS)
def test_actions_stay_within_the_bounds(
    play: str, run: Path, demonstrations: Path, strict: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trpo_gail.envs.checking.SECONDS", 0.0)
    monkeypatch.setattr("trpo_gail.envs.checking.STEPS", 30)
    strict.widest = 0.0
    PLAYS[play](run, demonstrations)
    assert strict.widest > 0.0, "nothing was played"
    if play in ("check", "validate", "bench") or "random" in play:
        assert strict.widest > 0.9, "random actions reach all of the range"


def test_the_control_leaves_the_bounds(run: Path) -> None:
    """The environment does raise: a policy's raw samples are not clipped."""
    with pytest.raises(Exception, match="outside of the bounds"):
        TRPO("MlpPolicy", ID, num_envs=2, timesteps_per_batch=40).learn(40)
