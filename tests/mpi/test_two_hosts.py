"""scripts/two_hosts.sh: hosts that are network namespaces train as one host does, and one that is lost ends the job."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from launch import START, WAITING, is_open_mpi, mpirun, start
from run_files import checkpoints, differing, metrics, state

from trpo_gail.runs import checkpoint

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "scripts" / "two_hosts.sh")
EXPERT = ROOT / "expert_data" / "CartPole-v0.h5"
TRAIN = (
    sys.executable, "-m", "trpo_gail", "train", "CartPole-v0", "--trajectories", "1", "--num_envs", "8",
    "--timesteps_per_batch", "128", "--save_every", "1", "--eval_every", "0", "--final_episodes", "0", "--quiet",
)  # fmt: skip
RESUME = (sys.executable, "-m", "trpo_gail", "train", "--resume", "--quiet")
ENDLESS = ("--iterations", "100000", "--steps", "100000000", "--rank_timeout", "5")


def launch(*command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """With the mpirun beside this Python first on the PATH. Skips the test if there can be no namespaces."""
    path = f"{Path(mpirun() or '').parent}{os.pathsep}{os.environ['PATH']}"
    python = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | WAITING | {"PATH": path, "PYTHONPATH": python} | settings
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    if done.returncode == 77:
        pytest.skip(done.stderr.strip())
    return done


def trained(run: Path, *more: str, expert: Path = EXPERT) -> tuple[str, ...]:
    return (*TRAIN, "--expert", str(expert), "--out", str(run), *more)


def last_iteration(run: Path) -> int:
    return int(checkpoints(run)[-1].stem.split("_")[1])


def check_ended(done: subprocess.CompletedProcess[str], run: Path, seconds: float) -> None:
    """Within so many seconds of the fault, without a process left; and one rank goes on from the last checkpoint."""
    assert done.returncode != 2
    assert done.returncode != 0 or is_open_mpi()  # whose mpirun may exit with 0 when it has lost a host
    told = re.search(r"ended ([\d.]+) s after the fault; processes left, by host: 0 0\n", done.stderr)
    assert told and float(told[1]) < seconds, done.stderr
    last = last_iteration(run)
    job = start(run.with_name("resumed"), None, *RESUME, "--out", str(run))
    job.wait_for(checkpoint.iteration_path(run, last + 2))
    job.process.send_signal(signal.SIGTERM)  # it has no end, and saves on the signal
    assert job.wait(START) == 0, job.err


@pytest.mark.long
def test_two_hosts_train_as_one_does(tmp_path: Path) -> None:
    two, one = tmp_path / "two", tmp_path / "one"
    done = launch(SCRIPT, *trained(two, "--iterations", "4"))
    assert done.returncode == 0, done.stderr
    assert launch(str(mpirun()), "-n", "2", *trained(one, "--iterations", "4")).returncode == 0
    assert metrics(one) == metrics(two)
    assert differing(*(state(checkpoints(run)[-1]) for run in (one, two))) == []


@pytest.mark.long
def test_a_link_that_is_cut_ends_the_job(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = launch(SCRIPT, *trained(run, *ENDLESS), CUT=str(run / "metrics.csv"))
    named = "trpo-gail: rank 1 on host2 hangs " in done.stderr and "silent for " in done.stderr
    assert named or (is_open_mpi() and "lost communication" in done.stderr), (
        done.stderr
    )  # it may notice before the ranks
    check_ended(done, run, 15)


@pytest.mark.long
def test_a_host_that_is_lost_ends_the_job(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = launch(SCRIPT, *trained(run, *ENDLESS), LOSE=str(run / "metrics.csv"))
    check_ended(done, run, 15)


@pytest.mark.long
def test_only_rank_0s_host_needs_the_run_folder_and_the_demonstrations(tmp_path: Path) -> None:
    far, near = tmp_path / "far", tmp_path / "near"
    run, expert = far / "run", far / "expert.h5"
    far.mkdir()
    shutil.copy(EXPERT, expert)
    done = launch(SCRIPT, *trained(run, "--iterations", "2", expert=expert), UNSHARED=str(far))
    assert done.returncode == 0, done.stderr
    done = launch(SCRIPT, *RESUME, "--out", str(run), "--iterations", "4", UNSHARED=str(far))
    assert done.returncode == 0, done.stderr
    assert launch(str(mpirun()), "-n", "2", *trained(near, "--iterations", "4")).returncode == 0
    assert metrics(near) == metrics(run)
    assert differing(*(state(checkpoints(made)[-1]) for made in (near, run))) == []


@pytest.mark.long
def test_eight_ranks_on_four_hosts(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = launch(SCRIPT, *trained(run, "--iterations", "3"), HOSTS="4", RANKS="8")
    assert done.returncode == 0, done.stderr
    assert last_iteration(run) == 3
