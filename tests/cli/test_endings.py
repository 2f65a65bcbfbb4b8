"""How a command ends that fails, is stopped or is interrupted: one line, an exit code, and nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import toys
from bad_input import EXPERT, tiny_run
from run_files import checkpoints, differing, metrics, state

from trpo_gail.cli import main
from trpo_gail.commands import COMMANDS
from trpo_gail.errors import RunError, UserError
from trpo_gail.runs import checkpoint
from trpo_gail.system import stopping

# ---- errors ----------------------------------------------------------------------------------------------------------


class Odd(BaseException):
    pass


def noted(error: BaseException) -> BaseException:
    error.add_note("last checkpoint: here")
    return error


ERRORS: dict[str, tuple[BaseException, int, str]] = {
    "a user's": (UserError("--x: wrong"), 2, "--x: wrong"),
    "a run's": (noted(RunError("the loss is nan")), 1, "the loss is nan; last checkpoint: here"),
    "sys.exit(0)": (noted(SystemExit(0)), 1, "something called sys.exit(0) (FILE, line LINE); last checkpoint: here"),
    "sys.exit()": (SystemExit(), 1, "something called sys.exit(None) (FILE, line LINE)"),
    "sys.exit(text)": (SystemExit("bye"), 1, "something called sys.exit('bye') (FILE, line LINE)"),
    "GeneratorExit": (GeneratorExit(), 1, "something raised GeneratorExit() (FILE, line LINE)"),
    "KeyboardInterrupt": (KeyboardInterrupt(), 1, "something raised KeyboardInterrupt() (FILE, line LINE)"),
    "another": (Odd("x"), 1, "something raised Odd('x') (FILE, line LINE)"),
}


def command(monkeypatch: pytest.MonkeyPatch, run: Callable[[list[str], list[Any]], int]) -> None:
    """Put a command of the tests in."""
    monkeypatch.setitem(sys.modules, "trpo_gail.commands.ours", types.SimpleNamespace(run=run))
    monkeypatch.setitem(COMMANDS, "ours", ("ours", "run", ""))


@pytest.mark.parametrize("name", ERRORS)
def test_one_line_and_never_exit_code_0(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error, code, line = ERRORS[name]

    def fails(arguments: list[str], workers: list[Any]) -> int:
        raise error

    command(monkeypatch, fails)
    assert main(["ours"]) == code
    line = line.replace("FILE", __file__).replace("LINE", str(fails.__code__.co_firstlineno + 1))
    assert capsys.readouterr() == ("", f"trpo-gail: {line}\n")


def test_an_error_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, lambda arguments, workers: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        main(["ours"])


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("name", "value"), [("PMI_RANK", ""), ("PMI_SIZE", "two"), ("PMI_RANK", "-1")])
def test_a_launchers_variables_that_are_no_numbers(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("PMI_RANK", "PMI_SIZE"):
        monkeypatch.setenv(variable, value if variable == name else "1")
    assert main(tiny_run(tmp_path / "run")) == 2
    err = capsys.readouterr().err
    assert f"{name}={value!r}" in err and "expected two numbers" in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_windows_is_told_so() -> None:
    code = "import os, sys; os.name = 'nt'; from trpo_gail.cli import main; sys.exit(main(['--help']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("trpo-gail: needs a POSIX system") and done.stderr.count("\n") == 1


def test_a_system_that_does_not_tell_its_cores_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS."""
    for name in ("sched_getaffinity", "sched_setaffinity"):
        monkeypatch.delattr(os, name)
    assert main(tiny_run(tmp_path / "run", "--quiet")) == 0


# ---- signals ---------------------------------------------------------------------------------------------------------

ENDLESS = [
    "toys:Endless-v0", "--expert", EXPERT, "--trajectories", "1", "--num_envs", "2", "--timesteps_per_batch", "64",
    "--quiet", "--eval_every", "0", "--final_episodes", "1",
]  # fmt: skip


@contextmanager
def signalled(condition: Callable[[], Any], name: str = "SIGTERM") -> Iterator[None]:
    """Within, a signal comes to this process once a condition holds."""

    def send() -> None:
        deadline = time.monotonic() + 60.0
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.Signals[name])

    thread = threading.Thread(target=send)
    thread.start()
    yield
    thread.join()


def made(number: int) -> Callable[[], bool]:
    """Whether so many more environments have been made, as an evaluation does: behind two that learn, and another that is
    looked at."""
    goal = toys.Endless.made + number
    return lambda: toys.Endless.made >= goal


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def check_stopped(out: Path, iterations: int, name: str = "SIGTERM") -> None:
    summary = read(out / "summary.json")
    assert (summary["stopped"], summary["iterations"], summary["return_mean"]) == (name, iterations, None)
    if iterations:
        assert len(metrics(out)) == iterations
        assert state(checkpoints(out)[-1])["progress.iteration"] == iterations


