"""Runs cells of an experiment side by side, each a process of its own (or `mpirun`): skips what is done, resumes what was
begun.

An `Experiment` says what its cells are; a cell is done when its result is there. While it runs, this process and its child
hold a lock on it, so that a second runner on the same folders takes others, and at its end looks again at those that it
could not have. A signal asks the children to save and end; nothing is lost.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TextIO

from trpo_gail.errors import UserError
from trpo_gail.parallel import Workers
from trpo_gail.runs.console import duration
from trpo_gail.runs.run_folder import RunFolder, is_unbegun, read_json
from trpo_gail.studies.experiment import CellT, Experiment
from trpo_gail.studies.launch import ONE_THREAD, mpirun
from trpo_gail.studies.results import finished
from trpo_gail.studies.view import Forecast, GridView
from trpo_gail.system import typed
from trpo_gail.system.cores import cores
from trpo_gail.system.launcher import unlaunched_environment
from trpo_gail.system.stopping import StopRequest
from trpo_gail.system.terminal import warn

TAIL = 5  # lines of a failed cell's log that are shown
POLL_S = 0.2
CLAIM_TRIES, CLAIM_PAUSE_S = 3, 0.02
FAILED, INCOMPLETE = 1, 3  # exit codes


@dataclass
class Outcome:
    """How the cells of a selection ended."""

    done: int = 0  # now or before
    failed: int = 0
    elsewhere: int = 0  # another runner has them, or their process has outlived its runner
    stopped: str | None = None  # the signal's name, if it left cells undone

    def __str__(self) -> str:
        told = f"{self.done} done, {self.failed} failed, {self.elsewhere} under way elsewhere"
        if self.stopped:
            return f"{told}, stopped by {self.stopped}: the same command goes on"
        return f"{told}: the same command collects those once they have ended" if self.elsewhere else told

    @property
    def exit_code(self) -> int:
        """0 only if all cells are done, so that what follows in a script finds all results."""
        return FAILED if self.failed else INCOMPLETE if self.elsewhere or self.stopped else 0


@dataclass
class Job(Generic[CellT]):
    """A cell under way."""

    cell: CellT
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
                self.peak_memory_mb = usage.ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)  # KiB on Linux
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


class Runner(Generic[CellT]):
    """Runs cells of an experiment; `program` are the words before a cell's arguments."""

    def __init__(
        self,
        experiment: Experiment[CellT],
        cells: Sequence[CellT],
        jobs: int | None,
        ranks: int,
        program: Sequence[str] = (),
    ) -> None:
        """Raises UserError for numbers that do not work, for what cells need and is missing, and for results that cannot
        be used."""
        for flag, number in (("ranks", ranks), ("jobs", jobs)):
            if number is not None and number < 1:
                raise UserError(f"--{flag}: {number} given, at least 1 expected")
        self._experiment, self._cells = experiment, cells
        self._jobs = jobs or max(1, len(cores()) // ranks)
        self._program = [*mpirun(ranks), *(program or (sys.executable, "-m", "trpo_gail"))]
        self._missing = [cell for cell in cells if not experiment.is_done(cell)]
        experiment.check(self._missing)

    def run(self) -> Outcome:
        """Run what is missing, until all is done or a signal comes. A second Ctrl-C ends the children at once."""
        self._outcome = Outcome(done=len(self._cells) - len(self._missing))
        self._pending, self._running = deque(self._missing), list[Job[CellT]]()
        self._elsewhere: dict[str, CellT] = {}  # by name
        self._gained, self._forecast = 0.0, Forecast()
        self._experiment.runs.mkdir(parents=True, exist_ok=True)
        with StopRequest("lets running cells save, then ends") as stop, GridView(len(self._cells)) as self._view:
            self._view.line(f"{len(self._cells)} cell(s), {self._outcome.done} done, {self._jobs} at once")
            try:
                while self._pending or self._running or self._look_again():
                    self._heed(stop)
                    self._start_some()
                    self._settle_ended()
                    self._show()
                    if self._running:
                        time.sleep(POLL_S)
            finally:
                for job in self._running:
                    job.kill()
        self._outcome.elsewhere = len(self._elsewhere)
        if self._outcome.done == len(self._cells):
            self._outcome.stopped = None  # the signal came too late to stop anything
        return self._outcome

    def _look_again(self) -> bool:
        """Whether cells that were elsewhere have ended there, or are free by now: these are pending again. What is still
        under way is left to those who have it, since they may take hours."""
        if self._outcome.stopped is None:
            free = [cell for cell in self._elsewhere.values() if not is_claimed(self._experiment, cell)]
            self._pending.extend(self._elsewhere.pop(cell.name) for cell in free)
        return bool(self._pending)

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

    def _start(self, cell: CellT) -> None:
        """Begin or resume a cell, unless it is under way elsewhere or nothing is left to do."""
        claim = _claim(_lock_path(self._experiment, cell))
        if claim is None:
            self._elsewhere[cell.name] = cell
            self._view.line(f"{cell.name}: under way elsewhere (another runner has it, or had it and was killed)")
            return
        job = None
        try:
            job = self._begin(cell, claim)
        finally:
            if job:
                self._running.append(job)
            else:
                claim.close()

    def _begin(self, cell: CellT, claim: TextIO) -> Job[CellT] | None:
        """The cell's process; None if there is none to start."""
        run = self._experiment.runs / cell.name
        if self._experiment.is_done(cell):  # by another runner, since we looked
            self._outcome.done += 1
            return None
        if finished(run):  # a runner died between its end and its result
            if not _made_by(run, self._experiment.command(cell)):
                raise UserError(f"{run} was finished by another command line; move it away to run the cell anew")
            self._view.line(
                f"{cell.name}: its run folder {run} was finished before; move that away to run the cell anew"
            )
            self._finish(cell, None)
            return None
        return self._launch(cell, run, claim)

    def _launch(self, cell: CellT, run: Path, claim: TextIO) -> Job[CellT]:
        begun = (run / "config.json").exists()
        resume = begun and not self._experiment.restarts(cell)
        if resume and not _made_by(run, self._experiment.command(cell)):
            raise UserError(f"{run} was begun by another command line; move it away to run the cell anew")
        if run.exists() and not resume:  # it died before anything had begun, or starts anew in any case
            if not begun and not is_unbegun(run):
                raise UserError(f"{run}: holds something, but no run (no config.json); move it away to run the cell")
            RunFolder.clear(run)
        words = [*self._program, *self._experiment.command(cell), *(["--resume"] if resume else [])]
        log = self._experiment.runs / f"{cell.name}.log"
        with open(log, "ab") as out:
            start = out.tell()
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=_environment(),
                start_new_session=True,  # a terminal's Ctrl-C is ours to pass on, once
                pass_fds=[claim.fileno()],  # the claim lasts as long as the run, whatever becomes of us
            )  # fmt: skip
        return Job(cell, process, claim, log, start, time.monotonic(), part_done(self._experiment, cell))

    def _settle_ended(self) -> None:
        for job in [job for job in self._running if job.ended()]:
            self._running.remove(job)
            try:
                self._settle(job)
            except (UserError, OSError) as error:  # a full disk, say: the other cells go on
                self._fail(job.cell, [str(error)])
            finally:
                job.claim.close()

    def _settle(self, job: Job[CellT]) -> None:
        if job.process.returncode == 0 and finished(self._experiment.runs / job.cell.name):
            self._gained += self._experiment.work(job.cell) * (1.0 - job.part_at_start)
            self._finish(job.cell, job)
        elif self._outcome.stopped:
            memory = f", {job.peak_memory_mb:.0f} MB at most" if job.peak_memory_mb else ""
            self._view.line(f"{job.cell.name}: stopped at {part_done(self._experiment, job.cell):.0%}{memory}")
        elif job.process.returncode == 0:  # somebody signalled the child itself
            self._fail(job.cell, ["ended before it was done; the same command resumes it"])
        else:
            self._fail(job.cell, [f"exit code {job.process.returncode}", *job.tail(), f"log: {job.log}"])

    def _finish(self, cell: CellT, job: Job[CellT] | None) -> None:
        told = self._experiment.finish(cell, job.peak_memory_mb if job else None)
        self._outcome.done += 1
        took = f" in {duration(time.monotonic() - job.began)}" if job else ""
        self._view.line(f"{cell.name}: {told}{took} ({self._outcome.done}/{len(self._cells)})")

    def _fail(self, cell: CellT, lines: list[str]) -> None:
        self._outcome.failed += 1
        self._view.line("\n    ".join([f"{cell.name}: failed: {lines[0]}", *lines[1:]]))

    def _show(self) -> None:
        """Progress, and the time left if all work takes as long as that of this session."""
        parts = {job.cell.name: part_done(self._experiment, job.cell) for job in self._running}
        work = {job.cell.name: self._experiment.work(job.cell) for job in self._running}
        gained = self._gained + sum(
            work[job.cell.name] * max(parts[job.cell.name] - job.part_at_start, 0.0) for job in self._running
        )
        missing = sum(self._experiment.work(cell) for cell in self._pending) + sum(
            work[name] * (1.0 - part) for name, part in parts.items()
        )
        self._view.update(self._outcome.done, parts, self._forecast.left_s(gained, missing))


