"""Runs cells of the grid side by side, each a process of its own (or `mpirun`): skips what is done, resumes what was begun.

A cell is done when its result file is there. While a cell runs, this process and its child hold a lock on the cell, so that
a second runner on the same folders takes others. A signal asks the children to save and end; nothing is lost.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from trpo_gail.errors import UserError
from trpo_gail.parallel import Workers
from trpo_gail.reproduction import results
from trpo_gail.reproduction.grid import CLONE, CONSTANT, Cell, Grid, Places, command
from trpo_gail.reproduction.view import Forecast, GridView, duration
from trpo_gail.runs import RunFolder
from trpo_gail.stopping import StopRequest

TAIL = 5  # lines of a failed cell's log that are shown
POLL_S = 0.2
CLAIM_TRIES, CLAIM_PAUSE_S = 3, 0.02

Command = Callable[[Grid, Cell, Places], list[str]]


@dataclass
class Outcome:
    """How the cells of a selection ended."""

    done: int = 0  # now or before
    failed: int = 0
    elsewhere: int = 0  # another runner has them
    stopped: str | None = None  # the signal's name


@dataclass
class Job:
    """A cell under way."""

    cell: Cell
    process: subprocess.Popen[bytes]
    claim: TextIO
    log: Path
    log_start: int  # bytes of the log that are older
    began: float
    part_at_start: float
    peak_memory_mb: float | None = None

    def ended(self) -> bool:
        """Whether the process has ended; notes its memory then."""
        if self.process.returncode is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                self.peak_memory_mb = usage.ru_maxrss / 1024  # Linux counts in KiB
        return self.process.returncode is not None

    def signal(self, number: int) -> None:
        """To the leader alone: mpirun passes it on."""
        if not self.ended():
            self.process.send_signal(number)

    def kill(self) -> None:
        """Leave nobody behind."""
        if not self.ended():
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def tail(self) -> list[str]:
        """Last lines of what the process said."""
        with open(self.log, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace").strip().splitlines()[-TAIL:]


class Runner:
    """Runs a selection; `program` are the words before a cell's arguments."""

    def __init__(
        self,
        grid: Grid,
        cells: Sequence[Cell],
        places: Places,
        jobs: int | None,
        ranks: int,
        program: Sequence[str] = (),
    ) -> None:
        """Raises UserError for numbers that do not work, missing demonstrations, and results that cannot be used."""
        cores = len(os.sched_getaffinity(0))
        if ranks < 1 or (jobs is not None and jobs < 1):
            raise UserError(f"--jobs {jobs}, --ranks {ranks}: each must be at least 1")
        self._grid, self._places = grid, places
        self._jobs = jobs or max(1, cores // ranks)
        self._program = [*_mpirun(ranks), *(program or (sys.executable, "-m", "trpo_gail"))]
        self._cells = cells
        self._missing = [cell for cell in cells if not is_done(cell, grid, places)]
        _check_demonstrations(grid, self._missing, places)

    def run(self) -> Outcome:
        """Run what is missing, until all is done or a signal comes. A second Ctrl-C ends the children at once."""
        self._outcome = Outcome(done=len(self._cells) - len(self._missing))
        self._pending, self._running = deque(self._missing), list[Job]()
        self._gained, self._forecast = 0.0, Forecast()
        self._places.runs.mkdir(parents=True, exist_ok=True)
        with StopRequest() as stop, GridView(len(self._cells)) as self._view:
            self._view.line(f"{len(self._cells)} cells, {self._outcome.done} done, {self._jobs} at once")
            try:
                while self._pending or self._running:
                    self._heed(stop)
                    self._start_some()
                    self._settle_ended()
                    self._show()
                    if self._running:
                        time.sleep(POLL_S)
            finally:
                for job in self._running:
                    job.kill()
        return self._outcome

    def _heed(self, stop: StopRequest) -> None:
        """On a signal, start nothing more and ask the children to save and end."""
        if self._outcome.stopped is None and (name := stop.agreed(Workers())):
            self._outcome.stopped = name
            self._pending.clear()
            self._view.line(f"{name}: waiting for {len(self._running)} running cells to save")
            for job in self._running:
                job.signal(signal.SIGUSR1)  # Open MPI's mpirun kills its ranks on the others

    def _start_some(self) -> None:
        while self._pending and len(self._running) < self._jobs:
            cell = self._pending.popleft()
            try:
                self._start(cell)
            except (UserError, OSError) as error:
                self._fail(cell, [str(error)])

    def _start(self, cell: Cell) -> None:
        """Begin or resume a cell, unless another runner has it or nothing is left to do."""
        claim = _claim(self._places, cell)
        if claim is None:
            self._outcome.elsewhere += 1
            self._view.line(f"{cell.name}: another runner has it")
            return
        job = None
        try:
            job = self._begin(cell, claim)
        finally:
            if job:
                self._running.append(job)
            else:
                claim.close()

    def _begin(self, cell: Cell, claim: TextIO) -> Job | None:
        """The cell's process; None where there is none to start."""
        run = self._places.run(cell)
        if is_done(cell, self._grid, self._places):  # by another runner, since we looked
            self._outcome.done += 1
            return None
        if results.finished(run):  # a runner died between its end and its result
            self._finish(cell, None)
            return None
        return self._launch(cell, run, claim)

    def _launch(self, cell: Cell, run: Path, claim: TextIO) -> Job:
        begun = (run / "config.json").exists()
        resume = begun and cell.algorithm != CLONE  # cloning takes minutes at most, and starts anew
        if begun and not resume:
            RunFolder.open(run).discard()
        elif run.exists() and not begun:
            shutil.rmtree(run)  # it died before anything had begun
        # All flags again: a run folder that was made with others refuses.
        words = [*self._program, *command(self._grid, cell, self._places), *(["--resume"] if resume else [])]
        log = self._places.runs / f"{cell.name}.log"
        with open(log, "ab") as out:
            start = out.tell()
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=_environment(),
                start_new_session=True,  # a terminal's Ctrl-C is ours to pass on, once
                pass_fds=[claim.fileno()],  # the claim lasts as long as the run, whatever becomes of us
            )  # fmt: skip
        return Job(cell, process, claim, log, start, time.monotonic(), part_done(self._grid, cell, self._places))

    def _settle_ended(self) -> None:
        for job in [job for job in self._running if job.ended()]:
            self._running.remove(job)
            try:
                self._settle(job)
            except UserError as error:
                self._fail(job.cell, [str(error)])
            finally:
                job.claim.close()

    def _settle(self, job: Job) -> None:
        if job.process.returncode == 0 and results.finished(self._places.run(job.cell)):
            self._gained += self._grid.work(job.cell) * (1.0 - job.part_at_start)
            self._finish(job.cell, job)
        elif self._outcome.stopped:
            self._view.line(f"{job.cell.name}: stopped at {part_done(self._grid, job.cell, self._places):.0%}")
        elif job.process.returncode == 0:  # somebody signalled the child itself
            self._fail(job.cell, ["ended before it was done; the next `run` resumes it"])
        else:
            self._fail(job.cell, [f"exit code {job.process.returncode}", *job.tail(), f"log: {job.log}"])

    def _finish(self, cell: Cell, job: Job | None) -> None:
        result = results.harvest(self._places.run(cell), cell, self._grid, job.peak_memory_mb if job else None)
        results.write(self._places.results, result)
        self._outcome.done += 1
        took = f" in {duration(time.monotonic() - job.began)}" if job else ""
        self._view.line(
            f"{cell.name}: return {result.return_mean:.2f} ± {result.return_std:.2f}{took} "
            f"({self._outcome.done}/{len(self._cells)})"
        )

    def _fail(self, cell: Cell, lines: list[str]) -> None:
        self._outcome.failed += 1
        self._view.line("\n    ".join([f"{cell.name}: failed: {lines[0]}", *lines[1:]]))

    def _show(self) -> None:
        """Progress, and the time left if all work takes as long as that of this session."""
        parts = {job.cell.name: part_done(self._grid, job.cell, self._places) for job in self._running}
        work = {job.cell.name: self._grid.work(job.cell) for job in self._running}
        gained = self._gained + sum(
            work[job.cell.name] * max(parts[job.cell.name] - job.part_at_start, 0.0) for job in self._running
        )
        missing = sum(self._grid.work(cell) for cell in self._pending) + sum(
            work[name] * (1.0 - part) for name, part in parts.items()
        )
        self._view.update(self._outcome.done, parts, self._forecast.left_s(gained, missing))


