"""As the program starts: then many pages are mapped and given back. Each rank writes its heaps, and by how many MB it grew.

usage: python worker_memory.py     rank r writes memory-r.json
"""

from __future__ import annotations

import ctypes
import json
import mmap
import sys
import tempfile
from pathlib import Path
from typing import Any

from trpo_gail import cli

MAPPINGS = 40_000  # UCX would keep 144 bytes of each


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE / 2**20


def heaps() -> int:
    """Of the C library: that of the main thread, and those of others."""
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    with tempfile.NamedTemporaryFile() as file:
        stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        return file.read().count(b"<heap ")


def body(arguments: list[str], workers: list[Any]) -> int:
    from trpo_gail.parallel import Workers  # brings threads of numpy's; the program loads it no sooner

    ranks = Workers.world()
    workers.append(ranks)
    ranks.gather(None)
    before = resident_mb()
    for _ in range(MAPPINGS):
        mmap.mmap(-1, 2**16).close()
    grown = resident_mb() - before
    Path(f"memory-{ranks.rank}.json").write_text(json.dumps({"heaps": heaps(), "grown": grown}))
    ranks.gather(None)
    return 0


if __name__ == "__main__":
    cli._run = body
    sys.exit(cli.main())
