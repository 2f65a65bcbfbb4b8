"""The essential part once more under Open MPI, if there is one beside the MPICH of the other tests."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_input import tiny_run
from ending import ENDS, check_ends, check_whole
from faulty_runs import Run, check_late, fail
from launch import PROGRAM, by, open_mpi, start
from run_files import apart, checkpoints, differing, metrics, state

from trpo_gail.cli import main

ITERATIONS, SAVED = 4, 2
PATIENCE = 200.0  # seconds, for a whole run on a busy machine
RUN = (
    "--iterations", str(ITERATIONS), "--steps", "100000", "--save_every", str(SAVED), "--final_episodes", "0", "--quiet",
    "--timesteps_per_batch", "128", "--dtype", "float64",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _open_mpi() -> Iterator[None]:
    found = open_mpi()
    if isinstance(found, str):
        pytest.skip(found)
    with by(found):
        yield


def ranks(folder: Path, number: int, *command: str) -> str:
    """Run a command to its end; what it printed."""
    job = start(folder, number, *command)
    assert job.wait(PATIENCE) == 0, job.err
    return job.out


def test_the_library_is_open_mpis(tmp_path: Path) -> None:
    say = "from mpi4py import MPI; print(MPI.Get_library_version().split(',')[0], MPI.COMM_WORLD.size)"
    assert {line.split(" v")[0] for line in ranks(tmp_path, 2, sys.executable, "-c", say).splitlines()} == {"Open MPI"}


def test_two_ranks_learn_what_one_does_and_a_resume_is_exact(tmp_path: Path) -> None:
    one, two, resumed = (tmp_path / name for name in ("one", "two", "resumed"))
    assert main(tiny_run(one, *RUN)) == 0
    ranks(tmp_path / "a", 2, PROGRAM, *tiny_run(two, *RUN))
    alone, whole = (state(checkpoints(run)[-1]) for run in (one, two))
    gaps = {name: gap for name, gap in apart(alone, whole).items() if "idle_rows" not in name}
    worst = max(gaps, key=lambda name: gaps[name])
    assert gaps[worst] <= 1e-8, f"{worst}: {gaps[worst]:.1e}"

    shutil.copytree(two, resumed)
    checkpoints(resumed)[-1].unlink()
    assert checkpoints(resumed)[-1].stem == f"iteration_{SAVED:07d}"
    ranks(tmp_path / "b", 2, PROGRAM, "train", "--resume", "--out", str(resumed), "--quiet")
    assert differing(whole, state(checkpoints(resumed)[-1])) == []
    assert metrics(resumed) == metrics(two) and len(metrics(two)) == ITERATIONS


def test_a_killed_rank_ends_the_job_and_sigterm_saves(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert fail(run, run.begin(2), "1 kill") not in (0, 2)
    job = run.go_on(2)
    run.fire("1 SIGTERM")  # to a rank itself: mpirun kills its ranks on that signal
    run.check_stopped(job, "SIGTERM")


def test_a_rank_that_python_does_not_end(tmp_path: Path) -> None:
    check_late(tmp_path, "thread")


def test_a_script_that_ends_on_one_rank_alone_ends_all_ranks_at_once(tmp_path: Path) -> None:
    check_ends(tmp_path, ENDS.format(ended=1, ends="sys.exit(0)", calls="model.save('model')"), 1, "save")


def test_a_script_that_ends_on_all_ranks_waits_for_the_last(tmp_path: Path) -> None:
    check_whole(tmp_path)
