"""`trpo-gail train --adversary`: each of them trains, saves, resumes, and asks for demonstrations where it needs them."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
from bad_input import EXPERT, tiny_run
from run_files import checkpoints, differing, metrics, state

from trpo_gail.cli import main


@pytest.mark.parametrize("adversary", ["fem", "gtal", "constant"])
def test_a_run_resumed_is_the_run_that_went_on(adversary: str, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for out, steps in ((whole, "300"), (parts, "100")):
        assert main(tiny_run(out, "--quiet", "--adversary", adversary, "--steps", steps)) == 0
    assert main(["train", "--out", str(parts), "--resume", "--steps", "300", "--quiet"]) == 0
    assert differing(state(checkpoints(whole)[-1]), state(checkpoints(parts)[-1])) == []
    assert metrics(parts) == metrics(whole)
    rows, summary = metrics(whole), json.loads((whole / "summary.json").read_text())
    assert ("feature_distance" in rows[0]) == (adversary != "constant") and "d_loss" not in rows[0]
    assert summary["expert_return_mean"] == 200.0 and summary["scaled_score"] is not None


@pytest.mark.parametrize(("reward", "sign"), [("-log(1-D)", 1), ("log(D)", -1)])
@pytest.mark.parametrize("adversary", ["fem", "gtal", "constant"])
def test_the_discriminators_reward_gives_the_sign(adversary: str, reward: str, sign: int, tmp_path: Path) -> None:
    more = ("--adversary", adversary, "--discriminator.reward", reward)
    assert main(tiny_run(tmp_path / "run", "--quiet", *more)) == 0
    paid = [float(row["reward_mean"]) for row in metrics(tmp_path / "run")]
    if adversary == "constant":
        assert paid == pytest.approx([sign * math.log(2)] * len(paid))
    assert min(sign * x for x in paid) > 0


def test_the_constant_reward_needs_no_demonstrations(tmp_path: Path) -> None:
    line = tiny_run(tmp_path / "run", "--quiet", "--adversary", "constant")
    for flag in ("--expert", "--trajectories"):
        del line[line.index(flag) : line.index(flag) + 2]
    assert main(line) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["expert_return_mean"] is None and summary["scaled_score"] is None


@pytest.mark.parametrize("adversary", ["fem", "gtal"])
def test_linear_rewards_need_demonstrations(adversary: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = tiny_run(tmp_path / "run", "--adversary", adversary)
    del line[line.index(EXPERT) - 1 : line.index(EXPERT) + 1]
    assert main(line) == 2
    assert "--expert: a file of demonstrations" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_one_from_outside_trains_and_resumes_and_is_not_needed_to_evaluate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "their_adversary.py").write_text(
        "from trpo_gail.adversaries.constant import ConstantReward\n"
        "def build(config, parts):\n    return ConstantReward(config.d_step)\n"
        "build.imitates = False\n"
    )
    out = tmp_path / "run"
    with monkeypatch.context() as there:
        there.syspath_prepend(tmp_path)
        more = ("--adversary", "their_adversary:build", "--d_step", "3", "--iterations", "2", "--steps", "1000")
        line = tiny_run(out, "--quiet", *more)
        for flag in ("--expert", "--trajectories"):
            del line[line.index(flag) : line.index(flag) + 2]
        assert main(line) == 0
        assert main(["train", "--out", str(out), "--resume", "--iterations", "3", "--quiet"]) == 0
    paid = [float(row["reward_mean"]) for row in metrics(out)]
    assert paid == pytest.approx([3 * math.log(2)] * 3)
    monkeypatch.delitem(sys.modules, "their_adversary")
    assert main(["evaluate", str(out), "--episodes", "1"]) == 0
    assert main(["train", "--out", str(out), "--resume", "--iterations", "4"]) == 2
    assert "--adversary: their_adversary:build: No module named 'their_adversary'" in capsys.readouterr().err


@pytest.mark.parametrize("actions", ["raw", "executed"])
def test_airl_warns_of_a_spread_that_costs_nothing(
    actions: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = tiny_run(tmp_path / "run", "--adversary", "airl", "--actions", actions)
    line[line.index("CartPole-v0")] = "Pendulum-v1"
    line[line.index(EXPERT)] = str(Path(EXPERT).with_name("Pendulum-v1.h5"))
    assert main(line) == 0
    assert ("the spread may grow without limit: --actions executed" in capsys.readouterr().err) == (actions == "raw")
