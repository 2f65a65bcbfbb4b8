"""Flags in a file: a mapping of their paths to values, nested or dotted, as YAML or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import NoneType
from typing import Any

from trpo_gail.config import others, yaml_text
from trpo_gail.config.flags import Flag, flags
from trpo_gail.config.marks import JsonObject
from trpo_gail.config.reading import Given, alike
from trpo_gail.errors import UserError
from trpo_gail.system import typed


def content(file: str) -> Mapping[str, Any]:
    """The mapping that a file holds: JSON if its name ends in .json, else YAML. Raises UserError."""
    source = f"--config {file}"
    try:
        text = Path(file).read_text(encoding="utf-8-sig")  # Windows may put a mark at the beginning
    except OSError as error:
        raise UserError(f"{source}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{source}: {error.reason} at byte {error.start}, a text in UTF-8 expected") from error
    ending = Path(file).suffix.lower()
    if ending == ".toml":
        raise UserError(f"{source}: TOML is not read, YAML or JSON expected")
    found = _json(text, source) if ending == ".json" else yaml_text.parse(text, source)
    if not isinstance(found, dict):
        raise UserError(f"{source}: {found!r:.60} found, a mapping of flags to values expected")
    return found


def _json(text: str, source: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"{source}: {twice!r} given twice")
        return made

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise UserError(f"{source}: line {error.lineno}: {error.msg}, JSON expected") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{source}: {error}, JSON expected") from error


def given(cls: type, held: Mapping[str, Any], file: str) -> Given:
    """What a file's content gives to the leaves of a tree. Raises UserError, which names file, field and value."""
    reader = _Reader(cls, f"--config {file}")
    reader.read(held)
    return reader.given


class _Reader:
    """The fields of a file, one after the other."""

    def __init__(self, cls: type, source: str) -> None:
        made = [flag for flag in flags(cls) if flag.leaf.path != "config"]  # a file names no other
        self.source, self.given, self._names = source, Given(), dict[str, str]()
        self._flags = {flag.leaf.path: flag for flag in made}
        self._flags |= {flag.leaf.name: flag for flag in made if flag.leaf.short}
        self._sections = {path[:end] for path in self._flags for end, sign in enumerate(path) if sign == "."}

    def read(self, held: Mapping[str, Any], prefix: str = "") -> None:
        for name, value in held.items():
            path = f"{prefix}{name}".replace("-", "_")
            if path in self._sections:
                typed.check(value, dict, f"{self.source}: field {path!r}")
                self.read(value, f"{path}.")
            elif path in self._flags:
                self._set(self._flags[path], path, value)
            else:
                raise UserError(self._unknown(path))

    def _set(self, flag: Flag, name: str, value: Any) -> None:
        path, field = flag.leaf.path, f"{self.source}: field {name!r}"
        if (before := self._names.setdefault(path, name)) is not name:
            raise UserError(f"{field}: {value!r:.60} given, but {before!r} gives a value already")
        self.given.values[path], self.given.typed[path] = _value(flag, value, field), field

    def _unknown(self, path: str) -> str:
        near = [known for known in self._flags if known.endswith(f".{path}")] or alike(path, self._flags)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        if said := others.meant(path, {f"--{known}" for known in self._flags}):
            meant = f"; here it is {said.replace('--', '')}"
        return f"{self.source}: field {path!r}: no flag has this name{meant}"


def _value(flag: Flag, value: Any, field: str) -> Any:
    """In the flag's own type. What a command line makes of a word is as good: None, 2e6 steps, an object for its JSON."""
    if value == "None" and NoneType in flag.kinds:
        return None
    if isinstance(value, dict) and any(isinstance(mark, JsonObject) for mark in flag.leaf.marks):
        return json.dumps(value)
    made = [_one(flag, item) for item in value] if flag.many and isinstance(value, list) else _one(flag, value)
    typed.check(made, flag.leaf.hint, field)
    return tuple(made) if isinstance(made, list) else made


def _one(flag: Flag, value: Any) -> Any:
    if flag.kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if flag.kind is str and type(value) is int:  # save_every: 20
        return str(value)
    return value


@contextmanager
def blamed(given: Given) -> Iterator[None]:
    """Let a UserError about a flag that a file gives name the file."""
    try:
        yield
    except UserError as error:
        name = re.match(r"--([\w.]+)", str(error))
        source, found, _ = given.typed.get(name[1] if name else "", "").partition(": field ")
        if not found:
            raise
        raise UserError(f"{source}: {error}") from error
