"""stdout and stderr under guard, so that printing never ends a run.

Python's own streams raise an error for a character that their encoding lacks, when the reader has gone, on a full disk,
and after the terminal was closed. And if stdout is closed, the next opened file takes its number. Under guard, such a
character is replaced by a plain one, and a stream that can no longer be written is silent from then on. The exit code
shows this (`guarded`), unless a run has begun (`Streams.begin_run`), whose result is more than its output.

An environment may close a stream, set it to None, or close its file descriptor, which the next file then gets. So a
stream under guard cannot be closed, is put back where it is missing (`put_back`), and writes to a descriptor of its own.
It writes whole lines, since a launcher mixes what ranks write.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import functools
import io
import os
import select
import sys
import unicodedata
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import TYPE_CHECKING, ParamSpec, TextIO

from trpo_gail.errors import shortened

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

P = ParamSpec("P")

# ---- characters ------------------------------------------------------------------------------------------------------

ERRORS = "trpo_gail.plain"  # the name of our handler of encoding errors
_TWINS = {
    "±": "+-", "×": "x", "·": ".", "−": "-", "–": "-", "—": "-", "─": "-", "━": "-", "═": "-", "│": "|", "┃": "|", "║": "|",
    "“": '"', "”": '"', "‘": "'", "’": "'", "•": "*", "→": "->", "←": "<-", "≤": "<=", "≥": ">=", "≠": "!=", "λ": "lambda",
}  # fmt: skip


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace characters that cannot be encoded by plain ones; bytes of a file's name that is no text stay as they
    are."""
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    escaped = bytes(ord(sign) - 0xDC00 for sign in takewhile(_is_byte, signs))
    if escaped:
        return escaped, error.start + len(escaped)
    twins = [_twin(sign) for sign in takewhile(lambda sign: not _is_byte(sign), signs)]
    return "".join(twins), error.start + len(twins)


def _is_byte(sign: str) -> bool:
    """Whether `os.fsdecode` marks it as a byte that is no text."""
    return "\udc80" <= sign <= "\udcff"


def _twin(sign: str) -> str:
    twin = _TWINS.get(sign) or ("+" if "\u2500" <= sign <= "\u257f" else None)  # the corners of boxes
    return twin or unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode() or "?"


codecs.register_error(ERRORS, _plain)

# ---- streams ---------------------------------------------------------------------------------------------------------


class Outlet(io.RawIOBase):
    """Writes bytes to where a file descriptor leads as long as it accepts them. The first failure is kept as `error`, and
    printed once."""

    def __init__(self, descriptor: int, title: str, tell: Callable[[Outlet], None]) -> None:
        self._descriptor, self._title, self._tell = descriptor, title, tell
        self.own = descriptor if descriptor < 0 else os.dup(descriptor)  # the other may be closed by anybody
        self.error: OSError | None = None

    def release(self) -> None:
        """Give the descriptor of its own back; from now on it writes to the one that it was made for."""
        if self.own not in (-1, self._descriptor):
            os.close(self.own)
        self.own = self._descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return self.error is None and os.isatty(self.own)

    def write(self, data: ReadableBuffer) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while self.error is None and left:
                left = left[self._some(left) :]
        except OSError as error:
            self.error = error
            self._tell(self)
        return size

    def _some(self, data: memoryview) -> int:
        try:
            return os.write(self.own, data)
        except BlockingIOError:  # a full non-blocking pipe: wait until it can be written
            select.select([], [self.own], [])
            return 0

    @property
    def fault(self) -> str:
        """The failure in words."""
        assert self.error is not None
        if self.error.errno == errno.EBADF:
            return f"{self._title} is closed"
        return f"{self._title} cannot be written: {self.error.strerror}"


class _Stream(io.TextIOWrapper):
    """A text stream that nobody closes: others print to it, too."""

    def close(self) -> None:
        self.flush()


