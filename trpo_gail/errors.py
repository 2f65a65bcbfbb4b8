"""Exceptions that a user sees as one clear line without a traceback, and functions that keep such a line short."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 320  # characters of a message: four lines of a screen


class UserError(ValueError):
    """A mistake in a flag, a file or an environment; the message names the value, the file and the field. Exit code
    2."""

    def __str__(self) -> str:
        return unstopped(one_line(super().__str__()))


class RunError(RuntimeError):
    """An error that ends a running training, such as a non-finite number or a failing environment. Exit code 1.

    It may be raised on one rank alone: the command line then names the rank and ends all of them.
    """

    def __str__(self) -> str:
        return unstopped(one_line(super().__str__()))


class Answered(SystemExit):
    """The parser of flags has printed a page, such as --help, and ends. Any other SystemExit is a mistake."""


def one_line(text: str) -> str:
    """A message may quote a name from a file, with line ends or signs that move a terminal's cursor: line ends become
    blanks, other signs are spelled out. Surrogates stay, since they stand for the bytes of a file's name."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or _is_surrogate(c) else ascii(c)[1:-1] for c in " ".join(text.split()))


def _is_surrogate(sign: str) -> bool:
    return "\ud800" <= sign <= "\udfff"


def spelled(text: str) -> str:
    """A text that a file can hold: surrogates, which stand for the bytes of a file's name that are no text, are spelled
    out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def unstopped(text: str) -> str:
    """A message without its full stop, which libraries write and we do not: what quotes it goes on, or has its own."""
    return text[:-1] if text.endswith(".") and not text.endswith("..") else text


def shortened(text: str, limit: int = MOST) -> str:
    """One line of at most `limit` characters. The ends of a message say what is wrong and what to do; the middle is
    cut.

    A file's name counts as 60 characters at most: a long name may make a longer line, since the name is needed.
    """
    line, gap = one_line(text), " ... "
    limit += sum(max(0, len(word) - 60) for word in line.split() if "/" in word and len(word) < 1000)
    if len(line) <= limit:
        return line
    tail = (limit - len(gap)) // 3
    return line[: limit - len(gap) - tail] + gap + line[len(line) - tail :]


def of_system(error: OSError, where: object = "input/output") -> str:
    """The system's error about a file or a folder; `where`, if it names none."""
    text = error.strerror or str(error)
    if text.startswith("No usable temporary directory"):  # of Python's tempfile, also if the disk is full
        return f"{text}: set TMPDIR to a folder that has room and can be written"
    return f"{error.filename or where}: {text}"


def absent(package: str, *install: str) -> str:
    """That a package is not there, and what installs it: `install`, or the package's own name."""
    return f"{package} is not installed: pip install {' '.join(install or (package,))}"


def listed(names: Iterable[object], most: int = 5) -> str:
    """`a, b, c and 997 more`: the first names of a list that may be long, each of them shortened."""
    words = [str(name) for name in names]
    said = ", ".join(shortened(word, 40) for word in words[:most])
    return f"{said} and {len(words) - most} more" if len(words) > most else said or "nothing"
