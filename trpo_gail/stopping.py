"""Ctrl-C, SIGTERM and SIGUSR1 ask for an end after the iteration; all ranks agree on it."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

from trpo_gail.parallel import Workers

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """A context in which the first signal is a request; a second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self._signal = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def agreed(self, workers: Workers) -> str | None:
        """The signal's name if any rank got one. A collective."""
        number = int(workers.max(float(self._signal)))
        return signal.Signals(number).name if number else None
