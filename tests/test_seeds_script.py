"""scripts/run_seeds.sh: one run a seed, what is kept, and when it goes on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "run_seeds.sh"

# mpirun -n RANKS trpo-gail train ... --seed SEED --out RUN: a run that ends as the file `ends` says.
PROGRAM = """#!/usr/bin/env bash
echo "$*" >>calls
while [[ $1 != --out ]]; do shift; done
mkdir -p "$2"
touch "$2"/{metrics.csv,learning_curve.png,config.json}
echo "{\\"stopped\\": \\"$(cat ends)\\"}" >"$2/summary.json"
"""


def run_seeds(folder: Path, ends: str) -> subprocess.CompletedProcess[str]:
    program = folder / "bin" / "mpirun"
    program.parent.mkdir(exist_ok=True)
    program.write_text(PROGRAM)
    program.chmod(0o755)
    (folder / "ends").write_text(ends)
    (folder / "calls").unlink(missing_ok=True)
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    words = ["bash", str(SCRIPT), "kept", "1", "0 1", "Task-v0"]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("ends", ["steps", "iterations"])
def test_every_seed_is_trained_and_kept_once(ends: str, tmp_path: Path) -> None:
    assert run_seeds(tmp_path, ends).returncode == 0
    assert len((tmp_path / "calls").read_text().splitlines()) == 2
    assert {path.name for path in (tmp_path / "kept" / "seed_1").iterdir()} == {
        "metrics.csv", "learning_curve.png", "summary.json", "config.json",
    }  # fmt: skip
    assert run_seeds(tmp_path, ends).returncode == 0 and not (tmp_path / "calls").exists()


def test_a_run_that_a_signal_ends_is_told_and_resumed(tmp_path: Path) -> None:
    done = run_seeds(tmp_path, "SIGINT")
    assert done.returncode == 1 and not (tmp_path / "kept").exists()
    assert done.stderr == "run_seeds.sh: runs/kept-seed0 is not finished: the same command goes on\n"
    assert run_seeds(tmp_path, "steps").returncode == 0
    first, second = (tmp_path / "calls").read_text().splitlines()
    assert first.endswith("--seed 0 --out runs/kept-seed0 --resume") and second.endswith("--out runs/kept-seed1")
