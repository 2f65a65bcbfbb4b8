"""What a kill or a full disk leaves goes on, and ends as the run would have ended that nothing befell."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from bad_input import EXPERT, tiny_run
from disk import full_disk
from run_files import check_trained_alike, checkpoints, metrics, resume

from trpo_gail.cli import main
from trpo_gail.runs import cloning as cloning_run
from trpo_gail.runs import run_folder
from trpo_gail.runs.evaluate import Evaluator
from trpo_gail.runs.metrics_file import MetricsFile

# Six iterations, evaluated after the second, the fourth and the sixth; saved at the end alone.
LONG = (
    "--steps", "10000", "--iterations", "6", "--eval_every", "110", "--eval_episodes", "2", "--save_every", "100", "--quiet",
)  # fmt: skip


class Killed(BaseException):
    """Stands in for a signal that ends the process at once: nothing of ours takes it for an error."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing befell."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    assert main(tiny_run(path, *LONG)) == 0
    return path


def check_same(run: Path, whole: Path) -> None:
    check_trained_alike(run, whole)
    assert (run / "episodes.csv").read_bytes() == (whole / "episodes.csv").read_bytes()
    assert [path.name for path in checkpoints(run)] == [path.name for path in checkpoints(whole)]
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (run, whole)]
    for name in ("returns", "iterations", "steps", "eval_steps", "best_return"):
        assert summaries[0][name] == summaries[1][name], name


# ---- a kill ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["in an evaluation", "after an evaluation, before the row", "after the row"])
def test_a_run_that_was_killed_at_an_evaluation_ends_as_if_it_had_not(
    how: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    evaluations = rows = 0
    evaluate, log = Evaluator.run, run_folder.RunFolder.log

    def killed_evaluate(evaluator: Evaluator, *given: Any, **more: Any) -> Any:
        nonlocal evaluations
        evaluations += 1
        if how == "in an evaluation" and evaluations == 2:
            raise Killed
        return evaluate(evaluator, *given, **more)

    def killed_log(folder: run_folder.RunFolder, row: Any) -> None:
        nonlocal rows
        rows += 1
        if how == "after the row":
            log(folder, row)
        if rows == 4 and how != "in an evaluation":
            raise Killed
        if how != "after the row":
            log(folder, row)

    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "run", killed_evaluate)
        patch.setattr(run_folder.RunFolder, "log", killed_log)
        assert main(tiny_run(run, *LONG)) == 1
    assert [path.name for path in (run / "checkpoints").glob("*_*.pt")] == ["unfinished_0000004.pt"]
    assert len(metrics(run)) == 3 + (how == "after the row")
    assert main(["evaluate", str(run), "--episodes", "1"]) == 0  # the policy is there
    resume(run)
    check_same(run, whole)


def test_it_may_be_killed_there_again(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"

    def killed(*given: Any, **more: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "run", killed)
        for line in (tiny_run(run, *LONG), ["train", "--resume", "--out", str(run)]):
            assert main(line) == 1
    assert len(metrics(run)) == 1
    resume(run)
    check_same(run, whole)


# ---- a full disk -----------------------------------------------------------------------------------------------------


@contextmanager
def file_size(most: int) -> Iterator[None]:
    """As `ulimit -f`: no file may grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_metrics_that_cannot_be_written_end_the_run_after_a_checkpoint(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the iteration of an evaluation, whose numbers are then in the checkpoint alone."""
    run = tmp_path / "run"
    write, written = MetricsFile.append, 0

    def full(file: MetricsFile, row: Any) -> None:
        nonlocal written
        written += 1
        if written < 4:
            write(file, row)
        else:
            with file_size(file.path.stat().st_size + 20):
                write(file, row)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsFile, "append", full)
        assert main(tiny_run(run, *LONG)) == 2
    last = run / "checkpoints" / "unfinished_0000004.pt"
    said = f"{run}/metrics.csv: a row could not be written (File too large); last checkpoint: {last}"
    assert capfd.readouterr() == ("", f"trpo-gail: {said}\n")
    assert len(metrics(run)) == 3 and last.exists()

    def never(*given: Any, **more: Any) -> None:
        raise AssertionError("evaluated twice")

    with monkeypatch.context() as patch:  # up to the next iteration, without another evaluation of the fourth
        patch.setattr(Evaluator, "run", never)
        assert main(["train", "--resume", "--out", str(run), "--quiet"]) == 1
        assert "evaluated twice" in capfd.readouterr().err
    assert metrics(run) == metrics(whole)[:5]
    resume(run)
    check_same(run, whole)


