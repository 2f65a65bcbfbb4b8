"""Freed memory goes back to the system."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trpo_gail.system import memory
from trpo_gail.system.memory import give_back


def resident_mb() -> float:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(sys.platform != "linux" or memory._trim() is None, reason="glibc gives it back")
def test_what_is_free_below_something_in_use_is_given_back() -> None:
    blocks = [bytearray(30_000) for _ in range(4000)]  # too small to be mapped one by one
    kept = blocks[-1]
    del blocks
    before = resident_mb()
    give_back()
    assert resident_mb() < before - 60.0
    assert len(kept) == 30_000


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_trim", lambda: None)
    give_back()
