"""Under mpirun: many command lines in one start, through `main` itself; each rank writes what came of each to a file.

usage: python worker_errors.py FOLDER RUN     RUN is a finished run; rank r writes FOLDER/errors-r.json
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pictures
from bad_input import NEVER, files, flags, runs, tiny_run
from run_files import checkpoints

from trpo_gail.cli import main
from trpo_gail.parallel import Workers


def call(arguments: Sequence[str]) -> dict[str, Any]:
    """Exit code, standard output and error of a command line."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def full_disk(folder: Path, workers: Workers) -> dict[str, Any]:
    """A run whose first checkpoint is written, and the next is not: no file may grow beyond half a checkpoint."""
    out = folder / "full"
    begun = call(tiny_run(out, "--quiet"))
    size = checkpoints(out)[-1].stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    workers.gather(None)
    if workers.main:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
    full = call(["train", "--out", str(out), "--resume", "--steps", "200", "--quiet"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    left = sorted(path.name for path in (out / "checkpoints").iterdir())
    workers.gather(None)
    resumed = call(["train", "--out", str(out), "--resume", "--quiet"])
    return {"begun": begun, "full": full, "left": left, "resumed": resumed}


def body() -> None:
    """Everything in one start."""
    pictures.blank_from_here()
    folder, run = Path(sys.argv[1]), Path(sys.argv[2])
    workers = Workers.world()
    found = {}
    for name, bad in (files(folder) | flags(folder) | runs(folder, run)).items():
        found[name] = call(bad.arguments) | {"folder": (folder / NEVER).exists()}
        workers.gather(None)
        if workers.main:
            shutil.rmtree(folder / NEVER, ignore_errors=True)
    found["full disk"] = full_disk(folder, workers)
    (folder / f"errors-{workers.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    body()
