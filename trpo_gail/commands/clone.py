"""`trpo-gail clone`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from trpo_gail.commands.config_file import FromFile
from trpo_gail.commands.parsing import parse, world
from trpo_gail.config.marks import Unprefixed
from trpo_gail.config.tree import CloningConfig

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers


@dataclass(frozen=True)
class _CloneArguments:
    config: Annotated[CloningConfig, Unprefixed()]
    file: Annotated[FromFile, Unprefixed()] = field(default_factory=FromFile)
    out: str | None = None
    """Run folder; None makes runs/<environment>-seed<seed>-<time>."""
    quiet: bool = False
    """Print nothing but errors and warnings."""


FLAGS = {"clone": _CloneArguments}


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Clone and evaluate."""
    given = parse(_CloneArguments, arguments, "clone")
    from trpo_gail.runs.console import View

    with View.early(given.quiet) as view:
        from trpo_gail.runs.cloning import clone

        clone(given.config, given.out, given.quiet, world(workers), view)
    return 0
