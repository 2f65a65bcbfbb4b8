"""What is asked of MPI besides collectives: who is where, whether all have come, and the end of all ranks."""

from __future__ import annotations

import functools
import os
import time
from typing import Any

from trpo_gail.system.cores import cores
from trpo_gail.system.terminal import tell, warn

START_S = 60.0  # the least that ranks may differ in their start, since a busy disk reads the libraries for minutes
EXIT_S = 60.0  # seconds that ranks may be apart at the end of their work, and that Python has to end one
FORWARD_S = 0.5  # seconds that a launcher has to pass a rank's last line on, before all ranks are ended


def end_all(code: int, text: str = "") -> None:
    """Print a text, and end all ranks, this one too, with an exit code, once the launcher had time to pass on what was
    printed. Starts MPI if necessary, since the others are or will be in MPI."""
    from mpi4py import MPI

    try:
        if text:
            tell(text)
        time.sleep(FORWARD_S)
    finally:  # a stderr that cannot be written, or a signal, must not leave the others waiting
        MPI.COMM_WORLD.Abort(code)


@functools.cache
def aside() -> Any:
    """A communicator used only for the end and for hangs, so that it does not mix with other messages. A collective."""
    from mpi4py import MPI

    came, rank = MPI.COMM_WORLD.Ibarrier(), MPI.COMM_WORLD.Get_rank()
    if not _came(came, START_S) and rank < 2:  # a script may have started MPI itself; 1: rank 0 may be missing
        waited = f"rank {rank} has waited {START_S:.0f} s for others"
        warn(f"{waited}: every rank is to make the model, not one alone inside an `if`")
    came.Wait()
    return MPI.COMM_WORLD.Dup()


@functools.cache
def places() -> tuple[int, int, set[int], list[str]]:
    """Of this rank: its number among those on this machine, how many these are, their cores; and of each rank its host. A
    collective."""
    from mpi4py import MPI

    node = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)
    place = node.Get_rank(), node.Get_size(), set().union(*node.allgather(cores()))
    node.Free()
    return *place, MPI.COMM_WORLD.allgather(os.uname().nodename)


def all_came(comm: Any, seconds: float) -> bool:
    """Whether all ranks call this within so many seconds of each other."""
    return _came(comm.Ibarrier(), seconds)


def _came(came: Any, seconds: float) -> bool:
    """Whether an MPI request is complete within so many seconds."""
    until = time.monotonic() + seconds
    while not came.Test():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def allows_threads() -> bool:
    """Whether two threads may call the MPI library at once."""
    from mpi4py import MPI

    return bool(MPI.Query_thread() == MPI.THREAD_MULTIPLE)
