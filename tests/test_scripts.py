"""The scripts that read results, and the jobs of a cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_success_rates_of_all_of_a_folder_skip_what_holds_none() -> None:
    folder = ROOT / "results" / "pointnav"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "success_rates.py"), *map(str, sorted(folder.iterdir()))],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line in names] == names != []
    assert done.stderr == f"{folder}/README.md: no seed_*/evaluation.json, skipped\n"


@pytest.mark.parametrize(
    ("code", "summary", "ends", "requeued"),
    [
        (0, '"stopped": "steps"', 0, False),
        (0, '"stopped": "SIGUSR1"', 0, True),
        (138, None, 0, True),  # the signal came before there was a run
        (1, '"stopped": "SIGUSR1"', 1, False),  # the summary of an earlier session
        (2, None, 2, False),
    ],
)
def test_a_job_is_put_back_into_the_queue_if_its_time_is_up(
    code: int, summary: str | None, ends: int, requeued: bool, tmp_path: Path
) -> None:
    """With stand-ins for SLURM's programs."""
    out, programs, queue = tmp_path / "out", tmp_path / ".venv" / "bin", tmp_path / "queue"
    programs.mkdir(parents=True)
    if summary:
        out.mkdir()
        (out / "summary.json").write_text(f"{{{summary}}}")
    for name, does in (("srun", f"exit {code}"), ("scontrol", f'echo "$*" > {queue}')):
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    slurm = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1"}
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "slurm" / "train.sbatch"), str(out)], env=os.environ | slurm,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == ends, done.stderr
    assert (queue.read_text() if queue.exists() else None) == ("requeue 7\n" if requeued else None)
