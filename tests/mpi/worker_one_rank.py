"""Under mpirun: `trpo-gail` with a command in which one rank alone meets a user's error, before MPI starts or after.

usage: python worker_one_rank.py before|after
"""

from __future__ import annotations

import os
import sys
import types
from typing import Any

from trpo_gail.cli import main
from trpo_gail.commands import COMMANDS
from trpo_gail.commands.parsing import world
from trpo_gail.errors import UserError

RANK = os.environ.get("PMI_RANK") or os.environ.get("OMPI_COMM_WORLD_RANK")


def run(arguments: list[str], workers: list[Any]) -> int:
    if (arguments, RANK) == (["before"], "1"):
        raise UserError("only here")
    ranks = world(workers)
    if ranks.rank == 1:
        raise UserError("only here")
    while True:  # a collective that the other rank never comes to
        ranks.gather(None)


sys.modules["trpo_gail.commands.one_rank"] = types.SimpleNamespace(run=run)  # type: ignore[assignment]
COMMANDS["one_rank"] = ("one_rank", "run", "")
sys.exit(main(["one_rank", *sys.argv[1:]]))