def is_done(cell: Cell, grid: Grid, places: Places) -> bool:
    """Whether the cell's result is there. Raises UserError if it is and cannot be used: it is not ours to overwrite."""
    file = results.path(places.results, cell)
    return file.exists() and results.read(file, grid) is not None


def is_claimed(cell: Cell, places: Places) -> bool:
    """Whether a runner has the cell now."""
    if not _lock_path(places, cell).exists():
        return False
    claim = _claim(places, cell)
    if claim:
        claim.close()
    return claim is None


def part_done(grid: Grid, cell: Cell, places: Places) -> float:
    """From 0 to 1: iterations in the run's metrics over those that it will have."""
    try:
        with open(places.run(cell) / "metrics.csv", "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return 0.0
    first = [line.split(",")[0] for line in lines if line.split(",")[0].isdecimal()]
    return min(1.0, int(first[-1]) / grid.tasks[cell.task].iterations_of(cell.algorithm)) if first else 0.0


def _lock_path(places: Places, cell: Cell) -> Path:
    return places.runs / f"{cell.name}.lock"


def _claim(places: Places, cell: Cell) -> TextIO | None:
    """The cell's lock, or None if another runner has it; the system takes it back however its holders end."""
    lock = open(_lock_path(places, cell), "w")  # noqa: SIM115 - held open while the cell runs
    for _ in range(CLAIM_TRIES):  # `status` holds it for an instant
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(CLAIM_PAUSE_S)
        except OSError:
            return lock  # a filesystem without locks: there, --shard keeps runners apart
        else:
            return lock
    lock.close()
    return None


def _environment() -> dict[str, str]:
    """One thread a rank: cells fill the cores already. And Open MPI shall not bind every cell to the same ones."""
    unbound = dict.fromkeys(("OMPI_MCA_hwloc_base_binding_policy", "PRTE_MCA_hwloc_default_binding_policy"), "none")
    single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return unbound | os.environ | single


def _mpirun(ranks: int) -> list[str]:
    if ranks == 1:
        return []
    found = shutil.which("mpirun", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if found is None:
        raise UserError("--ranks: no mpirun found (pip install 'trpo_gail[mpich]', or --ranks 1)")
    return [found, "-n", str(ranks)]


def _check_demonstrations(grid: Grid, cells: Sequence[Cell], places: Places) -> None:
    for cell in cells:
        file = places.expert_data / grid.tasks[cell.task].demonstrations
        if cell.algorithm != CONSTANT and not file.is_file():
            raise UserError(f"--expert_data: {file} does not exist, and {cell.name} needs it")
