"""The scripts that read results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
