"""What a person sees while a grid runs: cells done, those running, the time left; lines alone where there is no terminal."""

from __future__ import annotations

import contextlib
import time
from types import TracebackType

from rich.progress import BarColumn, TaskID

from trpo_gail.runs.console import Lines, Rhythm, duration
from trpo_gail.system.terminal import streams


class GridView:
    """One bar for the grid and one for every running cell."""

    def __init__(self, cells: int) -> None:
        self._lines, self._rhythm = Lines(), Rhythm()
        self._narrow = self._lines.has_bar and self._lines.console.width < 80
        bar = [] if self._narrow else [BarColumn(bar_width=24)]
        self._progress = self._lines.progress("{task.description}", *bar, "{task.fields[note]}")
        self._cells, self._began = cells, time.monotonic()
        self._all = self._progress.add_task("cells", total=max(cells, 1), note="")
        self._running: dict[str, TaskID] = {}
        self._open = contextlib.ExitStack()

    def __enter__(self) -> GridView:
        self._open.enter_context(streams()).begin_run()
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        self._open.close()

    def line(self, text: str) -> None:
        self._rhythm.spoke()
        self._lines.print(text)

    def update(self, done: int, running: dict[str, float], left_s: float | None) -> None:
        """`running` maps the names of cells to the part that each has done, 0 to 1; `left_s` is None while unknown."""
        passed = duration(time.monotonic() - self._began)
        left = "" if left_s is None else f", {'' if self._narrow else 'about '}{duration(left_s)} left"
        under_way = "" if self._narrow else f" done, {len(running)} running, {passed}"
        note = f"{done}/{self._cells}{under_way}{left}"
        self._progress.update(self._all, completed=done, note=note)
        if self._lines.alone and self._rhythm.due:
            self.line(note)
        for name in self._running.keys() - running.keys():
            self._progress.remove_task(self._running.pop(name))
        for name, part in running.items():
            if name not in self._running:
                self._running[name] = self._progress.add_task(name, total=1.0, note="")
            self._progress.update(self._running[name], completed=part, note=f"{part:.0%}")


class Forecast:
    """The time left, if work goes on as it has since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def left_s(self, gained: float, missing: float) -> float | None:
        """Seconds for the work `missing`, from the work `gained` since the start; None while nothing is gained."""
        return (time.monotonic() - self._began) * missing / gained if gained > 0 else None
