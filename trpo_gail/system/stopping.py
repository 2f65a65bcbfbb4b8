"""Signals. Each one is confirmed in words at once; its effect depends on the state of the program.

- At first (imports, flags), nothing is open: a signal ends the process immediately.
- After `unwind`, it raises `Interrupted` in the main thread, so that open files are put away.
- Within a `StopRequest`, it asks the running code to save and leave. A second Ctrl-C interrupts.

Python runs handlers between two instructions of the main thread, so a long call would delay them. Therefore a thread
handles signals: the system wakes it through a pipe, and it only needs the interpreter's lock.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from types import FrameType, TracebackType
from typing import Any, Protocol

from trpo_gail.system.launcher import launched, several, speaks
from trpo_gail.system.terminal import error_descriptor

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
IGNORABLE = (signal.SIGINT, signal.SIGHUP)  # if ignored at the start, by `nohup` or a shell's `&`, they stay ignored
TAKEN_BY_MPI = (signal.SIGUSR1, signal.SIGHUP)  # MPICH sets its own handlers when it starts
NUDGE = signal.SIGURG  # wakes the main thread from a system call; it is otherwise unused, and does nothing by default

ONE_PRESS_S = 0.5  # one press of Ctrl-C may arrive twice, from the terminal and from a launcher
ANSWER_S = 0.5  # time for the main thread to answer, before the thread does
DRAIN_S = 1.0
MOST_LATE_S = 5.0
PATIENCE_S = 10.0  # time for putting open files away, and for unfinished episodes to end


class Ranks(Protocol):
    """The part of `Workers` that a request needs."""

    def max(self, value: float) -> float: ...


class Interrupted(KeyboardInterrupt):
    """A signal ends the program."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted ({signal.Signals(number).name})")
        self.number = number


class StopRequest:
    """A context in which a signal is a request. `words` tell the user its effect."""

    def __init__(self, words: str = "saves and ends") -> None:
        self.number = 0  # number of the first signal
        self._words, self._since = words, 0.0

    def __enter__(self) -> StopRequest:
        self._own = None if _watch else Watch(guest=True).__enter__()
        self._outer = _watch.request if _watch else None
        if _watch:
            _watch.request = self
            _watch.arm()  # a library may have set its own handlers
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if _watch:
                _watch.drain()
        finally:
            if _watch:
                _watch.request = self._outer
            if self._own:
                self._own.__exit__(kind, error, trace)

    def note(self, number: int) -> None:
        """Record the request."""
        if not self.number:
            self._since = monotonic()
            self.number = number

    def asked(self) -> bool:
        """Whether this rank got a signal."""
        return self.number != 0

    def overdue(self) -> bool:
        """Whether the signal came so long ago that an unfinished evaluation or batch should be given up."""
        return self.number != 0 and monotonic() - self._since > PATIENCE_S

    def words(self, number: int) -> str:
        again = "; Ctrl-C again ends it at once" if number == signal.SIGINT else ""
        return f"{signal.Signals(number).name}: {self._words}{again}"

    def agreed(self, workers: Ranks) -> str | None:
        """The signal's name if any rank got one. A collective."""
        number = int(workers.max(float(self.number)))
        if number and not self.number and _watch:  # another rank got it, and this one must print it
            _watch.say(self.words(number))
        return signal.Signals(number).name if number else None


