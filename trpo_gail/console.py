"""What a person sees while a run goes on: a bar with the time left, and a line at each evaluation."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class View:
    """Progress of a run, on rank 0 (`main`) alone; with `quiet` only warnings. Lines alone where the output is no
    terminal."""

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

    def __enter__(self) -> View:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, steps: int, note: str) -> None:
        self._progress.update(self._task, completed=steps, note=note)

    def warn(self, text: str) -> None:
        """On stderr, with `quiet` too."""
        if self._main:
            print(f"warning: {text}", file=sys.stderr, flush=True)

    def line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)
