"""The runner with a stand-in for training: what is done is skipped, what was begun goes on, and nothing is lost."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from trpo_gail.cli import main
from trpo_gail.errors import UserError
from trpo_gail.studies import runner, store
from trpo_gail.studies.reproduction import results
from trpo_gail.studies.reproduction.experiment import GridExperiment
from trpo_gail.studies.reproduction.grid import Cell, Places, Selection, command, load_grid, select
from trpo_gail.studies.reproduction.status import state, status
from trpo_gail.studies.runner import Outcome, Runner

GRID = load_grid()
FAKE = Path(__file__).with_name("fake_cell.py")
CELLS = select(GRID, Selection(("cartpole",), ("gail", "bc"), (1, 4), (0, 1)))
FIRST = CELLS[0]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "POLL_S", 0.01)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """With a file where the demonstrations would be."""
    found = Places(tmp_path / "experts", tmp_path / "runs", tmp_path / "results")
    found.expert_data.mkdir()
    found.runs.mkdir()
    (found.expert_data / "CartPole-v0.h5").touch()
    return found


def run(places: Places, cells: list[Cell] = CELLS, jobs: int = 3) -> Outcome:
    return Runner(GridExperiment(GRID, places), cells, jobs, 1, (sys.executable, str(FAKE))).run()


def calls(places: Places) -> list[str]:
    file = places.runs / "calls.txt"
    return sorted(file.read_text().splitlines()) if file.exists() else []


def order(places: Places, cell: Cell, what: str) -> None:
    (places.runs / f"{cell.name}.order").write_text(what)


def begin(places: Places, cell: Cell, *more: str) -> None:
    """A run folder in which a run has begun."""
    places.run(cell).mkdir()
    session = {"command": ["trpo-gail", *command(GRID, cell, places), *more]}
    (places.run(cell) / "config.json").write_text(json.dumps({"sessions": [session]}))


def test_all_cells_run_once(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(places) == Outcome(done=8)
    assert calls(places) == sorted(f"{cell.name} new" for cell in CELLS)
    assert "cartpole-gail-4-seed1: return 195.50 ± 4.50" in capsys.readouterr().out
    found = results.read_all(places.results, GRID)
    assert {result.cell for result in found} == set(CELLS)
    [one] = [result for result in found if result.cell == Cell("cartpole", "gail", 4, 1)]
    assert (one.returns, one.lengths, one.return_mean, one.grid) == ([200.0, 191.0], [200, 190], 195.5, GRID.version)


def test_a_cells_peak_memory_is_recorded(places: Places) -> None:
    """From a process of its own: Linux counts what the starting process held until the cell's program was loaded."""
    words = [str(places.expert_data), str(places.runs), str(places.results), sys.executable, str(FAKE)]
    program = (
        "import sys; from pathlib import Path\n"
        "from trpo_gail.studies.reproduction.experiment import GridExperiment\n"
        "from trpo_gail.studies.reproduction.grid import Places, Selection, load_grid, select\n"
        "from trpo_gail.studies.runner import Runner\n"
        "places, grid = Places(*map(Path, sys.argv[1:4])), load_grid()\n"
        "cells = select(grid, Selection(('cartpole',), ('gail',), (4,), (1,)))\n"
        "Runner(GridExperiment(grid, places), cells, 1, 1, tuple(sys.argv[4:])).run()\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    [one] = results.read_all(places.results, GRID)
    assert one.peak_memory_mb and 1 < one.peak_memory_mb < 1000
    assert one.command[:3] == ["trpo-gail", "train", "Paper/CartPole-v0"]
    assert str(places.runs.parent) not in json.dumps(one.command), "a path of this machine in a result"
    assert not list(places.results.rglob("*.part"))
    assert run(places) == Outcome(done=8)
    assert len(calls(places)) == 8, "what is done ran again"


def test_a_learning_curve_is_thinned() -> None:
    rows = [{"iteration": float(k), "steps": 10.0 * k, "return_mean": None if k == 3 else k / 3} for k in range(1, 302)]
    thin = results.curve(rows)
    assert len(thin["iteration"]) == results.CURVE_POINTS and thin["iteration"][-1] == 301
    assert thin["iteration"] == sorted(set(thin["iteration"])) and thin["steps"][-1] == 3010
    assert results.curve(rows[:3]) == {
        "iteration": [1, 2, 3],
        "steps": [10, 20, 30],
        "return_mean": [0.333, 0.667, None],
    }
    none = {"iteration": [], "steps": [], "return_mean": []}
    assert results.curve([]) == none == results.curve([{"iteration": 1.0, "validation_score": 0.5}])


def test_a_cell_that_was_interrupted_resumes(places: Places) -> None:
    cloned, trained, half = CELLS[0], CELLS[2], CELLS[1]
    assert (cloned.algorithm, trained.algorithm) == ("bc", "gail")
    for cell in (cloned, trained):
        begin(places, cell)
    places.run(half).mkdir()  # died before it wrote anything
    (places.run(half) / ".lock").touch()
    assert [state(cell, GRID, places) for cell in (cloned, trained, half)] == ["begun", "begun", "open"]
    assert run(places).done == 8
    assert {f"{trained.name} resume", f"{half.name} new", f"{cloned.name} new"} < set(calls(places))


def test_a_clone_under_way_elsewhere_is_not_thrown_away(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    folder = places.run(FIRST)
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with open(folder / ".lock", "w") as held:  # as `trpo-gail clone` by hand would
        fcntl.flock(held, fcntl.LOCK_EX)
        assert run(places, [FIRST]) == Outcome(failed=1)
    assert "another process is writing this run" in capsys.readouterr().out
    assert (folder / "config.json").exists()


def test_a_run_that_ended_without_a_runner_is_harvested(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(places, [FIRST]).done == 1
    store.path(places.results, FIRST.name).unlink()
    capsys.readouterr()
    assert run(places, [FIRST]).done == 1
    assert len(calls(places)) == 1
    assert f"its run folder {places.run(FIRST)} was finished before; move that away to run" in capsys.readouterr().out


def test_a_disk_without_locks_is_named(
    places: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_locks(*given: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert run(places) == Outcome(done=8)
    assert capsys.readouterr().err.count(f"{places.runs}: its file system has no locks") == 1


def test_a_run_that_ended_with_other_flags_is_not_taken_for_this_one(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(places, [FIRST]).done == 1
    file = store.path(places.results, FIRST.name)
    file.unlink()
    config = places.run(FIRST) / "config.json"
    config.write_text(config.read_text().replace('"301"', '"300"').replace('"1001"', '"1000"'))
    assert run(places, [FIRST]).failed == 1
    assert "finished by another command line; move it away" in capsys.readouterr().out
    assert not file.exists() and len(calls(places)) == 1


def test_a_run_that_was_begun_with_other_flags_is_not_resumed(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one that had a flag more: `--resume` alone would go on with it."""
    trained = CELLS[2]
    begin(places, trained, "--max_kl", "0.5")
    assert run(places, [trained]).failed == 1
    assert "was begun by another command line; move it away" in capsys.readouterr().out
    assert not calls(places)


def test_a_failing_cell_is_told_and_the_others_go_on(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    order(places, CELLS[2], "fail")
    assert run(places) == Outcome(done=7, failed=1)
    out = capsys.readouterr().out
    assert f"{CELLS[2].name}: failed: exit code 2" in out and "trpo-gail: the last line" in out
    order(places, CELLS[2], "")
    assert run(places) == Outcome(done=8)


def test_a_summary_that_lacks_something_is_a_failure(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    run(places, [FIRST])
    store.path(places.results, FIRST.name).unlink()
    file = places.run(FIRST) / "summary.json"
    file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "lengths"}))
    assert run(places) == Outcome(done=7, failed=1)
    assert "lacks the field 'lengths'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"wall_s": "long"}, "of summary.json or config.json is of the wrong kind"),
        ({"returns": None}, "of summary.json or config.json is of the wrong kind"),
        ({"ranks": "two"}, "of the wrong kind"),
        ({"env": 3}, "field 'env': a text expected, found 3"),
        ({"return_mean": 1.0}, "field 'return_mean': 1.0 found, 195 expected, the mean of 'returns'"),
    ],
)
def test_a_summary_of_another_kind_is_a_failure(
    places: Places, change: dict[str, object], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(places, [FIRST])
    store.path(places.results, FIRST.name).unlink()
    file = places.run(FIRST) / "summary.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert run(places, [FIRST]) == Outcome(failed=1)
    assert says in capsys.readouterr().out


def test_a_run_with_a_damaged_summary_goes_on(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    """Training evaluates again; its summary is then whole."""
    trained = CELLS[2]
    run(places, [trained])
    store.path(places.results, trained.name).unlink()
    (places.run(trained) / "summary.json").write_bytes(b"\xff{")
    assert run(places, [trained]) == Outcome(done=1)
    assert calls(places) == [f"{trained.name} new", f"{trained.name} resume"]
    assert "summary.json: not a readable JSON file" in capsys.readouterr().err


def test_a_folder_that_holds_no_run_is_not_thrown_away(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    folder = places.run(FIRST)
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    assert run(places, [FIRST]) == Outcome(failed=1)
    assert f"{folder}: holds something, but no run (no config.json)" in capsys.readouterr().out
    assert (folder / "notes.txt").read_text() == "mine"


def test_another_runners_cell_is_left_alone(places: Places) -> None:
    with open(places.runs / f"{FIRST.name}.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert state(FIRST, GRID, places) == "running"
        assert f"running: {FIRST.name}" in status(GRID, CELLS, places)
        outcome = run(places)
        assert outcome == Outcome(done=7, elsewhere=1) and outcome.exit_code == runner.INCOMPLETE
    assert state(FIRST, GRID, places) == "open"
    assert run(places) == Outcome(done=8)


def test_who_only_looks_writes_nothing(places: Places) -> None:
    """The folder may be another user's, or read-only."""
    lock = places.runs / f"{FIRST.name}.lock"
    lock.touch()
    os.utime(lock, ns=(1, 1))
    assert (state(FIRST, GRID, places), lock.stat().st_mtime_ns) == ("open", 1)


def test_a_cell_that_was_elsewhere_is_collected_at_the_end(
    places: Places, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it has its result by then, or its run folder alone, or neither."""
    assert run(places, CELLS[:2]) == Outcome(done=2)
    store.path(places.results, CELLS[1].name).rename(kept := places.results / "kept")  # its process has no runner
    store.path(places.results, FIRST.name).rename(places.results / "first")
    held = contextlib.ExitStack()
    for cell in CELLS[:3]:
        lock = held.enter_context(open(places.runs / f"{cell.name}.lock", "w"))  # noqa: SIM115
        fcntl.flock(lock, fcntl.LOCK_EX)
    real = Runner._settle_ended

    def others_end(self: Runner[Cell]) -> None:
        real(self)
        if self._outcome.done == 5:
            (places.results / "first").rename(store.path(places.results, FIRST.name))
            held.close()

    monkeypatch.setattr(Runner, "_settle_ended", others_end)
    outcome = run(places)
    assert outcome == Outcome(done=8) and outcome.exit_code == 0
    assert len(calls(places)) == 8 and kept.exists()
    told = capsys.readouterr().out
    assert [told.count(f"{cell.name}: under way elsewhere") for cell in CELLS] == [1, 1, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_lets_running_cells_save(
    places: Places, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    hanging = CELLS[2]
    order(places, hanging, "hang")
    waiting = places.run(hanging) / "ready"

    def send() -> None:
        while not waiting.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send)
    sender.start()
    outcome = run(places, CELLS, jobs=1)
    sender.join()
    assert outcome == Outcome(done=2, stopped=number.name) and outcome.exit_code == runner.INCOMPLETE
    assert state(hanging, GRID, places) == "begun"
    assert re.search(rf"{hanging.name}: stopped at 50%, \d+ MB at most", capsys.readouterr().out)
    order(places, hanging, "")
    assert run(places) == Outcome(done=8)
    assert f"{hanging.name} resume" in calls(places)


def test_a_signal_that_comes_too_late_stops_nothing(places: Places) -> None:
    one = Runner(GridExperiment(GRID, places), [FIRST], 1, 1, (sys.executable, str(FAKE)))
    real = one._settle

    def settle(job: Any) -> None:
        real(job)
        one._outcome.stopped = "SIGTERM"

    one._settle = settle  # type: ignore[method-assign]
    assert one.run() == Outcome(done=1)


def test_the_exit_code_of_a_failure_counts_for_more() -> None:
    codes = [Outcome(), Outcome(done=3), Outcome(elsewhere=1), Outcome(stopped="SIGINT"), Outcome(1, 1, 1, "SIGINT")]
    assert [outcome.exit_code for outcome in codes] == [0, 0, 3, 3, 1]


def test_a_runner_that_dies_leaves_its_cells_claimed_until_they_end(places: Places) -> None:
    order(places, FIRST, "hang")
    code = (
        "import sys; from pathlib import Path; from trpo_gail.studies.runner import Runner\n"
        "from trpo_gail.studies.reproduction.experiment import GridExperiment\n"
        "from trpo_gail.studies.reproduction.grid import *\n"
        f"places = Places(*map(Path, {[str(places.expert_data), str(places.runs), str(places.results)]}))\n"
        f"Runner(GridExperiment(load_grid(), places), [{FIRST!r}], 1, 1, (sys.executable, {str(FAKE)!r})).run()"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    while not (places.run(FIRST) / "ready").exists():
        time.sleep(0.02)
    other.kill()
    other.wait()
    assert state(FIRST, GRID, places) == "running"
    assert run(places, [FIRST]) == Outcome(elsewhere=1)
    [child] = [
        int(p.parent.name) for p in Path("/proc").glob("[0-9]*/cmdline")
        if str(places.run(FIRST)).encode() in _bytes(p)
    ]  # fmt: skip
    os.kill(child, signal.SIGUSR1)
    while state(FIRST, GRID, places) == "running":
        time.sleep(0.02)
    order(places, FIRST, "")
    assert run(places, [FIRST]) == Outcome(done=1)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_launcher_of_the_runner_is_none_of_its_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "1")
    assert not {"PMI_RANK", "PMI_SIZE"} & runner._environment().keys()


def test_part_done(places: Places) -> None:
    cell = Cell("cartpole", "gail", 1, 0)
    assert runner.part_done(GridExperiment(GRID, places), cell) == 0.0
    run(places, [cell])
    assert runner.part_done(GridExperiment(GRID, places), cell) == pytest.approx(151 / 301)
    with open(places.run(cell) / "metrics.csv", "a") as file:
        file.write("1x")  # a line half written
    assert runner.part_done(GridExperiment(GRID, places), cell) == pytest.approx(151 / 301)


# ---- what a user gets wrong ------------------------------------------------------------------------------------------


def test_a_result_of_another_grid_is_refused_and_kept(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    run(places, [FIRST])
    file = store.path(places.results, FIRST.name)
    old = file.read_text().replace(f'"grid": {GRID.version}', '"grid": 0')
    file.write_text(old)
    capsys.readouterr()
    folders = ["--expert_data", str(places.expert_data), "--runs", str(places.runs), "--results", str(places.results)]
    one = ["--task", FIRST.task, "--algorithm", FIRST.algorithm, "--trajectories", "1", "--seeds", "0"]
    for word in ("run", "status"):
        assert main(["paper", word, *one, *folders]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1
        assert err.startswith(f"trpo-gail: {file}: made with version 0 of the grid, and this is version {GRID.version}")
    assert file.read_text() == old


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not a readable JSON file"),
        ("[]", "an object expected, found"),
        (f'{{"grid": {GRID.version}}}', "fields missing or unknown: algorithm"),
    ],
)
def test_a_damaged_result_is_refused(places: Places, content: str, says: str) -> None:
    file = store.path(places.results, FIRST.name)
    file.parent.mkdir(parents=True)
    file.write_text(content)
    with pytest.raises(UserError, match=says) as error:
        run(places)
    assert str(file) in str(error.value) and file.read_text() == content


@pytest.mark.parametrize(
    "change",
    [
        {"expert_return_mean": "x"}, {"random_return_mean": True}, {"grid": True}, {"returns": "x"}, {"lengths": [1, "x"]},
        {"curve": []}, {"curve": {"steps": 3}}, {"versions": None}, {"wall_s": []}, {"return_mean": 1.25},
    ],
)  # fmt: skip
def test_a_field_of_the_wrong_kind_is_named(places: Places, change: dict[str, object]) -> None:
    run(places, [FIRST])
    file = store.path(places.results, FIRST.name)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UserError, match=f"{file}.*" + ("version True" if "grid" in change else next(iter(change)))):
        run(places)


def test_a_result_that_is_no_text_is_refused(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    (places.results / "cells").mkdir(parents=True)
    (places.results / "cells" / f"{FIRST.name}.json").write_bytes(b"\xff\xfe{")
    assert main(["paper", "table", "--results", str(places.results)]) == 2
    assert f"{FIRST.name}.json: not a readable JSON file" in capsys.readouterr().err


def test_the_commits_of_all_sessions_are_told(places: Places) -> None:
    assert run(places, [FIRST]).done == 1
    config = places.run(FIRST) / "config.json"
    content = json.loads(config.read_text())
    sessions = [content["sessions"][0] | {"commit": commit} for commit in ("abc", "abc", "def")]
    config.write_text(json.dumps(content | {"sessions": sessions}))
    assert results.harvest(places.run(FIRST), FIRST, GRID, None).commit == "abc, def"


def test_packed_results_are_done_and_a_file_of_a_cells_own_counts_for_more(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    run(places)
    before = results.read_all(places.results, GRID)
    folder = ["--results", str(places.results)]
    table = [main(["paper", "table", *folder]), capsys.readouterr().out.partition("| task")[2]]
    for packed in (8, 0):
        assert main(["paper", "pack", *folder]) == 0
        said = f"{places.results}/cells.jsonl: 8 results, {packed} of them packed now\n"
        assert capsys.readouterr().out == said
        assert [file.name for file in places.results.iterdir()] == ["cells.jsonl"]
    assert results.read_all(places.results, GRID) == before
    assert [main(["paper", "table", *folder]), capsys.readouterr().out.partition("| task")[2]] == table
    assert run(places) == Outcome(done=8) and len(calls(places)) == 8, "what is done ran again"
    assert {state(cell, GRID, places) for cell in CELLS} == {"done"}

    again = dataclasses.replace(before[0], returns=[1.0, 3.0], return_mean=2.0)
    store.write(places.results, again.cell.name, again)
    assert results.read_all(places.results, GRID) == [again, *before[1:]]
    assert main(["paper", "pack", *folder]) == 0
    assert capsys.readouterr().out.endswith("cells.jsonl: 8 results, 1 of them packed now\n")
    assert results.read_all(places.results, GRID) == [again, *before[1:]]


def test_what_cannot_be_used_is_not_packed(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    run(places)
    file = store.path(places.results, FIRST.name)
    file.write_text(file.read_text().replace(f'"grid": {GRID.version}', '"grid": 0'))
    capsys.readouterr()
    assert main(["paper", "pack", "--results", str(places.results)]) == 2
    assert f"{file}: made with version 0 of the grid" in capsys.readouterr().err
    assert len(list(file.parent.iterdir())) == 8 and [f.name for f in places.results.iterdir()] == ["cells"]


def test_a_packed_result_of_another_grid_is_named_by_its_line(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    run(places)
    assert main(["paper", "pack", "--results", str(places.results)]) == 0
    file = places.results / "cells.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], lines[1].replace(f'"grid": {GRID.version}', '"grid": 0'), *lines[2:]]))
    capsys.readouterr()
    assert main(["paper", "table", "--results", str(places.results)]) == 2
    assert capsys.readouterr().err.startswith(f"trpo-gail: {file}, line 2: made with version 0 of the grid")


def test_a_result_under_another_cells_name_is_refused(places: Places) -> None:
    run(places, [FIRST])
    store.path(places.results, FIRST.name).rename(store.path(places.results, CELLS[1].name))
    with pytest.raises(UserError, match=f"holds the cell {FIRST.name}, which its name does not say"):
        run(places)
    record = store.Record("a", "cells.jsonl, line 1", {"contestant": "trpo"})
    with pytest.raises(UserError, match=r"line 1: field 'grid': missing; is this the result of another study"):
        results.read(record, load_grid())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nonsense"], "paper: unknown subcommand 'nonsense'"),
        (["run", "--task", "swimmer"], "--task: 'swimmer' is not in the grid"),
        (["run", "--task", "hopper", "--jobs", "0"], "--jobs: 0 given, at least 1 expected"),
        (["run", "--task", "hopper", "--expert_data", "nowhere"], "--expert_data: nowhere/Hopper-v1.h5 does not exist"),
        (["list", "--seeds", "x"], "paper list: Error parsing --seeds"),
    ],
)
def test_mistakes_on_the_command_line(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["paper", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and says in err
    assert not list(tmp_path.iterdir()), "something was made"


def test_folders_that_cannot_be_written_are_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "CartPole-v0.h5").touch()
    words = ["--runs", str(tmp_path / "file" / "x"), "--results", str(tmp_path), "--expert_data", str(tmp_path)]
    assert main(["paper", "run", "--task", "cartpole", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"trpo-gail: {tmp_path}/file/x: ") and error.count("\n") == 1


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paper", "list", "--task", "acrobot", "--algorithm", "constant", "--seeds", "0", "--commands"]) == 0
    line = capsys.readouterr().out
    assert line.startswith("trpo-gail train Paper/Acrobot-v0 ") and "--discriminator.reward 'log(D)'" in line
