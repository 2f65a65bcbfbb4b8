"""What a library may crash or hang on is looked at in a process apart first, which is all that is lost.

A file of a few bytes can make libhdf5 crash, loop for ever or take all memory. So `structure` walks through each file in
a process with limits, once a file; the process stays for the next one, and ends with this one.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError, shortened

EXPANSION = "TRPO_GAIL_EXPANSION_MB"
_PROGRAM = Path(__file__).with_name("structure.py")
_EXPANSION_MB = 256
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_TIMES = 20
COMPRESSED = 200  # times its size: what arrays of pictures may take, of which gzip leaves a 160th
_WAIT = 600.0  # seconds for a whole file, and for each of its gigabytes: a slow disk is no hang, which the limit on
# computing finds

Key = tuple[str, int, int, int, int]  # path, `most_bytes`, and the version of the file

_helper: list[subprocess.Popen[bytes]] = []  # the one that runs, if one does
_told: dict[Key, str | None] = {}  # what other processes have found


def most_bytes(path: str | Path, times: int | None = None) -> int:
    """How many bytes the numbers of a file may take when they are read: a multiple of its size, or more if asked."""
    asked = os.environ.get(EXPANSION, str(_EXPANSION_MB))
    if not asked.isdecimal() or int(asked) < 1:
        raise UserError(f"{EXPANSION}: expected a number of megabytes, found {asked!r:.40}")
    return max(int(asked) << 20, (_TIMES if times is None else times) * os.stat(path).st_size)


def look(path: str | Path) -> None:
    """Raise UserError if the structure of an HDF5 file is hostile, or kills who looks at it.

    Refused are links and datasets that lead out of the file, virtual datasets, and claims beyond `most_bytes`.
    """
    key = _key(path)
    refusal = _told[key] if key in _told else _refusal(*key)
    if refusal:
        raise UserError(f"{path}: {refusal}")


def looked(path: str | Path) -> tuple[Key, str | None] | None:
    """What `look` finds in a version of a file, to tell another process of this host; None if it is no HDF5 file."""
    try:
        if not os.path.isfile(path):
            return None
        with open(path, "rb") as stream:
            if stream.read(len(_SIGNATURE)) != _SIGNATURE:
                return None
        return (key := _key(path)), _refusal(*key)
    except (OSError, UserError):  # whoever reads it says why
        return None


def tell(found: Iterable[tuple[Key, str | None] | None]) -> None:
    """Believe what other processes have `looked` at, of the same versions of the same files, and do not look again."""
    _told.update(one for one in found if one is not None)


def _key(path: str | Path) -> Key:
    stat = os.stat(path)
    return os.path.abspath(path), most_bytes(path, COMPRESSED), stat.st_ino, stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=1024)
def _refusal(path: str, most: int, *_version: int) -> str | None:
    """Of one version of a file, which is looked at once."""
    helper = _running()
    question = json.dumps({"path": path, "bytes": most}).encode() + b"\n"
    try:
        assert helper.stdin is not None
        helper.stdin.write(question)
        helper.stdin.flush()
    except OSError:  # it has ended since the last file
        _end()
        return _refusal.__wrapped__(path, most, *_version)
    if (line := _answer(helper, _WAIT * (1.0 + os.path.getsize(path) / 1e9))) is None:
        return _death(_end())
    answer = json.loads(line)
    return None if answer is None else shortened(str(answer), 200)


def _running() -> subprocess.Popen[bytes]:
    if _helper and _helper[0].poll() is None:
        return _helper[0]
    _end()
    # -P: the folder of the program holds modules whose names are the standard library's, such as `numbers`.
    helper = subprocess.Popen(
        [sys.executable, "-P", str(_PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        start_new_session=True,  # Ctrl-C is for this process; its end closes the helper's stdin, which ends it
    )
    _helper.append(helper)
    atexit.register(_end)
    return helper


def environment() -> dict[str, str]:
    """Without a launcher's variables, so that no library takes the helper for a rank; one thread is enough."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_", "PMI_", "MPI_", "HYDRA_"))}
    return kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _answer(helper: subprocess.Popen[bytes], seconds: float) -> bytes | None:
    """A line; None if it ended or did not answer in time."""
    assert helper.stdout is not None
    ready, _, _ = select.select([helper.stdout], [], [], seconds)
    line = helper.stdout.readline() if ready else b""
    return line if line.endswith(b"\n") else None


def _end() -> int:
    """End the helper, if one is there; how it ended."""
    return end(_helper.pop()) if _helper else 0


def end(helper: Any) -> int:
    """End a process that waits for questions on its stdin, or is about to die; how it ended."""
    with contextlib.suppress(OSError):
        helper.stdin.close()
    try:
        return int(helper.wait(1))
    except subprocess.TimeoutExpired:
        helper.kill()
        helper.wait()
        return -signal.SIGALRM
    finally:
        helper.stdout.close()


def _death(code: int) -> str:
    if code in (-signal.SIGPROF, -signal.SIGALRM, -signal.SIGKILL):
        return "damaged HDF5, whose structure keeps the HDF5 library busy without an end"
    if code > 0:
        return f"its structure could not be looked at (exit code {code} of a process apart)"
    return f"damaged HDF5, on whose structure the HDF5 library crashes (signal {-code})"
