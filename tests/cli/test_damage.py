"""A damaged run folder: never a traceback. One line says what is wrong, and what can be used is used."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bad_input import tiny_run
from damage import copy, damage_run
from repeats import every
from run_files import checkpoints, differing, events, metrics, state

from trpo_gail import load_policy
from trpo_gail.cli import main
from trpo_gail.errors import UserError

WAYS = ("resume", "evaluate", "report", "resume", "record", "load", "resume", "best")
TRIALS = 32


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four iterations, saved after each and evaluated after some."""
    path = tmp_path_factory.mktemp("runs") / "run"
    more = ["--steps", "220", "--eval_every", "100", "--eval_episodes", "1", "--save_every", "1", "--quiet"]
    assert main(tiny_run(path, *more)) == 0
    return path


def use(run: Path, way: str) -> int:
    """The exit code of a command."""
    out = str(run.parent / "made.h5")
    Path(out).unlink(missing_ok=True)
    lines = {
        "resume": ["train", "--resume", "--out", str(run), "--quiet"],
        "evaluate": ["evaluate", str(run), "--episodes", "1"],
        "best": ["evaluate", str(run), "--episodes", "1", "--best"],
        "report": ["report", str(run), "--episodes", "1"],
        "record": ["record", "CartPole-v0", "--policy", str(run), "--episodes", "1", "--out", out],
    }
    return main(lines[way])


