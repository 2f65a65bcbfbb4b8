"""Freed memory goes back to the system, and threads share a heap."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest

from trpo_gail import algorithm
from trpo_gail.parallel import Workers
from trpo_gail.system import memory
from trpo_gail.system.memory import bound_ucx, give_back, share_one_heap

GLIBC = pytest.mark.skipif(sys.platform != "linux" or memory._of_glibc("malloc_trim") is None, reason="glibc does it")


def resident_mb() -> float:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@GLIBC
def test_what_is_free_below_something_in_use_is_given_back() -> None:
    blocks = [bytearray(30_000) for _ in range(4000)]  # too small to be mapped one by one
    kept = blocks[-1]
    del blocks
    before = resident_mb()
    give_back()
    assert resident_mb() < before - 60.0
    assert len(kept) == 30_000


def test_cycles_are_collected_every_few_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ring:
        def __init__(self) -> None:
            self.itself = self

    gc.disable()  # not by itself meanwhile
    try:
        left = weakref.ref(Ring())
        monkeypatch.setattr(memory, "_collected", time.monotonic() - memory.COLLECT_S + 60.0)
        give_back()
        assert left() is not None
        monkeypatch.setattr(memory, "_collected", time.monotonic() - memory.COLLECT_S - 1.0)
        give_back()
        assert left() is None
        assert time.monotonic() - memory._collected < 60.0
    finally:
        gc.enable()


def test_free_pages_are_given_back_after_a_long_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    trims: list[str] = []
    clock = algorithm.Clock(Workers())
    monkeypatch.setattr(algorithm, "give_back_pages", lambda: trims.append("trimmed"))
    with clock("sample"):
        pass
    assert trims == []
    monkeypatch.setattr(algorithm, "LONG_S", 0.0)
    with clock("critic"):
        pass
    assert trims == ["trimmed"] and set(clock.seconds) == {"sample_s", "critic_s"}


def test_free_pages_are_given_back_at_times(monkeypatch: pytest.MonkeyPatch) -> None:
    trims: list[int] = []
    monkeypatch.setattr(memory, "_of_glibc", lambda name: trims.append)
    monkeypatch.setattr(memory, "_given_back", time.monotonic() - memory.GIVE_BACK_S + 60.0)
    memory.give_back_at_times()
    assert trims == []
    monkeypatch.setattr(memory, "_given_back", time.monotonic() - memory.GIVE_BACK_S - 1.0)
    memory.give_back_at_times()
    memory.give_back_at_times()
    assert trims == [0]


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_of_glibc", lambda name: None)
    give_back()
    share_one_heap()


# Threads, each of which holds memory of its own at the same time; the number of the C library's heaps is the exit code.
HEAPS = """
import ctypes, sys, tempfile, threading
from trpo_gail.system.memory import share_one_heap
if sys.argv[1] == "shared": share_one_heap()
libc, meeting = ctypes.CDLL(None), threading.Barrier(5)
libc.malloc.restype, libc.fopen.restype = ctypes.c_void_p, ctypes.c_void_p
def hold():
    assert libc.malloc(5000)
    meeting.wait()
threads = [threading.Thread(target=hold) for _ in range(4)]
for thread in threads: thread.start()
meeting.wait()
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    sys.exit(file.read().count(b"<heap "))
"""


@GLIBC
@pytest.mark.parametrize(("asked", "variable", "heaps"), [("shared", None, 1), ("own", None, 5), ("shared", "3", 3)])
def test_threads_share_a_heap_unless_the_user_says_otherwise(asked: str, variable: str | None, heaps: int) -> None:
    env = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    if variable:
        env["MALLOC_ARENA_MAX"] = variable
    assert subprocess.run([sys.executable, "-c", HEAPS, asked], env=env, timeout=60).returncode == heaps


def test_ucx_is_bounded_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UCX_RCACHE_MAX_UNRELEASED", raising=False)
    bound_ucx()
    assert os.environ["UCX_RCACHE_MAX_UNRELEASED"] == "16m"
    monkeypatch.setenv("UCX_RCACHE_MAX_UNRELEASED", "inf")
    bound_ucx()
    assert os.environ["UCX_RCACHE_MAX_UNRELEASED"] == "inf"
