"""TensorBoard's copy of a run's rows. It is for looking at: what goes wrong with it ends no run.

One record per row, written at once and by this thread: TensorBoard's own writer has a thread, whose errors come late.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from trpo_gail.errors import shortened
from trpo_gail.system.terminal import warn

BELOW = re.compile(r"(.+)_below_(-?\d+)")  # a column of a histogram: the share of what is less than an edge


class Events:
    """The events of one session of a run; nothing if TensorBoard is not installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: FileIO | None = None
        self._writer: Any = None
        self._given_up = False
        self._left_out = set[str]()  # columns

    def begin_anew(self, rows: Iterable[Mapping[str, float | int | None]]) -> None:
        """Events of these rows in the place of all that are there."""

        def remove() -> None:
            import tensorboard  # noqa: F401  (without it the old ones stay: nobody could write them again)

            for old in self._folder.glob("events.out.tfevents.*"):
                old.unlink()

        self._attempt(remove)
        for row in rows:
            self.write(row)

    def write(self, row: Mapping[str, float | int | None]) -> None:
        """A row's values at its number of steps."""
        self._attempt(lambda: self._write(row))

    def close(self) -> None:
        """Nothing is written after."""
        if self._file:
            with contextlib.suppress(OSError):
                self._file.close()

    def _attempt(self, action: Callable[[], None]) -> None:
        """Until something goes wrong for the first time."""
        if self._given_up:
            return
        try:
            action()
        except ModuleNotFoundError:
            self._given_up = True
        except Exception as error:
            self._given_up = True
            warn(f"{self._folder}: TensorBoard's events are no longer written, and the run goes on without: {error}")

    def _write(self, row: Mapping[str, float | int | None]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        writer = self._writer or self._open()
        histograms, numbers = _histograms(self._numbers(row))
        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        values += [Summary.Value(tag=name, histo=histogram) for name, histogram in histograms.items()]
        step = int(row.get("steps", row["iteration"]) or 0)
        event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
        writer.write(event.SerializeToString())

    def _numbers(self, row: Mapping[str, Any]) -> dict[str, float]:
        """What a row holds besides its place. Of a column in which a callback has put something else, a warning says so
        once."""
        found: dict[str, float] = {}
        for name, value in row.items():
            if value is None or name in ("iteration", "steps"):
                continue
            try:
                found[name] = float(value)
            except Exception:  # of any kind of value
                if name not in self._left_out:
                    self._left_out.add(name)
                    said = shortened(repr(value), 60)
                    warn(f"{self._folder}: TensorBoard's events leave out {name!r}: a number expected, found {said}")
        return found

    def _open(self) -> Any:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        name = f"events.out.tfevents.{time.time():010.0f}.{os.uname().nodename}.{os.getpid()}.0"
        self._file = open(self._folder / name, "wb", buffering=0)  # noqa: SIM115 - held open for the run
        self._writer = RecordWriter(self._file)
        self._writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        return self._writer


def _histograms(row: Mapping[str, float]) -> tuple[dict[str, Any], dict[str, float]]:
    """A row's histograms by name, and its other numbers. The outermost bars are as wide as half of what is between."""
    from tensorboard.compat.proto.summary_pb2 import HistogramProto

    numbers, shares = {}, {}  # type: dict[str, float], dict[str, list[tuple[float, float]]]
    for name, value in row.items():
        if found := BELOW.fullmatch(name):
            shares.setdefault(found[1] + "_histogram", []).append((float(found[2]), value))
        else:
            numbers[name] = value
    made = {}
    for name, points in shares.items():
        edges, below = zip(*sorted(points), strict=True)
        width = (edges[-1] - edges[0]) / 2
        limits, up_to = [edges[0] - width, *edges, edges[-1] + width], [0.0, 0.0, *below, 1.0]
        bars = [after - before for before, after in pairwise(up_to)]
        made[name] = HistogramProto(min=limits[0], max=limits[-1], num=1.0, bucket_limit=limits, bucket=bars)
    return made, numbers
