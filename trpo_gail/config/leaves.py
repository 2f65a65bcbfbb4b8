"""Trees of dataclasses as flat dictionaries by path ({"trpo.max_kl": 0.01, ...}), there and back.

A leaf is a field that is no section, which is a dataclass. Its help text is the string that stands under it.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from trpo_gail.config.marks import Short, Unprefixed
from trpo_gail.errors import UserError
from trpo_gail.system import typed

REQUIRED: Any = dataclasses.MISSING


@dataclass(frozen=True)
class Leaf:
    """A field of a tree."""

    path: str
    hint: Any  # its type, without marks
    marks: tuple[Any, ...]
    default: Any  # REQUIRED if there is none
    short: bool  # whether its name alone is a flag, too
    owner: type  # the dataclass that has the field

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def section(self) -> str:
        return self.path.rpartition(".")[0]


@functools.cache
def leaves(cls: type) -> dict[str, Leaf]:
    """The leaves of a tree by path, in the order of fields."""
    return {leaf.path: leaf for leaf in _walk(cls, "", Short())}


def _walk(cls: type, prefix: str, short: Short) -> Iterator[Leaf]:
    kinds = _kinds(cls)
    for field in dataclasses.fields(cls):
        hint, marks = kinds[field.name]
        if dataclasses.is_dataclass(hint):
            names = next((mark for mark in marks if isinstance(mark, Short)), Short())
            yield from _walk(hint, _inner(prefix, field.name, marks), names)  # type: ignore[arg-type]
        else:
            yield Leaf(prefix + field.name, hint, marks, field.default, field.name in short.names, cls)


def _inner(prefix: str, name: str, marks: tuple[Any, ...]) -> str:
    """What stands before the names of a section's fields."""
    return prefix if any(isinstance(mark, Unprefixed) for mark in marks) else f"{prefix}{name}."


def _unmarked(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type and its marks: of `Annotated[int, AtLeast(1)] | None` these are `int | None` and AtLeast(1)."""
    if get_origin(hint) is Annotated:
        kind, *marks = get_args(hint)
        inner, more = _unmarked(kind)
        return inner, (*more, *marks)
    if get_origin(hint) in (Union, UnionType):
        pairs = [_unmarked(kind) for kind in get_args(hint)]
        kinds = [kind for kind, _ in pairs if kind is not NoneType]
        return Union[(*kinds, NoneType)], tuple(mark for _, marks in pairs for mark in marks)
    return hint, ()


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The tree as one dictionary by path."""
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(tree):
        value = getattr(tree, field.name)
        if dataclasses.is_dataclass(value):
            flat |= flatten(value, f"{prefix}{field.name}.")
        else:
            flat[prefix + field.name] = value
    return flat


def make_plain(tree: Any) -> None:
    """Make Python's own types of what a caller gave for a frozen tree: of NumPy's numbers, lists and paths, and of whole
    numbers where the field is a float. Raises UserError for a section that is none."""
    kinds = _kinds(tree.__class__)
    for field in dataclasses.fields(tree):
        value, kind = getattr(tree, field.name), kinds[field.name][0]
        if not dataclasses.is_dataclass(kind):
            object.__setattr__(tree, field.name, typed.as_float(typed.plain(value), kind))
        elif not isinstance(value, kind):  # type: ignore[arg-type]
            raise UserError(f"{field.name}: {value!r:.60} given, a {kind.__name__} expected")  # type: ignore[union-attr]
        else:
            make_plain(value)


@functools.cache  # to find out takes milliseconds
def _kinds(cls: type) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """The types of a dataclass's fields, and their marks."""
    return {name: _unmarked(hint) for name, hint in get_type_hints(cls, include_extras=True).items()}


def build(cls: type, values: Mapping[str, Any], prefix: str = "") -> Any:
    """The tree that has these values at its leaves. Those that are left out take their defaults."""
    made: dict[str, Any] = {}
    for name, (kind, marks) in _kinds(cls).items():
        if dataclasses.is_dataclass(kind):
            made[name] = build(kind, values, _inner(prefix, name, marks))  # type: ignore[arg-type]
        elif prefix + name in values:
            made[name] = values[prefix + name]
    return cls(**made)


@functools.cache
def sections(cls: type) -> dict[str, str]:
    """What the sections of a tree are, by their paths; "" for what is in none."""
    return {"": "", **dict(_sections(cls, ""))}


def _sections(cls: type, prefix: str) -> Iterator[tuple[str, str]]:
    for name, (kind, marks) in _kinds(cls).items():
        if dataclasses.is_dataclass(kind):
            inner = _inner(prefix, name, marks)
            if inner != prefix:
                yield inner.rstrip("."), texts(cls).get(name) or " ".join((kind.__doc__ or "").split())
            yield from _sections(kind, inner)  # type: ignore[arg-type]


# ---- help ------------------------------------------------------------------------------------------------------------


@functools.cache
def texts(cls: type) -> dict[str, str]:
    """The help texts of a dataclass's fields, its own and those that it inherits: one paragraph each."""
    found: dict[str, str] = {}
    for kind in reversed(cls.__mro__):
        if dataclasses.is_dataclass(kind):
            (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
            assert isinstance(body, ast.ClassDef)
            found |= dict(_texts(body.body))
    return found


def _texts(statements: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Of each field that a string follows, its name and that string."""
    for field, text in pairwise(statements):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            yield field.target.id, " ".join(ast.literal_eval(text.value).split())
