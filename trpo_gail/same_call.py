"""In Python scripts: whether all ranks come to a collective by the same call, or one of them to the end of its script."""

from __future__ import annotations

import atexit
import functools
import os
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from trpo_gail import mpi
from trpo_gail.errors import UserError

call_under_way: ContextVar[str] = ContextVar("call", default="")  # the method of a model that runs now
_ENDED = "(the end of its script)"  # what a rank answers there, when the ranks compare what they call
_ON_EVERY_RANK = "each is to be called on every rank, not inside an `if` on the rank (rank 0 alone writes files)"


def compare(gather: Callable[[str], list[Any]], call: str = "") -> None:
    """Raise UserError, on all ranks, if they have come here by different calls: the messages of one would be taken for those
    of the other. If the script of a rank has ended, all ranks end. `call` is this rank's; without one, it is the method of a
    model that runs now. `gather` returns what every rank gives it."""
    name = call or call_under_way.get() or "something else"
    calls = _named(gather("a constructor" if name.startswith("_") else name))
    if _ENDED in calls:
        time.sleep(mpi.EXIT_S)  # that rank ends all
    if other := next((rank for rank, name in enumerate(calls) if name != calls[0]), 0):
        raise UserError(f"rank 0 calls {calls[0]}, and rank {other} calls {calls[other]}: {_ON_EVERY_RANK}")
    if len(calls) > 1:
        _compare_at_the_end()


@functools.cache
def _compare_at_the_end() -> None:
    """From here on a rank whose script ends takes part in the ranks' next comparison of what they call. They begin with this
    together, in their first one, and each takes part once, so that a script that ends everywhere waits for nobody."""
    from mpi4py import MPI

    key = MPI.Comm.Create_keyval(delete_fn=lambda *_: _come_to_the_end(process))
    process = os.getpid()
    MPI.COMM_SELF.Set_attr(key, None)  # deleted first if the script itself ends MPI, on some ranks perhaps
    atexit.register(_come_to_the_end, process)


@functools.cache
def _come_to_the_end(process: int) -> None:
    """End all ranks, with a line, if others go on to a collective call; wait until all have come to one or to their end."""
    from mpi4py import MPI

    if os.getpid() != process or MPI.Is_finalized():  # a copy that an environment has forked is no rank
        return
    world = MPI.COMM_WORLD
    calls = _named(world.allgather(_ENDED))
    other = next((rank for rank, call in enumerate(calls) if call != _ENDED), None)
    if other is None:
        return
    if calls.index(_ENDED) == world.Get_rank():
        here = f"rank {world.Get_rank()} has come to the end of its script"
        mpi.end_all(1, f"trpo-gail: {here}, and rank {other} calls {calls[other]}: {_ON_EVERY_RANK}; all ranks end")
    time.sleep(mpi.EXIT_S)  # the first of those that have ended ends all


def _named(calls: list[Any]) -> list[str]:
    """The names by which the ranks came here. A rank that is within an iteration has answered with something else."""
    return [call if isinstance(call, str) else "no method" for call in calls]
