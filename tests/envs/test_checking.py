"""`trpo-gail check`: one line per finding, and an exit code."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

sys.path.append(str(Path(__file__).parent))

from trpo_gail.cli import main
from trpo_gail.envs import checking


class Odd(gymnasium.Env):
    """Keeps or breaks one thing."""

    observation_space, action_space = Box(-9, 9, (2,), np.float32), Discrete(2)

    def __init__(self, fault: str = "") -> None:
        self.fault, self.own = fault, np.random.default_rng()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.left = 5
        return self.show(), {}

    def show(self) -> np.ndarray:
        rng = self.own if self.fault == "seed" else self.np_random
        if self.fault == "outside" and self.left == 2:
            return np.array([rng.uniform(), 9.5], np.float32)
        if self.fault == "talks":
            print("a step")
            os.write(1, b"a library's words\n")
        return np.array([rng.uniform(), 0.0 if self.fault == "constant" else rng.uniform()], np.float32)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.left -= 1
        reward = {"reward": 1.0, "nan": np.nan}.get(self.fault, float(action))
        return self.show(), reward, self.left == 0, False, {}


class Strict(Odd):
    """Refuses what a trainer may do."""

    left = 0

    def __init__(self, fault: str = "") -> None:
        super().__init__(fault)
        low, high = np.array([[[0.0, -3e38], [-np.inf, 2.0]], [[4.0, 3e38], [9.0, 2.0]]], np.float32)
        self.action_space = Box(low, high)  # type: ignore[assignment]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        if self.fault == "early" and self.left:
            raise RuntimeError("not yet over")
        return super().reset(seed=seed)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        inside = self.action_space.contains(action)
        assert np.abs(action).max() < 20.0 and (inside or self.fault != "bounds"), f"{action.ravel()} is no action"
        return super().step(action.sum())


gymnasium.register("ToyStrict-v0", entry_point=lambda **kwargs: Strict(**kwargs), max_episode_steps=100)
gymnasium.register("ToyOdd-v0", entry_point=lambda **kwargs: Odd(**kwargs), max_episode_steps=100)
gymnasium.register("ToyNoLimit-v0", entry_point=lambda **kwargs: Odd(**kwargs))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "STEPS", 40)
    monkeypatch.setattr(checking, "SECONDS", 0.01)


def found(fault: str, env_id: str = "ToyOdd-v0") -> list[tuple[str, str]]:
    return [(f.level, f.subject) for f in checking.check(env_id, kwargs={"fault": fault}) if f.level != "ok"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("", []),
        ("seed", [("warning", "seeding")]),
        ("reward", [("warning", "reward")]),
        ("constant", [("warning", "observation")]),
        ("outside", [("warning", "observation")]),
    ],
)
def test_what_is_odd_is_found_and_nothing_else(fault: str, expected: list[tuple[str, str]]) -> None:
    assert found(fault) == expected


def test_one_alone_in_a_process_is_checked_and_told_how_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odd_envs.Line.alive", 0)  # whatever other tests have left open
    first, *others = checking.check("odd_envs:Line-v0", kwargs={"kind": "single"})
    assert first.level == "warning" and "instance 2 of 4 in one process: RuntimeError: port 5005" in first.text
    assert first.text.endswith("--num_envs 1, or as many as ranks, and --eval_every 0")
    assert "error" not in {found.level for found in others} and "speed" in {found.subject for found in others}


def test_instances_that_differ_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """One alone could be made, too, but it would be no other's."""
    sizes = iter((2, 3, 3, 3, 2))
    monkeypatch.setattr(Odd, "observation_space", property(lambda self: self.space))
    monkeypatch.setattr(Odd, "__init__", lambda self, fault: setattr(self, "space", Box(-9, 9, (next(sizes),))))
    (only,) = checking.check("ToyOdd-v0", kwargs={"fault": ""})
    assert (only.level, only.subject) == ("error", "make") and "its instances differ in observation_space" in only.text


def test_an_episode_without_a_limit_is_a_warning() -> None:
    assert found("", "ToyNoLimit-v0") == [("warning", "time limit")]


def test_what_is_not_finite_is_an_error() -> None:
    assert ("error", "reward") in found("nan")


def test_a_slow_environment_is_walked_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "PATIENCE", 0.0)
    (episodes,) = (f.text for f in checking.check("ToyOdd-v0") if f.subject == "episodes")
    assert episodes == "0 terminated and 0 truncated in 4 random steps"


def test_the_command_prints_and_exits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "ToyOdd-v0"]) == 0
    out = capsys.readouterr().out
    assert "ok       observation  vector of shape (2,) (float32), 2 columns, standardised" in out
    assert "steps per second" in out
    assert main(["check", "ToyOdd-v0", "--env_kwargs", '{"fault": "nan"}', "--json"]) == 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any(line["level"] == "error" and line["subject"] == "reward" for line in lines)
    assert main(["check", "Nowhere-v0"]) == 2
    assert "error    make         environment 'Nowhere-v0'" in capsys.readouterr().out


def test_bounds_that_are_exceeded_are_said() -> None:
    said = [f.text for f in checking.check("ToyOdd-v0", kwargs={"fault": "outside"}) if f.level == "warning"]
    assert said == ["9.5 in column 1, where its space says -9 to 9"]


def test_what_an_environment_prints_is_no_part_of_the_json(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "ToyOdd-v0", "--env_kwargs", '{"fault": "talks"}', "--json"]) == 0
    told = capfd.readouterr()
    assert {json.loads(line)["level"] for line in told.out.splitlines()} == {"ok"}
    assert "a step" in told.err and "a library's words" in told.err


@pytest.mark.parametrize(
    ("fault", "level", "says"),
    [
        ("", "ok", ""),
        (
            "bounds",
            "warning",
            "a policy draws actions outside the bounds, too: .* is no action .*--actions executed clips",
        ),
        ("early", "error", "not yet over .*: it refuses a reset before its episode is over; --sampling episodes never"),
    ],
)
def test_what_training_would_fail_on_is_told(fault: str, level: str, says: str) -> None:
    found = [f for f in checking.check("ToyStrict-v0", kwargs={"fault": fault}) if f.level != "ok"]
    assert [f.level for f in found] == ([] if level == "ok" else [level])
    assert all(re.search(says, f.text) for f in found)


def test_each_finding_is_one_line() -> None:
    """Bounds of several rows are printed on several lines by themselves."""
    assert not any("\n" in f.text for f in checking.check("ToyStrict-v0"))
