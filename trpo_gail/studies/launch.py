"""How a study starts processes: under mpirun if there are to be several ranks, and with one thread each."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from trpo_gail.errors import UserError

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # environment variables


def mpirun(ranks: int) -> list[str]:
    """The words before a command that start it on several ranks; of one rank, no words. Raises UserError without mpirun."""
    if ranks == 1:
        return []
    found = shutil.which("mpirun", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if found is None:
        raise UserError("--ranks: no mpirun found (pip install mpich, or --ranks 1)")
    return [found, "-n", str(ranks)]
