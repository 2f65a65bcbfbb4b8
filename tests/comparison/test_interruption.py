"""A real comparison, killed and then stopped in the middle, against the same one in peace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
import torch.utils.tensorboard  # noqa: F401  (what is loaded here the forks need not load again)
from test_compare import EXPERT, tables

import trpo_gail.reports.run_report
import trpo_gail.runs.session  # noqa: F401
from trpo_gail.cli import main
from trpo_gail.runs.run_folder import read_metrics
from trpo_gail.studies import runner
from trpo_gail.studies.comparison.plan import load

ITERATIONS = 16
FLAGS = "--num_envs 4 --timesteps_per_batch 128 --backend gymnasium --save_every 1"
PROCESSES: dict[str, int] = {}  # the last of each run folder


class Forked:
    """In place of `subprocess.Popen`: the same command in a fork of this process, which spares seconds of imports."""

    def __init__(self, words: list[str], stdout: BinaryIO, **others: Any) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.setsid()
                for number in (1, 2):
                    os.dup2(stdout.fileno(), number)
                sys.argv = ["trpo-gail", *words[3:]]  # after python -m trpo_gail
                code = main(sys.argv[1:])
            finally:
                os._exit(code)
        PROCESSES[words[words.index("--out") + 1]] = self.pid

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> None:
        os.waitpid(self.pid, 0)


def compare(out: Path, jobs: int) -> int:
    line = ["--env", "CartPole-v0", "--expert", str(EXPERT), "--trajectories", "1", "--generators", "trpo,ppo"]
    line += ["--steps", str(128 * ITERATIONS), "--eval_every", "512", "--eval_episodes", "2", "--final_episodes", "2"]
    line += ["--seeds", "1", f"--flags={FLAGS}", "--jobs", str(jobs), "--out", str(out), "--runs", str(out / "runs")]
    return main(["compare", *line])


def interrupt(first: Path, second: Path) -> None:
    """Kill the first run after three iterations, and end the whole comparison, this process, in the midst of the second."""
    deadline = time.monotonic() + 60.0
    for run in (first, second):
        while len(read_metrics(run)) < 3:
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
        os.kill(*((PROCESSES[str(run)], signal.SIGKILL) if run == first else (os.getpid(), signal.SIGTERM)))


@pytest.mark.long
def test_interrupted_runs_end_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {name: getattr(subprocess, name) for name in ("DEVNULL", "STDOUT")}
    monkeypatch.setattr(runner, "subprocess", SimpleNamespace(Popen=Forked, **names))
    peace, out = tmp_path / "peace", tmp_path / "out"
    assert compare(peace, jobs=2) == 0
    trpo, ppo = (out / "runs" / cell.name for cell in load(peace).cells())

    thread = threading.Thread(target=interrupt, args=(trpo, ppo))
    thread.start()
    compare(out, jobs=1)
    thread.join()
    said = capsys.readouterr().out
    assert "trpo-seed0: failed: exit code -9" in said and "ppo-seed0: stopped at " in said
    assert all(3 <= len(read_metrics(run)) < ITERATIONS for run in (trpo, ppo))
    assert not (out / "comparison.csv").exists()

    assert compare(out, jobs=2) == 0
    ours, theirs = tables(out), tables(peace)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
