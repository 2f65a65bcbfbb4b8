"""Cloning under mpirun: one rank learns, all evaluate, and nobody can tell afterwards."""

from __future__ import annotations

import json
from pathlib import Path

from bad_input import EXPERT
from launch import PROGRAM, start
from run_files import checkpoints, differing, metrics, state

from trpo_gail.cli import main


def test_two_ranks_clone_as_one(tmp_path: Path) -> None:
    line = [
        "clone", "CartPole-v0", "--expert", EXPERT, "--trajectories", "2", "--subsample", "10", "--iterations", "60",
        "--eval_every", "20", "--final_episodes", "5", "--quiet", "--out",
    ]  # fmt: skip
    runs = [tmp_path / "alone", tmp_path / "shared"]
    assert main([*line, str(runs[0])]) == 0
    job = start(tmp_path, 2, PROGRAM, *line, str(runs[1]))
    assert job.wait(120.0) == 0, job.err
    alone, shared = (json.loads((run / "summary.json").read_text()) for run in runs)
    assert (alone.pop("ranks"), shared.pop("ranks")) == (1, 2)
    assert {**alone, "wall_s": 0} == {**shared, "wall_s": 0} and len(alone["returns"]) == 5
    assert metrics(runs[0]) == metrics(runs[1])
    assert differing(*(state(checkpoints(run)[-1]) for run in runs)) == []
