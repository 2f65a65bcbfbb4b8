"""Checks the content of a JSON file against the types that a dataclass declares, since a person may have edited it."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from trpo_gail.errors import UserError

_WORDS = {
    int: "a whole number", float: "a finite number", str: "a text", bool: "true or false", NoneType: "null",
    dict: "an object", list: "a list", tuple: "a list",
}  # fmt: skip


def check(value: object, hint: Any, where: str) -> None:
    """Raise UserError, beginning with `where`, for a value that is not of a type."""
    if not fits(value, hint):
        raise UserError(f"{where}: {words(hint)} expected, found {_wrong(value, hint)}")


def whole(name: str, value: object, least: int = 1) -> int:
    """A whole number that a caller gives as `name`, Python's or NumPy's. Raises UserError for anything else."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
        raise UserError(f"{name}: {value!r:.60} given, a whole number of at least {least} expected")
    return int(value)


def plain(value: Any) -> Any:
    """Numbers of NumPy as Python's, lists as tuples, paths as texts."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if isinstance(value, (list, tuple, np.ndarray)):
        return tuple(plain(item) for item in value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def as_float(value: Any, hint: Any) -> Any:
    """A whole number of JSON or Python as a float, if a type has floats and no whole numbers; else the value."""
    origin, inner = _parts(hint)
    kinds = inner if origin in (Union, UnionType) else (hint,)
    if isinstance(value, int) and not isinstance(value, bool) and float in kinds and int not in kinds:
        return float(value) if abs(value) <= sys.float_info.max else value
    return value


def _wrong(value: object, hint: Any) -> str:
    """The value, or the wrong item of a list."""
    if get_origin(hint) in (list, tuple) and isinstance(value, list):
        item = next(item for item in value if not fits(item, get_args(hint)[0]))
        return f"{item!r:.60} in it"
    return f"{value!r:.60}"


@functools.cache  # to find out takes milliseconds
def hints(cls: type) -> Mapping[str, Any]:
    """The types that a dataclass declares, by field."""
    return get_type_hints(cls)


def check_fields(instance: Any, source: object) -> None:
    """Raise UserError unless every field of a dataclass, read from `source`, is of its type."""
    for name, hint in hints(instance.__class__).items():
        check(getattr(instance, name), hint, f"{source}: field {name!r}")


def build(cls: type, values: object, source: object) -> Any:
    """A flat dataclass from the values of `source`. Raises UserError if a value is no field or not of its field's type,
    or if a field without a default is missing."""
    check(values, dict, str(source))
    assert isinstance(values, dict)
    fields = dataclasses.fields(cls)
    needed = {f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING}
    if wrong := (set(values) - {f.name for f in fields}) | (needed - set(values)):
        raise UserError(f"{source}: fields missing or unknown: {', '.join(sorted(wrong))}")
    made = cls(**values)
    check_fields(made, source)
    return made


def fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of a type: a tuple is a list, a float may be a whole number, and numbers are finite."""
    origin, inner = _parts(hint)
    if origin in (Union, UnionType):
        return any(fits(value, kind) for kind in inner)
    if origin is Literal:
        return value in inner
    if origin in (list, tuple):
        return isinstance(value, (list, tuple)) and all(fits(item, inner[0]) for item in value)
    if origin in (dict, Mapping):
        return isinstance(value, origin) and all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())
    if hint in (int, float) and isinstance(value, (int, float)):
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole if hint is int else (whole or isinstance(value, float)) and abs(value) <= sys.float_info.max
    return hint is Any or isinstance(value, hint)


@functools.cache  # a config's values are looked at many times
def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """What stands before and within a type's brackets. (The order of a union's is that of the first equal one.)"""
    return get_origin(hint), get_args(hint)


def words(hint: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(map(words, inner))
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin in (list, tuple):
        return f"a list of {words(inner[0]).partition(' ')[2]}s"
    if origin in (dict, Mapping):
        return "an object" if inner[1] is Any else f"an object whose values are each {words(inner[1])}"
    return _WORDS.get(hint, "something else")
