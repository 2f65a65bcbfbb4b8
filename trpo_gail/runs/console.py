"""What a person sees while a run goes on: on a terminal a bar with the time left, elsewhere lines; one at each evaluation."""

from __future__ import annotations

import contextlib
import sys
import warnings
from time import monotonic
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

from trpo_gail.system.launcher import has_terminal_of_its_own, speaks
from trpo_gail.system.terminal import put_back, streams, warn

FIRST, LONGEST_EARLY, LONGEST = 5.0, 60.0, 600.0  # s between lines: at the start, in the first hour, ever


class Lines:
    """A console for plain lines, that are not wrapped and say what they say: no markup, no emoji in the names of files."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(quiet=quiet, highlight=False, markup=False, emoji=False)
        out = self.console.file
        terminal = out.isatty() and not has_terminal_of_its_own()
        self.has_bar = not quiet and self.console.is_interactive and terminal  # FORCE_COLOR makes no terminal
        self.alone = not quiet and not self.has_bar

    def print(self, text: str) -> None:
        put_back()
        self.console.print(text, soft_wrap=True)

    def progress(self, *columns: str | ProgressColumn) -> Progress:
        """Bars below the lines, where there is a terminal. Columns that are words have a bar's fields in braces."""
        made = [TextColumn(column, markup=False) if isinstance(column, str) else column for column in columns]
        to_terminal = sys.stderr.isatty()  # if not, what is printed there meanwhile goes there, and not above the bars
        return Progress(*made, console=self.console, disable=not self.has_bar, redirect_stderr=to_terminal)


class Rhythm:
    """When a line is due: rarer and rarer as time goes on."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._began = monotonic()
        self.spoke()

    def spoke(self) -> None:
        """After 5 s, 10 s, 20 s and 40 s, then every minute, after an hour every sixtieth of the time, up to ten minutes."""
        now = monotonic()
        passed = now - self._began
        self._due = now + max(FIRST, min(passed, LONGEST_EARLY), min(passed / 60.0, LONGEST))

    @property
    def due(self) -> bool:
        return monotonic() >= self._due


class View:
    """Progress of a run, on rank 0 (`main`) alone; with `quiet` only warnings."""

    def __init__(self, main: bool, quiet: bool) -> None:
        self._main = main
        self._lines = Lines(quiet or not main)
        self._progress = self._lines.progress(*_columns(self._lines.console.width))
        self._task = self._progress.add_task("loading", total=None, part="loading", count="", left="", note="")
        self._rhythm, self._note, self._total = Rhythm(), "", 0
        self._open = contextlib.ExitStack()

    @classmethod
    def early(cls, quiet: bool) -> View:
        """Before torch is imported and MPI has started, which take seconds: the launcher tells which rank this is."""
        return cls(speaks(), quiet)

    def __enter__(self) -> View:
        self._open.enter_context(streams()).begin_run()
        if not self._main and not sys.warnoptions:  # what Python warns of is the same on every rank: rank 0 says it
            self._open.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.live.transient = self._total == 0  # nothing has begun: the bar goes, and the error stands alone
        self._progress.stop()
        self._open.close()

    def begin(self, steps: int, total: int, unit: str = "steps") -> None:
        """Now, with `steps` of `total` taken in earlier sessions: what is left is estimated from here."""
        self._began, self._first, self._total, self._unit = monotonic(), steps, total, unit
        fields = self._fields(steps, "")
        self._progress.reset(self._task, total=total, completed=steps, description="training", **fields)
        if self._lines.alone and steps < total:
            self.line(
                f"training: {total - steps:,} {unit} to go; lines follow, after seconds at first, later after minutes"
            )
        self._rhythm.begin()

    def update(self, steps: int, note: str) -> None:
        """After an iteration; `note` is how well it went, if that is known."""
        self._note = note or self._note
        per_step = (monotonic() - self._began) / max(1, steps - self._first)  # s
        left = duration(per_step * max(0, self._total - steps))
        self._progress.update(self._task, completed=steps, **self._fields(steps, f"left {left}"))
        if self._lines.alone and self._rhythm.due:
            rate = f"{1 / max(per_step, 1e-9):,.0f} {self._unit}/s"
            told = [f"{steps:>12,} {self._unit}", rate, self._note, f"about {left} left"]
            self.line("   ".join(filter(None, told)))

    def _fields(self, steps: int, left: str) -> dict[str, Any]:
        count = f"{steps:,}/{self._total:,} {self._unit}"
        return {"part": f"{steps / self._total:.0%}", "count": count, "left": left, "note": self._note}

    def warn(self, text: str) -> None:
        """On stderr, with `quiet` too."""
        if self._main:
            warn(text)

    def line(self, text: str) -> None:
        self._rhythm.spoke()
        self._lines.print(text)


def _columns(width: int) -> list[str | ProgressColumn]:
    """As many as a terminal of `width` has room for."""
    ends: list[str | ProgressColumn] = [TimeElapsedColumn(), "{task.fields[left]}", "{task.fields[note]}"]
    if width < 70:
        return ["{task.fields[part]}", *ends]
    bar = [BarColumn(bar_width=24 if width >= 100 else 8)] if width >= 80 else []
    return ["{task.description}", *bar, "{task.fields[count]}", *ends]


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03."""
    minutes, s = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{s:02}"
