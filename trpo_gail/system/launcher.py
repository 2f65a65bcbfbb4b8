"""Reads the variables that a launcher (mpirun, srun) sets for its processes. This needs no library, and no MPI."""

from __future__ import annotations

import os
import sys

from trpo_gail.errors import UserError

# Variables of (rank, size), by launcher. SLURM_NTASKS alone proves no launcher: a batch script has it, too.
LAUNCHERS = (
    ("PMI_RANK", "PMI_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMIX_RANK", "SLURM_STEP_NUM_TASKS"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)

# The same for torchrun, accelerate and deepspeed, which cannot be used: they do not start MPI.
_TORCH = ("RANK", "WORLD_SIZE")

# First letters of the variables that MPICH, Open MPI and SLURM set for their processes.
_TOLD = ("PMI", "MPI_LOCAL", "HYDI_", "OMPI_", "PRTE_", "SLURM_")


def _is_cut_off() -> bool:
    """Whether the connection to MPICH's launcher is closed here, as in what Python's `subprocess` starts in a rank: then the
    variables are those of the rank, and MPI cannot start."""
    descriptor = os.environ.get("PMI_FD", "")
    if not descriptor.isdecimal() or "mpi4py.MPI" in sys.modules:  # which has started MPI
        return False
    try:
        os.fstat(int(descriptor))
    except (OSError, OverflowError):
        return True
    return False


_CUT_OFF = _is_cut_off()  # as the process begins: what it opens later may get the number


def launched() -> tuple[int, int] | None:
    """(rank, size) if a launcher started this process, else None.

    Raises UserError for impossible values; if a rank among several has started this process; and if a launcher without MPI
    started more processes than one with MPI did: each would believe that it is alone, and do the work of all.
    """
    found = _launched()
    if found and _CUT_OFF and "PMI_RANK" in os.environ:
        if found[1] == 1:
            return None
        raise UserError(
            f"PMI_RANK={found[0]} PMI_SIZE={found[1]}: started by a rank of mpirun, not by mpirun itself (PMI_FD is closed "
            "here), so MPI cannot start: unset PMI_RANK, PMI_SIZE and PMI_FD to run alone"
        )
    others = _told_by(_TORCH) if all(os.environ.get(name, "").isdecimal() for name in _TORCH) else None
    if others and others[1] > (found or (0, 1))[1]:
        rank, size = others
        raise UserError(
            f"WORLD_SIZE={size} RANK={rank}: each of {size} processes would work alone, since torchrun and its like start no "
            f"MPI; mpirun -n {size} trpo-gail train ... (or srun -n {size}) expected; unset WORLD_SIZE to run alone"
        )
    return found


def _launched() -> tuple[int, int] | None:
    for names in LAUNCHERS:
        if all(name in os.environ for name in names):
            if not all(os.environ[name].isdecimal() for name in names):
                found = ", ".join(f"{name}={os.environ[name]!r}" for name in names)
                raise UserError(f"{found}: expected two numbers, as mpirun or srun set them; unset both to run alone")
            return _told_by(names)
    return None


def _told_by(names: tuple[str, str]) -> tuple[int, int]:
    return int(os.environ[names[0]]), int(os.environ[names[1]])


def speaks() -> bool:
    """Whether this process prints for all ranks: it is rank 0, or alone."""
    try:
        return (launched() or (0, 1))[0] == 0
    except UserError:
        return True


def has_terminal_of_its_own() -> bool:
    """Whether a terminal on stdout is the launcher's: Open MPI's ranks get one, and what they write there goes on to
    where the launcher writes, such as a log."""
    return "OMPI_COMM_WORLD_RANK" in os.environ


def several() -> bool:
    """Whether a launcher also started other processes, which may wait for this one."""
    try:
        return (launched() or (0, 1))[1] > 1
    except UserError:
        return False


def unlaunched_environment() -> dict[str, str]:
    """This process's environment without the launcher's variables, for child processes that are not ranks."""
    told = _TOLD if _launched() else ()
    return {name: value for name, value in os.environ.items() if not name.startswith(told)}
