"""Workers: the processes that train together, as a value passed down.

`Workers()` is this process alone and never imports MPI. `Workers.world()` wraps COMM_WORLD if a launcher started us.
Reductions add sums in float64, with one flat buffer each; means are taken after them. Every decision to stop, skip or
accept uses reduced values, so all ranks take the same branch.
"""

from __future__ import annotations

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
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from trpo_gail import mpi, same_call
from trpo_gail.errors import UserError, of_system, shortened
from trpo_gail.hangs import LIMIT_S, Pulse, Watch, seconds_of
from trpo_gail.system.cores import cores
from trpo_gail.system.launcher import launched
from trpo_gail.system.memory import bound_ucx
from trpo_gail.system.stopping import Interrupted, mpi_starts
from trpo_gail.system.terminal import tell, warn

if TYPE_CHECKING:
    import torch  # takes seconds: a mistyped flag is reported without it

T = TypeVar("T")

LEAVE_S = 2.0  # seconds that the other ranks have to reach an error, too
_tags = itertools.count(1)  # of watches, the same on all ranks: what one leaves unread is not the next one's


@functools.cache
def _warn_of_one_thread() -> None:
    """Once, although a resume watches twice."""
    warn("this MPI library may be called by one thread alone, so a rank that hangs is not noticed")


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
            self._leaving = mpi.aside()
            self.local_rank, self.local_size, self._cores, self.host_of = mpi.places()
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
            with mpi_starts(max(limit, mpi.START_S) if limit else math.inf):
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
        if self.size > 1 and not mpi.all_came(self._leaving, LEAVE_S):  # the others may be busy: do not wait for them
            mpi.end_all(code, f"[rank {self.rank}] {text}")
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
        time.sleep(mpi.EXIT_S)
        left = [thread.name for thread in threading.enumerate() if not thread.daemon]
        text = f"rank {self.rank} on {self.host_of[self.rank]} is done, but did not end for {mpi.EXIT_S:.0f} s"
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
            same_call.compare(self.gather)
            yield

    @contextlib.contextmanager
    def alike(self, call: str = "") -> Iterator[None]:
        """A context that all ranks enter by the same call. `call` is its name; without one, it is the method of a model that
        runs now. What one rank alone raises there ends all. Raises UserError if the ranks come by different calls."""
        with self._all_or_none():
            same_call.compare(self.gather, call)
            yield

    @contextlib.contextmanager
    def _all_or_none(self) -> Iterator[None]:
        """A context in which what one rank alone raises, a SystemExit too, ends all ranks. The others would wait for it, and
        the program may catch it, or leave in silence."""
        try:
            yield
        except BaseException as error:
            on_all = isinstance(error, Interrupted | UserError)  # as a rule: they have time to come
            if self.size > 1 and not mpi.all_came(self._leaving, mpi.EXIT_S if on_all else LEAVE_S):
                code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
                mpi.end_all(code or 1, f"[rank {self.rank}] {''.join(traceback.format_exception(error)).rstrip()}")
            raise

    @contextlib.contextmanager
    def watched(self, limit: float = LIMIT_S) -> Iterator[None]:
        """A context in which a rank that hangs for `limit` seconds, while others wait for it, ends all (`hangs.py`).
        With 0, only a signal sets a limit. Nothing is watched if the MPI library may not be called by two threads. Within
        another such context it does nothing. Raises UserError for a limit that is none."""
        limit = seconds_of(limit)
        if self.size == 1 or self._is_watched or not mpi.allows_threads():
            if self.size > 1 and self.main and limit and not self._is_watched:
                _warn_of_one_thread()
            yield
            return
        self._is_watched = True
        try:
            with Watch(self._leaving, next(_tags), self.pulse, self.host_of, limit or math.inf, mpi.end_all) as watch:
                yield
                with self.pulse.waits:
                    self.comm.Barrier()
        finally:
            self._is_watched = False
        if not mpi.all_came(self.comm, mpi.EXIT_S):  # afterwards nobody sends any more
            text = f"rank {self.rank} on {self.host_of[self.rank]} waits for others at the end"
            mpi.end_all(1, f"trpo-gail: {text} (not all came within {mpi.EXIT_S:.0f} s); all ranks end")
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
            message = of_system(error)
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
