"""From the words of a command line to values by path.

The standard library's parser words its messages itself, in a way that changes with Python's version, and ours name the value
and what was expected. What is left of a parser without its messages is this loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from trpo_gail.config import others
from trpo_gail.config.flags import Flag, flags
from trpo_gail.config.leaves import REQUIRED
from trpo_gail.errors import UserError

MOST_HINTS = 3
_TRUTHS = ("true", "false", "yes", "no", "on", "off")  # what a switch is given elsewhere
ALIKE = 0.8  # a name that is this similar to what was typed may have been meant


@dataclass
class Given:
    """What a command line gives."""

    values: dict[str, Any] = field(default_factory=dict)  # by path
    typed: dict[str, str] = field(default_factory=dict)  # by path, the flag as it was typed
    base: dict[str, Any] | None = None  # by path, what stands in for the defaults
    replaced: dict[str, Any] = field(default_factory=dict)  # by path, what a flag that was given again had before


def read(cls: type, words: list[str]) -> Given:
    """The values that words give to the leaves of a tree; of a flag that is given twice, the last. Raises UserError for what
    is unknown, or not of its type."""
    reader = _Reader(flags(cls), words)
    reader.run()
    if reader.unknown:
        raise UserError(_unrecognised(reader.unknown, reader.flags))
    return reader.given


def complete(cls: type, given: Given) -> dict[str, Any]:
    """The values that are given; a tuple that has no default may be empty. Raises UserError if another has none either."""
    missing = [flag for flag in flags(cls) if flag.leaf.default is REQUIRED and flag.leaf.path not in given.values]
    names = [flag.positional or flag.names[0] for flag in missing if not flag.many]
    if names:
        text = next(flag.text for flag in missing if not flag.many)
        raise UserError(f"no {', '.join(names)} given" + (f": {text}" if len(names) == 1 else ""))
    return {flag.leaf.path: () for flag in missing} | given.values


class _Reader:
    """The words of a command line, one after the other."""

    def __init__(self, made: list[Flag], words: list[str]) -> None:
        self.flags, self.given, self.unknown, self._rest = made, Given(), list[str](), list(words)
        self._switch = ""  # the word before, if it was one
        self._places = [flag for flag in made if flag.positional]
        self._named = {name: flag for flag in made for name in (*flag.names, *flag.opposites)}

    def run(self) -> None:
        while self._rest:
            word, before, self._switch = self._rest.pop(0), self._switch, ""
            if before and not self._places and word.lower() in _TRUTHS:
                raise _no_value(before, word, self._named[_spelt(before)])
            if _is_flag(word):
                self._flag(*word.partition("="))
            elif self._places and not word.startswith("-"):
                flag = self._places.pop(0)
                self._keep(flag, str(flag.positional), [word, *(self._values() if flag.many else [])])
            else:
                self.unknown += [word, *(self._values() if word.startswith("-") else [])]

    def _flag(self, name: str, equals: str, text: str) -> None:
        flag = self._named.get(_spelt(name))
        if flag is None:
            self.unknown += [name + equals + text, *self._values()]
        elif flag.switch:
            if equals:
                raise _no_value(name, text, flag)
            self._switch = name
            self._set(flag, name, _spelt(name) in flag.names)
        else:
            most = None if flag.commas or (flag.many and not flag.once_per_item) else 1
            self._keep(flag, name, [text] if equals else self._values(most))

    def _keep(self, flag: Flag, typed: str, words: list[str]) -> None:
        if not words and (flag.once_per_item or not flag.many):
            raise UserError(f"Missing value for argument {typed!r}. Expected 1 value")
        if flag.commas and len(words) > 1:
            one = ",".join(word.strip(",") for word in words)
            raise UserError(f"{typed}: {' '.join(words)} given, expected in one word, with commas: {typed} {one}")
        value = flag.value(typed, words)
        before = self.given.values.get(flag.leaf.path, ()) if flag.once_per_item else ()
        self._set(flag, typed, (*before, *value) if before else value)

    def _set(self, flag: Flag, typed: str, value: Any) -> None:
        if flag.leaf.path in self.given.values:
            self.given.replaced[flag.leaf.path] = self.given.values[flag.leaf.path]
        self.given.values[flag.leaf.path], self.given.typed[flag.leaf.path] = value, typed

    def _values(self, most: int | None = None) -> list[str]:
        """The words up to the next flag, or so many of them."""
        taken: list[str] = []
        while self._rest and not _is_flag(self._rest[0]) and len(taken) != most:
            taken.append(self._rest.pop(0))
        return taken


def _no_value(name: str, text: str, switch: Flag) -> UserError:
    return UserError(f"{name}: {text!r} given, but it takes no value: {', '.join(switch.names + switch.opposites)}")


def _is_flag(word: str) -> bool:
    """-3, -1e-5, -log(1-D) and "--a 3 --b=4", which is the value of another flag, are none."""
    name = word.partition("=")[0]
    return (name.startswith("--") and " " not in name) or re.fullmatch("-[a-zA-Z]", name) is not None


def _spelt(name: str) -> str:
    """Hyphens for underscores are as good."""
    return f"--{name[2:].replace('-', '_')}" if name.startswith("--") else name


def _unrecognised(words: list[str], made: list[Flag]) -> str:
    """What is unknown, with the flags that may have been meant."""
    wrong = _spelt(next((word.partition("=")[0] for word in words if word.startswith("-")), ""))
    told = f"Unrecognized options: {', '.join(words)}"
    if place := next((flag.positional for flag in made if flag.positional and wrong == f"--{flag.leaf.path}"), None):
        return f"{told}; {place} is given alone, without a flag"
    if said := others.meant(wrong[2:], {name for flag in made for name in flag.names}):
        return f"{told}; here it is {said}"
    best = [max([*flag.names, *flag.opposites], key=_likeness(wrong)) for flag in made if flag.names]
    whole = best if "." in wrong else [name for name in best if "." not in name]  # by all of it, or by its last name
    near = alike(wrong, whole) or _by_last_names(wrong, best)
    return told + (f"; did you mean {' or '.join(near)}?" if near else "")


def _by_last_names(wrong: str, names: Iterable[str]) -> list[str]:
    """The flags of sections that may have been meant by a name without one."""
    sections = {name: f"--{name.rpartition('.')[2]}" for name in names if "." in name}
    near = [wrong] if wrong in sections.values() else alike(wrong, sections.values())
    return [name for last in dict.fromkeys(near) for name, short in sections.items() if short == last][:MOST_HINTS]


def alike(wrong: str, names: Iterable[str]) -> list[str]:
    """The names that may have been meant, the likeliest first."""
    likeness = _likeness(wrong)
    return sorted((name for name in names if likeness(name) >= ALIKE), key=likeness, reverse=True)[:MOST_HINTS]


def _likeness(wrong: str) -> Callable[[str], float]:
    return lambda name: SequenceMatcher(None, name, wrong).ratio()
