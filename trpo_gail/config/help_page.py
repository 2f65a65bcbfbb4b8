"""What --help prints: the flags of a tree, in sections, with defaults and choices."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from trpo_gail.config.flags import Flag, flags
from trpo_gail.config.leaves import REQUIRED, sections
from trpo_gail.config.marks import OneOf

WIDEST = 100
GIVING = ("resume", "config")  # flags by which a run or a file gives what is required
_METAVARS = {int: "INT", float: "FLOAT", str: "STR"}


def page(cls: type, program: str, description: str, defaults: Mapping[str, Any]) -> str:
    """The whole page. `defaults`: by path, if they are others than the fields' own."""
    made = flags(cls)
    giving = [f"--{flag.leaf.path}" for name in GIVING for flag in made if flag.leaf.path == name]
    elsewhere = f", unless {' or '.join(giving)} gives it" if giving else ""
    places = [flag for flag in made if flag.positional]
    usage = " ".join([f"usage: {program} [-h] [OPTIONS]", *(str(flag.positional) for flag in places)])
    parts = [usage, description]
    if places:
        parts.append(
            "\n".join([_title("positional arguments"), *(_entry(flag, defaults, elsewhere) for flag in places)])
        )
    for prefix, about in sections(cls).items():
        own = [flag for flag in made if flag.leaf.section == prefix and flag.names]
        lines = [_title(f"{prefix} options".lstrip())]
        lines += [_wrapped(about, "  ")] if prefix else ["  -h, --help\n      Show this page and exit."]
        parts.append("\n".join([*lines, *(_entry(flag, defaults, elsewhere) for flag in own)]))
    return "\n\n".join(parts)


def _title(text: str) -> str:
    """Bold on a terminal."""
    return f"\x1b[1m{text}:\x1b[0m" if sys.stdout.isatty() else f"{text}:"


def _entry(flag: Flag, defaults: Mapping[str, Any], elsewhere: str) -> str:
    """A flag's names and values, and below them what it does."""
    return f"  {_left(flag)}\n{_wrapped(' '.join([flag.text, _default(flag, defaults, elsewhere)]), ' ' * 6)}"


def _left(flag: Flag) -> str:
    if flag.positional:
        return flag.positional
    if flag.switch:
        return ", ".join(flag.names + flag.opposites)
    return ", ".join(f"{name} {metavar(flag)}" for name in flag.names)


def metavar(flag: Flag) -> str:
    """What stands for a flag's value: INT, {a,b}, None|INT."""
    one = f"{{None}}|{_metavar(flag)}" if flag.none_among_many else _metavar(flag)
    if flag.many and not flag.once_per_item:
        return f"[{one} [{one} ...]]"
    return f"{{None}}|{one}" if NoneType in flag.kinds else one


def _metavar(flag: Flag) -> str:
    if get_origin(flag.kind) is Literal:
        return f"{{{','.join(get_args(flag.kind))}}}"
    tables = [mark.table for mark in flag.leaf.marks if isinstance(mark, OneOf)]
    return f"{{{','.join(tables[0])}}}|MODULE:FUNCTION" if tables else _METAVARS[flag.kind]


def _default(flag: Flag, defaults: Mapping[str, Any], elsewhere: str) -> str:
    value = defaults.get(flag.leaf.path, flag.leaf.default)
    if value is REQUIRED:
        return f"(required{elsewhere})"
    if isinstance(value, tuple):
        return f"(default: {' '.join(map(str, value))})" if value else "(repeatable)" if flag.once_per_item else ""
    return f"(default: {value!r})" if value in ("", "{}") else f"(default: {value})"


def _wrapped(text: str, indent: str) -> str:
    width = min(WIDEST, shutil.get_terminal_size().columns)
    return textwrap.fill(text.strip(), max(width, 40), initial_indent=indent, subsequent_indent=indent,
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip
