"""A disk that fails, a folder that is taken away, a kill at every point of a write: one line, and the last good state."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_input import tiny_run
from repeats import every
from run_files import check_trained_alike, checkpoints, metrics, resume

from trpo_gail.cli import main
from trpo_gail.errors import UserError
from trpo_gail.runs.run_folder import RunFolder
from trpo_gail.system import whole_file

# Six iterations; evaluated after the second, the fourth and the sixth, saved after the third and the sixth.
LONG = (
    "--steps", "10000", "--iterations", "6", "--eval_every", "110", "--eval_episodes", "2", "--save_every", "3", "--quiet",
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing befell."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    assert main(tiny_run(path, *LONG)) == 0
    return path


def check_same(run: Path, whole: Path) -> None:
    check_trained_alike(run, whole)
    assert not list(run.rglob("*.part"))


def at_row(number: int, do: Callable[[RunFolder], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something before a row of metrics is written."""
    log, rows = RunFolder.log, 0

    def first(folder: RunFolder, row: Any) -> None:
        nonlocal rows
        rows += 1
        if rows == number:
            do(folder)
        log(folder, row)

    monkeypatch.setattr(RunFolder, "log", first)


# ---- a disk that fails -----------------------------------------------------------------------------------------------

FAULTS = {
    errno.ENOSPC: "No space left on device",
    errno.EDQUOT: "Disk quota exceeded",
    errno.EROFS: "Read-only file system",
    errno.EIO: "Input/output error",
    errno.ESTALE: "Stale file handle",
    errno.EACCES: "Permission denied",
}


