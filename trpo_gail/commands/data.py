"""`trpo-gail data`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trpo_gail.commands import COMMANDS
from trpo_gail.commands.parsing import by_rank_0, print_table
from trpo_gail.errors import UserError
from trpo_gail.system.terminal import warn

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers

USAGE = "trpo-gail data info FILE"


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Print what the file holds."""
    if {"-h", "--help"} & set(arguments):
        formats = "FILE holds demonstrations; expert_data/README.md says which formats are read."
        print(f"usage: {USAGE}\n\n{COMMANDS['data'][-1]}\n\n{formats}")
        return 0
    if len(arguments) != 2 or arguments[0] != "info":
        raise UserError(f"data: usage is {USAGE} (trpo-gail data --help)")
    by_rank_0(workers, lambda: print_info(arguments[1]))
    return 0


def print_info(path: str) -> None:
    """A file of demonstrations as a table on the terminal, and what is to be warned of."""
    from trpo_gail.experts import cautions, describe, load

    held = load.read(path)
    print_table(describe.info(held))
    for warning in cautions.of_file(held):
        warn(warning)
