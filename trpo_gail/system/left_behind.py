"""Processes that an environment has started and never ends: if they hold the pipe to which a rank prints, the launcher waits
for them after all ranks have ended, without a word."""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from pathlib import Path

from trpo_gail.system.launcher import launched, several
from trpo_gail.system.terminal import tell

PROC = Path("/proc")  # of Linux; where there is none, nothing is told
MOMENT_S = 0.5  # in which those end that have been asked to
ENDS_WITH_US = "from multiprocessing."  # Python's own helpers


def tell_at_exit() -> None:
    """If this is a rank, tell of them when this process ends. To be called before others register functions of the end, such
    as those that end an environment's workers: the first that is registered runs last."""
    if several():
        atexit.register(_tell, os.getpid())


def _tell(rank: int) -> None:
    if os.getpid() != rank:  # a fork that an environment has made
        return
    if _holders():
        time.sleep(MOMENT_S)
    if found := _holders():
        named = ", ".join(f"{command:.60} (pid {pid})" for pid, command in found.items())
        tell(f"warning: rank {(launched() or (0, 1))[0]} leaves processes, for which the launcher waits: {named}")


def _holders() -> dict[int, str]:
    """Commands by process id: processes under this one whose stdout or stderr is the pipe that this one has there."""
    ours = {link for number in (1, 2) if (link := _link(os.getpid(), number)).startswith("pipe:")}
    if not ours:
        return {}
    found = {pid: _command(pid) for pid in _below(os.getpid()) if {_link(pid, 1), _link(pid, 2)} & ours}
    return {pid: command for pid, command in found.items() if ENDS_WITH_US not in command}


def _below(root: int) -> list[int]:
    """Children, their children, and so on."""
    children: dict[int, list[int]] = {}
    for file in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parent = file.read_text(errors="replace").rpartition(")")[2].split()[1]  # a name may hold anything
            children.setdefault(int(parent), []).append(int(file.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


def _link(pid: int, number: int) -> str:
    try:
        return os.readlink(PROC / str(pid) / "fd" / str(number))
    except OSError:
        return ""


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""
