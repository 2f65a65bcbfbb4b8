"""scripts/test.sh ends with 0 if every check passed, and otherwise says which did not. Stand-ins are its programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "test.sh"
PROGRAMS = {
    "setup.sh": ":",
    "ruff": '[[ $FAILS != "$1" ]]',
    "mypy": "[[ $FAILS != types ]]",
    # One is told from the other by what is ignored. The tests under mpirun end last or first.
    "pytest": 'case "$*" in *--ignore=tests/mpi*) [[ $FAILS != unit ]] ;; '
    '*tests/mpi) sleep "$LASTS"; echo "what mpirun said"; [[ $FAILS != mpirun ]] ;; *) [[ $FAILS != quick ]] ;; esac',
}


def run(folder: Path, *flags: str, fails: str = "", lasts: str = "0") -> subprocess.CompletedProcess[str]:
    for name, does in PROGRAMS.items():
        program = folder / ("scripts" if name == "setup.sh" else ".venv/bin") / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/usr/bin/env bash\n{does}\n")
        program.chmod(0o755)
    script = Path(shutil.copy(SCRIPT, folder / "scripts"))
    given = {name: value for name, value in os.environ.items() if name != "TRPO_GAIL_VENV"}
    environment = given | {"FAILS": fails, "LASTS": lasts, "TMPDIR": str(folder)}
    return subprocess.run([script, *flags], env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("lasts", ["0", "0.5"])
@pytest.mark.parametrize(
    ("fails", "named"),
    [
        ("", None),
        ("check", "lint"),
        ("format", "format"),
        ("types", "types"),
        ("unit", "unit tests"),
        ("mpirun", "tests under mpirun"),
    ],
)
def test_it_ends_with_what_failed(fails: str, named: str | None, lasts: str, tmp_path: Path) -> None:
    done = run(tmp_path, fails=fails, lasts=lasts)
    assert done.returncode == (named is not None)
    assert done.stderr == (f"failed: {named}\n" if named else "")
    assert done.stdout.count("what mpirun said") == 1
    assert not list(tmp_path.glob("tmp.*")), "its file of what mpirun said is left"


@pytest.mark.parametrize(("fails", "ends"), [("", 0), ("quick", 1), ("mpirun", 0)])
def test_a_quick_one_leaves_the_tests_under_mpirun_out(fails: str, ends: int, tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", fails=fails)
    assert done.returncode == ends and "what mpirun said" not in done.stdout


def test_other_words_are_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "--fast")
    assert done.returncode == 2 and done.stderr.startswith("usage: ")
