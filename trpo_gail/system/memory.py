"""The memory of libraries: what is free again is given back to the system, all threads share one heap, and UCX forgets."""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import time
from collections.abc import Callable
from typing import Any

_M_ARENA_MAX = -8  # of glibc's malloc.h
COLLECT_S = 300.0  # seconds between two collections, each of which takes some 0.1 s
GIVE_BACK_S = 10.0  # seconds between two times at which free pages are given back, which takes some ms
_collected = _given_back = time.monotonic()


def share_one_heap() -> None:
    """Let the threads of this process take memory from one heap, for a program that trains for hours.

    glibc gives threads heaps of their own, and the threads of environments are new ones at each evaluation and restart.
    The free memory that lies between what is in use then grows for hours, though what is in use does not. To be called
    before threads start. Does nothing with other C libraries, or if the user has set MALLOC_ARENA_MAX.
    """
    option = _of_glibc("mallopt")
    if option is not None and "MALLOC_ARENA_MAX" not in os.environ:
        option(_M_ARENA_MAX, 1)


def bound_ucx() -> None:
    """Bound what UCX, by which MPICH and some Open MPI send messages, keeps of memory that is no longer mapped. To be
    called before MPI starts. Does nothing if the user has set the variable.

    UCX notes each range of addresses that the process gives back to the system, 144 bytes each, and forgets them when it
    next looks up memory that it has registered, which between the ranks of one machine may be never. With this limit on
    the size of all these ranges together it forgets them in time.
    """
    os.environ.setdefault("UCX_RCACHE_MAX_UNRELEASED", "16m")


def give_back() -> None:
    """Return free pages to the system; to be called after work that made and dropped a lot, such as an evaluation.

    Every few minutes, reference cycles are collected before. `torch.save` leaves one each time, and Python by itself waits
    until the objects of such cycles are a quarter of all old ones, of which imports alone leave 300,000.
    """
    global _collected, _given_back
    if time.monotonic() - _collected > COLLECT_S:
        gc.collect()
        _collected = time.monotonic()
    give_back_pages()
    _given_back = time.monotonic()


def give_back_pages() -> None:
    """Return free pages to the system, and do nothing else. Other C libraries are left to themselves."""
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def give_back_at_times() -> None:
    """The same, at most every ten seconds: for work that goes on, such as iterations, between which free pages gather."""
    if time.monotonic() - _given_back > GIVE_BACK_S:
        give_back()


@functools.cache
def _of_glibc(name: str) -> Callable[..., Any] | None:
    """A function that glibc adds to C's own."""
    try:
        found: Callable[..., Any] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # TypeError: Windows takes no None
        return None
    return found
