"""What MPI and its threads would do to the memory of a rank is bounded."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from launch import work


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_mpi_keeps_little_of_what_was_given_back_and_its_threads_share_the_heap(tmp_path: Path) -> None:
    work(tmp_path, 2, "worker_memory.py")
    for rank in (0, 1):
        found = json.loads((tmp_path / f"memory-{rank}.json").read_text())
        assert found["heaps"] == 1
        assert found["grown"] < 3.0  # MB; by default UCX keeps 6 MB
