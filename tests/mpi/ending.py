"""Python scripts under mpirun whose ranks come to their end."""

from __future__ import annotations

import sys
from pathlib import Path

from launch import START, start

ENDS = """
import sys
from trpo_gail import TRPO, generate_expert_traj, train, Config
model = TRPO("MlpPolicy", "CartPole-v1", num_envs=2, timesteps_per_batch=64)
if model.workers.rank == {ended}:
    {ends}
{calls}
print("done", flush=True)
"""


def check_ends(folder: Path, text: str, ended: int, name: str) -> None:
    script = folder / "script.py"
    script.write_text(text)
    job = start(folder, 2, sys.executable, str(script))
    assert job.wait(START) != 0
    [told] = [line for line in job.err.splitlines() if line.startswith("trpo-gail")]
    assert told.startswith(
        f"trpo-gail: rank {ended} has come to the end of its script, and rank {1 - ended} calls {name}: "
    )
    assert "done" not in job.out and "Traceback" not in job.err and job.left() == []


def check_whole(folder: Path) -> None:
    """Ranks whose scripts end at different times, one of them by ending MPI itself, wait for each other and are done."""
    late = "import time; from mpi4py import MPI; time.sleep(1.0); MPI.Finalize()"
    (folder / "script.py").write_text(ENDS.format(ended=0, ends=late, calls=""))
    job = start(folder, 2, sys.executable, str(folder / "script.py"))
    assert job.wait(START) == 0, job.err
    assert job.out.split() == ["done", "done"] and "trpo-gail" not in job.err
