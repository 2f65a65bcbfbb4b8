"""`trpo-gail COMMAND`: find the command, run it, and end this process and all ranks.

An error is printed as one line, unless it is a fault of our own code. Exit codes: 0 for success; 2 for a user's error;
3 for a study that leaves runs undone; 1 for any other failure; 128 plus the signal's number (130 for Ctrl-C) if a
signal ends a program that has nothing to save. Heavy imports wait until a command needs them, so `--help` answers at
once. Signals are handled from the first line on.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import trpo_gail
from trpo_gail.commands import COMMANDS
from trpo_gail.errors import MOST, Answered, RunError, UserError, shortened
from trpo_gail.system.launcher import several
from trpo_gail.system.own_modules import search_here
from trpo_gail.system.terminal import guarded, tell

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers
    from trpo_gail.system.stopping import Watch


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code. Without arguments it takes the process's own, which ends after it."""
    workers: list[Workers] = []  # holds the ranks once they are known; an error needs them
    code = _main(arguments, workers)
    if arguments is None and workers:
        workers[0].part(code)
    return code


@guarded
def _main(arguments: Sequence[str] | None, workers: list[Workers]) -> int:
    if os.name != "posix":
        print("trpo-gail: needs a POSIX system: Linux, macOS, or WSL on Windows", file=sys.stderr)
        return 2
    from trpo_gail.system.left_behind import tell_at_exit
    from trpo_gail.system.memory import share_one_heap
    from trpo_gail.system.stopping import Interrupted, Watch

    if arguments is None:
        share_one_heap()  # before there are threads: the watch has one, and MPI has some
        tell_at_exit()
    with Watch(program=arguments is None, end_all=_end_all) as watch:
        # Sampling's small products get one BLAS thread; torch's threads are set once the ranks on this machine are
        # known.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Idle threads sleep: on a core that something else is using, torch's would spin and slow the environments.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if arguments is None:
            search_here()  # for modules of the user's: mine:Task-v0
        try:
            code = _run(list(sys.argv[1:] if arguments is None else arguments), workers)
            if number := watch.over():
                raise Interrupted(number)  # raise it again: some code has swallowed it
            return code
        except BaseException as error:
            return _end(error, workers, watch)


def _run(arguments: list[str], workers: list[Workers]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if arguments[0] == "--version":
        print(f"trpo-gail {trpo_gail.__version__}")
        return 0
    if arguments[0] == "help":
        return _run([*arguments[1:], "--help"], workers)
    name, *words = arguments
    if name not in COMMANDS:
        raise UserError(f"unknown command {name!r}; commands are {', '.join(COMMANDS)}")
    if words == ["help"] and not os.path.lexists("help"):  # as other programs have it; else it names a run folder
        words = ["--help"]
    module, function, _ = COMMANDS[name]
    return getattr(import_module(f"trpo_gail.commands.{module}"), function)(words, workers)


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
            "trpo-gail COMMAND --help lists a command's flags; trpo-gail --version prints the version.",
        ]
    )


# ---- the end ---------------------------------------------------------------------------------------------------------


def _end(error: BaseException, workers: list[Workers], watch: Watch) -> int:
    """Print what ended the command, make sure that no rank waits for this one, and return the exit code."""
    number = watch.over()
    if isinstance(error, Answered):
        return 0
    _join_the_others(workers)
    code = 128 + number if number else 2 if isinstance(error, UserError) else 1
    line = _line(error, watch)
    if line is None and not workers:
        raise error
    text = "".join(traceback.format_exception(error)).rstrip() if line is None else line and f"trpo-gail: {line}"
    if workers:
        return workers[0].leave(text, code)
    if text:
        tell(text)
    return code


def _line(error: BaseException, watch: Watch) -> str | None:
    """The error in one line; None for a fault of our own code, whose traceback is needed."""
    notes = getattr(error, "__notes__", [])
    if watch.ending:  # other libraries may have replaced the exception
        from trpo_gail.system.stopping import Interrupted

        return "; ".join([*([] if watch.told() else [str(Interrupted(watch.ending))]), *notes])
    if isinstance(error, UserError | RunError):
        room = MOST - len("trpo-gail: ") - (70 if notes else 0)  # a note names the last checkpoint
        return "; ".join([shortened(str(error), room), *notes])
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error)):
        why = shortened(" ".join(str(error).split()), 120)
        told = "out of memory; a smaller --timesteps_per_batch or smaller networks may fit"
        return "; ".join([f"{told} ({why})" if why else told, *notes])
    if isinstance(error, Exception):
        return None
    what = f"called sys.exit({error.code!r})" if isinstance(error, SystemExit) else f"raised {error!r}"
    return "; ".join([f"something {what} ({_place(error)})", *notes])


def _place(error: BaseException) -> str:
    """The file and line at which an exception was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else "an unknown place"


def _join_the_others(workers: list[Workers]) -> None:
    """Start MPI to end the other ranks: those without an error are starting MPI, and wait there for this one."""
    if not workers and several():
        from trpo_gail.parallel import Workers

        with contextlib.suppress(UserError):  # then each rank is alone, and reports it itself
            workers.append(Workers.world())


def _end_all(code: int) -> None:
    from trpo_gail.mpi import end_all

    end_all(code)


if __name__ == "__main__":
    sys.exit(main())
