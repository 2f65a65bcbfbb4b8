"""What a shell can complete: the commands, and the flags of each, from the tables that --help is made of."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import NoneType
from typing import Literal

from trpo_gail.commands import COMMANDS
from trpo_gail.config.flags import Flag, flags

Takes = Literal["nothing", "words", "number", "file"]


@dataclass(frozen=True)
class Option:
    """A flag as a shell completes it."""

    names: tuple[str, ...]
    takes: Takes
    words: tuple[str, ...]  # that may follow it
    several: bool  # whether more than one may
    text: str  # one sentence


def commands() -> dict[str, str]:
    """What each command does."""
    return {name: text for name, (*_, text) in COMMANDS.items()}


def subcommands() -> dict[str, list[str]]:
    """The subcommands of the commands that have some."""
    found: dict[str, list[str]] = {}
    for name in classes():
        command, _, sub = name.partition(" ")
        if sub:
            found.setdefault(command, []).append(sub)
    return found


def options() -> dict[str, list[Option]]:
    """The flags of each command and subcommand, by its words ("data validate")."""
    return {name: [_option(flag) for flag in flags(cls) if flag.names] for name, cls in classes().items()}


def places() -> dict[str, tuple[str, ...]]:
    """The words that may stand in a command's place, if it is for words."""
    found = {name: [words(flag) for flag in flags(cls) if flag.positional] for name, cls in classes().items()}
    return {name: choices[0] for name, choices in found.items() if choices and choices[0]}


def classes() -> dict[str, type]:
    """The dataclass of each command's flags, by its words."""
    modules = dict.fromkeys(module for module, *_ in COMMANDS.values())
    found: dict[str, type] = {}
    for module in modules:
        found |= getattr(import_module(f"trpo_gail.commands.{module}"), "FLAGS", {})
    return found


def words(flag: Flag) -> tuple[str, ...]:
    """The words that may be a flag's value; none if it may be anything."""
    return (*flag.choices, "None") if flag.choices and NoneType in flag.kinds else flag.choices


def _option(flag: Flag) -> Option:
    found = words(flag)
    takes: Takes = "nothing" if flag.switch else "words" if found else "file" if flag.kind is str else "number"
    names = (*flag.names, *flag.opposites)
    return Option(names, takes, found, flag.many and not flag.once_per_item, _sentence(flag.text))


def _sentence(text: str) -> str:
    """The first sentence of a help text."""
    first, end, _ = text.partition(". ")
    return first + end.strip() if end else text
