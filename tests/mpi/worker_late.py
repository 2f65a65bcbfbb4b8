"""The command line, whose ranks have two seconds to end once their work is done. Its first argument says whether
rank 0 stops before that."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from trpo_gail import mpi
from trpo_gail.cli import main
from trpo_gail.system.launcher import launched

mpi.EXIT_S = 2.0


call, stops = mpi.all_came, sys.argv.pop(1) == "stops"


def stopped(comm: Any, seconds: float) -> bool:
    """It stops itself, and never calls."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return call(comm, seconds)


if stops and (launched() or (0,))[0] == 0:
    mpi.all_came = stopped
sys.exit(main())
