"""What is printed of a run: lines by a clock of the test's own, and on terminals of the test's own the bar."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from trpo_gail.runs import console
from trpo_gail.runs.console import Rhythm, View
from trpo_gail.studies.view import GridView


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the time is: its only entry."""
    now = [1000.0]
    monkeypatch.setattr(console, "monotonic", lambda: now[0])
    return now


# ---- lines -----------------------------------------------------------------------------------------------------------


def test_without_a_terminal_lines_come_at_once_and_then_rarer_and_rarer(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with View(main=True, quiet=False) as view:
        view.begin(100, 1000)  # resumed
        said = {0: capsys.readouterr().out}
        for second in range(1, 201):  # two steps a second
            clock[0] = 1000.0 + second
            view.update(100 + 2 * second, f"return {second}.0")
            if out := capsys.readouterr().out:
                said[second] = out
    assert list(said) == [0, 5, 10, 20, 40, 80, 140, 200]
    assert said[0] == "training: 900 steps to go; lines follow, after seconds at first, later after minutes\n"
    assert said[5] == "         110 steps   2 steps/s   return 5.0   about 0:07:25 left\n"
    assert said[140] == "         380 steps   2 steps/s   return 140.0   about 0:05:10 left\n"


def test_in_a_long_run_ten_minutes_pass_between_lines(clock: list[float]) -> None:
    rhythm, told = Rhythm(), []
    for second in range(0, 20 * 3600, 10):
        clock[0] = 1000.0 + second
        if rhythm.due:
            rhythm.spoke()
            told.append(second)
    gaps = [b - a for a, b in pairwise(told)]
    assert gaps == sorted(gaps) and gaps[-1] == 600
    assert {gap for at, gap in zip(told[:-1], gaps, strict=True) if 60 < at < 3600} == {60}


def test_a_line_of_another_kind_will_do_and_a_return_is_kept_until_the_next(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    view = View(main=True, quiet=False)
    view.begin(0, 1000)
    capsys.readouterr()
    clock[0] += 50.0
    view.line("an evaluation")
    clock[0] += 45.0
    view.update(95, "return 7.0")
    assert capsys.readouterr().out == "an evaluation\n"
    clock[0] += 5.0
    view.update(100, "")  # no episode ended
    assert capsys.readouterr().out == "         100 steps   1 steps/s   return 7.0   about 0:15:00 left\n"


def test_names_are_printed_as_they_are_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = f"run folder {'x' * 200}/[bold]:apple:/[/no] 1e5"
    View(main=True, quiet=False).line(text)
    GridView(1).line(text)
    assert capsys.readouterr().out == f"{text}\n{text}\n"


@pytest.mark.parametrize("main", [True, False])
def test_what_is_quiet_warns_by_rank_0_alone(
    main: bool, clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "warnoptions", [])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with View(main, quiet=main) as view:
            view.begin(0, 1000)
            clock[0] += 100.0
            view.update(100, "")
            view.line("a line")
            view.warn("careful")
            warnings.warn("Python's own", stacklevel=1)
    assert capsys.readouterr() == ("", "warning: careful\n" if main else "")
    assert len(seen) == main


def test_a_grid_in_a_log_tells_how_it_goes(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with GridView(3) as view:
        view.update(0, {"a": 0.1}, None)
        clock[0] += 6.0
        view.update(1, {"b": 0.5}, 60.0)
    out = capsys.readouterr().out
    assert out.startswith("1/3 done, 1 running, 0:00:0") and out.endswith(", about 0:01:00 left\n")


def test_a_run_from_python_outlives_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        for stream in (full, None):
            monkeypatch.setattr(sys, "stdout", stream)
            a_run()
            assert sys.stdout is stream


# ---- terminals -------------------------------------------------------------------------------------------------------


class Terminal:
    """A terminal whose far end is read; `out` is what programs write to."""

    def __init__(self) -> None:
        self._far, near = pty.openpty()
        self.out, self._said = open(near, "w", encoding="utf-8"), b""  # noqa: SIM115 - held open for the terminal
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # how Linux ends a terminal whose last process has gone
            while more := os.read(self._far, 4096):
                self._said += more

    def close(self) -> str:
        """All that was written."""
        self.out.close()
        self._reader.join()
        os.close(self._far)
        return self._said.decode()


Start = Callable[..., Callable[[], str]]


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Puts stdout on a terminal of some width; what that gives ends it, and is all that was written."""
    made: list[Terminal] = []

    def start(columns: int, term: str = "xterm") -> Callable[[], str]:
        made.append(Terminal())
        monkeypatch.setenv("TERM", term)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "stdout", made[-1].out)
        return made[-1].close

    yield start
    for terminal in made:
        if not terminal.out.closed:
            terminal.close()


def a_run() -> None:
    with View(main=True, quiet=False) as view:
        view.begin(0, 2_000_000)
        view.update(1_234_567, "return -1234.5")


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (40, r"62% 0:00:00 left 0:00:00 return -1234.5"),
        (70, r"training 1,234,567/2,000,000 steps 0:00:00 left 0:00:00 "),
        (120, r"training ━"),
    ],
)
def test_the_bar_is_as_wide_as_the_terminal_lets_it(columns: int, shown: str, on_terminal: Start) -> None:
    close = on_terminal(columns)
    a_run()
    said = plain(close())
    assert "loading" in said and shown in said
    assert all(len(line) <= columns for line in said.replace("\r", "\n").split("\n"))


def plain(said: str) -> str:
    """Without what moves the cursor and colours."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)


def test_a_terminal_that_can_do_little_gets_lines(on_terminal: Start) -> None:
    close = on_terminal(80, "dumb")
    a_run()
    said = close()
    assert said.startswith("training: 2,000,000 steps to go;") and "\x1b" not in said


def test_open_mpis_terminal_gets_lines(on_terminal: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it shows may be a log."""
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    close = on_terminal(80)
    a_run()
    said = close()
    assert said.startswith("training: 2,000,000 steps to go;") and "\x1b" not in said


def test_colours_can_be_refused(on_terminal: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, colours in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", name)
        close = on_terminal(120)
        a_run()
        assert bool(re.search(r"\x1b\[[0-9;]*(3[0-9]|38;)[0-9;]*m", close())) == colours


def test_colours_that_are_forced_make_no_terminal_of_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    a_run()
    assert capsys.readouterr().out.startswith("training: 2,000,000 steps to go;")


def test_warnings_stay_on_stderr_while_there_is_a_bar(on_terminal: Start, capsys: pytest.CaptureFixture[str]) -> None:
    close = on_terminal(80)
    with View(main=True, quiet=False) as view:
        view.warn("careful")
    assert "careful" not in close()
    assert capsys.readouterr().err == "warning: careful\n"


_EARLY = """
import sys, time, types
def run(*arguments, **more):
    time.sleep(0.3)
    raise trpo_gail.errors.UserError("too early")
training = types.ModuleType("trpo_gail.runs.training")
training.run = run
sys.modules["trpo_gail.runs.training"] = training
import trpo_gail.errors
from trpo_gail.cli import main
code = main(["train", "CartPole-v0", "--expert", "x"])
print("torch" in sys.modules, code)
"""


def test_the_bar_comes_before_torch_and_goes_with_an_error() -> None:
    terminal = Terminal()
    done = subprocess.run(
        [sys.executable, "-c", _EARLY], stdout=terminal.out, stderr=subprocess.PIPE, text=True, timeout=100,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
    )  # fmt: skip
    said = terminal.close()
    assert done.stderr == "trpo-gail: too early\n"
    assert "loading ━" in plain(said)
    assert plain(said).splitlines()[-1] == "False 2"
    assert said.rindex("\x1b[2K") > said.rindex("loading"), "the bar stays"
