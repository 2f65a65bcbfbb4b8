"""Commands that say of a part that it seems to be codes take the flag that they advise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from test_any_space import toy_envs

import trpo_gail
from trpo_gail.cli import main

PARTS = {"camera": (255, (6, 6, 3)), "view": (10, (5, 5, 3))}  # by name the largest pixel, and the shape
VIEW = Dict({name: Box(0, most, shape, np.uint8) for name, (most, shape) in PARTS.items()})
ADVICE = "--policy.numbers view lets networks tell them apart"


@pytest.fixture
def env() -> str:
    return toy_envs.env_id(VIEW, Discrete(2))


@pytest.fixture
def demonstrations() -> trpo_gail.Demonstrations:
    rng = np.random.default_rng(0)
    seen = {name: rng.integers(0, most, (30, *shape)) for name, (most, shape) in PARTS.items()}
    return trpo_gail.Demonstrations.from_arrays(seen, rng.integers(0, 2, 30), episode_lengths=[5] * 6)


@pytest.mark.parametrize("flag", ["--policy.numbers", "--numbers"])
def test_check_takes_the_flag_that_it_advises(flag: str, env: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", env]) == 0
    assert ADVICE in capsys.readouterr().out
    assert main(["check", env, flag, "view"]) == 0
    out = capsys.readouterr().out
    assert ADVICE not in out and "view: vector of shape (5, 5, 3)" in out and "camera: image" in out


def test_clone_takes_it_too(
    env: str, demonstrations: trpo_gail.Demonstrations, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "x.h5", tmp_path / "run"
    demonstrations.save(file)
    line = ["clone", env, "--expert", str(file), "--iterations", "3", "--eval_every", "1", "--final_episodes", "1"]
    assert main([*line, "--out", str(tmp_path / "images")]) == 0
    assert ADVICE in capsys.readouterr().err
    assert main([*line, "--out", str(out), "--policy.numbers", "view", "--policy.encoder", "small"]) == 0
    assert ADVICE not in capsys.readouterr().err
    policy = trpo_gail.load_policy(out)
    assert policy.spec.numbers == ("view",) and policy.config.policy.encoder == "small"
    flags = tmp_path / "flags.json"
    flags.write_text(json.dumps({"policy": {"numbers": ["view"]}}))
    assert main([*line, "--out", str(tmp_path / "file"), "--config", str(flags), "--quiet"]) == 0
    assert trpo_gail.load_policy(tmp_path / "file").spec.numbers == ("view",)
    assert main(["clone", "--out", str(tmp_path / "again"), "--config", str(out / "config.json"), "--quiet"]) == 0
    assert trpo_gail.load_policy(tmp_path / "again").config.policy == policy.config.policy


def test_a_clone_of_an_earlier_version_has_no_such_parts(tmp_path: Path) -> None:
    line = ["--expert", "CartPole-v0", "--trajectories", "1", "--iterations", "3", "--final_episodes", "1", "--quiet"]
    assert main(["clone", "CartPole-v0", *line, "--out", str(tmp_path / "run")]) == 0
    content = json.loads((tmp_path / "run" / "config.json").read_text())
    del content["cloning"]["policy"]
    (tmp_path / "old.json").write_text(json.dumps(content))
    assert main(["clone", "--out", str(tmp_path / "again"), "--config", str(tmp_path / "old.json"), "--quiet"]) == 0
    assert json.loads((tmp_path / "again" / "config.json").read_text())["cloning"]["policy"]["numbers"] == []


def test_a_model_takes_them_as_keywords(env: str, demonstrations: trpo_gail.Demonstrations) -> None:
    made = trpo_gail.BC("MlpPolicy", env, demonstrations, numbers=("view",)).learn(2)
    assert made.spec.numbers == ("view",)
    made = trpo_gail.BC("MlpPolicy", env, demonstrations, policy__numbers=("view",))
    assert made.spec.numbers == ("view",)
