"""A run in an environment that fails when it is told to, and what must be left of it."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

from bad_input import EXPERT
from launch import HERE, PROGRAM, START, Job, start
from run_files import checkpoints, metrics, state

from trpo_gail import load_policy

SECONDS = 10.0  # that a job may outlive its failed rank
PATIENCE = 60.0  # for an iteration and a summary, on a busy machine


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


def fail(run: Run, job: Job, what: str) -> int:
    """Make a rank fail; the exit code of the job, which must end in time."""
    run.fire(what)
    began = time.monotonic()
    code = job.wait(4 * SECONDS)
    assert time.monotonic() - began < SECONDS
    run.check_last_checkpoint()
    return code


def late(folder: Path, how: str, stops: str, ranks: int | None = 2) -> Job:
    held = (ranks or 1) - 1  # the last one
    return start(
        folder, ranks, sys.executable, str(HERE / "worker_late.py"), stops, "train", "faulty_envs:LateCartPole-v0",
        "--env_kwargs", json.dumps({"how": how, "rank": held}), "--expert", EXPERT, "--num_envs", "2",
        "--timesteps_per_batch", "64", "--iterations", "1", "--eval_every", "0", "--final_episodes", "0",
        "--quiet", "--out", "run",
    )  # fmt: skip


def check_stopped_late(folder: Path) -> None:
    """That the other rank does not wait for ever for one that is stopped when the work is done."""
    job = late(folder, "not", "stops")
    assert job.wait(START + PATIENCE) != 0, job.err
    assert json.loads((folder / "run" / "summary.json").read_text())["stopped"] == "iterations"
    assert re.search("rank 1 on .* waits for others at the end", job.err), job.err
    assert not job.left()


def check_late(folder: Path, how: str, ranks: int | None = 2) -> None:
    """That a rank which an environment holds at its end is ended, and that the others do not wait for it."""
    job = late(folder, how, "ends", ranks)
    assert job.wait(START + PATIENCE) == 0, job.err
    assert json.loads((folder / "run" / "summary.json").read_text())["stopped"] == "iterations"
    (line,) = (line for line in job.err.splitlines() if "is done, but did not end for 2 s" in line)
    assert f"rank {(ranks or 1) - 1} on " in line and ("the environment's" in line) == (how == "thread")
    assert not job.left()
