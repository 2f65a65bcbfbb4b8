"""Workers: the processes that train together, as a value passed down; the only file that imports mpi4py.

`Workers()` is this process alone and never touches MPI. `Workers.world()` wraps COMM_WORLD when a launcher started us.
Reductions add sums in float64, one flat buffer each, and whoever needs a mean divides after; every decision that stops,
skips or accepts is taken on reduced values, so that all ranks take the same branch.
"""

from __future__ import annotations

import functools
import os
import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.system.launcher import launched
from trpo_gail.system.stopping import mpi_starts

if TYPE_CHECKING:
    import torch  # costs seconds: a mistyped flag is told without it

T = TypeVar("T")

LEAVE_S = 2.0  # for the other ranks to come to an error, too
FORWARD_S = 0.3  # seconds that a launcher has for passing a rank's last line on, before it is told to kill


def cores() -> set[int]:
    """The cores that this process may use. Only Linux tells which; elsewhere they are all of the machine's."""
    told = getattr(os, "sched_getaffinity", None)
    return told(0) if told else set(range(os.cpu_count() or 1))


def end_all(code: int) -> None:
    """End all ranks, this one too, with an exit code. MPI starts for it if need be: there the others are, or will come."""
    from mpi4py import MPI

    MPI.COMM_WORLD.Abort(code)


@functools.cache
def _aside() -> Any:
    """A communicator of all ranks for their end alone, where it does not meet what is under way. A collective."""
    from mpi4py import MPI

    return MPI.COMM_WORLD.Dup()


class Workers:
    """Processes that hold shards of one batch and identical parameters."""

    def __init__(self, comm: Any = None) -> None:
        self.comm = comm
        self.rank: int = comm.Get_rank() if comm else 0
        self.size: int = comm.Get_size() if comm else 1
        self.local_rank, self.local_size, self.hosts = 0, 1, [os.uname().nodename]
        self._cores = cores()  # of this rank; below, those of all ranks on this machine
        if comm:
            from mpi4py import MPI

            self._leaving = _aside()
            node = comm.Split_type(MPI.COMM_TYPE_SHARED)
            self.local_rank, self.local_size = node.Get_rank(), node.Get_size()
            self._cores = set().union(*node.allgather(self._cores))
            node.Free()
            self.hosts = sorted(set(comm.allgather(os.uname().nodename)))

    @classmethod
    def world(cls) -> Workers:
        """All processes of the launcher, or this one alone; MPI starts only if a launcher's variables say so.

        Raises UserError if the launcher says N processes and MPI finds itself alone, as happens with an MPI library
        that is not the launcher's.
        """
        launcher = launched()
        if launcher is None:
            return cls()
        try:
            with mpi_starts():
                from mpi4py import MPI
        except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py is there and no MPI library is
            if launcher[1] == 1:
                return cls()
            raise UserError(
                f"started as rank {launcher[0]} of {launcher[1]}, but MPI does not load: {' '.join(str(error).split())}"
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
        """Whether this rank prints and writes. Never put a collective behind it."""
        return self.rank == 0

    # ---- the end -----------------------------------------------------------------------------------------------------

    def leave(self, text: str, code: int) -> int:
        """Tell of the error that ends this rank, and end all: the others would wait for it forever.

        If all come to an error within a moment, as to one in a flag, rank 0 tells theirs, and all may leave with the exit
        code that is returned. Else this rank tells its own, and the launcher ends the others at once.
        """
        if self.size > 1 and not self._all_leave():
            try:
                print(f"[rank {self.rank}] {text}", file=sys.stderr, flush=True)
                time.sleep(FORWARD_S)
            finally:  # a stderr that cannot be written must not leave the others waiting
                self.comm.Abort(code)
        ends = self._leaving.allgather((text, code)) if self.size > 1 else [(text, code)]
        if self.main:
            for told in dict.fromkeys(told for told, _ in ends if told):
                print(told, file=sys.stderr, flush=True)
        return max(code for _, code in ends)

    def _all_leave(self) -> bool:
        """Whether all ranks are here. No collective: the others may be anywhere, so that this rank must not wait for them."""
        came, until = self._leaving.Ibarrier(), time.monotonic() + LEAVE_S
        while not came.Test():
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def _uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """For programs that are not ours, in which nobody else sees to it that all ranks end."""
        self.leave("".join(traceback.format_exception(kind, error, trace)).rstrip(), 1)

    # ---- collectives -------------------------------------------------------------------------------------------------

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum over ranks, element by element, in float64."""
        flat = np.ascontiguousarray(values, np.float64)
        if self.size == 1:
            return flat
        total = np.empty_like(flat)
        self.comm.Allreduce(flat, total)
        return total

    def sum_tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over ranks of a tensor: staged through host memory, added in float64, returned as it came."""
        if self.size == 1:
            return tensor
        import torch

        return torch.from_numpy(self.sum(tensor.detach().double().cpu().numpy())).to(tensor)

    def max(self, value: float) -> float:
        """Largest of the ranks' values."""
        if self.size == 1:
            return value
        from mpi4py import MPI

        return float(self.comm.allreduce(value, op=MPI.MAX))

    def gather(self, value: T) -> list[T]:
        """Every rank's value, in the order of ranks, on every rank."""
        return self.comm.allgather(value) if self.size > 1 else [value]

    def share(self, value: T) -> T:
        """Rank 0's value on every rank."""
        return self.comm.bcast(value) if self.size > 1 else value

    def share_tensor(self, tensor: torch.Tensor) -> None:
        """Overwrite a tensor with rank 0's, in place."""
        if self.size > 1:
            array = tensor.detach().cpu().numpy().copy()
            self.comm.Bcast(array)
            tensor.data.copy_(tensor.new_tensor(array))

    def together(self, function: Callable[[], T]) -> T:
        """Call on every rank; a user's error on any of them is raised on all, so that none is left waiting.

        Also the rule for what rank 0 alone does and may fail at: `together(lambda: write() if workers.main else None)`.
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

    # ---- who does what -----------------------------------------------------------------------------------------------

    def block(self, total: int) -> range:
        """This rank's contiguous share of `total` things, for instance global environment indices."""
        return range(self.rank * total // self.size, (self.rank + 1) * total // self.size)

    def threads(self) -> int:
        """Cores that this rank may use: those given to all ranks on this machine, over their number.

        OMP_NUM_THREADS, where it is set, is a limit: other runs may share the machine.
        """
        limit = os.environ.get("OMP_NUM_THREADS", "")
        most = max(1, int(limit)) if limit.isdecimal() else len(self._cores)
        return max(1, min(len(self._cores) // self.local_size, len(cores()), most))

    def device(self, wanted: str) -> torch.device:
        """`auto` and `cuda`: this rank's CUDA device (local rank modulo visible devices); auto falls back on the CPU."""
        import torch

        if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
            return torch.device("cpu")
        if not torch.cuda.is_available():
            raise UserError("--device cuda: torch finds no CUDA device on this machine")
        # TensorFloat-32 rounds the factors of float32 products to 10 bits.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        return torch.device("cuda", self.local_rank % torch.cuda.device_count())
