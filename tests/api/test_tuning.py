"""examples/tune.py: it tunes on some seeds, reports on others, and writes flags that `train` takes."""

from __future__ import annotations

import builtins
import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from trpo_gail.commands.train import parse_flags
from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import Config
from trpo_gail.errors import RunError

ROOT = Path(__file__).parents[2]
EXPERT = str(ROOT / "expert_data" / "CartPole-v0.h5")


@pytest.fixture
def tune() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "examples" / "tune.py"))


def test_the_defaults_are_ours(tune: dict[str, Any]) -> None:
    flat = flatten(Config("x"))
    names = {"d_stepsize": "discriminator.d_stepsize", "max_kl": "trpo.max_kl"}
    found = {path: flat[names.get(path, path)] for path in tune["DEFAULTS"]}
    # What these become for vectors is in tests/adversaries/test_penalty.py.
    assert (
        found.pop("discriminator.gradient_penalty") is None
        and tune["DEFAULTS"]["discriminator.gradient_penalty"] == 1.0
    )
    assert found.pop("d_stepsize") is None and tune["DEFAULTS"]["d_stepsize"] == 3e-3
    assert found == {path: value for path, value in tune["DEFAULTS"].items() if path in found}


def test_without_optuna_one_line_says_so(tune: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "optuna":
            raise ModuleNotFoundError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SystemExit, match="optuna is not installed: pip install optuna"):
        tune["main"](["CartPole-v0", EXPERT])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--report-seeds", "0"], "--report-seeds: 0 given, at least 1 expected"),
        (["--tuning-seeds", "0"], "--tuning-seeds: 0 given, at least 1 expected"),
        (["--out", "nowhere/tuned.json"], "--out nowhere/tuned.json: the folder does not exist"),
        (["--out", "."], "--out .: a folder, a file expected"),
    ],
)
def test_a_mistake_is_told_before_hours_of_training(
    words: list[str], said: str, tune: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        tune["main"](["CartPole-v0", EXPERT, *words])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("broken", [range(200), range(100, 200)])  # in the search, and in the report alone
def test_trainings_that_break_off_end_in_one_line(broken: range, tune: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")

    def learnt(given: Any, flags: Any, seed: int) -> float:
        if seed in broken:
            raise RunError("the environment fails")
        return 1.0

    tune["main"].__globals__["learnt"] = learnt
    said = "all 2 trials broke off" if 0 in broken else "the environment fails"
    with pytest.raises(SystemExit, match=f"^tune.py: {said}"):
        tune["main"](["CartPole-v0", EXPERT, "--trials=2", "--out", str(tmp_path / "tuned.json")])
    assert (tmp_path / "tuned.json").exists() == (0 not in broken)


@pytest.mark.slow
def test_a_small_search(tune: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")
    seeds: list[int] = []
    real = tune["learnt"]

    def learnt(given: Any, flags: Any, seed: int) -> float:
        seeds.append(seed)
        return float(real(given, flags, seed))

    tune["main"].__globals__["learnt"] = learnt
    out = tmp_path / "tuned.json"
    words = [
        "CartPole-v0",
        EXPERT,
        "--trials=2",
        "--steps=2000",
        "--episodes=2",
        "--tuning-seeds=1",
        "--report-seeds=1",
    ]
    found = tune["main"]([*words, "--out", str(out)])
    assert seeds == [0, 0, 100, 100] and found["report_seeds"] == [100]
    assert json.loads(out.read_text()) == found["best"] and set(found["best"]) == set(tune["DEFAULTS"])
    config = parse_flags(["CartPole-v0", "--expert", EXPERT, "--config", str(out)]).config
    assert config.trpo.max_kl == found["best"]["max_kl"] and config.d_step == found["best"]["d_step"]
    assert re.search(r"^tuned, on 1 other seeds +\d", capsys.readouterr().out, re.MULTILINE)


def test_what_is_wrong_with_the_task_is_one_line_before_the_study(tune: dict[str, Any]) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(SystemExit, match=r"^tune.py: .*no module 'no_such_module'"):
        tune["main"](["no_such_module:Task-v0", EXPERT])