def test_a_periodic_evaluation_is_given_up_and_stays_to_be_done(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with signalled(made(4)):
        assert main(["train", *ENDLESS, "--out", str(out), "--eval_every", "64"]) == 0
    assert read(out / "summary.json")["stopped"] == "SIGTERM"
    assert not (out / "metrics.csv").exists()  # the iteration is not whole: its row waits for the evaluation
    saved = state(out / "checkpoints" / "unfinished_0000001.pt")
    assert saved["progress.next_eval"] <= saved["progress.steps"] and saved["progress.eval_steps"] == 0


def test_whole_episodes_are_given_up_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "PATIENCE_S", 0.3)
    out = tmp_path / "run"
    with signalled((out / "config.json").exists):
        assert main(["train", *ENDLESS, "--sampling", "episodes", "--out", str(out)]) == 0
    check_stopped(out, 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two iterations, stopped in its last evaluation, which would have had no end."""
    path = tmp_path_factory.mktemp("runs") / "run"
    with signalled(made(4)):
        assert main(["train", *ENDLESS, "--iterations", "2", "--out", str(path)]) == 0
    return path


def test_the_last_evaluation_is_given_up_and_a_resume_makes_it(run: Path, tmp_path: Path) -> None:
    check_stopped(run, 2)
    out = tmp_path / "run"
    shutil.copytree(run, out)
    with signalled(made(4), "SIGUSR1"):
        assert main(["train", "--out", str(out), "--resume", "--quiet"]) == 0
    check_stopped(out, 2, "SIGUSR1")


def test_a_signal_before_the_first_iteration_stops_a_resume_as_it_was(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    shutil.copytree(run, out)
    restore = checkpoint.restore

    def signalled(*given: Any) -> None:
        restore(*given)
        signal.raise_signal(signal.SIGUSR1)

    monkeypatch.setattr(checkpoint, "restore", signalled)
    assert main(["train", "--out", str(out), "--resume", "--iterations", "5", "--quiet"]) == 0
    check_stopped(out, 2, "SIGUSR1")
    assert differing(state(checkpoints(run)[-1]), state(checkpoints(out)[-1])) == []


def test_a_signal_before_there_is_a_folder_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def signalled(*given: Any) -> None:
        signal.raise_signal(signal.SIGUSR1)
        time.sleep(5.0)

    monkeypatch.setattr("trpo_gail.runs.training.make_learner", signalled)
    assert main(tiny_run(tmp_path / "run")) == 138
    assert capfd.readouterr() == ("", "trpo-gail: interrupted (SIGUSR1)\n")
    assert not (tmp_path / "run").exists()


def test_a_second_ctrl_c_ends_a_run_and_names_the_last_checkpoint(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stopping, "ONE_PRESS_S", 0.0)
    out = tmp_path / "run"
    shutil.copytree(run, out)

    def waits(*given: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.3)
        signal.raise_signal(signal.SIGINT)
        time.sleep(5.0)

    monkeypatch.setattr("trpo_gail.runs.session.train", waits)
    assert main(["train", "--out", str(out), "--resume", "--iterations", "5", "--quiet"]) == 130
    first, second = (line for line in capfd.readouterr().err.splitlines() if line.startswith("trpo-gail"))
    assert first == "trpo-gail: SIGINT: ends after this iteration and saves; Ctrl-C again ends it at once"
    assert second == f"trpo-gail: interrupted (SIGINT); last checkpoint: {checkpoints(out)[-1]}"


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("what", ["evaluate", "record", "report", "clone"])
def test_other_commands_are_interrupted_and_leave_nothing(
    what: str, name: str, code: int, run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    line = {
        "evaluate": ["evaluate", str(run), "--episodes", "1"],
        "record": ["record", "toys:Endless-v0", "--policy", str(run), "--episodes", "2", "--out", str(out)],
        "report": ["report", str(run), "--out", str(out)],
        "clone": ["clone", *ENDLESS[:5], "--iterations", "10", "--quiet", "--out", str(out)],
    }
    before = {path: path.stat().st_mtime for path in run.rglob("*")}
    with signalled(made(2 if what == "clone" else 1), name):
        assert main(line[what]) == code
    said = capfd.readouterr().err
    saved = checkpoints(out)  # a cloned policy that is evaluated is saved already
    last = f"; last checkpoint: {saved[-1]}" if saved else ""
    assert said.splitlines()[-1] == f"trpo-gail: interrupted ({name}){last}" and "Traceback" not in said
    assert bool(saved) == (what == "clone") == bool(list(tmp_path.iterdir()))
    assert {path: path.stat().st_mtime for path in run.rglob("*")} == before


@pytest.mark.parametrize(
    "more",
    [
        ("--timesteps_per_batch", "10000000000000", "--steps", "100000000000000"),
        ("--policy.hidden_sizes", "3000000", "3000000"),
    ],
)
def test_what_does_not_fit_into_memory_is_one_line(
    more: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(tiny_run(tmp_path / "run", *more)) == 1
    err = capsys.readouterr().err
    assert err.startswith("trpo-gail: out of memory; a smaller --timesteps_per_batch or smaller networks may fit (")
    assert err.count("\n") == 1
