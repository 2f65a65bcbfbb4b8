"""A rank that fails ends the job, a signal ends it in good order, and either way the run goes on from its checkpoint."""

from __future__ import annotations

import csv
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from faulty_runs import PATIENCE, SECONDS, Run, check_late, check_stopped_late, fail
from launch import HERE, is_open_mpi, mpirun, start
from run_files import checkpoints

from trpo_gail.hangs import HASTE_S

# Open MPI's mpirun kills its ranks on SIGINT and SIGTERM: there a signal must reach a rank itself, or be SIGUSR1.
FORWARDED = ("SIGUSR1",) if mpirun() and is_open_mpi() else ("SIGUSR1", "SIGTERM", "SIGINT")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_rank_that_raises(run: Run) -> None:
    job = run.begin(2)
    assert fail(run, job, "1 raise") not in (0, 2)
    assert "[rank 1]" in job.err and "[rank 0]" not in job.err
    assert "ZeroDivisionError: raised by the test's environment" in job.err
    assert f"last checkpoint: {checkpoints(run.path)[-1]}" in job.err
    job = run.go_on(2)
    job.process.send_signal(signal.Signals[FORWARDED[-1]])
    run.check_stopped(job, FORWARDED[-1])


@pytest.mark.long
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
        pytest.param("1 SIGSTOP", r"rank 1 on \S+ hangs in phase '\w+': silent for \d+ s", marks=pytest.mark.long),
        pytest.param("0 SIGSTOP", r"rank 0 on \S+ hangs in phase '\w+': silent for \d+ s", marks=pytest.mark.long),
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


@pytest.mark.long
def test_a_rank_that_hangs_as_it_reads_what_is_resumed_ends_the_job(tmp_path: Path) -> None:
    job = start(tmp_path, 2, sys.executable, str(HERE / "worker_stuck.py"))
    assert job.wait(PATIENCE) not in (0, 2)
    says = r"trpo-gail: rank 0 on \S+ hangs in phase 'start': no step for \d+ s, at worker_stuck.py, line \d+"
    assert re.search(says, job.err), job.err
    assert not job.left()


@pytest.mark.long
@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("learn", r"in phase 'sample': no step for \d+ s, at faulty_envs.py"),
        ("evaluate", r"in phase 'evaluation': no step for \d+ s, at faulty_envs.py"),
        ("command", r"in phase 'evaluation': no step for \d+ s, at faulty_envs.py"),
        ("clone", r"in phase 'start': no step for \d+ s, at faulty_envs.py"),
        ("callback", r"in phase 'callback': no step for \d+ s, at worker_model.py"),
    ],
)
def test_a_rank_that_hangs_in_a_model_or_in_another_command_ends_the_job(what: str, says: str, tmp_path: Path) -> None:
    job = start(tmp_path, 2, sys.executable, str(HERE / "worker_model.py"), what, "4")
    assert job.wait(PATIENCE) not in (0, 2)
    assert re.search(rf"trpo-gail: rank 1 on \S+ hangs {says}, line \d+; all ranks end", job.err), job.err
    assert not job.left()


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.parametrize("how", ["thread", pytest.param("exit", marks=pytest.mark.long)])
def test_a_rank_that_python_does_not_end(how: str, tmp_path: Path) -> None:
    check_late(tmp_path, how)


@pytest.mark.long
def test_a_process_alone_that_python_does_not_end(tmp_path: Path) -> None:
    check_late(tmp_path, "thread", ranks=None)


@pytest.mark.long
def test_a_rank_that_is_stopped_at_the_end(tmp_path: Path) -> None:
    check_stopped_late(tmp_path)
