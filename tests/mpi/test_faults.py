"""A rank that fails ends the job, a signal ends it in good order, and either way the run goes on from its checkpoint."""

from __future__ import annotations

import csv
import json
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from bad_input import EXPERT
from launch import HERE, PROGRAM, Job, is_open_mpi, mpirun, start
from run_files import checkpoints, metrics, state

from trpo_gail import load_policy
from trpo_gail.hangs import HASTE_S

SECONDS = 10.0  # that a job may outlive its failed rank
PATIENCE = 60.0  # for an iteration and a summary, on a busy machine

# Open MPI's mpirun kills its ranks on SIGINT and SIGTERM: there a signal must reach a rank itself, or be SIGUSR1.
FORWARDED = ("SIGUSR1",) if mpirun() and is_open_mpi() else ("SIGUSR1", "SIGTERM", "SIGINT")


class Run:
    """A run without an end, in an environment that fails when the file `trigger` says so."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.trigger, self.path = folder, folder / "trigger", folder / "run"

    def launch(self, ranks: int | None, *more: str) -> Job:
        return start(
            self.folder / "first", ranks, PROGRAM, "train", "faulty_envs:FaultyCartPole-v0",
            "--env_kwargs", json.dumps({"trigger": str(self.trigger)}), "--expert", EXPERT, "--trajectories", "1",
            "--num_envs", "4", "--timesteps_per_batch", "256", "--save_every", "2", "--eval_every", "0",
            "--steps", "100000000", "--out", str(self.path), *more,
        )  # fmt: skip

    def begin(self, ranks: int | None, *more: str) -> Job:
        """Start, and wait for a checkpoint."""
        job = self.launch(ranks, *more)
        job.wait_for(self.path / "checkpoints" / "iteration_0000002.pt")
        return job

    def fire(self, what: str) -> None:
        """All at once: the ranks look at the file at every step."""
        part = self.trigger.with_suffix(".part")
        part.write_text(what)
        part.replace(self.trigger)

    def go_on(self, ranks: int | None) -> Job:
        """Resume, and wait for the next checkpoint."""
        self.trigger.unlink(missing_ok=True)
        done = int(checkpoints(self.path)[-1].stem.split("_")[1])
        job = start(self.folder / "second", ranks, PROGRAM, "train", "--out", str(self.path), "--resume")
        job.wait_for(self.path / "checkpoints" / f"iteration_{done + 2 - done % 2:07d}.pt")
        return job

    def check_last_checkpoint(self) -> None:
        load_policy(self.path)
        assert state(checkpoints(self.path)[-1])["progress.iteration"] > 0

    def check_stopped(self, job: Job, name: str) -> None:
        """That the job ends in good order, saves what it did, and says what stopped it."""
        assert job.wait(PATIENCE) == 0, job.err
        assert "Traceback" not in job.err
        assert json.loads((self.path / "summary.json").read_text())["stopped"] == name
        rows = [int(row["iteration"]) for row in metrics(self.path)]
        assert rows == list(range(1, len(rows) + 1)), "a row too many, or too few"
        assert state(checkpoints(self.path)[-1])["progress.iteration"] == len(rows)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def fail(run: Run, job: Job, what: str) -> int:
    """Make a rank fail; the exit code of the job, which must end in time."""
    run.fire(what)
    began = time.monotonic()
    code = job.wait(4 * SECONDS)
    assert time.monotonic() - began < SECONDS
    run.check_last_checkpoint()
    return code


def test_a_rank_that_raises(run: Run) -> None:
    job = run.begin(2)
    assert fail(run, job, "1 raise") not in (0, 2)
    assert "[rank 1]" in job.err and "[rank 0]" not in job.err
    assert "ZeroDivisionError: raised by the test's environment" in job.err
    assert f"last checkpoint: {checkpoints(run.path)[-1]}" in job.err
    job = run.go_on(2)
    job.process.send_signal(signal.Signals[FORWARDED[-1]])
    run.check_stopped(job, FORWARDED[-1])


def test_a_rank_that_wants_to_leave(run: Run) -> None:
    """In ways that no `except Exception` and no hook hears of; each is one line."""
    job = run.begin(2)
    for rank, kind, says in ((1, "exit", "exit(0)"), (0, "generator", "GeneratorExit")):
        assert fail(run, job, f"{rank} {kind}") not in (0, 2)
        (line,) = (line for line in job.err.splitlines() if "] trpo-gail: " in line)
        assert f"[rank {rank}]" in line and says in line and f"last checkpoint: {checkpoints(run.path)[-1]}" in line
        assert "Traceback" not in job.err
        if kind == "exit":
            job = run.go_on(2)


def test_a_signal_before_there_is_a_run(run: Run) -> None:
    run.fire("0 hold")
    job = run.launch(2)
    job.wait_for(run.trigger.with_suffix(".held"))
    job.process.send_signal(signal.SIGUSR1)
    assert job.wait(SECONDS) == 128 + signal.SIGUSR1
    assert [line for line in job.err.splitlines() if "trpo-gail: " in line] == ["trpo-gail: interrupted (SIGUSR1)"]
    assert "Traceback" not in job.err and not run.path.exists()


def test_a_rank_that_is_killed(run: Run) -> None:
    assert fail(run, run.begin(2), "1 kill") not in (0, 2)
    job = run.go_on(2)
    job.process.send_signal(signal.Signals[FORWARDED[len(FORWARDED) // 2]])
    run.check_stopped(job, FORWARDED[len(FORWARDED) // 2])


def test_an_observation_that_is_not_a_number(run: Run) -> None:
    """On rank 0; then it goes on without mpirun."""
    job = run.begin(2)
    assert fail(run, job, "0 nan") not in (0, 2)
    for words in (
        "[rank 0]",
        "'faulty_envs:FaultyCartPole-v0'",
        "gave an observation that is not finite",
        "at step",
        "last checkpoint",
    ):
        assert words in job.err
    job = run.go_on(None)
    job.process.send_signal(signal.SIGTERM)
    run.check_stopped(job, "SIGTERM")


def test_a_signal_to_all_or_to_one(run: Run) -> None:
    job = run.begin(2)
    job.process.send_signal(signal.SIGUSR1)
    run.check_stopped(job, "SIGUSR1")
    job = run.go_on(2)
    run.fire("1 SIGTERM")  # what a batch system may do: one rank alone gets it
    run.check_stopped(job, "SIGTERM")


# ---- a rank that hangs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("1 hang", r"rank 1 on \S+ hangs in phase 'sample': no step for \d+ s, at faulty_envs.py, line \d+"),
        ("1 SIGSTOP", r"rank 1 on \S+ hangs in phase '\w+': silent for \d+ s"),
        ("0 SIGSTOP", r"rank 0 on \S+ hangs in phase '\w+': silent for \d+ s"),
    ],
)
def test_a_rank_that_hangs_is_named_and_ends_the_job(what: str, says: str, run: Run) -> None:
    limit = 4.0
    job = run.begin(2, "--rank_timeout", f"{limit:g}")
    run.fire(what)
    began = time.monotonic()
    assert job.wait(limit + 4 * SECONDS) not in (0, 2)
    assert limit <= time.monotonic() - began < limit + SECONDS
    lines = [line for line in job.err.splitlines() if "trpo-gail: " in line]
    last = re.escape(str(checkpoints(run.path)[-1]))
    assert len(lines) == 1 and re.match(rf"trpo-gail: {says}.*; all ranks end; last checkpoint: {last}$", lines[0])
    assert not job.left()
    run.check_last_checkpoint()


def test_one_signal_ends_ranks_that_wait_for_one_that_hangs(run: Run) -> None:
    job = run.begin(2, "--rank_timeout", "0")
    run.fire("1 hang")
    time.sleep(1.0)
    job.process.send_signal(signal.SIGUSR1)
    assert job.wait(HASTE_S + 4 * SECONDS) not in (0, 2)
    assert "rank 1 on " in job.err and "hangs in phase 'sample'" in job.err and not job.left()


@pytest.mark.long
def test_a_slow_rank_is_named(run: Run) -> None:
    run.fire("1 slow")
    job = run.begin(2)
    rows = csv.DictReader((run.path / "ranks.csv").read_text().splitlines())
    assert {row["rank"] for row in rows if row["phase"] == "sample"} == {"1"}
    job.wait_for(run.path / "checkpoints" / "iteration_0000022.pt")
    job.process.send_signal(signal.SIGUSR1)
    run.check_stopped(job, "SIGUSR1")
    assert re.search(r"rank 1 on \S+ worked [0-9.]+ s in the last 20 iterations, the median rank", job.err)
    assert re.search(r"sample [0-9.]+ s on rank 1 of ", job.out)


@pytest.mark.parametrize("asked", [False, True])
def test_a_rank_that_never_comes_to_the_start_of_mpi(asked: bool, tmp_path: Path) -> None:
    """It is stopped before. The others may wait for 8 s here, or for 10 s after a signal."""
    job = start(tmp_path, 2, sys.executable, str(HERE / "worker_start.py"), "1", "0" if asked else "8")
    job.wait_for(tmp_path / "stopped")
    if asked:
        job.wait_for(tmp_path / "came")
        job.process.send_signal(signal.SIGUSR1)
    assert job.wait(PATIENCE) not in (0, 2)
    assert "trpo-gail: MPI does not start: rank 0 on " in job.err and not job.left()
