"""The exceptions whose message is all that a person needs: one clear line, no traceback; and how a line stays short."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 240  # characters of a message: three lines of a screen


class UserError(ValueError):
    """A mistake in a flag, a file or an environment; the message names the value, the file and the field. Exit code 2."""


class RunError(RuntimeError):
    """What ends a run under way, such as a number that is not finite or an environment that fails. Exit code 1.

    It may be raised on one rank alone: the command line then names the rank and ends all of them.
    """


class Answered(SystemExit):
    """The parser of flags has printed what was asked for, such as --help. Any other SystemExit is somebody's mistake."""


def shortened(text: str, limit: int = MOST) -> str:
    """One line of at most `limit` characters. What is wrong and what to do stand at the ends: the middle is left out.

    A file's name counts as 60 characters at most: a long name makes a long line, since the name is needed.
    """
    line, gap = text if text.isprintable() else " ".join(text.split()), " ... "
    limit += sum(max(0, len(word) - 60) for word in line.split() if "/" in word and len(word) < 1000)
    if len(line) <= limit:
        return line
    tail = (limit - len(gap)) // 3
    return line[: limit - len(gap) - tail] + gap + line[len(line) - tail :]


def listed(names: Iterable[object], most: int = 5) -> str:
    """`a, b, c and 997 more`: the first names of a list that may be long, each of them short, too."""
    words = [str(name) for name in names]
    said = ", ".join(shortened(word, 40) for word in words[:most])
    return f"{said} and {len(words) - most} more" if len(words) > most else said or "nothing"