def is_claimed(experiment: Experiment[CellT], cell: CellT) -> bool:
    """Whether the cell is under way now."""
    return _is_held(_lock_path(experiment, cell))


def busy(runs: Path) -> bool:
    """Whether a runner has any cell whose run folder is in this folder."""
    return any(_is_held(lock) for lock in runs.glob("*.lock"))


def _is_held(lock: Path) -> bool:
    """Whoever looks writes nothing, and shares the lock for an instant: the folder may be read-only, or another user's."""
    if not lock.exists():
        return False
    with open(lock) as held:
        try:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:  # or else the file system has no locks
            return isinstance(error, BlockingIOError)
    return False


def _made_by(run: Path, command: Sequence[str]) -> bool:
    """Whether a run folder was begun with these words; where files are does not matter."""

    def essence(words: Sequence[str]) -> list[str]:
        places = {k + 1 for k, word in enumerate(words) if word in ("--out", "--expert")}
        return [word for k, word in enumerate(words) if k not in places and word != "--resume"]

    sessions = read_json(run / "config.json", sessions=list[dict[str, Any]])["sessions"] or [{}]
    first = sessions[0].get("command")
    return typed.fits(first, list[str]) and essence(first[1:]) == essence(command)


def part_done(experiment: Experiment[CellT], cell: CellT) -> float:
    """From 0 to 1: iterations in the run's metrics over those that it will have."""
    try:
        with open(experiment.runs / cell.name / "metrics.csv", "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return 0.0
    first = [line.split(",")[0] for line in lines if line.split(",")[0].isdecimal()]
    return min(1.0, int(first[-1]) / experiment.iterations(cell)) if first else 0.0


def _lock_path(experiment: Experiment[CellT], cell: CellT) -> Path:
    return experiment.runs / f"{cell.name}.lock"


def _claim(path: Path) -> TextIO | None:
    """A cell's lock, or None if another runner or its process has it; the system takes it back however its holders end."""
    lock = open(path, "w")  # noqa: SIM115 - held open while the cell runs
    for _ in range(CLAIM_TRIES):  # `status` holds it for an instant
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(CLAIM_PAUSE_S)
        except OSError:
            _warn_unlocked(path.parent)
            return lock
        else:
            return lock
    lock.close()
    return None


@cache
def _warn_unlocked(folder: Path) -> None:
    """Once a folder."""
    warn(
        f"{folder}: its file system has no locks, so that several runners would take the same cells: start one at a time, or "
        "give each its own (`paper run --shard`)"
    )


def _environment() -> dict[str, str]:
    """One thread a rank: cells fill the cores already. Open MPI shall not bind every cell to the same ones. And a launcher
    that started us, alone, has not started them."""
    unbound = dict.fromkeys(("OMPI_MCA_hwloc_base_binding_policy", "PRTE_MCA_hwloc_default_binding_policy"), "none")
    return unbound | unlaunched_environment() | ONE_THREAD
