"""Finds a rank that hangs, while the others wait for it in MPI, where no Python runs and no signal is heard.

Each rank counts what it does (`Pulse`). A thread on each rank sends the count to rank 0 every second, and rank 0
answers. A rank hangs if it sends nothing, or if it neither takes a step nor reaches a collective, for a time in which
another rank waits. Then rank 0's thread names it and ends all ranks. If rank 0 itself sends nothing, the others do so.
Where all of them hang, as for a server that is gone, nobody waits: they end after a signal.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from types import TracebackType
from typing import Any

from trpo_gail.errors import UserError
from trpo_gail.system.stopping import SIGNALS, asked_for

LIMIT_S = 600.0  # default: longer than any step, update, save or read of a sound run, and short beside a day of waiting
BEAT_S = 1.0  # seconds between two messages of a rank
ASLEEP_BEATS = 5  # a thread that misses so many of its own beats was stopped together with its process
HASTE_S = 20.0  # in place of the limit once a signal has asked the run to end: nobody waits ten minutes then
ALL_STILL_S = 120.0  # after a signal, if no rank moves: what all do at once, such as a large update, may take long
END_S = 3.0  # seconds that MPI has to end the ranks, before this one kills itself, which the launcher notices
# Phases in which rank 0 may be slow, signal or not: on a busy disk, or with work that a program gives it.
UNHURRIED = ("saving", "summary", "callback")


def seconds_of(limit: Any) -> float:
    """A limit that a user gives. Raises UserError if it is none."""
    if isinstance(limit, bool) or not isinstance(limit, Real) or not float(limit) >= 0:
        raise UserError(f"--rank_timeout: {limit!r:.60} given, a number of seconds of at least 0 expected")
    return float(limit)


class Pulse:
    """What a rank does, counted by its main thread and read by its other one."""

    def __init__(self) -> None:
        self.moves = 0  # steps of environments, collectives begun and ended
        self.phase = "start"
        self.bounded = False  # the work has a limit of time of its own
        self.note = ""  # on the last checkpoint, for the line that names a rank that hangs
        self.waits = _Wait(self)
        self.seconds: dict[str, float] = {}  # by phase, without those of waiting for other ranks

    def move(self) -> None:
        """Count something that the main thread has done."""
        self.moves += 1

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """A phase, with its seconds."""
        before, self.phase = self.phase, phase
        start, waited = time.perf_counter(), self.waits.seconds
        try:
            yield
        finally:
            own = time.perf_counter() - start - (self.waits.seconds - waited)
            self.seconds[phase] = self.seconds.get(phase, 0.0) + own
            self.phase = before

    @contextmanager
    def within_limits(self) -> Iterator[None]:
        """Work that ends by a limit of its own, such as a wait for a helper: it is no hang, however long it takes."""
        self.bounded = True
        try:
            yield
        finally:
            self.bounded = False

    def take_seconds(self) -> dict[str, float]:
        """Seconds by phase since the last call."""
        taken, self.seconds = self.seconds, {}
        return taken


class _Wait:
    """The context of a collective: a rank in it waits for the others."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse, self.seconds, self.now = pulse, 0.0, False

    def __enter__(self) -> None:
        self._pulse.move()
        self._since = time.perf_counter()
        self.now = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.now = False
        self.seconds += time.perf_counter() - self._since
        self._pulse.move()


@dataclass(frozen=True)
class Beat:
    """One message of a rank."""

    moves: int
    waits: bool  # in a collective
    phase: str
    place: str  # of the main thread, in Python
    asked: int  # the signal that asked for the end, on any rank that the sender knows of; 0 if there was none
    gone: bool = False  # it hangs no more, whatever it does: the work is over, or it has an error to report


@dataclass
class Seen:
    """What is known of a rank, by this process's clock."""

    heard: float
    moved: float
    beat: Beat
    asked: float = math.inf  # when it first knew of a signal

    def hear(self, beat: Beat, now: float) -> None:
        self.heard = now
        if beat.asked:
            self.asked = min(self.asked, now)
        if (beat.moves, beat.waits) != (self.beat.moves, self.beat.waits):
            self.moved = now
        self.beat = beat


def stuck(ranks: dict[int, Seen], limit: float, now: float) -> dict[int, str]:
    """Ranks that others have waited for longer than `limit` seconds, and what is known of each; after a signal, all ranks if
    none of them moves."""
    asked = any(seen.beat.asked for seen in ranks.values())
    found = {rank: why for rank, seen in ranks.items() if (why := _why(seen, limit, asked, now))}
    hasty = min(limit, HASTE_S) if asked else limit
    waiting = [rank for rank, seen in ranks.items() if seen.beat.waits and now - seen.moved > hasty]
    if set(waiting) <= found.keys():  # nobody waits, or only those that have fallen silent as they waited
        since = min(seen.asked for seen in ranks.values())
        still = all(now - max(seen.moved, since) > ALL_STILL_S for seen in ranks.values())
        return found if asked and still and found.keys() == ranks.keys() else {}
    return found


