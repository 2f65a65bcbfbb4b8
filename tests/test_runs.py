"""The run folder: one writer, rows that a dead run left behind, files whole or not at all."""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from disk import full_disk

from trpo_gail.errors import UserError
from trpo_gail.parallel import Workers
from trpo_gail.runs import events, run_folder
from trpo_gail.runs.run_folder import RunFolder, default_path, is_unbegun, kind_of, read_json, read_metrics, session_of


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

ASK = "import sys, pathlib; from trpo_gail.runs.run_folder import RunFolder; RunFolder.open(pathlib.Path(sys.argv[1]))"


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


def test_a_folder_in_which_a_run_died_before_it_began_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "run"
    leftovers = ["", ".lock", ".config.json.1f.part", "checkpoints/", "checkpoints/iteration_0000001.part"]
    for leftover in leftovers:
        file = path / leftover
        file.parent.mkdir(parents=True, exist_ok=True)
        file.mkdir(exist_ok=True) if leftover in ("", "checkpoints/") else file.touch()
        assert is_unbegun(path)
        made = RunFolder.create(path)
        with pytest.raises(UserError, match="another process is writing this run"):
            RunFolder.create(path)  # the lock decides
        made.close()
        assert not list(path.rglob("*.part"))
    made = RunFolder.create(path)
    made.write_json("config.json", {})
    made.close()
    assert not is_unbegun(path)


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "config.json",
        "metrics.csv",
        "checkpoints/best.pt",
        "x.part/y",
        ".git/",
        "checkpoints/x/",
        "film.mp4.part",
    ],
)
def test_a_folder_that_holds_anything_else_is_left_alone(name: str, tmp_path: Path) -> None:
    path = tmp_path / "run"
    file = path / name
    file.parent.mkdir(parents=True)
    file.mkdir() if name.endswith("/") else file.write_text("mine")
    (path / "a.part").write_text("whose?")
    before = sorted(path.rglob("*"))
    assert not is_unbegun(path)
    said = (
        "--resume goes on" if name == "config.json" else r"a folder that is no run's \(it has no config.json\); a new"
    )
    with pytest.raises(UserError, match=f"exists already[;,] {said}"):
        RunFolder.create(path)
    assert sorted(path.rglob("*")) == before


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_what_is_no_folder_is_left_alone(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text("mine") if kind == "file" else path.symlink_to(tmp_path / "nowhere")
    said = "a file" if kind == "file" else "a link that leads nowhere"
    with pytest.raises(UserError, match=f"exists already, {said}; a new folder expected"):
        RunFolder.create(path)
    assert path.is_symlink() or path.read_text() == "mine"


def test_what_a_kill_left_half_written_is_cleaned_on_resume(folder: RunFolder) -> None:
    (folder.path / "checkpoints").mkdir()
    for name in ("config.json.part", "metrics.part", "checkpoints/iteration_0000005.part", ".report.html.part"):
        (folder.path / name).write_text("half")
    kept = [folder.path / "checkpoints" / "iteration_0000004.pt.damaged", folder.path / "film.mp4.part"]
    for file in kept:
        file.touch()
    RunFolder.open(folder.path).close()
    assert list(folder.path.rglob("*.part")) == kept[1:] and kept[0].exists()


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


@pytest.mark.parametrize("kind", ["folder", "link", "left by a kill"])
def test_a_folder_that_was_there_before_stays(kind: str, tmp_path: Path) -> None:
    mine, path = tmp_path / "mine", tmp_path / "run"
    mine.mkdir(mode=0o750)
    if kind == "link":
        path.symlink_to(mine)
    else:
        path = mine
    if kind == "left by a kill":
        (path / ".lock").touch()
    made = RunFolder.create(path)
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "expert.h5").touch()
    (path / "metrics.csv").touch()
    made.discard()
    assert path.is_dir() and not list(path.iterdir()) and mine.stat().st_mode & 0o777 == 0o750
    RunFolder.create(path).close()


