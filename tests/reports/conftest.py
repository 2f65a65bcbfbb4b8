"""Real runs to report on, as short as they can be, made once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trpo_gail.cli import main

DATA = Path(__file__).parents[2] / "expert_data"
TINY = (
    "--num_envs", "2", "--timesteps_per_batch", "64", "--eval_every", "100", "--eval_episodes", "2", "--final_episodes",
    "3", "--quiet",
)  # fmt: skip


def train(out: Path, *flags: str) -> Path:
    assert main(["train", *flags, "--out", str(out), *TINY]) == 0
    return out


@pytest.fixture(scope="session")
def cartpole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Observations of four numbers."""
    out = tmp_path_factory.mktemp("cartpole") / "run"
    return train(out, "CartPole-v0", "--expert", str(DATA / "CartPole-v0.h5"), "--trajectories", "1", "--steps", "300")


@pytest.fixture(scope="session")
def point_nav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Observations of two numbers, so trajectories are drawn; by PPO; its folder has the other's name."""
    out = tmp_path_factory.mktemp("point_nav") / "run"
    expert = str(DATA / "PointNav2D-v0.h5")
    return train(out, "PointNav2D-v0", "--expert", expert, "--steps", "200", "--generator", "ppo")


@pytest.fixture(scope="session")
def cloned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cloned") / "clone"
    expert = str(DATA / "CartPole-v0.h5")
    flags = ["--trajectories", "1", "--iterations", "101", "--eval_every", "50", "--final_episodes", "3", "--quiet"]
    assert main(["clone", "CartPole-v0", "--expert", expert, "--out", str(out), *flags]) == 0
    return out


@pytest.fixture
def copy(cartpole: Path, tmp_path: Path) -> Path:
    """A copy of the CartPole run, to be damaged."""
    return Path(shutil.copytree(cartpole, tmp_path / "copy"))


@pytest.fixture
def change(copy: Path) -> Callable[[Callable[[dict[str, Any]], Any]], None]:
    """Change the copy's config.json."""

    def apply(how: Callable[[dict[str, Any]], Any]) -> None:
        content = json.loads((copy / "config.json").read_text())
        how(content)
        (copy / "config.json").write_text(json.dumps(content))

    return apply
