"""What is printed of a run: lines by a clock of the test's own."""

from __future__ import annotations

import pytest

from trpo_gail import console
from trpo_gail.console import View


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the time is: its only entry."""
    now = [1000.0]
    monkeypatch.setattr(console, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_a_line_a_minute_tells_how_long_is_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with View(main=True, quiet=False, total=1000) as view:
        view.begin(100)  # resumed
        said = []
        for second in range(10, 131, 10):  # a step a second
            clock[0] = 1000.0 + second
            view.update(100 + second, f"return {second}.0")
            said.append(capsys.readouterr().out)
    assert [bool(line) for line in said] == [second in (60, 120) for second in range(10, 131, 10)]
    assert said[5] == "         160 steps   return 60.0   about 0:14:00 left\n"
    assert said[11] == "         220 steps   return 120.0   about 0:13:00 left\n"


def test_a_line_of_another_kind_will_do(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    view = View(main=True, quiet=False, total=1000)
    clock[0] += 50.0
    view.line("an evaluation")
    clock[0] += 50.0
    view.update(100, "")
    assert capsys.readouterr().out == "an evaluation\n"


@pytest.mark.parametrize("main", [True, False])
def test_what_is_quiet_warns_by_rank_0_alone(
    main: bool, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    view = View(main, quiet=main, total=1000)
    clock[0] += 100.0
    view.update(100, "")
    view.line("a line")
    view.warn("careful")
    assert capsys.readouterr() == ("", "warning: careful\n" if main else "")
