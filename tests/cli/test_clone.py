"""`trpo-gail clone`: its run folder serves every tool that reads one."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from bad_input import EXPERT, tiny_run
from run_files import checkpoints, metrics, state

from trpo_gail import Demonstrations, cloning, load_policy
from trpo_gail.cli import main
from trpo_gail.config.tree import CloningConfig
from trpo_gail.errors import RunError
from trpo_gail.parallel import Workers
from trpo_gail.runs import cloning as cloning_run


def line(out: Path, *more: str) -> list[str]:
    return [
        "clone", "CartPole-v0", "--expert", EXPERT, "--trajectories", "2", "--subsample", "10", "--iterations", "201",
        "--eval_every", "50", "--final_episodes", "3", "--seed", "5", "--out", str(out), *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    assert main(line(path, "--quiet")) == 0
    return path


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_its_summary_has_all_that_a_training_runs_has(run: Path, tmp_path: Path) -> None:
    assert main(tiny_run(tmp_path / "trained", "--quiet")) == 0
    summary, trained = read(run / "summary.json"), read(tmp_path / "trained" / "summary.json")
    assert trained.keys() <= summary.keys()
    assert (summary["env"], summary["seed"], summary["steps"], summary["episodes"]) == ("CartPole-v0", 5, 0, 3)
    assert summary["expert_return_mean"] == trained["expert_return_mean"]
    returns = (summary[f"{who}return_mean"] for who in ("", "expert_", "random_"))
    mean, expert, random = returns
    assert summary["scaled_score"] == pytest.approx((mean - random) / (expert - random))
    trained, cloned = read(tmp_path / "trained" / "config.json"), read(run / "config.json")
    assert trained.keys() <= cloned.keys()
    assert (trained["kind"], cloned["kind"]) == ("training", "cloning")


def test_its_checkpoint_is_the_policy_of_the_best_validation_score(run: Path) -> None:
    rows, summary = metrics(run), read(run / "summary.json")
    assert [int(row["iteration"]) for row in rows] == [1, 51, 101, 151, 201]
    best = max(rows, key=lambda row: float(row["validation_score"]))
    assert summary["best_iteration"] == int(best["iteration"])
    (file,) = checkpoints(run)
    assert file.stem == f"iteration_{summary['best_iteration']:07d}"
    assert {name.split(".")[0] for name in state(file)} == {"policy"}


def test_the_other_commands_read_it(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--episodes", "3", "--seed", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["return_mean"] == read(run / "summary.json")["return_mean"]
    assert load_policy(run).predict(np.zeros(4)) in (0, 1)
    out = str(tmp_path / "demos.h5")
    assert main(["record", "CartPole-v0", "--policy", str(run), "--episodes", "1", "--out", out]) == 0


def test_its_policy_is_the_only_one(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--best"]) == 2
    assert "cloning keeps one policy, the best by its validation score" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_policy(run: Path, tmp_path: Path) -> None:
    assert main(line(tmp_path / "again", "--quiet")) == 0
    assert metrics(tmp_path / "again") == metrics(run)
    assert main(line(tmp_path / "other", "--quiet", "--seed", "6")) == 0
    assert metrics(tmp_path / "other") != metrics(run)


def test_continuous_actions_are_cloned_and_executed_as_the_file_says(tmp_path: Path) -> None:
    expert = str(Path(EXPERT).with_name("Hopper-v4.h5"))
    more = ["--iterations", "20", "--final_episodes", "1", "--hidden_sizes", "8", "8", "--dtype", "float64"]
    out = tmp_path / "run"
    assert main(["clone", "Hopper-v4", "--expert", expert, *more, "--out", str(out), "--quiet"]) == 0
    assert read(out / "config.json")["setting"]["actions"] == "raw"
    policy = load_policy(out)
    assert policy.action_view == "raw" and policy.predict(np.zeros(11)).dtype == np.float64
    assert state(checkpoints(out)[0])["policy.net.layers.1.weight"].shape == (8, 8)


def test_it_says_what_it_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line(tmp_path / "run")) == 0
    out = capsys.readouterr().out
    for words in (
        "40 pairs of the first 2 of 50 trajectories",
        "best validation score",
        "learned return",
        "expert return",
    ):
        assert words in out


def test_without_actions_no_flag_is_advised_that_it_has_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "states.h5"
    Demonstrations.from_arrays(np.zeros((10, 4)), episode_lengths=[10]).save(file)
    assert main(["clone", "CartPole-v0", "--expert", str(file), "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.endswith("at which this run would look: expected a file with actions\n")


def test_its_folder_is_called_as_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (line(Path("cloned")), tiny_run(Path("trained"))):
        assert main(command) == 0
    out = capsys.readouterr().out
    assert "run folder cloned\n" in out and "run folder trained\n" in out and str(tmp_path) not in out


def test_what_is_interrupted_keeps_the_policy_that_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: object) -> None:
        signal.raise_signal(signal.SIGINT)
        time.sleep(5.0)

    monkeypatch.setattr(cloning_run, "final_scores", interrupted)
    assert main(line(tmp_path / "run", "--quiet")) == 130
    monkeypatch.undo()
    assert main(["evaluate", str(tmp_path / "run"), "--episodes", "1"]) == 0


def test_what_is_interrupted_before_that_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: object, **named: object) -> None:
        signal.raise_signal(signal.SIGINT)
        time.sleep(5.0)

    monkeypatch.setattr(cloning, "clone", interrupted)
    assert main(line(tmp_path / "run", "--quiet")) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--iterations", "0"], "--iterations: 0"),
        (["--trajectories", "99"], "trajectories"),
        (["--trajectories", "1", "--subsample", "199"], "1 pair, at least 2"),
        (["--expert", "absent.h5"], "absent.h5"),
        (["--steps", "3"], "--steps"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_leaves_no_folder(
    more: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line(tmp_path / "run", *more)) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path.name for path in run.iterdir())
    assert main(line(run)) == 2
    assert f"--out {run}: exists already" in capsys.readouterr().err
    assert sorted(path.name for path in run.iterdir()) == before


def test_training_cannot_go_on_with_it(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = (run / "summary.json").read_bytes()
    assert main(["train", "--resume", "--out", str(run), "--quiet"]) == 2
    assert capsys.readouterr().err == (
        f"trpo-gail: --resume: {run} is a run of behavioural cloning, which training cannot go on with\n"
    )
    assert (run / "summary.json").read_bytes() == summary


def test_scores_that_are_not_finite_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^step 1: train_nll of the policy is .*; a smaller --stepsize than 1e\+38 or"):
        cloning_run.clone(CloningConfig("CartPole-v0", EXPERT, stepsize=1e38), str(tmp_path / "run"), True, Workers())
    assert not any(tmp_path.iterdir())
