"""`trpo-gail COMMAND`: find the command, run it, report what the user got wrong.

Exit codes: 0, 2 for a user's error (one line, printed by rank 0 alone), 1 for anything else. Heavy imports wait until a
command needs them, so that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from trpo_gail.commands import COMMANDS
from trpo_gail.errors import UserError
from trpo_gail.terminal import guarded

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers


@guarded
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    # One BLAS thread for sampling's small products; torch's threads are set once the ranks on this machine are known.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Threads that wait asleep: on a core that something else is using, torch's would spin and take it from the environments.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    workers: list[Workers] = []  # holds the ranks once they are known, for the error's sake
    try:
        return _run(arguments, workers)
    except UserError as error:
        _report(str(error), workers)
        return 2


def _run(arguments: list[str], workers: list[Workers]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if arguments[0] == "--version":
        print(f"trpo-gail {version('trpo_gail')}")
        return 0
    if arguments[0] == "help":
        return _run([*arguments[1:2], "--help"], workers)
    if arguments[0] not in COMMANDS:
        raise UserError(f"unknown command {arguments[0]!r}; commands are {', '.join(COMMANDS)}")
    module, function, _ = COMMANDS[arguments[0]]
    return getattr(import_module(f"trpo_gail.commands.{module}"), function)(arguments[1:], workers)


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (*_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: [mpirun -n RANKS] trpo-gail COMMAND ...",
            "",
            "Generative adversarial imitation learning with an MPI-parallel TRPO or PPO generator.",
            "",
            *lines,
            "",
            "trpo-gail COMMAND --help tells a command's flags; trpo-gail --version the version.",
        ]
    )


def _report(message: str, workers: list[Workers]) -> None:
    """Print once, and leave together: a launcher kills the others as soon as one rank has gone."""
    from trpo_gail.parallel import Workers, launched

    if not workers and launched():
        with contextlib.suppress(UserError):  # then each rank is alone, and says so itself
            workers.append(Workers.world())
    if not workers or workers[0].main:
        print(f"trpo-gail: {message}", file=sys.stderr, flush=True)
    if workers:
        workers[0].gather(None)


if __name__ == "__main__":
    sys.exit(main())
