"""What a person sees while a run goes on: a bar with the time left, and a line at each evaluation."""

from __future__ import annotations

import sys
from datetime import timedelta
from time import monotonic
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SILENCE = 60.0  # s


def warn(text: str) -> None:
    """A warning on stderr. For the process that is alone, or rank 0, to call."""
    print(f"warning: {text}", file=sys.stderr, flush=True)


class View:
    """Progress of a run, on rank 0 (`main`) alone; with `quiet` only warnings. Where the output is no terminal, lines
    alone: one at least every SILENCE seconds in which an iteration ended."""

    def __init__(self, main: bool, quiet: bool, total: int) -> None:
        show, self._main = main and not quiet, main
        self._console = Console(quiet=not show, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} steps"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not (show and self._console.is_terminal),
        )
        self._task = self._progress.add_task("training", total=total, note="")
        self._lines_alone = show and not self._console.is_terminal
        self._total = total
        self.begin(0)

    def __enter__(self) -> View:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, steps: int) -> None:
        """Now, after `steps` of an earlier session: what is left is estimated from here."""
        self._begun, self._spoken, self._first = monotonic(), monotonic(), steps
        self._progress.reset(self._task, completed=steps)

    def update(self, steps: int, note: str) -> None:
        self._progress.update(self._task, completed=steps, note=note)
        if self._lines_alone and monotonic() - self._spoken >= SILENCE:
            self.line(f"{steps:>12,} steps   {note}   about {self._left(steps)} left")

    def _left(self, steps: int) -> timedelta:
        """At the speed so far; `update` comes after an iteration, so that there is one."""
        per_step = (monotonic() - self._begun) / max(1, steps - self._first)
        return timedelta(seconds=round(per_step * max(0, self._total - steps)))

    def warn(self, text: str) -> None:
        """On stderr, with `quiet` too."""
        if self._main:
            warn(text)

    def line(self, text: str) -> None:
        self._spoken = monotonic()
        self._console.print(text, soft_wrap=True, markup=False)
