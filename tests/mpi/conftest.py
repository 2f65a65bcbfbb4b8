"""Tests that start mpirun. A start costs seconds: once per rank count, with many checks inside."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "cli"))  # bad_input and run_files serve both

from launch import mpirun


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.mpi)
            if mpirun() is None:
                item.add_marker(pytest.mark.skip(reason="no mpirun beside this Python or on the PATH"))
