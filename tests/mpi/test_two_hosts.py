"""scripts/two_hosts.sh: two hosts that are network namespaces train as one host does, and a link that is cut ends the job."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from launch import WAITING, is_open_mpi, mpirun
from run_files import checkpoints, differing, metrics, state

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "scripts" / "two_hosts.sh")
TRAIN = (
    sys.executable, "-m", "trpo_gail", "train", "CartPole-v0", "--expert", str(ROOT / "expert_data" / "CartPole-v0.h5"),
    "--trajectories", "1", "--num_envs", "4", "--timesteps_per_batch", "128", "--save_every", "1", "--eval_every", "0",
    "--final_episodes", "0", "--quiet",
)  # fmt: skip


def launch(prefix: list[str], out: Path, *more: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """With the mpirun beside this Python first on the PATH. Skips the test if there can be no namespaces."""
    if is_open_mpi():
        pytest.skip("scripts/two_hosts.sh is for MPICH's mpirun")
    path = f"{Path(mpirun() or '').parent}{os.pathsep}{os.environ['PATH']}"
    python = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | WAITING | {"PATH": path, "PYTHONPATH": python} | settings
    command = [*prefix, *TRAIN, "--out", str(out), *more]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    if done.returncode == 77:
        pytest.skip(done.stderr.strip())
    return done


def test_two_hosts_train_as_one_does(tmp_path: Path) -> None:
    two, one = tmp_path / "two", tmp_path / "one"
    done = launch([SCRIPT], two, "--iterations", "4")
    assert done.returncode == 0, done.stderr
    assert launch([str(mpirun()), "-n", "2"], one, "--iterations", "4").returncode == 0
    assert metrics(one) == metrics(two)
    assert differing(*(state(checkpoints(run)[-1]) for run in (one, two))) == []


@pytest.mark.long
def test_a_link_that_is_cut_ends_the_job(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = launch([SCRIPT], run, "--iterations", "100000", "--steps", "100000000", "--rank_timeout", "5", CUT="60")
    assert done.returncode not in (0, 2)
    assert "trpo-gail: rank 1 on " in done.stderr and "silent for " in done.stderr
    last = int(checkpoints(run)[-1].stem.split("_")[1])
    launch(
        ["timeout", "--signal=TERM", "30"], run, "--resume"
    )  # on what is left: it has no end, and saves on the signal
    assert int(checkpoints(run)[-1].stem.split("_")[1]) > last