class Watch:
    """Handlers and the thread, as long as the context lasts.

    `program`: the process ends after the context. `guest`: the process belongs to other code, and we must not end it.
    `end_all` ends all ranks with an exit code, whatever they do. Outside the main thread, which alone handles Python's
    signals, the context does nothing.
    """

    def __init__(self, program: bool = False, guest: bool = False, end_all: Callable[[int], None] = os._exit) -> None:
        self.request: StopRequest | None = None
        self.ending = 0  # the signal that ends the program
        self.mpi = False  # whether MPI has started
        self._program, self._guest, self._end_all = program, guest, end_all
        self._unwinds, self._raised = guest, False
        self._pressed, self._since = False, 0.0  # whether Ctrl-C was a request; time of the last signal handled
        self._drained, self._closing = threading.Event(), False
        self._answered = threading.Lock()  # held once the end has been printed
        self._said: set[str] = set()
        self._before: dict[int, Any] = {}

    # ---- the main thread ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Watch:
        global _watch
        if _watch or threading.current_thread() is not threading.main_thread():
            return self
        self._pipe, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self._woken_before = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._before = {number: signal.getsignal(number) for number in (*SIGNALS, NUDGE)}
        self._unraisable, sys.unraisablehook = sys.unraisablehook, self._swallowed
        _watch = self
        self.arm()
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if _watch is not self:
            return
        self._closing = True
        self.over()
        self.drain()
        self._thread.join(DRAIN_S)
        self.leave()
        if self._program:  # the process only has to end: without a traceback, and ignoring a late SIGUSR1
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, signal.SIG_IGN if number == signal.SIGUSR1 else signal.SIG_DFL)

    def drain(self) -> None:
        """Wait until the thread has handled all signals so far; gives up if standard error cannot be written."""
        self._drained.clear()
        os.write(self._waker, b"\0")
        self._drained.wait(DRAIN_S)

    def leave(self) -> None:
        """Restore the earlier handlers."""
        global _watch
        _watch = None
        sys.unraisablehook = self._unraisable
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._woken_before)
        if not self._thread.is_alive():
            os.close(self._waker)
            os.close(self._pipe)

    def arm(self) -> None:
        """Set our handlers, again if necessary."""
        if threading.current_thread() is threading.main_thread():
            for number, before in self._before.items():
                if before is not signal.SIG_IGN or number not in IGNORABLE:
                    signal.signal(number, self._handle)

    def unwind(self) -> None:
        """Declare that files may be open from here on. Raises Interrupted if a signal has come before."""
        self._unwinds = True
        self._handle()

    def over(self) -> int:
        """Declare that the command is over and nothing is open. Returns the signal that ends the program, or 0."""
        self._unwinds = False
        return self.ending

    def told(self) -> bool:
        """Whether the end has been printed already; if not, the caller prints it now."""
        return not self._answered.acquire(blocking=False)

    def _handle(self, number: int = 0, frame: FrameType | None = None) -> None:
        if self.request and number in SIGNALS:
            self.request.note(number)
        if self.ending and self._unwinds and not self._raised:
            self._raised = True
            raise Interrupted(self.ending)

    def _swallowed(self, unraisable: Any) -> None:
        """Ignore an interruption that was lost in a destructor: it will be raised again."""
        if isinstance(unraisable.exc_value, Interrupted):
            self._raised = False
        else:
            self._unraisable(unraisable)

    # ---- the thread --------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Print a line on standard error, once, by rank 0. It bypasses Python's buffers, whose lock the main thread may
        hold."""
        to = error_descriptor()
        if text not in self._said and speaks() and to is not None:
            self._said.add(text)
            with contextlib.suppress(OSError):
                over_a_bar = "\r\x1b[2K" if os.isatty(to) else ""
                os.write(to, f"{over_a_bar}trpo-gail: {text}\n".encode())

    def _listen(self) -> None:
        # Signals are for the main thread, and those that it blocks stay blocked.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        woken = select.poll()
        woken.register(self._pipe, select.POLLIN)
        while True:
            if not woken.poll(1000.0 * ANSWER_S if self.ending else None):
                self._press()
            elif number := os.read(self._pipe, 1)[0]:
                self._take(number)
            else:
                self._drained.set()
                if self._closing:
                    return

    def _take(self, number: int) -> None:
        """Handle one signal."""
        if number not in SIGNALS:
            return
        again = monotonic() - self._since > ONE_PRESS_S
        if self.ending:
            if again:
                self._vanish()
            return
        self._since = monotonic()
        if self.request and not (number == signal.SIGINT and self._pressed and again):
            self._pressed |= number == signal.SIGINT
            self.request.note(number)
            self.say(self.request.words(number))
        else:
            self._end(number)

    def _end(self, number: int) -> None:
        self.ending = number
        if self._unwinds:
            self._nudge()
        else:
            self._vanish()

    def _press(self) -> None:
        """Act in place of the main thread, which has not answered."""
        if not self.told():
            self.say(str(Interrupted(self.ending)))
        if monotonic() - self._since > PATIENCE_S:
            self._vanish()
        self._nudge()

    def _nudge(self) -> None:
        if self._unwinds and not self._raised:
            signal.pthread_kill(threading.main_thread().ident or 0, NUDGE)

    def _vanish(self) -> None:
        """End the process immediately."""
        if self._guest:
            return
        if not self.told():
            self.say(str(Interrupted(self.ending)))
        code = 128 + self.ending
        if several() and not self.mpi:  # after a plain exit, the others would wait for this rank when MPI starts
            with contextlib.suppress(Exception):
                _guard(PATIENCE_S)  # MPI has to start for that, and one of the others may never come
                self._end_all(code)
        os._exit(code)


_watch: Watch | None = None  # one per process, like signals


def unwind() -> None:
    """From here on a signal raises Interrupted, so that open files are put away. Raises it now if a signal has come
    before."""
    if _watch:
        _watch.unwind()


def asked_for() -> int:
    """The signal that ends the program, or asks it to end; 0 if there was none."""
    if _watch is None:
        return 0
    return _watch.ending or (_watch.request.number if _watch.request else 0)


@contextlib.contextmanager
def mpi_starts(limit: float = math.inf) -> Iterator[None]:
    """Around the start of MPI: blocks the signals whose handlers its library replaces, until ours are set again.

    The start waits for all ranks, and meanwhile no Python runs here. So a child process ends this one after `limit`
    seconds, and a while after a signal.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN_BY_MPI)
    child = _guard(limit) if several() else 0
    try:
        yield
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        if _watch:
            _watch.mpi = True
            _watch.arm()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _guard(limit: float) -> int:
    """The id of a process that ends this one if MPI does not start."""
    parent, signals = os.getpid(), os.dup(_watch._pipe) if _watch else -1
    if child := os.fork():
        if signals >= 0:
            os.close(signals)
        return child
    try:
        _wait_for_mpi(parent, signals, limit)
    finally:
        os._exit(0)


def _wait_for_mpi(parent: int, signals: int, limit: float) -> None:
    rank = (launched() or (0, 1))[0]
    began, heard = monotonic(), math.inf
    while os.getppid() == parent:  # else it has died
        sleep(0.1)
        if signals >= 0 and select.select([signals], [], [], 0.0)[0]:  # the thread that reads them cannot run
            heard = min(heard, monotonic())
        late = min(rank, MOST_LATE_S)  # after the ranks before it, so that one alone speaks
        if monotonic() - began > limit + late or monotonic() - heard > ANSWER_S + late:
            why = "interrupted" if heard < math.inf else f"not all ranks came within {limit:.0f} s"
            text = f"trpo-gail: MPI does not start: rank {rank} on {os.uname().nodename} waits for others ({why})\n"
            with contextlib.suppress(OSError):
                os.write(2, text.encode())
            os.kill(parent, signal.SIGKILL)
            return


# ---- after a fork, signals act as they did before us, and do not wake our thread -------------------------------------

_held = threading.local()  # a thread's mask from before its fork


def _before_fork() -> None:
    _held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # for the child, until it has set its own


def _after_fork() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _held.mask)


def _in_child() -> None:
    if _watch:
        _watch.leave()
    _after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
