"""RANK LIMIT: the command line, of which one rank is stopped before MPI starts; the others wait for LIMIT seconds."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from trpo_gail import mpi
from trpo_gail.cli import main
from trpo_gail.system.launcher import launched

rank, _ = launched() or (0, 1)
if rank == int(sys.argv[1]):
    Path("stopped").touch()
    os.kill(os.getpid(), signal.SIGSTOP)
mpi.START_S = 0.0
Path("came").touch()
sys.exit(main(["train", "CartPole-v0", "--expert", "nothing.h5", "--out", "run", "--rank_timeout", sys.argv[2]]))