def test_a_folder_that_is_cleared_stays(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").touch()
    (tmp_path / "checkpoints").mkdir()
    RunFolder.clear(tmp_path)
    assert tmp_path.is_dir() and not list(tmp_path.iterdir())


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


def test_columns_do_not_change_within_a_session(folder: RunFolder) -> None:
    again = RunFolder.open(folder.path)
    again.log(row(6))
    with pytest.raises(AssertionError, match="other columns"):
        again.log(row(7) | {"more": 1})
    again.close()


def late(iteration: int, **more: float) -> dict[str, float | int | None]:
    """A row in which `success_rate` follows x, and `eval_success_rate` is last, of those that `more` has."""
    made = row(iteration)
    if "success_rate" in more:
        made = {name: made[name] for name in ("iteration", "steps", "x")} | {
            "success_rate": more["success_rate"],
            "none": None,
        }
    return made | ({"eval_success_rate": more["eval"]} if "eval" in more else {})


def test_late_columns_come_with_the_first_row_that_has_them(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a resume, whose first rows have not, gives the same file."""
    rows = [late(6), late(7, eval=0.5), late(8, success_rate=0.25), late(9), late(10, success_rate=0.0, eval=1.0)]
    whole = RunFolder.open(folder.path)
    for made in rows:
        whole.log(made)
    whole.close()
    before = (folder.path / "metrics.csv").read_text()
    assert before.splitlines()[0] == "iteration,steps,x,success_rate,none,eval_success_rate"
    found = read_metrics(folder.path)
    assert [r["success_rate"] for r in found] == [None] * 7 + [0.25, None, 0.0]
    assert [r["eval_success_rate"] for r in found] == [None] * 6 + [0.5, None, None, 1.0]
    for begins in (5, 6, 8):
        again = RunFolder.open(folder.path)
        again.cut(begins)
        for made in rows[begins - 5 :]:
            again.log(made)
        again.close()
        assert (folder.path / "metrics.csv").read_text() == before
    assert capsys.readouterr().err == "" and not (folder.path / "metrics.csv.old").exists()


@pytest.mark.parametrize("header", ["iteration,steps,x,none", "iteration,steps,y,none", "iteration,steps,x"])
def test_a_session_with_other_columns_keeps_what_has_the_same_name(
    folder: RunFolder, header: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after an update of the package, or where the header is damaged."""
    file = folder.path / "metrics.csv"
    lines = [line.rsplit(",", 4 - header.count(",") - 1)[0] for line in file.read_text().splitlines()[1:]]
    before = "\r\n".join([header, *lines, ""]).encode()
    file.write_bytes(before)
    again = RunFolder.open(folder.path)
    again.log(row(6) | {"more": 1})
    again.log(row(7) | {"more": 2})
    again.close()
    rows = read_metrics(folder.path)
    assert [r["iteration"] for r in rows] == [1, 2, 3, 4, 5, 6, 7] and rows[-1]["more"] == 2
    assert [r["x"] for r in rows[:5]] == [None if ",y" in header else k / 3 for k in range(1, 6)]
    assert [r["more"] for r in rows[:5]] == [None] * 5
    err = capsys.readouterr().err
    assert err.startswith(f"warning: {file}: its columns are not those of this session") and err.count("\n") == 1
    assert (folder.path / "metrics.csv.old").read_bytes() == before


@pytest.mark.parametrize("tail", ["5,50", "\0" * 30])
def test_a_row_that_was_torn_is_kept_in_the_copy(
    folder: RunFolder, tail: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a loss of power on a disk that does not keep its word."""
    file, copy = folder.path / "metrics.csv", folder.path / "metrics.csv.old"
    before = file.read_bytes().partition(b"5,50")[0] + tail.encode()
    file.write_bytes(before)
    for last, warned in ((4, False), (5, True)):  # a row after the checkpoint is made again
        again = RunFolder.open(folder.path)
        again.cut(last)
        again.close()
        assert copy.exists() == warned
        file.write_bytes(before)
    assert copy.read_bytes() == before
    assert (
        "the first that of iteration 5: they stay out; the file as it was is metrics.csv.old" in capsys.readouterr().err
    )


DAMAGED = {
    "2,20,0.6666666666666666,": "2,20,0.66x,",
    "3,30,1.0,": "3,30",
    "4,40,1.3333333333333333,": "four,40,1.3,",
}


def test_damaged_rows_are_left_out_and_that_is_said(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder.path / "metrics.csv"
    text = file.read_text()
    for good, bad in DAMAGED.items():
        text = text.replace(good, bad)
    file.write_bytes(text.encode().replace(b"5,50", b"5,5\xff"))
    damaged = file.read_bytes()
    assert iterations(folder.path) == [1]
    said = f"warning: {file}: 4 damaged rows are left out, the first in line 3\n"
    assert capsys.readouterr().err == said
    again = RunFolder.open(folder.path)
    again.cut(5)
    again.log(row(6))
    again.close()
    assert iterations(folder.path) == [1, 6]
    said = f"{file}: the rows of 4 of 5 iterations are damaged or missing, the first that of iteration 2: they stay out"
    assert capsys.readouterr().err == f"warning: {said}; the file as it was is metrics.csv.old\n"
    assert (folder.path / "metrics.csv.old").read_bytes() == damaged


def test_rows_that_are_missing_are_said_to_be(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.path / "metrics.csv").unlink()
    again = RunFolder.open(folder.path)
    again.cut(5)
    again.log(row(6))
    again.close()
    assert iterations(folder.path) == [6]
    assert "the rows of 5 of 5 iterations are damaged or missing" in capsys.readouterr().err


def test_a_copy_of_before_stays(folder: RunFolder) -> None:
    file, kept = folder.path / "metrics.csv", []
    for number, (good, bad) in enumerate(list(DAMAGED.items())[:2]):
        file.write_text(file.read_text().replace(good, bad))
        kept.append(file.read_text())
        again = RunFolder.open(folder.path)
        again.cut(5)
        again.close()
        assert iterations(folder.path) == [[1, 3, 4, 5], [1, 4, 5]][number]
    assert [(folder.path / f"metrics.csv.{name}").read_text() for name in ("old", "old2")] == kept


@pytest.mark.parametrize("change", [lambda b: b"\xef\xbb\xbf" + b, lambda b: b.replace(b"\r\n", b"\n")])
def test_rows_that_another_program_has_saved_are_read(
    change: Callable[[bytes], bytes], folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a mark of UTF-8, or with other ends of lines."""
    file = folder.path / "metrics.csv"
    file.write_bytes(change(file.read_bytes()))
    again = RunFolder.open(folder.path)
    again.cut(4)
    again.log(row(5))
    again.close()
    assert iterations(folder.path) == [1, 2, 3, 4, 5] and capsys.readouterr().err == ""


def test_a_folder_in_the_place_of_a_file_makes_way(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("metrics.csv", "summary.json"):
        (folder.path / name).unlink(missing_ok=True)
        (folder.path / name / "x").mkdir(parents=True)
    assert read_metrics(folder.path) == []
    again = RunFolder.open(folder.path)
    again.remove("summary.json")
    again.cut(5)
    again.log(row(6))
    again.close()
    assert iterations(folder.path) == [6]
    assert (folder.path / "metrics.csv.old" / "x").is_dir() and (folder.path / "summary.json.old" / "x").is_dir()
    (folder.path / "summary.json" / "y").mkdir(parents=True)
    again.remove("summary.json")
    assert (folder.path / "summary.json.old2" / "y").is_dir()
    assert "metrics.csv: cannot be read and is left out (Is a directory)" in capsys.readouterr().err


# ---- a full disk -----------------------------------------------------------------------------------------------------


def test_a_row_that_cannot_be_written_leaves_no_half(folder: RunFolder, tmp_path: Path) -> None:
    file = folder.path / "metrics.csv"
    before = file.read_bytes()
    again = RunFolder.open(folder.path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, hard))
    try:
        with pytest.raises(UserError, match=r"metrics\.csv: a row could not be written \(File too large\)"):
            again.log(row(6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == before
    again.log(row(6))
    again.close()
    assert iterations(folder.path) == [1, 2, 3, 4, 5, 6]


def test_events_that_cannot_be_written_end_no_run(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """They are for looking at: one warning, and no more of them."""
    pytest.importorskip("tensorboard")
    opened: list[object] = []

    def full(*given: object, **more: object) -> object:
        opened.append(given)
        return open("/dev/full", "wb", buffering=0)

    monkeypatch.setattr(events, "open", full, raising=False)
    again = RunFolder.open(folder.path)
    for iteration in (6, 7, 8):
        again.log(row(iteration))
    again.close()
    assert iterations(folder.path) == [1, 2, 3, 4, 5, 6, 7, 8] and len(opened) == 1
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith(f"warning: {folder.path}: TensorBoard's events are no longer written") and "No space" in err


def test_events_stay_on_a_machine_without_tensorboard(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    before = sorted(folder.path.glob("events.out.tfevents.*"))
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    again = RunFolder.open(folder.path)
    again.cut(3)
    again.log(row(4))
    again.close()
    assert sorted(folder.path.glob("events.out.tfevents.*")) == before != []
    assert iterations(folder.path) == [1, 2, 3, 4] and capfd.readouterr().err == ""


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


def test_a_column_that_is_no_number_stays_out_of_events_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A callback may put anything into its record."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    written = events.Events(tmp_path)
    for step in (10, 20):
        odd = {"mine": np.zeros(3), "text": "abc", "huge": 10**400}
        written.write({"iteration": step // 10, "steps": step, "x": 2.0, "scalar": np.float32(1.0), **odd})  # type: ignore[dict-item]
    written.close()
    found = accumulator(str(tmp_path))
    found.Reload()
    assert [event.step for event in found.Scalars("x")] == [event.step for event in found.Scalars("scalar")] == [10, 20]
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition("leave out ")[2].partition(":")[0] for line in lines] == ["'mine'", "'text'", "'huge'"]


def test_shares_below_edges_are_a_histogram_in_tensorboard(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    written = events.Events(tmp_path)
    written.write({"iteration": 1, "steps": 10, "x": 2.0, "d_logit_below_-4": 0.25, "d_logit_below_8": 0.5})
    written.close()
    found = accumulator(str(tmp_path))
    found.Reload()
    assert found.Tags()["scalars"] == ["x"]
    [event] = found.Histograms("d_logit_histogram")
    assert event.step == 10
    assert list(event.histogram_value.bucket_limit) == [-10.0, -4.0, 8.0, 14.0]
    assert list(event.histogram_value.bucket) == [0.0, 0.25, 0.25, 0.5]


# ---- JSON ------------------------------------------------------------------------------------------------------------


def test_json_is_written_whole_or_not_at_all(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_json("a.json", {"x": 1})
    with full_disk(), pytest.raises(OSError, match=r"No space left.*a\.json'"):
        folder.write_json("a.json", {"x": 2})
    assert read_json(folder.path / "a.json") == {"x": 1} and not list(folder.path.glob("*.part"))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.write_json("a.json", {"x": 3})
    assert read_json(folder.path / "a.json") == {"x": 1}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"kind": "training", "config": {}, "cloning": {}}, "training"),
        ({"kind": "cloning", "config": {}}, "cloning"),
        ({"config": {}}, "training"),  # as version 0.1.0 wrote it
        ({"config": {}, "cloning": {}}, "cloning"),  # likewise
    ],
)
def test_a_run_says_its_kind(content: dict[str, object], kind: str) -> None:
    assert kind_of(content, Path("config.json")) == kind


@pytest.mark.parametrize("kind", ["Training", None, ["training"]])
def test_a_kind_that_is_not_known_is_named(kind: object) -> None:
    with pytest.raises(UserError, match=r"^config\.json: field 'kind': one of training, cloning expected, found "):
        kind_of({"kind": kind}, Path("config.json"))


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"a": "\xff"}', b"[" * 100_000])
def test_a_json_file_that_is_missing_or_damaged_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "config.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=r"config\.json: not a readable JSON file") as error:
        read_json(file)
    assert "\n" not in str(error.value) and len(str(error.value)) < 240


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[]", r"config\.json: an object expected, found \[\]"),
        ("{}", r"config\.json: field 'sessions' is missing, a list of objects expected"),
        ('{"sessions": {}}', r"config\.json: field 'sessions': a list of objects expected, found \{\}"),
        ('{"sessions": [{}, 3]}', r"config\.json: field 'sessions': a list of objects expected, found 3 in it"),
    ],
)
def test_a_json_file_of_another_kind_is_named(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(content)
    with pytest.raises(UserError, match=says):
        read_json(file, sessions=list[dict])


# ---- names -----------------------------------------------------------------------------------------------------------


def test_default_paths_never_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda _: "now")
    first = default_path("toys:Script-v0", 3)
    assert first == Path("runs/toys_Script-v0-seed3-now")
    first.mkdir(parents=True)
    assert default_path("toys:Script-v0", 3) == Path("runs/toys_Script-v0-seed3-now-2")


def test_a_default_name_that_another_run_has_taken_meanwhile_gets_a_number(tmp_path: Path) -> None:
    path, second = tmp_path / "now", tmp_path / "now-2"
    first = RunFolder.create(path, numbered=True)  # it has no config.json yet
    made = RunFolder.create(path, numbered=True)
    assert (first.path, made.path) == (path, second)
    first.close()
    made.close()
    with pytest.raises(OSError, match="Not a directory"):
        RunFolder.create(Path(os.devnull) / "now", numbered=True)


def test_a_session_says_what_ran_without_paths() -> None:
    what = session_of(Workers(), "cpu", 7)
    assert what["versions"]["torch"] and what["ranks"] == 1 and len(what["hosts"]) == 1
    assert (what["device"], what["from_iteration"]) == ("cpu", 7)
    assert "/" not in what["command"][0]
    assert math.isfinite(len(json.dumps(what)))


def test_only_changes_of_the_package_make_the_commit_dirty(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "code.py").write_text("1")
    assert run_folder._commit(package) is None

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
    assert run_folder._commit(package) == commit
    (package / "code.py").write_text("2")
    assert run_folder._commit(package) == commit + "-dirty"
