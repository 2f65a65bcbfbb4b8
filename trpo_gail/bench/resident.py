"""Memory of this process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def resident() -> int:
    """The most MiB that were resident in this process."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) >> 10
    except (OSError, StopIteration):  # no Linux; the kernel's other number counts what the parent had as well
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most >> (20 if sys.platform == "darwin" else 10)