@pytest.mark.parametrize("trial", every(3, range(TRIALS)))
def test_a_damaged_run_folder_is_used_or_refused_in_one_line(
    trial: int, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = copy(run, tmp_path / "run")
    file, how = damage_run(damaged, np.random.default_rng(trial))
    way = WAYS[trial % len(WAYS)]
    if way == "load":
        with contextlib.suppress(UserError):
            load_policy(damaged)
        return
    code = use(damaged, way)
    told = capsys.readouterr().err.splitlines()
    errors = [line for line in told if not line.startswith("warning: ")]
    assert (code, len(errors)) in ((0, 0), (2, 1)), (file, how, told)
    assert all(line.startswith("trpo-gail: ") and str(damaged) in line for line in errors), (file, how, told)
    assert max(map(len, told), default=0) < 320 + 3 * len(str(damaged)), "the line is too long for a terminal"


@pytest.mark.parametrize("name", ["summary.json", "learning_curve.png", "metrics.csv"])
def test_what_is_not_needed_stops_no_resume(
    name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run that goes on is the one that was never damaged."""
    whole, damaged = (copy(run, tmp_path / folder) for folder in ("whole", "damaged"))
    (damaged / name).write_bytes(b"\xff{" + (damaged / name).read_bytes()[:-7])
    for folder in (whole, damaged):
        assert main(["train", "--resume", "--out", str(folder), "--steps", "300", "--quiet"]) == 0
    assert differing(state(checkpoints(whole)[-1]), state(checkpoints(damaged)[-1])) == []
    rows = metrics(whole)
    assert len(rows) == 5 and metrics(damaged) == (rows[-1:] if name == "metrics.csv" else rows)
    returns = [json.loads((folder / "summary.json").read_text())["returns"] for folder in (whole, damaged)]
    assert returns[0] == returns[1]
    assert capsys.readouterr().err.count("warning: ") == (name == "metrics.csv")


def test_a_damaged_last_checkpoint_is_set_aside_and_training_goes_on_from_the_one_before(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = copy(run, tmp_path / "run")
    *_, good, last = checkpoints(damaged)
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 4  # one bit
    last.write_bytes(content)
    assert main(["evaluate", str(damaged)]) == 2
    err = capsys.readouterr().err
    assert (
        err.startswith(f"trpo-gail: {last}: ") and f"the last good one is {good.name} (train --resume takes it" in err
    )
    assert main(["report", str(damaged), "--episodes", "1"]) == 0
    assert f"warning: {damaged.name}: no episodes of its policy, for {last}: " in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(damaged), "--quiet"]) == 0
    said = f"warning: {last} is damaged: it is set aside, and training goes on from {good}\n"
    assert capsys.readouterr().err == said
    assert differing(state(checkpoints(damaged)[-1]), state(checkpoints(run)[-1])) == []
    assert metrics(damaged) == metrics(run) and events(damaged, "kl") == events(run, "kl")
    assert last.with_name(f"{last.name}.damaged").read_bytes() == content


def test_without_a_good_checkpoint_nothing_goes_on(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = copy(run, tmp_path / "run")
    for path in checkpoints(damaged):
        path.write_bytes(b"")
    before = {path: path.stat().st_mtime_ns for path in damaged.rglob("*") if path.name != ".lock"}
    assert main(["train", "--resume", "--out", str(damaged)]) == 2
    err = capsys.readouterr().err
    assert "no checkpoint of this run is good, and another --out starts anew\n" in err and err.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in damaged.rglob("*") if path.name != ".lock"} == before


def test_without_any_checkpoint_it_is_said_that_training_begins_anew(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also with the row of the iteration after which the first save was due; it is made again."""
    damaged = copy(run, tmp_path / "run")
    shutil.rmtree(damaged / "checkpoints")
    (damaged / "summary.json").unlink()
    keep_rows(damaged, 1)
    assert main(["train", "--resume", "--out", str(damaged), "--quiet"]) == 0
    err = capsys.readouterr().err
    assert f"warning: {damaged}: no checkpoint was saved yet, so training begins anew" in err and err.count("\n") == 1
    assert metrics(damaged) == metrics(run) and not list(damaged.glob("*.old"))


def keep_rows(run: Path, count: int) -> None:
    lines = (run / "metrics.csv").read_text().splitlines(keepends=True)
    (run / "metrics.csv").write_text("".join(lines[: count + 1]))


@pytest.mark.parametrize("trace", ["best.pt", "summary.json", "config.json", "metrics.csv", "metrics.csv by minutes"])
def test_where_a_checkpoint_was_once_nothing_begins_anew(
    trace: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as in a copy that left large files out."""
    damaged = copy(run, tmp_path / "run")
    shutil.rmtree(damaged / "checkpoints")
    if trace == "best.pt":
        (damaged / "checkpoints").mkdir()
        (damaged / "checkpoints" / "best.pt").touch()
    if trace != "summary.json":
        (damaged / "summary.json").unlink()
    if trace == "config.json":
        held = json.loads((damaged / "config.json").read_text())
        held["sessions"].append(held["sessions"][0] | {"from_iteration": 2})
        (damaged / "config.json").write_text(json.dumps(held))
    if trace == "metrics.csv by minutes":
        held = json.loads((damaged / "config.json").read_text())
        held["config"]["save_every"] = "0.000001m"
        (damaged / "config.json").write_text(json.dumps(held))
    elif trace != "metrics.csv":
        keep_rows(damaged, 1)

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in damaged.rglob("*") if path.is_file() and path.name != ".lock"}

    before = files()
    assert main(["train", "--resume", "--out", str(damaged), "--quiet"]) == 2
    err = capsys.readouterr().err
    assert f"{damaged / 'checkpoints'} holds no checkpoint, but {trace.split()[0]} " in err and err.count("\n") == 1
    assert files() == before


# A digit of a number, a word of a name: what JSON does not notice.
@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('"gamma": 0.99', '"gamma": 0.93', "saved with --gamma 0.99, but the run's config.json says 0.93"),
        ('"gamma": 0.99', '"gamma": "0.99"', "config.json: field 'gamma': a finite number expected, found '0.99'"),
        ('"cg_iters": 10', '"cg_iters": -1', "config.json: --trpo.cg_iters: -1 given, at least 1 expected"),
        ('"seed": 0', '"seed": null', "config.json: field 'seed': a whole number expected, found None"),
        ('"actions": "raw"', '"actions": "ran"', "config.json: field 'actions': "),
        ('"setting": {', '"seating": {', "config.json: field 'setting' is missing, an object expected"),
    ],
)
def test_a_config_that_has_changed_is_told(
    before: str, after: str, says: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = copy(run, tmp_path / "run")
    file = damaged / "config.json"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    assert main(["train", "--resume", "--out", str(damaged)]) == 2
    err = capsys.readouterr().err
    assert says in err and str(damaged) in err and err.count("\n") == 1
