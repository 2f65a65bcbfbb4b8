"""The leaves of a tree as flags: the names and the values of each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from trpo_gail.config.leaves import Leaf, leaves, texts
from trpo_gail.config.marks import Commas, Names, OncePerItem, OneOf, Positional
from trpo_gail.errors import UserError


@dataclass(frozen=True)
class Flag:
    """How a leaf is given."""

    leaf: Leaf

    @property
    def positional(self) -> str | None:
        """What stands for it in messages if it is given by its place."""
        return next((mark.metavar for mark in self.leaf.marks if isinstance(mark, Positional)), None)

    @property
    def kinds(self) -> tuple[Any, ...]:
        """Of `X | None` both, else its type alone."""
        return _kinds(self.leaf.hint)

    @property
    def kind(self) -> Any:
        """The type of the value, or of an item if it is a tuple."""
        return next(kind for kind in self._kinds_of_one if kind is not NoneType)

    @property
    def _kinds_of_one(self) -> tuple[Any, ...]:
        kind = next(kind for kind in self.kinds if kind is not NoneType)
        return _kinds(get_args(kind)[0]) if get_origin(kind) is tuple else self.kinds

    @property
    def none_among_many(self) -> bool:
        """Whether an item of a tuple may be None."""
        return self.many and NoneType in self._kinds_of_one

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that may be its value, or an item of it; a table's may not be all. Empty if it may be anything."""
        if get_origin(self.kind) is Literal:
            return get_args(self.kind)
        found = [
            mark.known if isinstance(mark, Names) else tuple(mark.table)
            for mark in self.leaf.marks
            if isinstance(mark, Names | OneOf)
        ]
        return found[0] if found else ()

    @property
    def switch(self) -> bool:
        return self.kind is bool

    @property
    def many(self) -> bool:
        return any(get_origin(kind) is tuple for kind in self.kinds)

    @property
    def once_per_item(self) -> bool:
        return any(isinstance(mark, OncePerItem) for mark in self.leaf.marks)

    @property
    def commas(self) -> bool:
        return any(isinstance(mark, Commas) for mark in self.leaf.marks)

    @property
    def names(self) -> list[str]:
        """What switches it on, or comes before its value; the shortest first. A field's last _ keeps it from being a
        keyword."""
        if self.positional:
            return []
        return [*([f"--{self.leaf.name}"] if self.leaf.short else []), f"--{self.leaf.path.rstrip('_')}"]

    @property
    def opposites(self) -> list[str]:
        """What switches it off."""
        return [_opposite(name) for name in self.names] if self.switch else []

    @property
    def text(self) -> str:
        return texts(self.leaf.owner).get(self.leaf.name, "")

    def value(self, typed: str, words: list[str]) -> Any:
        """The words after its name, as `typed`, as a value. Raises UserError."""
        values = [self._one(typed, word) for word in words]
        return tuple(values) if self.many and (values != [None] or self.none_among_many) else values[0]

    def _one(self, typed: str, word: str) -> Any:
        if word == "None" and (NoneType in self.kinds or self.none_among_many):
            return None
        if get_origin(self.kind) is Literal:
            choices = get_args(self.kind)
            if word not in choices:
                allowed = (*choices, "None") if NoneType in self.kinds else choices
                raise UserError(f"invalid choice {word!r} for argument {typed!r}. Expected one of {allowed}")
            return word
        try:
            return _READERS[self.kind](word)
        except ValueError as error:
            or_none = " or None" if self.none_among_many else ""
            raise UserError(f"Error parsing {typed}: {word!r} given, {error}{or_none} expected") from error


def _kinds(hint: Any) -> tuple[Any, ...]:
    inner = get_args(hint)
    return inner if NoneType in inner else (hint,)


def _opposite(name: str) -> str:
    """Of --a.b: --a.no_b."""
    section, dot, last = name[2:].rpartition(".")
    return f"--{section}{dot}no_{last}"


def _whole(word: str) -> int:
    """Whole numbers may be written 2e6."""
    with contextlib.suppress(ValueError):
        return int(word)
    with contextlib.suppress(ValueError):
        if (value := float(word)).is_integer():
            return int(value)
    raise ValueError("a whole number")


def _number(word: str) -> float:
    with contextlib.suppress(ValueError):
        return float(word)
    raise ValueError("a number")


_READERS: dict[Any, Callable[[str], Any]] = {int: _whole, float: _number, str: str}


def flags(cls: type) -> list[Flag]:
    """All flags of a tree."""
    return [Flag(leaf) for leaf in leaves(cls).values()]
