"""Reads the variables that a launcher (mpirun, srun) sets for its processes. This needs no library, and no MPI."""

from __future__ import annotations

import os

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


def launched() -> tuple[int, int] | None:
    """(rank, size) if a launcher started this process, else None.

    Raises UserError for impossible values, and if a launcher without MPI started more processes than one with MPI did:
    each process would believe that it is alone, and do the work of all.
    """
    found = _launched()
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
    told = _TOLD if launched() else ()
    return {name: value for name, value in os.environ.items() if not name.startswith(told)}
