"""A run, a model and a policy whose environment's class has changed since: one line says so, and nothing is computed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from trpo_gail import GAIL, Demonstrations, load_policy
from trpo_gail.cli import main
from trpo_gail.errors import UserError

ID = "Changing-v0"


class Changing(gymnasium.Env):
    """Five steps; its spaces are what the class says when one is made."""

    parts: ClassVar[dict[str, Any]] = {}
    actions: ClassVar[int] = 0

    def __init__(self, **settings: Any) -> None:
        self.observation_space = Dict(self.parts)
        self.action_space = Box(-1.0, 1.0, (self.actions,))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.t = 0
        return self.observation_space.sample(), {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict]:
        self.t += 1
        return self.observation_space.sample(), 1.0, self.t == 5, False, {}


FIRST = {"pose": Box(-1.0, 1.0, (2,)), "wind": Discrete(3)}
CHANGES = {
    "of gust, pose": {"pose": FIRST["pose"], "gust": FIRST["wind"]},
    "with wind Discrete(4), expected Discrete(3)": {"pose": FIRST["pose"], "wind": Discrete(4)},
    "with pose Box(-1.0, 1.0, (1,), float32), expected": {"pose": Box(-1.0, 1.0, (1,)), "wind": FIRST["wind"]},
}
FEW = [
    "--timesteps_per_batch",
    "20",
    "--num_envs",
    "2",
    "--iterations",
    "1",
    "--eval_every",
    "0",
    "--final_episodes",
    "0",
]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Changing, "parts", FIRST)
    monkeypatch.setattr(Changing, "actions", 2)
    gymnasium.register(ID, Changing, max_episode_steps=50)
    yield
    del gymnasium.registry[ID]


@pytest.fixture
def expert(tmp_path: Path) -> Path:
    rng, out = np.random.default_rng(0), tmp_path / "expert.h5"
    seen = {"pose": rng.uniform(-1, 1, (20, 2)).astype(np.float32), "wind": rng.integers(0, 3, 20)}
    actions = rng.uniform(-1, 1, (20, 2)).astype(np.float32)
    Demonstrations.from_arrays(seen, actions, terminals=np.arange(20) % 5 == 4).save(out)
    return out


@pytest.fixture
def run(tmp_path: Path, expert: Path) -> Path:
    out = tmp_path / "run"
    assert main(["train", ID, "--expert", str(expert), *FEW, "--out", str(out), "--quiet"]) == 0
    return out


@pytest.mark.parametrize("change", CHANGES)
def test_a_policy_does_not_act_in_it(
    change: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Changing, "parts", CHANGES[change])
    recorded = run.parent / "again.h5"
    for words in (
        ["evaluate", str(run), "--episodes", "2"],
        ["record", ID, "--policy", str(run), "--episodes", "2", "--out", str(recorded)],
    ):
        capsys.readouterr()
        assert main(words) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and (change in err or "observation_size" in err), err
    assert not recorded.exists()
    assert main(["report", str(run)]) == 0  # the page is there without the policy's episodes


def test_a_run_does_not_go_on_with_more_actions(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Changing, "actions", 3)
    capsys.readouterr()
    assert main(["train", "--out", str(run), "--resume", "--iterations", "2", "--quiet"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "'actions': expected rows of 3 floats" in err, err


@pytest.mark.parametrize("change", CHANGES)
def test_a_model_does_not_learn_on(change: str, expert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = GAIL("MlpPolicy", ID, str(expert), timesteps_per_batch=20, num_envs=2)
    model.learn(20)
    model.save(expert.parent / "model.zip")
    monkeypatch.setattr(Changing, "parts", CHANGES[change])
    with pytest.raises(UserError, match=re.escape(change)):
        GAIL.load(expert.parent / "model.zip").learn(20)


def test_a_snapshot_that_is_none_is_refused(run: Path) -> None:
    with pytest.raises(UserError, match="which: 'bset' given, 'last' or 'best' expected"):
        load_policy(run, which="bset")


def test_a_run_goes_on_with_demonstrations_that_moved(
    run: Path, expert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = expert.rename(expert.with_name("moved.h5"))
    words = ["train", "--out", str(run), "--resume", "--iterations", "2", "--quiet"]
    capsys.readouterr()
    assert main(words) == 2
    assert "expert.h5: no such file, the demonstrations of" in (err := capsys.readouterr().err) and err.count("\n") == 1
    assert main([*words, "--expert", str(moved)]) == 0
