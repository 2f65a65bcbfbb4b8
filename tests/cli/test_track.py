"""`--track`: what a tracker is given, that a resume goes on under the same id, and that its failures end no run.

The tracker is a stand-in with the calls that wandb and trackio share.
"""

from __future__ import annotations

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trpo_gail.cli import main
from trpo_gail.commands.train import parse_flags
from trpo_gail.errors import UserError
from trpo_gail.hangs import UNHURRIED
from trpo_gail.parallel import Workers
from trpo_gail.runs import tracker
from trpo_gail.runs.run_folder import RunFolder
from trpo_gail.runs.training import run

EXPERT = str(Path(__file__).parents[2] / "expert_data" / "CartPole-v0.h5")
SMALL = [
    "train", "CartPole-v0", "--expert", EXPERT, "--timesteps_per_batch=128", "--num_envs=2", "--backend=gymnasium",
    "--eval_every=0", "--final_episodes=1",
]  # fmt: skip


class StandIn(ModuleType):
    """Keeps what it is given, and fails if it is told to."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None, origin="here")
        self.inits: list[dict[str, Any]] = []
        self.logged: list[tuple[dict[str, Any], int]] = []
        self.finished = 0
        self.fails: str | None = None

    def init(self, **kwargs: Any) -> None:
        print("* a banner")
        self._fail("init")
        self.inits.append(kwargs)

    def log(self, values: dict[str, Any], step: int | None = None) -> None:
        self._fail("log")
        assert step is not None
        self.logged.append((values, step))

    def finish(self) -> None:
        print("* another banner")
        self._fail("finish")
        self.finished += 1

    def _fail(self, call: str) -> None:
        if call == self.fails:
            raise RuntimeError(f"no {call} today")

    @property
    def iterations(self) -> list[int]:
        return [int(values["iteration"]) for values, _ in self.logged if "iteration" in values]


@pytest.fixture(params=["wandb", "trackio"])
def stand_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    made = StandIn(request.param)
    monkeypatch.setitem(sys.modules, request.param, made)
    for name in ("WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return made


def row(iteration: int) -> dict[str, float | int | None]:
    return {
        "iteration": iteration,
        "steps": 10 * iteration,
        "x": iteration / 2,
        "y": None,
        "d_logit_expert_below_-3": 0.5,
    }


def session(path: Path, library: str, done: int, *rows: int) -> None:
    """A session of a run that is resumed after `done` iterations, or begins."""
    folder = RunFolder.open(path) if (path / "config.json").exists() else RunFolder.create(path)
    folder.write_json("config.json", {})
    folder.track(library, {"a": 1})
    folder.cut(done)
    for iteration in rows:
        folder.log(row(iteration))
    folder.close()


# ---- what it is given ------------------------------------------------------------------------------------------------


def test_rows_go_to_the_tracker_by_steps_without_what_is_unknown(tmp_path: Path, stand_in: StandIn) -> None:
    session(tmp_path / "run", stand_in.__name__, 0, 1, 2)
    assert stand_in.logged == [({"iteration": 1, "x": 0.5}, 10), ({"iteration": 2, "x": 1.0}, 20)]
    (init,) = stand_in.inits
    identity = json.loads((tmp_path / "run" / "track.json").read_text())["id"]
    assert init["project"] == "trpo_gail" and init["name"] == f"run-{identity}" and init["config"] == {"a": 1}
    assert init["resume"] == "allow" and stand_in.finished == 1


def test_wandb_is_offline_unless_the_user_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: StandIn
) -> None:
    session(tmp_path / "a", stand_in.__name__, 0)
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    session(tmp_path / "b", stand_in.__name__, 0)
    found = [(init.get("mode"), init["project"], init.get("dir")) for init in stand_in.inits]
    if stand_in.__name__ == "wandb":
        assert found == [("offline", "trpo_gail", str(tmp_path / "a")), ("online", "mine", str(tmp_path / "b"))]
    else:  # it has no such parameters
        assert found == [(None, "trpo_gail", None)] * 2


def test_a_resume_goes_on_under_its_id_and_sends_nothing_twice(tmp_path: Path, stand_in: StandIn) -> None:
    path = tmp_path / "run"
    session(path, stand_in.__name__, 0, 1, 2, 3)
    session(path, stand_in.__name__, 1, 2, 3, 4)  # its checkpoint was of the first iteration
    assert stand_in.iterations == [1, 2, 3, 4]
    first, second = stand_in.inits
    assert first == second


def test_rows_from_before_it_was_tracked_are_sent(tmp_path: Path, stand_in: StandIn) -> None:
    path = tmp_path / "run"
    folder = RunFolder.create(path)
    folder.write_json("config.json", {})
    for iteration in (1, 2, 3):
        folder.log(row(iteration))
    folder.close()
    session(path, stand_in.__name__, 2, 3)
    assert stand_in.iterations == [1, 2, 3]


def test_rows_of_a_session_without_it_are_sent(tmp_path: Path, stand_in: StandIn) -> None:
    path = tmp_path / "run"
    session(path, stand_in.__name__, 0, 1, 2)
    folder = RunFolder.open(path)
    folder.cut(2)
    for iteration in (3, 4):
        folder.log(row(iteration))
    folder.close()
    session(path, stand_in.__name__, 4, 5)
    assert stand_in.iterations == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("call", ["init", "log"])
def test_rows_that_it_missed_as_it_failed_are_sent_later(tmp_path: Path, stand_in: StandIn, call: str) -> None:
    stand_in.fails = call
    session(tmp_path / "run", stand_in.__name__, 0, 1, 2)
    stand_in.fails = None
    session(tmp_path / "run", stand_in.__name__, 2, 3)
    assert stand_in.iterations == [1, 2, 3]


def test_a_session_that_was_killed_had_sent_its_rows(tmp_path: Path, stand_in: StandIn) -> None:
    path = tmp_path / "run"
    folder = RunFolder.create(path)
    folder.write_json("config.json", {})
    folder.track(stand_in.__name__, {})
    for iteration in (1, 2):
        folder.log(row(iteration))
    assert set(json.loads((path / "track.json").read_text())) == {"id"}
    left = (path / "track.json").read_text()
    folder.close()
    (path / "track.json").write_text(left)
    session(path, stand_in.__name__, 2, 3)
    assert stand_in.iterations == [1, 2, 3]


@pytest.mark.parametrize("damaged", ["", "{", "[]", "{}", '{"id": 3}', '{"id": "../x"}'])
def test_an_id_that_cannot_be_read_becomes_a_new_one(tmp_path: Path, stand_in: StandIn, damaged: str) -> None:
    path = tmp_path / "run"
    session(path, stand_in.__name__, 0, 1)
    (path / "track.json").write_text(damaged)
    session(path, stand_in.__name__, 1, 2)
    assert len({init["name"] for init in stand_in.inits}) == 2
    assert stand_in.inits[1]["name"].startswith("run-")


# ---- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["init", "log", "finish"])
def test_a_tracker_that_fails_is_one_warning(
    tmp_path: Path, stand_in: StandIn, call: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.fails = call
    session(tmp_path / "run", stand_in.__name__, 0, 1, 2, 3)
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1 and f"no {call} today" in printed.err
    assert f"{stand_in.__name__} no longer tracks the run, which goes on without" in printed.err
    assert printed.out == ""
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize("library", ["wandb", "trackio"])
def test_a_tracker_that_is_missing_is_said_before_there_is_a_folder(
    tmp_path: Path, library: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracker, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"--track {library}: {library} is not installed"):
        tracker.check(library)
    assert main([*SMALL, "--track", library, "--out", str(tmp_path / "run")]) == 2
    assert f"pip install {library}" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_folder_of_a_trackers_runs_is_not_the_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no_such_tracker").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="no_such_tracker is not installed"):
        tracker.check("no_such_tracker")


def test_another_tracker_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--track", "mlflow"]) == 2
    assert "'mlflow' for argument '--track'. Expected one of ('wandb', 'trackio', 'None')" in capsys.readouterr().err


# ---- a run -----------------------------------------------------------------------------------------------------------


def returns(run: Path) -> list[str]:
    lines = (run / "metrics.csv").read_text().splitlines()
    column = lines[0].split(",").index("return_mean")
    return [line.split(",")[column] for line in lines[1:]]


@pytest.mark.slow
def test_a_run_is_tracked_and_trains_as_without(
    tmp_path: Path, stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, tracked, plain = ["--track", stand_in.__name__], tmp_path / "tracked", tmp_path / "plain"
    assert main([*SMALL, "--iterations=1", *flags, "--out", str(tracked)]) == 0
    printed = capsys.readouterr().out
    assert f"tracked by {stand_in.__name__} as tracked-" in printed and "banner" not in printed
    assert main([*SMALL, "--iterations=3", *flags, "--out", str(tracked), "--resume", "--quiet"]) == 0
    assert main([*SMALL, "--iterations=3", "--out", str(plain), "--quiet"]) == 0
    assert returns(tracked) == returns(plain) and stand_in.iterations == [1, 2, 3]
    assert stand_in.inits[0]["config"]["env"] == "CartPole-v0" and stand_in.finished == 2
    last, step = stand_in.logged[-1]
    summary = json.loads((tracked / "summary.json").read_text())
    assert last["final_return_mean"] == summary["return_mean"] and step == summary["steps"]
    assert "final_seed" not in last


def test_a_tracker_that_uploads_at_the_end_is_no_hang(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even after a signal: it is a phase in which rank 0 may be slow."""
    workers, phases = Workers(), list[str]()
    monkeypatch.setattr(stand_in, "finish", lambda: phases.append(workers.pulse.phase))
    config = parse_flags([*SMALL[1:], "--iterations=1"]).config
    run(config, tmp_path / "run", quiet=True, workers=workers, track=stand_in.__name__)
    assert len(phases) == 1 and phases[0] in UNHURRIED
