"""Processes of an environment that outlive a rank are named if its launcher waits for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

CODE = """
import subprocess, sys
from multiprocessing import resource_tracker
from trpo_gail.system.left_behind import tell_at_exit
tell_at_exit()
resource_tracker.ensure_running()
words = sys.argv[1:]
if "quiet" in words:
    subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
if "kept" in words:
    child = subprocess.Popen(["sh", "-c", "sleep 60; :"], start_new_session=True)
    print(child.pid, flush=True)
"""


def run(*words: str, size: int = 2) -> tuple[str, str]:
    """What a rank of `size` prints; what it leaves ends with this."""
    environment = os.environ | {"PMI_RANK": str(size - 1), "PMI_SIZE": str(size)}
    program = [sys.executable, "-c", CODE, *words]
    with subprocess.Popen(
        program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as rank:
        assert rank.wait(60) == 0
        time.sleep(0.1)
        os.killpg(rank.pid, signal.SIGKILL) if "quiet" in words else None
        if "kept" in words:
            assert rank.stdout is not None
            os.killpg(int(said := rank.stdout.readline()), signal.SIGKILL)
            return said.strip(), rank.communicate()[1]
        return rank.communicate()[0], rank.communicate()[1]


def test_a_process_that_holds_the_pipe_is_named() -> None:
    pid, err = run("kept", "quiet")
    assert err.startswith(
        f"warning: rank 1 leaves processes, for which the launcher waits: sh -c sleep 60; : (pid {pid})"
    )
    assert err.count("\n") == 1 and "resource_tracker" not in err


def test_what_nobody_waits_for_is_not_told() -> None:
    assert run("quiet") == ("", "") == run()
    assert run("kept", size=1)[1] == ""
