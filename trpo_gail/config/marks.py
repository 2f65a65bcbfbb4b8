"""What stands beside the type of a field, in `Annotated`: which values it may have, and how its flag is written."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from trpo_gail.success import Rule

# Ranges are asked by what is allowed: no comparison with nan is true.


class Range(ABC):
    """Which values of a type are allowed. None, in a field that may be None, is not asked about."""

    @abstractmethod
    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, as an error says it after the flag's name; None if nothing is."""


@dataclass(frozen=True)
class AtLeast(Range):
    """A number of at least this."""

    least: float

    def problem(self, value: float) -> str | None:
        return f"{value} given, at least {self.least:g} expected" if not value >= self.least else None


@dataclass(frozen=True)
class AtMost(Range):
    """A number of at most this."""

    most: float

    def problem(self, value: float) -> str | None:
        return f"{value} given, at most {self.most:g} expected" if not value <= self.most else None


@dataclass(frozen=True)
class MoreThan(Range):
    """A number above this."""

    bound: float

    def problem(self, value: float) -> str | None:
        return f"{value} given, more than {self.bound:g} expected" if not value > self.bound else None


@dataclass(frozen=True)
class LessThan(Range):
    """A number below this."""

    bound: float

    def problem(self, value: float) -> str | None:
        return f"{value} given, less than {self.bound:g} expected" if not value < self.bound else None


@dataclass(frozen=True)
class Layers(Range):
    """Numbers of units, one per layer."""

    def problem(self, value: tuple[int, ...]) -> str | None:
        return "every layer has at least 1 unit" if any(size < 1 for size in value) else None


@dataclass(frozen=True)
class Names(Range):
    """Some of these names, each once, at least one."""

    known: tuple[str, ...]

    def __init__(self, *known: str) -> None:
        object.__setattr__(self, "known", known)

    def problem(self, value: tuple[str, ...]) -> str | None:
        expected = f"one or more of {', '.join(self.known)} expected"
        if unknown := [name for name in value if name not in self.known]:
            return f"{unknown[0]!r} given, {expected}"
        return None if value and len(set(value)) == len(value) else f"{' '.join(value) or 'nothing'} given, {expected}"


@dataclass(frozen=True)
class JsonObject(Range):
    """An object in JSON."""

    def problem(self, value: str) -> str | None:
        try:
            found = json.loads(value)
        except json.JSONDecodeError as error:
            return f"{value!r} is not JSON ({error})"
        return None if isinstance(found, dict) else f"{value!r} given, a JSON object expected"


@dataclass(frozen=True)
class Interval(Range):
    """A number of iterations or minutes: 20, 5m or 0.5m."""

    FORM = re.compile(r"(\d+(?:\.\d+)?)(m?)")

    def problem(self, value: str) -> str | None:
        match = self.FORM.fullmatch(value)
        if match and float(match[1]) > 0 and (match[2] or "." not in match[1]):
            return None
        return f"{value!r} given, a number of iterations (20) or minutes (5m) expected"


@dataclass(frozen=True)
class SuccessRule(Range):
    """A rule for an episode: return>=200 and terminated."""

    def problem(self, value: str) -> str | None:
        try:
            Rule.read(value)
        except ValueError as error:
            return str(error)
        return None


@dataclass(frozen=True)
class OneOf(Range):
    """The name of a row of a table, which may grow, or `module:function` from outside the package."""

    table: Mapping[str, Any]
    OUTSIDE = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")

    def problem(self, value: str) -> str | None:
        if value in self.table or self.OUTSIDE.fullmatch(value):
            return None
        return f"{value!r} given, one of {', '.join(map(repr, self.table))} or module:function expected"


@dataclass(frozen=True)
class Outside(Range):
    """The name of something outside the package: `module:name`."""

    def problem(self, value: str) -> str | None:
        return None if OneOf.OUTSIDE.fullmatch(value) else f"{value!r} given, module:name expected"


Count = Annotated[int, AtLeast(1)]
NotNegative = Annotated[float, AtLeast(0)]
Positive = Annotated[float, MoreThan(0)]
Fraction = Annotated[float, AtLeast(0), AtMost(1)]
HiddenSizes = Annotated[tuple[int, ...], Layers()]


# ---- on the command line ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Positional:
    """Given by its place, without a flag."""

    metavar: str


@dataclass(frozen=True)
class Short:
    """Of a section: these of its fields may be given without the section's name."""

    names: frozenset[str]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", frozenset(names))


@dataclass(frozen=True)
class Unprefixed:
    """Of a section: its fields have no section's name at all."""


@dataclass(frozen=True)
class Commas:
    """Of a text: its items stand in one word, with commas between them."""


@dataclass(frozen=True)
class OncePerItem:
    """Of a tuple: the flag is given once for each item."""
