"""How a study starts processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trpo_gail.errors import UserError
from trpo_gail.studies import launch


def test_one_rank_needs_no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert launch.mpirun(1) == []


def test_the_launcher_beside_this_python_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("python", "path"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mpirun").touch(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python" / "python3"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert launch.mpirun(3) == [str(tmp_path / "python" / "mpirun"), "-n", "3"]
    (tmp_path / "python" / "mpirun").unlink()
    assert launch.mpirun(2) == [str(tmp_path / "path" / "mpirun"), "-n", "2"]


def test_no_launcher_is_the_users_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"^--ranks: no mpirun found \(pip install mpich, or --ranks 1\)$"):
        launch.mpirun(2)
