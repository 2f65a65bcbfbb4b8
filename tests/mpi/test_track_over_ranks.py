"""A tracked run under mpirun, with its flags in a file: rank 0 alone talks to the tracker, and may lose it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from bad_input import EXPERT
from launch import PROGRAM, start
from run_files import metrics

from trpo_gail.hangs import HASTE_S

STAND_IN = """
import os
FILE = os.path.join(os.path.dirname(__file__), "calls")
def _call(*words):
    with open(FILE, "a") as file:
        print(*words, os.getpid(), file=file)
def init(**kwargs): _call("init")
def finish(): _call("finish")
def log(values, step):
    _call("log")
    if values["iteration"] == 2:
        raise ConnectionError("the tracker is gone")
"""
FLAGS = {
    "env": "CartPole-v0", "expert": EXPERT, "num_envs": 4, "timesteps_per_batch": 256, "backend": "gymnasium",
    "iterations": 3, "eval_every": 0, "final_episodes": 0, "quiet": True,
}  # fmt: skip


@pytest.mark.long
def test_rank_0_alone_tracks_and_goes_on_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wandb.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    (tmp_path / "flags.json").write_text(json.dumps(FLAGS))
    line = ["train", "--config", "flags.json", "--track", "wandb", "--out", "run"]
    job = start(tmp_path, 2, PROGRAM, *line)
    assert job.wait(120.0) == 0, job.err
    calls = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    assert [name for name, _ in calls] == ["init", "log", "log"] and len({pid for _, pid in calls}) == 1
    assert job.err.count("wandb no longer tracks the run, which goes on without: the tracker is gone") == 1
    assert len(metrics(tmp_path / "run")) == 3


@pytest.mark.long
def test_a_slow_upload_after_a_signal_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = STAND_IN.replace('_call("finish")', f'import time; time.sleep({HASTE_S + 6}); _call("finish")')
    (tmp_path / "wandb.py").write_text(slow.replace('values["iteration"] == 2', "False"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    endless = FLAGS | {"iterations": 1000000, "steps": 100000000, "save_every": "1"}
    (tmp_path / "flags.json").write_text(json.dumps(endless))
    job = start(tmp_path, 2, PROGRAM, "train", "--config", "flags.json", "--track", "wandb", "--out", "run")
    job.wait_for(tmp_path / "run" / "checkpoints" / "iteration_0000001.pt")
    job.process.send_signal(signal.SIGUSR1)
    assert job.wait(120.0) == 0, job.err
    assert "hangs" not in job.err and "finish" in (tmp_path / "calls").read_text()