@pytest.mark.parametrize("number", every(3, list(FAULTS)))
@pytest.mark.parametrize("where", ["flush", "beside"])
def test_a_disk_that_fails_is_named_and_the_checkpoint_before_stays(
    where: str,
    number: int,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """From the fifth row on nothing can be written whole."""
    run, real = tmp_path / "run", getattr(whole_file, where)

    with monkeypatch.context() as patch:

        def failing(path: Path) -> Any:
            if path.suffix == ".csv":
                return real(path)
            raise OSError(number, os.strerror(number), str(path))

        at_row(5, lambda folder: patch.setattr(whole_file, where, failing), patch)
        assert main(tiny_run(run, *LONG)) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1 and err.startswith(f"trpo-gail: {run}/checkpoints/unfinished_0000006.pt")
    assert FAULTS[number] in err and err.endswith(f"last checkpoint: {run}/checkpoints/unfinished_0000004.pt\n")
    resume(run)
    check_same(run, whole)


def test_rows_are_on_the_disk_before_a_checkpoint_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a loss of power: what was not flushed is gone."""
    run, fsync, rename = tmp_path / "run", os.fsync, os.replace
    flushed: dict[str, int] = {}

    def keep(handle: int) -> None:
        fsync(handle)
        flushed[Path(os.readlink(f"/proc/self/fd/{handle}")).name] = os.fstat(handle).st_size

    def check(part: Path, target: Path) -> None:
        if target.name.startswith(("iteration", "unfinished")):
            for name in ("metrics.csv", "episodes.csv"):
                assert flushed.get(name) == (run / name).stat().st_size, f"{name} at {target.name}"
            checked.append(target.name)
        rename(part, target)

    checked: list[str] = []
    monkeypatch.setattr(os, "fsync", keep)
    monkeypatch.setattr(os, "replace", check)
    assert main(tiny_run(run, *LONG)) == 0
    assert len(checked) == 5


def test_a_disk_that_fails_to_flush_rows_ends_the_run_in_one_line(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run, flush = tmp_path / "run", whole_file.flush

    def failing(path: Path) -> None:
        if path.name == "metrics.csv":
            raise OSError(errno.EIO, "Input/output error", str(path))
        flush(path)

    with monkeypatch.context() as patch:
        at_row(5, lambda folder: patch.setattr(whole_file, "flush", failing), patch)
        assert main(tiny_run(run, *LONG)) == 2
    err = capfd.readouterr().err
    assert err.startswith(f"trpo-gail: {run}/metrics.csv: Input/output error") and err.count("\n") == 1
    resume(run)
    check_same(run, whole)


def test_episodes_that_cannot_be_flushed_end_no_run(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, flush = tmp_path / "run", whole_file.flush

    def failing(path: Path) -> None:
        if path.name == "episodes.csv":
            raise OSError(errno.EIO, "Input/output error", str(path))
        flush(path)

    monkeypatch.setattr(whole_file, "flush", failing)
    assert main(tiny_run(run, *LONG)) == 0
    check_same(run, whole)


# ---- a folder that is taken away -------------------------------------------------------------------------------------


def replace(folder: RunFolder) -> None:
    folder.path.rename(folder.path.with_name("moved"))
    folder.path.mkdir()


@pytest.mark.parametrize(
    ("take", "left"),
    [
        (lambda folder: shutil.rmtree(folder.path), []),
        (lambda folder: folder.path.rename(folder.path.with_name("moved")), ["moved"]),
        (replace, ["moved", "run"]),
    ],
    ids=["deleted", "moved", "replaced"],
)
def test_a_folder_that_is_taken_away_ends_the_run_in_one_line(
    take: Callable[[RunFolder], None], left: list[str], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run, moved = tmp_path / "run", tmp_path / "moved"
    with monkeypatch.context() as patch:
        at_row(5, take, patch)
        assert main(tiny_run(run, *LONG)) == 2
    err = capfd.readouterr().err
    assert err.startswith(f"trpo-gail: {run}: deleted, moved or replaced while the run was writing it; if it was moved")
    assert err.count("\n") == 1 and sorted(path.name for path in tmp_path.iterdir()) == left
    assert not run.exists() or not list(run.iterdir())
    if moved.exists():
        resume(moved)
        check_same(moved, whole)


def test_another_run_in_its_place_is_left_alone(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"

    def take(folder: RunFolder) -> None:
        folder.path.rename(folder.path.with_name("moved"))
        shutil.copytree(whole, folder.path)

    with monkeypatch.context() as patch:
        at_row(5, take, patch)
        assert main(tiny_run(run, *LONG)) == 2
    assert "deleted, moved or replaced while the run was writing it" in capfd.readouterr().err
    names = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file())
    assert all((run / name).read_bytes() == (whole / name).read_bytes() for name in names)
    resume(tmp_path / "moved")
    check_same(tmp_path / "moved", whole)


def test_what_is_not_ours_is_not_discarded(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").touch()
    folder.discard()
    assert (tmp_path / "run" / "precious").exists()
    RunFolder.create(tmp_path / "other").discard()
    assert not (tmp_path / "other").exists()


def test_a_forked_process_lets_go_of_the_lock(tmp_path: Path) -> None:
    """As that of an environment, which may live longer than a training that was killed."""
    folder = RunFolder.create(tmp_path / "run")
    context = multiprocessing.get_context("fork")
    begun, over = context.Event(), context.Event()
    child = context.Process(target=lambda: (begun.set(), over.wait(60)))
    child.start()
    try:
        assert begun.wait(60)
        with pytest.raises(UserError, match="another process is writing this run"):
            RunFolder.create(tmp_path / "run")
        folder.close()
        RunFolder.create(tmp_path / "run").close()
    finally:
        over.set()
        child.join()


def test_metrics_that_are_replaced_lose_no_row(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As by an editor: a copy is renamed to it."""
    run = tmp_path / "run"

    def edit(folder: RunFolder) -> None:
        shutil.copy(folder.path / "metrics.csv", folder.path / "copy")
        (folder.path / "copy").replace(folder.path / "metrics.csv")

    at_row(4, edit, monkeypatch)
    assert main(tiny_run(run, *LONG)) == 0
    err = capfd.readouterr().err
    assert err.startswith(f"warning: {run}/metrics.csv: replaced while the run was writing it") and err.count("\n") == 1
    assert metrics(run) == metrics(whole)


def test_metrics_that_are_removed_are_missed(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    at_row(4, lambda folder: (folder.path / "metrics.csv").unlink(), monkeypatch)
    assert main(tiny_run(run, *LONG)) == 0
    err = capfd.readouterr().err
    assert err.startswith(f"warning: {run}/metrics.csv: removed while the run was writing it") and err.count("\n") == 1
    assert metrics(run) == metrics(whole)[3:]


def test_checkpoints_that_are_removed_are_made_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    at_row(4, lambda folder: shutil.rmtree(folder.path / "checkpoints"), monkeypatch)
    assert main(tiny_run(run, *LONG)) == 0
    assert metrics(run) == metrics(whole)
    assert [path.name for path in checkpoints(run)] == ["iteration_0000006.pt"]


# ---- no locks, another clock -----------------------------------------------------------------------------------------


def test_a_disk_without_locks(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*given: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    run = tmp_path / "run"
    assert main(tiny_run(run, *LONG)) == 0
    check_same(run, whole)


def test_a_clock_that_is_set_back(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an hour at each look."""
    real, looks = time.time, 0

    def back() -> float:
        nonlocal looks
        looks += 1
        return real() - 3600.0 * looks

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", back)
        assert main(tiny_run(run, *LONG)) == 0
    check_same(run, whole)


# ---- a kill at every point of a write --------------------------------------------------------------------------------

POINTS = ((whole_file, "beside"), (whole_file, "flush"), (os, "replace"), (os, "fsync"))


def killed_at(number: int, run: Path) -> bool:
    """Run in a child process that is killed before its `number`-th call of POINTS; whether there were so many."""
    if (child := os.fork()) == 0:
        calls = 0
        for owner, name in POINTS:
            setattr(owner, name, _counted(getattr(owner, name), lambda: next_call()))

        def next_call() -> None:
            nonlocal calls
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            os._exit(main(tiny_run(run, *LONG)))
        finally:
            os._exit(99)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _counted(call: Callable[..., Any], count: Callable[[], None]) -> Callable[..., Any]:
    def counted(*given: Any, **more: Any) -> Any:
        count()
        return call(*given, **more)

    return counted


@pytest.mark.long
def test_a_kill_at_every_point_of_every_write(whole: Path, tmp_path: Path) -> None:
    """config.json, checkpoints within and after iterations, the best, the summary, the picture."""
    number = 1
    while killed_at(number, run := tmp_path / str(number)):
        more = ["--resume"] if run.exists() else []
        assert main(tiny_run(run, *LONG, *more)) == 0
        check_same(run, whole)
        number += 1
    assert number > 25
