"""`trpo-gail data`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trpo_gail.commands import COMMANDS
from trpo_gail.commands.parsing import by_rank_0, print_table
from trpo_gail.errors import UserError

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Print what the file holds."""
    if arguments in (["-h"], ["--help"]):
        print(f"usage: trpo-gail data info FILE\n\n{COMMANDS['data'][-1]}")
        return 0
    if len(arguments) != 2 or arguments[0] != "info":
        raise UserError("data: usage is trpo-gail data info FILE")
    by_rank_0(workers, lambda: print_info(arguments[1]))
    return 0


def print_info(path: str) -> None:
    """A file of demonstrations as a table on the terminal."""
    from trpo_gail.experts.dataset import info

    print_table(info(path))
