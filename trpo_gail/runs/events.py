"""TensorBoard's copy of a run's rows. It is for looking at: what goes wrong with it ends no run.

One record per row, written at once and by this thread: TensorBoard's own writer has a thread, whose errors come late.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from trpo_gail.system.terminal import warn


class Events:
    """The events of one session of a run; nothing if TensorBoard is not installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: FileIO | None = None
        self._writer: Any = None
        self._given_up = False

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
        values = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if value is not None and name not in ("iteration", "steps")
        ]
        step = int(row.get("steps", row["iteration"]) or 0)
        event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
        writer.write(event.SerializeToString())

    def _open(self) -> Any:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        name = f"events.out.tfevents.{time.time():010.0f}.{os.uname().nodename}.{os.getpid()}.0"
        self._file = open(self._folder / name, "wb", buffering=0)  # noqa: SIM115 - held open for the run
        self._writer = RecordWriter(self._file)
        self._writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        return self._writer