class Streams:
    """Both streams, while a command runs."""

    def __init__(self) -> None:
        _fill_gaps()
        self._run_began = False
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError, ValueError):  # it is missing, lost already, or closed
                stream.flush()
        self._before = sys.stdout, sys.stderr
        self.out = Outlet(_descriptor(sys.stdout), "standard output", self._tell)
        self.err = Outlet(_descriptor(sys.stderr), "standard error", self._tell)
        self._ours = _over(self.out, sys.stdout), _over(self.err, sys.stderr)
        sys.stdout, sys.stderr = self._ours

    def put_back(self) -> None:
        """Take our streams in the place of those that are missing or closed."""
        for name, ours in zip(("stdout", "stderr"), self._ours, strict=True):
            stream = getattr(sys, name)
            if stream is None or stream.closed:
                setattr(sys, name, ours)

    def begin_run(self) -> None:
        """From now on, lost output does not change the exit code."""
        self._run_began = True

    @contextlib.contextmanager
    def out_to_err(self) -> Iterator[None]:
        """Meanwhile, whoever holds our stdout writes to where our stderr leads."""
        own = self.out.own
        self.out.own = own if self.err.own < 0 else self.err.own
        try:
            yield
        finally:
            with contextlib.suppress(ValueError):
                self._ours[0].flush()
            self.out.own = own

    def close(self) -> None:
        """Put Python's own streams back; code that still holds ours can continue to write."""
        sys.stdout, sys.stderr = self._before
        for stream in self._ours:
            with contextlib.suppress(ValueError):  # a stream that is no file may be closed
                stream.flush()
        self.out.release()
        self.err.release()

    def exit_code(self, code: int) -> int:
        """The exit code of a command whose output was lost, if printing was all that it did. If the reader has just
        stopped reading, as in `trpo-gail train --help | head`, no message is printed."""
        if code or self._run_began or self.out.error is None:
            return code
        if self.out.error.errno == errno.EPIPE:
            return 1
        print(f"trpo-gail: {self.out.fault}", file=sys.stderr, flush=True)
        return 2

    def _tell(self, outlet: Outlet) -> None:
        """Print on the other stream, bypassing its buffer, since this may happen within any print, in any thread."""
        other = self.err if outlet is self.out else self.out
        if self._run_began and other.error is None:
            with contextlib.suppress(OSError):
                os.write(other.own, f"warning: {outlet.fault}; nothing more is printed there\n".encode())


def _fill_gaps() -> None:
    """Open the null device as 0, 1 and 2 if they are closed. Otherwise libraries could print into a checkpoint."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest free number, which is this one


def _descriptor(stream: TextIO | None) -> int:
    """The number of a stream; -1 if it is closed, or not a file."""
    try:
        return -1 if stream is None else stream.fileno()
    except (OSError, ValueError):
        return -1


def _over(outlet: Outlet, stream: TextIO | None) -> TextIO:
    """A text stream like `stream`, over the outlet. A stream that is not a file, as in a notebook, stays as it is. An
    unbuffered one (PYTHONUNBUFFERED, as in containers) writes whole lines at once: a print is two writes of it, between
    which other ranks print."""
    if stream is not None and not (isinstance(stream, io.TextIOWrapper) and outlet.fileno() >= 0):
        return stream
    return _Stream(
        io.BufferedWriter(outlet),
        encoding=stream.encoding if stream else "utf-8",
        errors=ERRORS,
        line_buffering=stream is None or stream.line_buffering or stream.write_through,
    )


_open: list[Streams] = []  # one at most


@contextlib.contextmanager
def streams() -> Iterator[Streams]:
    """Both streams under guard; in a nested context, those of the outer one."""
    if _open:
        yield _open[0]
        return
    _open.append(Streams())
    try:
        yield _open[0]
    finally:
        _open.pop().close()


def guarded(main: Callable[P, int]) -> Callable[P, int]:
    """Decorates a command line: guards its streams, and adapts its exit code."""

    @functools.wraps(main)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        with streams() as under_guard:
            code = main(*args, **kwargs)
            under_guard.put_back()
            with contextlib.suppress(AttributeError, ValueError):  # somebody's own in place of ours
                sys.stdout.flush()
            return under_guard.exit_code(code)

    return run


def put_back() -> None:
    """Before printing, and after the code of others: have streams that can be written, if ours are under guard."""
    if _open:
        _open[0].put_back()


def error_descriptor() -> int | None:
    """Where stderr leads, past all buffers; None if that is nowhere."""
    if _open and _open[0].err.own >= 0:
        return _open[0].err.own
    with contextlib.suppress(OSError, ValueError):
        return None if sys.__stderr__ is None else sys.__stderr__.fileno()
    return None


def tell(text: str) -> None:
    """Print lines on stderr in one write, since between two of them other ranks would print."""
    put_back()
    with contextlib.suppress(ValueError):  # a closed stream that is not ours
        print(f"{text}\n", end="", file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Print a warning on stderr, in one line. Only rank 0, or a process that is alone, may call it."""
    tell(shortened(f"warning: {text}"))


@contextlib.contextmanager
def kept_for_json(asked: bool) -> Iterator[None]:
    """Send to stderr what an environment or a library prints meanwhile, in Python or in C, so that stdout holds one JSON
    value alone; if it is not `asked`, do nothing. Afterwards both streams can be written, whatever became of them."""
    try:
        with _away() if asked else contextlib.nullcontext():
            yield
    finally:
        put_back()


@contextlib.contextmanager
def _away() -> Iterator[None]:
    import ctypes

    held = ctypes.CDLL(None)  # C's own stdout holds lines back
    sys.stdout.flush()
    held.fflush(None)
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr), _open[0].out_to_err() if _open else contextlib.nullcontext():
            yield
    finally:
        held.fflush(None)
        put_back()
        sys.stderr.flush()
        os.dup2(own, 1)
        os.close(own)