def test_a_disk_without_room_for_anything_is_one_line_and_one_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with file_size(12_000):  # a checkpoint takes more, and so, after a while, do the events and the rows
        more = ("--iterations", "1000", "--timesteps_per_batch", "4", "--save_every", "100", "--quiet")
        assert main(tiny_run(run, "--steps", "10000", *more)) == 2
    out, err = capfd.readouterr()
    warning, error = err.splitlines()
    assert out == "" and warning.startswith(f"warning: {run}: TensorBoard's events are no longer written")
    assert error.startswith(f"trpo-gail: {run}/metrics.csv: a row could not be written (File too large); no checkpoint")
    rows = metrics(run)
    assert [int(row["iteration"]) for row in rows] == list(range(1, len(rows) + 1)) and len(rows) > 10
    assert not list(run.rglob("*.part"))


@pytest.mark.parametrize("name", ["config.json", "summary.json"])
def test_a_file_that_cannot_be_written_is_named(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    write = run_folder.RunFolder.write_json

    def full(folder: run_folder.RunFolder, asked: str, content: Any) -> None:
        with full_disk() if asked == name else nullcontext():
            write(folder, asked, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_folder.RunFolder, "write_json", full)
        assert main(tiny_run(run, "--quiet")) == 2
    err = capfd.readouterr().err
    assert err.startswith(f"trpo-gail: {run / name}: No space left on device") and err.count("\n") == 1
    assert run.exists() == (name == "summary.json")
    if run.exists():
        resume(run)
        assert json.loads((run / name).read_text())["stopped"] == "steps"


# ---- a kill before anything has begun --------------------------------------------------------------------------------


def leave(run: Path) -> None:
    """What such a kill leaves at most."""
    (run / "checkpoints").mkdir(parents=True)
    for name in (".lock", ".config.json.1f.part", "checkpoints/.iteration_0000001.pt.2e.part"):
        (run / name).write_text("half")


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_a_run_that_died_before_it_began_is_begun_anew(more: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    leave(run)
    assert main(tiny_run(run, "--quiet", *more)) == 0
    assert len(metrics(run)) == 2 and not list(run.rglob("*.part"))
    sessions = json.loads((run / "config.json").read_text())["sessions"]
    assert [session["from_iteration"] for session in sessions] == [0]


def test_a_clone_that_died_before_it_began_is_begun_anew(tmp_path: Path) -> None:
    run = tmp_path / "run"
    leave(run)
    words = ["clone", "CartPole-v0", "--expert", EXPERT, "--iterations", "2", "--final_episodes", "1", "--quiet"]
    assert main([*words, "--out", str(run)]) == 0
    assert (run / "summary.json").exists() and not list(run.rglob("*.part"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train"], "is not a run folder yet, so all flags are needed: train: no ENV given"),
        (["train", "CartPole-v0"], "--expert: a file of demonstrations is needed"),
    ],
)
def test_what_it_needs_to_begin_is_named(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    leave(run)
    assert main([*words, "--resume", "--out", str(run)]) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1
    assert (run / ".config.json.1f.part").exists()


def test_a_folder_with_anything_else_in_it_is_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    leave(run)
    (run / "notes.txt").write_text("mine")
    before = sorted(run.rglob("*"))
    for more, says in (([], "exists already"), (["--resume"], "not a run folder (it has no config.json)")):
        assert main(tiny_run(run, *more)) == 2
        assert says in capsys.readouterr().err
    assert main(["clone", "CartPole-v0", "--expert", EXPERT, "--out", str(run)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert sorted(run.rglob("*")) == before


# ---- cloning ---------------------------------------------------------------------------------------------------------


def test_a_cloned_policy_outlives_an_evaluation_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"

    def fails(*given: object) -> None:
        raise RuntimeError("the environment's")

    monkeypatch.setattr(cloning_run, "final_scores", fails)
    words = ["clone", "CartPole-v0", "--expert", EXPERT, "--iterations", "2", "--out", str(run), "--quiet"]
    assert main(words) == 1
    monkeypatch.undo()
    assert main(["evaluate", str(run), "--episodes", "1"]) == 0
