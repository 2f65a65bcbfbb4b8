"""The run folder: one writer, rows that a dead run left behind, files whole or not at all."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trpo_gail import runs
from trpo_gail.errors import UserError
from trpo_gail.runs import RunFolder, default_path, provenance, read_json, read_metrics


def row(iteration: int) -> dict[str, float | int | None]:
    return {"iteration": iteration, "steps": 10 * iteration, "x": iteration / 3, "none": None}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run of five iterations, closed."""
    made = RunFolder.create(tmp_path / "run")
    made.write_json("config.json", {})
    for iteration in range(1, 6):
        made.log(row(iteration))
    made.close()
    return made


def iterations(path: Path) -> list[float | None]:
    return [line["iteration"] for line in read_metrics(path)]


# ---- one writer ------------------------------------------------------------------------------------------------------

ASK = "import sys; from pathlib import Path; from trpo_gail.runs import RunFolder; RunFolder.open(Path(sys.argv[1]))"


def test_a_second_process_is_refused_while_the_first_writes(folder: RunFolder) -> None:
    ask = [sys.executable, "-c", ASK, str(folder.path)]
    first = RunFolder.open(folder.path)
    second = subprocess.run(ask, capture_output=True, text=True)
    assert second.returncode == 1 and "another process is writing this run" in second.stderr
    with pytest.raises(UserError, match="another process is writing this run"):
        RunFolder.open(folder.path)
    first.close()
    assert subprocess.run(ask, capture_output=True).returncode == 0
    RunFolder.open(folder.path).close()


def test_a_lock_ends_with_its_process_however_that_ends(folder: RunFolder) -> None:
    die = f"{ASK}; import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    dead = subprocess.run([sys.executable, "-c", die, str(folder.path)], capture_output=True)
    assert dead.returncode == -9
    RunFolder.open(folder.path).close()


def test_a_folder_that_exists_is_left_alone(folder: RunFolder) -> None:
    before = sorted(p.name for p in folder.path.iterdir())
    with pytest.raises(UserError, match="exists already; --resume"):
        RunFolder.create(folder.path)
    assert sorted(p.name for p in folder.path.iterdir()) == before


@pytest.mark.parametrize("exists", [False, True])
def test_only_a_run_is_resumed(tmp_path: Path, exists: bool) -> None:
    if exists:
        (tmp_path / "x").mkdir()
    with pytest.raises(UserError, match="not a run folder"):
        RunFolder.open(tmp_path / "x")


def test_a_folder_in_which_nothing_began_is_removed(tmp_path: Path) -> None:
    made = RunFolder.create(tmp_path / "a" / "run")
    made.discard()
    assert not (tmp_path / "a" / "run").exists()


# ---- rows ------------------------------------------------------------------------------------------------------------


def test_rows_come_back_to_the_last_digit(folder: RunFolder) -> None:
    assert read_metrics(folder.path) == [row(iteration) for iteration in range(1, 6)]
    text = (folder.path / "metrics.csv").read_text().splitlines()
    assert text[:2] == ["iteration,steps,x,none", "1,10,0.3333333333333333,"]


@pytest.mark.parametrize("torn", ["", "6,60", "6,60,2.0,\n7", "\n"])
def test_a_resume_cuts_what_came_after_its_checkpoint(folder: RunFolder, torn: str) -> None:
    """`torn`: what a run that was killed while it wrote may leave at the end."""
    with open(folder.path / "metrics.csv", "a") as file:
        file.write(torn)
    again = RunFolder.open(folder.path)
    again.cut(3)
    assert iterations(folder.path) == [1, 2, 3]
    again.log(row(4))
    again.close()
    assert iterations(folder.path) == [1, 2, 3, 4]
    assert not list(folder.path.glob("*.part"))


@pytest.mark.parametrize("torn", ["", "iterat", "iteration,steps,x,none\n", "iteration,steps,x,none\n1,1"])
def test_a_run_that_died_before_its_first_row_goes_on(folder: RunFolder, torn: str) -> None:
    (folder.path / "metrics.csv").write_text(torn)
    again = RunFolder.open(folder.path)
    again.cut(0)
    again.log(row(1))
    again.close()
    assert iterations(folder.path) == [1]


def test_a_run_without_rows_has_none(tmp_path: Path) -> None:
    made = RunFolder.create(tmp_path / "run")
    made.cut(0)
    made.close()
    assert read_metrics(tmp_path / "run") == []


def test_columns_do_not_change_within_a_run(folder: RunFolder) -> None:
    again = RunFolder.open(folder.path)
    with pytest.raises(AssertionError, match="other columns"):
        again.log(row(6) | {"more": 1})
    again.close()


def test_tensorboards_events_are_cut_too(folder: RunFolder) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    again = RunFolder.open(folder.path)
    again.cut(2)
    again.log(row(3))
    again.close()
    assert len(list(folder.path.glob("events.out.tfevents.*"))) == 1
    events = accumulator(str(folder.path))
    events.Reload()
    assert [e.step for e in events.Scalars("x")] == [10, 20, 30]
    assert events.Scalars("x")[-1].value == pytest.approx(1.0)
    assert events.Tags()["scalars"] == ["x"]


# ---- JSON ------------------------------------------------------------------------------------------------------------


def test_json_is_written_whole_or_not_at_all(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_json("a.json", {"x": 1})
    (folder.path / "a.json.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        folder.write_json("a.json", {"x": 2})
    assert read_json(folder.path / "a.json") == {"x": 1}
    (folder.path / "a.json.part").unlink()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.write_json("a.json", {"x": 3})
    assert read_json(folder.path / "a.json") == {"x": 1}


@pytest.mark.parametrize("content", [None, "", "{"])
def test_a_json_file_that_is_missing_or_damaged_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "config.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=r"config\.json: not a readable JSON file"):
        read_json(file)


# ---- names -----------------------------------------------------------------------------------------------------------


def test_default_paths_never_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs.time, "strftime", lambda _: "now")
    first = default_path("toys:Script-v0", 3)
    assert first == Path("runs/toys_Script-v0-seed3-now")
    first.mkdir(parents=True)
    assert default_path("toys:Script-v0", 3) == Path("runs/toys_Script-v0-seed3-now-2")


def test_provenance_says_what_ran_without_paths() -> None:
    what = provenance(2, 1, ["a"])
    assert what["versions"]["torch"] and what["ranks"] == 2 and what["hosts"] == ["a"]
    assert "/" not in what["command"][0]
    assert math.isfinite(len(json.dumps(what)))


def test_only_changes_of_the_package_make_the_commit_dirty(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "code.py").write_text("1")
    assert runs._commit(package) is None

    def git(*words: str) -> str:
        names = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        return subprocess.run(
            ["git", "-C", str(tmp_path), *names, *words], check=True, capture_output=True, text=True
        ).stdout

    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    commit = git("rev-parse", "HEAD").strip()
    (tmp_path / "result.txt").write_text("a run's")
    assert runs._commit(package) == commit
    (package / "code.py").write_text("2")
    assert runs._commit(package) == commit + "-dirty"