def _why(seen: Seen, limit: float, asked: bool, now: float) -> str | None:
    if seen.beat.gone:
        return None
    hasty = min(limit, HASTE_S) if asked else limit
    silent, still = now - seen.heard, now - seen.moved
    if silent > hasty:
        return f"in phase {seen.beat.phase!r}: silent for {silent:.0f} s (stopped, or its host or its network is gone)"
    if not seen.beat.waits and still > (limit if seen.beat.phase in UNHURRIED else hasty):
        return f"in phase {seen.beat.phase!r}: no step for {still:.0f} s, at {seen.beat.place}"
    return None


class Watch:
    """The thread of one rank, as long as the context lasts. `comm` is used by nobody else; with a tag for each watch.

    `limit`: seconds, or infinity if only a signal sets one. `end_all` ends all ranks with an exit code.
    """

    def __init__(
        self, comm: Any, tag: int, pulse: Pulse, hosts: list[str], limit: float, end_all: Callable[[int], None]
    ) -> None:
        self._comm, self._tag, self._pulse, self._hosts, self._limit = comm, tag, pulse, hosts, limit
        self._end_all = end_all
        self._rank, self._size = comm.Get_rank(), comm.Get_size()
        self._main = threading.get_ident()
        self._peers = range(1, self._size) if self._rank == 0 else range(1)
        self._sent: dict[int, Any] = {}
        self._over = threading.Event()

    def __enter__(self) -> Watch:
        now = time.monotonic()
        self._seen = {rank: Seen(now, now, Beat(0, False, "start", "", 0)) for rank in (self._rank, *self._peers)}
        self._thread = threading.Thread(target=self._run, name="hangs", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(END_S)

    def drain(self) -> None:
        """Take the messages that came last: some MPI libraries complain of those that nobody took."""
        self._listen(time.monotonic())

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # signals are for the main thread
        before = time.monotonic()
        while not self._over.wait(BEAT_S):
            now = time.monotonic()
            if now - before > ASLEEP_BEATS * BEAT_S:  # all that was not heard meanwhile is not the others' fault
                for seen in self._seen.values():
                    seen.heard, seen.moved = now, now
            before = now
            self._listen(now)
            self._tell(self._beat())
            if found := self._found(now):
                self._end(found)
        self._tell(self._beat(gone=True))
        for request in self._sent.values():
            with suppress(Exception):
                request.Test()

    def _beat(self, gone: bool = False) -> Beat:
        asked = asked_for() or max(seen.beat.asked for seen in self._seen.values())
        pulse = self._pulse
        pulse.moves += pulse.bounded
        beat = Beat(pulse.moves, pulse.waits.now, pulse.phase, _place(self._main), asked, gone)
        self._seen[self._rank].hear(beat, time.monotonic())
        return beat

    def _listen(self, now: float) -> None:
        while message := self._comm.improbe(tag=self._tag):
            sender, *fields = message.recv()
            self._seen[sender].hear(Beat(*fields), now)

    def _tell(self, beat: Beat) -> None:
        """Send a beat to those that have taken the one before."""
        fields = (self._rank, beat.moves, beat.waits, beat.phase, beat.place, beat.asked, beat.gone)
        for peer in self._peers:
            if peer not in self._sent or self._sent[peer].Test():
                self._sent[peer] = self._comm.isend(fields, peer, self._tag)

    def _found(self, now: float) -> dict[int, str]:
        if self._rank == 0:
            return stuck(self._seen, self._limit, now)
        # Each rank waits a little longer than the one before it, so that one alone speaks.
        found = stuck(self._seen, self._limit, now - BEAT_S * (2 + self._rank))
        return {rank: why for rank, why in found.items() if rank == 0 and "silent" in why}

    def _end(self, found: dict[int, str]) -> None:
        ranks = [f"rank {rank} on {self._hosts[rank]} hangs {why}" for rank, why in found.items()]
        more = f"; and {len(ranks) - 2} other ranks" if len(ranks) > 2 else ""
        text = (
            f"trpo-gail: {'; '.join(ranks[:2])}{more}; all ranks end{'; ' * bool(self._pulse.note)}{self._pulse.note}\n"
        )
        with suppress(OSError, ValueError, AttributeError):  # whatever becomes of the line, the ranks end
            os.write(sys.__stderr__.fileno(), text.encode(errors="replace"))  # type: ignore[union-attr]
        threading.Thread(target=self._end_all, args=(1,), daemon=True).start()
        time.sleep(END_S)
        os.kill(os.getpid(), signal.SIGKILL)


def _place(thread: int) -> str:
    """The file and the line at which a thread is in Python."""
    frame = sys._current_frames().get(thread)
    return f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}" if frame else "an unknown place"
