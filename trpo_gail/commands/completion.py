"""`trpo-gail completion`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Literal

from trpo_gail.commands.parsing import parse
from trpo_gail.config.marks import Positional

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers


@dataclass(frozen=True)
class _CompletionArguments:
    shell: Annotated[Literal["bash", "zsh", "fish"], Positional("SHELL")]
    """bash, zsh or fish. The first lines of the script say where it belongs."""


FLAGS = {"completion": _CompletionArguments}


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Print the script."""
    given = parse(_CompletionArguments, arguments, "completion")
    print(import_module(f"trpo_gail.commands.shells.{given.shell}").script(), end="")
    return 0
