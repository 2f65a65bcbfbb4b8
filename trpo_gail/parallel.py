"""Workers: the processes that train together, as a value passed down; the only file that imports mpi4py.

`Workers()` is this process alone and never imports MPI. `Workers.world()` wraps COMM_WORLD if a launcher started us.
Reductions add sums in float64, with one flat buffer each; means are taken after them. Every decision to stop, skip or
accept uses reduced values, so all ranks take the same branch.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from trpo_gail.errors import UserError, shortened
from trpo_gail.hangs import LIMIT_S, Pulse, Watch, seconds_of
from trpo_gail.system.launcher import launched
from trpo_gail.system.memory import bound_ucx
from trpo_gail.system.stopping import Interrupted, mpi_starts
from trpo_gail.system.terminal import tell, warn

if TYPE_CHECKING:
    import torch  # takes seconds: a mistyped flag is reported without it

T = TypeVar("T")

LEAVE_S = 2.0  # seconds that the other ranks have to reach an error, too
MPI_START_S = 60.0  # the least that ranks may differ in their start, since a busy disk reads the libraries for minutes
EXIT_S = 60.0  # seconds that ranks may be apart at the end of their work, and that Python has to end one
_ENDED = "(the end of its script)"  # what a rank answers there, when the ranks compare what they call
_ON_EVERY_RANK = "each is to be called on every rank, not inside an `if` on the rank (rank 0 alone writes files)"
call_under_way: ContextVar[str] = ContextVar("call", default="")  # the method of a model that runs now
FORWARD_S = 0.5  # seconds that a launcher has to pass a rank's last line on, before all ranks are ended


def cores() -> set[int]:
    """The cores that this process may use; systems other than Linux do not say, so there it is all cores."""
    told = getattr(os, "sched_getaffinity", None)
    return told(0) if told else set(range(os.cpu_count() or 1))


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
def _aside() -> Any:
    """A communicator used only for the end and for hangs, so that it does not mix with other messages. A collective."""
    from mpi4py import MPI

    came, rank = MPI.COMM_WORLD.Ibarrier(), MPI.COMM_WORLD.Get_rank()
    if not _came(came, MPI_START_S) and rank < 2:  # a script may have started MPI itself; 1: rank 0 may be missing
        waited = f"rank {rank} has waited {MPI_START_S:.0f} s for others"
        warn(f"{waited}: every rank is to make the model, not one alone inside an `if`")
    came.Wait()
    return MPI.COMM_WORLD.Dup()


@functools.cache
def _places() -> tuple[int, int, set[int], list[str]]:
    """Of this rank: its number among those on this machine, how many these are, their cores; and of each rank its host. A
    collective."""
    from mpi4py import MPI

    node = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)
    place = node.Get_rank(), node.Get_size(), set().union(*node.allgather(cores()))
    node.Free()
    return *place, MPI.COMM_WORLD.allgather(os.uname().nodename)


def _all_came(comm: Any, seconds: float) -> bool:
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


_tags = itertools.count(1)  # of watches, the same on all ranks: what one leaves unread is not the next one's


def _allows_threads() -> bool:
    from mpi4py import MPI

    return bool(MPI.Query_thread() == MPI.THREAD_MULTIPLE)


@functools.cache
def _warn_of_one_thread() -> None:
    """Once, although a resume watches twice."""
    warn("this MPI library may be called by one thread alone, so a rank that hangs is not noticed")


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
        end_all(1, f"trpo-gail: {here}, and rank {other} calls {calls[other]}: {_ON_EVERY_RANK}; all ranks end")
    time.sleep(EXIT_S)  # the first of those that have ended ends all


def _named(calls: list[Any]) -> list[str]:
    """The names by which the ranks came here. A rank that is within an iteration has answered with something else."""
    return [call if isinstance(call, str) else "no method" for call in calls]


class Workers:
    """Processes that hold shards of one batch and identical parameters."""

    def __init__(self, comm: Any = None) -> None:
        self.comm = comm
        self.rank: int = comm.Get_rank() if comm else 0
        self.size: int = comm.Get_size() if comm else 1
        self.local_rank, self.local_size, self.hosts = 0, 1, [os.uname().nodename]
        self.host_of = self.hosts  # by rank
        self.pulse = Pulse()
        self._is_watched = False
        self._cores = cores()  # of this rank; further down also of all ranks on this machine
        if comm:
            self._leaving = _aside()
            self.local_rank, self.local_size, self._cores, self.host_of = _places()
            self.hosts = sorted(set(self.host_of))

    @classmethod
    def world(cls, limit: float = LIMIT_S) -> Workers:
        """All processes of the launcher, or this one alone. MPI starts only if a launcher's variables are set. If a rank
        does not come to that within `limit` seconds, or a minute if that is more, all end; with 0 they wait.

        Raises UserError if the launcher has N processes and MPI sees only one. This happens if the MPI library is not
        the launcher's.
        """
        launcher = launched()
        if launcher is None:
            return cls()
        bound_ucx()
        try:
            with mpi_starts(max(limit, MPI_START_S) if limit else math.inf):
                from mpi4py import MPI
        except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py is installed, but no MPI library
            if launcher[1] == 1:
                return cls()
            why = shortened(str(error), 100)
            raise UserError(
                f"started as rank {launcher[0]} of {launcher[1]}, but MPI does not load ({why}): pip install "
                "mpi4py mpich, or your system's MPI"
            ) from error
        comm = MPI.COMM_WORLD
        if comm.Get_size() == 1 and launcher[1] > 1:
            raise UserError(
                f"the launcher started {launcher[1]} processes, but MPI ({MPI.get_vendor()[0]}) sees each one alone: "
                "use the mpirun of the MPI library that mpi4py loads (with SLURM: srun --mpi=pmix or --mpi=pmi2)"
            )
        workers = cls(comm)
        if workers.size > 1:
            sys.excepthook = workers._uncaught
        return workers

    @property
    def main(self) -> bool:
        """Whether this rank prints and writes. Never make a collective depend on it."""
        return self.rank == 0

    # ---- the end -----------------------------------------------------------------------------------------------------

    def leave(self, text: str, code: int) -> int:
        """Print the error that ends this rank, and end all ranks, since the others would wait for this one forever.

        If all ranks have an error within a moment (a wrong flag, for instance), rank 0 prints it, and all leave with
        the returned exit code. Otherwise this rank prints its own error, and the launcher ends the others at once.
        """
        if self.size > 1 and not _all_came(self._leaving, LEAVE_S):  # the others may be busy: do not wait for them
            end_all(code, f"[rank {self.rank}] {text}")
        ends = self._leaving.allgather((text, code)) if self.size > 1 else [(text, code)]
        if self.main:
            for told in dict.fromkeys(told for told, _ in ends if told):
                tell(told)
        return max(code for _, code in ends)

    def part(self, code: int) -> None:
        """Leave MPI, as the last thing that our command line does. Otherwise ranks would leave it as Python ends, and wait
        there for one that a thread or an exit function of an environment holds. That one ends by itself, after a while, and
        so does a process that is alone: what waits for it would wait for ever."""
        if self.size > 1:
            from mpi4py import MPI

            if not MPI.Is_finalized():
                MPI.Finalize()  # it may wait for ranks that still work, for which there is no limit
        threading.Thread(target=self._exit_late, args=(code,), daemon=True).start()

    def _exit_late(self, code: int) -> None:
        """End this process if Python has not; what was printed has been written by then."""
        time.sleep(EXIT_S)
        left = [thread.name for thread in threading.enumerate() if not thread.daemon]
        text = f"rank {self.rank} on {self.host_of[self.rank]} is done, but did not end for {EXIT_S:.0f} s"
        with contextlib.suppress(OSError):
            os.write(2, f"{shortened(f'trpo-gail: {text}, and is ended; its threads: {left}')}\n".encode())
        os._exit(code)

    def _uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Ends all ranks in programs that are not our command line."""
        self.leave("".join(traceback.format_exception(kind, error, trace)).rstrip(), 1)

    @contextlib.contextmanager
    def guarded(self, limit: float = LIMIT_S) -> Iterator[None]:
        """A context of collective work in programs that are not our command line: it is `alike` and `watched`."""
        with self._all_or_none(), self.watched(limit):
            self._check_same_call()
            yield

    @contextlib.contextmanager
    def alike(self, call: str = "") -> Iterator[None]:
        """A context that all ranks enter by the same call. `call` is its name; without one, it is the method of a model that
        runs now. What one rank alone raises there ends all. Raises UserError if the ranks come by different calls."""
        with self._all_or_none():
            self._check_same_call(call)
            yield

    @contextlib.contextmanager
    def _all_or_none(self) -> Iterator[None]:
        """A context in which what one rank alone raises, a SystemExit too, ends all ranks. The others would wait for it, and
        the program may catch it, or leave in silence."""
        try:
            yield
        except BaseException as error:
            on_all = isinstance(error, Interrupted | UserError)  # as a rule: they have time to come
            if self.size > 1 and not _all_came(self._leaving, EXIT_S if on_all else LEAVE_S):
                code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
                end_all(code or 1, f"[rank {self.rank}] {''.join(traceback.format_exception(error)).rstrip()}")
            raise

    def _check_same_call(self, call: str = "") -> None:
        """Raise UserError, on all ranks, if they have come here by different methods: the messages of one would be taken for
        those of the other. If the script of a rank has ended, all ranks end."""
        name = call or call_under_way.get() or "something else"
        calls = _named(self.gather("a constructor" if name.startswith("_") else name))
        if _ENDED in calls:
            time.sleep(EXIT_S)  # that rank ends all
        if other := next((rank for rank, name in enumerate(calls) if name != calls[0]), 0):
            raise UserError(f"rank 0 calls {calls[0]}, and rank {other} calls {calls[other]}: {_ON_EVERY_RANK}")
        if self.size > 1:
            _compare_at_the_end()

    @contextlib.contextmanager
    def watched(self, limit: float = LIMIT_S) -> Iterator[None]:
        """A context in which a rank that hangs for `limit` seconds, while others wait for it, ends all (`hangs.py`).
        With 0, only a signal sets a limit. Nothing is watched if the MPI library may not be called by two threads. Within
        another such context it does nothing. Raises UserError for a limit that is none."""
        limit = seconds_of(limit)
        if self.size == 1 or self._is_watched or not _allows_threads():
            if self.size > 1 and self.main and limit and not self._is_watched:
                _warn_of_one_thread()
            yield
            return
        self._is_watched = True
        try:
            with Watch(self._leaving, next(_tags), self.pulse, self.host_of, limit or math.inf, end_all) as watch:
                yield
                with self.pulse.waits:
                    self.comm.Barrier()
        finally:
            self._is_watched = False
        if not _all_came(self.comm, EXIT_S):  # afterwards nobody sends any more
            text = f"rank {self.rank} on {self.host_of[self.rank]} waits for others at the end"
            end_all(1, f"trpo-gail: {text} (not all came within {EXIT_S:.0f} s); all ranks end")
        watch.drain()

    # ---- collectives -------------------------------------------------------------------------------------------------

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum over ranks, element by element, in float64."""
        flat = np.ascontiguousarray(values, np.float64)
        if self.size == 1:
            return flat
        total = np.empty_like(flat)
        with self.pulse.waits:
            self.comm.Allreduce(flat, total)
        return total

    def sum_tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over ranks of a tensor, added in float64 in host memory; returned in its own dtype, on its own device."""
        if self.size == 1:
            return tensor
        import torch

        return torch.from_numpy(self.sum(tensor.detach().double().cpu().numpy())).to(tensor)

    def max(self, value: float) -> float:
        """Largest of the ranks' values."""
        if self.size == 1:
            return value
        from mpi4py import MPI

        with self.pulse.waits:
            return float(self.comm.allreduce(value, op=MPI.MAX))

    def gather(self, value: T) -> list[T]:
        """Every rank's value, in the order of ranks, on every rank."""
        if self.size == 1:
            return [value]
        with self.pulse.waits:
            return self.comm.allgather(value)

    def share(self, value: T) -> T:
        """Rank 0's value on every rank."""
        if self.size == 1:
            return value
        with self.pulse.waits:
            return self.comm.bcast(value)

    def share_tensor(self, tensor: torch.Tensor) -> None:
        """Overwrite a tensor with rank 0's, in place."""
        if self.size > 1:
            array = tensor.detach().cpu().numpy().copy()
            with self.pulse.waits:
                self.comm.Bcast(array)
            tensor.data.copy_(tensor.new_tensor(array))

    def together(self, function: Callable[[], T]) -> T:
        """Call on every rank; a user's error on any rank is raised on all, so that no rank waits for another.

        Work of rank 0 alone that may fail is called like this, too: `together(lambda: write() if workers.main else
        None)`.
        """
        result, message = None, None
        try:
            result = function()
        except UserError as error:
            message = str(error)
        except OSError as error:
            message = f"{error.filename or 'input/output'}: {error.strerror or error}"
        messages = self.gather(message)
        for text in messages:
            if text is not None:
                raise UserError(text)
        return result  # type: ignore[return-value]

    # ---- shares of work ----------------------------------------------------------------------------------------------

    def block(self, total: int) -> range:
        """This rank's contiguous share of `total` items, such as global environment indices."""
        return range(self.rank * total // self.size, (self.rank + 1) * total // self.size)

    def threads(self) -> int:
        """Cores that this rank may use: those given to all ranks on this machine, over their number.

        If OMP_NUM_THREADS is set, it is an upper limit, since other runs may share the machine.
        """
        limit = os.environ.get("OMP_NUM_THREADS", "")
        most = max(1, int(limit)) if limit.isdecimal() else len(self._cores)
        return max(1, min(len(self._cores) // self.local_size, len(cores()), most))

    def device(self, wanted: str) -> torch.device:
        """`auto` and `cuda`: this rank's CUDA device (local rank modulo visible devices); auto falls back on the
        CPU."""
        import torch

        if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
            return torch.device("cpu")
        if not torch.cuda.is_available():
            raise UserError("--device cuda: torch finds no CUDA device on this machine")
        # TensorFloat-32 rounds the factors of float32 products to 10 bits.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        return torch.device("cuda", self.local_rank % torch.cuda.device_count())
