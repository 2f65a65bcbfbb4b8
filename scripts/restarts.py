"""Run a training, and resume it when it dies: `python scripts/restarts.py N [mpirun ...] trpo-gail train ... --out RUN`.

The command is started again at most N times, with --resume as soon as RUN exists, so it stays one run: its folder, its
settings and its sessions in config.json. It is started again if it ends with a code that means a crash: an error of ours
(1), a signal that killed it, what a launcher makes of a killed or hanging rank; or with 0, but without a new
RUN/summary.json, since Open MPI's mpirun exits with 0 when it has lost a host. It is not started again after

- 0 and a new summary: done, or saved on a signal;
- 2 without a new checkpoint: a mistake in a flag or a file, a full disk;
- a signal to this program, which passes it on: SIGINT, SIGTERM, SIGUSR1 and SIGHUP, but for those that were ignored when it
  began, as SIGHUP by nohup. Open MPI's mpirun would kill its ranks on the first two, and gets SIGUSR1 at first;
- two crashes in a row without a new checkpoint between them: the third would be like them. Checkpoints are told apart by
  their names: a resume that crashes in an evaluation writes the same one again.

Exit code: that of the last session; 1 in place of a 0 without a summary.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
KILLING = (signal.SIGINT, signal.SIGTERM)  # on which Open MPI's mpirun kills its ranks, which then cannot save
LOST = 1  # in place of an exit code of 0 that is not true
MISTAKE = 2  # exit code of a mistake in a flag or a file, and of a disk that failed
CHECKPOINT = re.compile(r"(iteration|unfinished)_(\d+)\.pt")
PAUSE_S = 1.0  # before another start; a host that has just lost a rank may need it


class Runner:
    """The command, session after session."""

    def __init__(self, command: Sequence[str], run: Path) -> None:
        self._command, self._run = list(command), run
        self._process: subprocess.Popen[bytes] | None = None
        self._kills_on = KILLING if _is_open_mpi(command[0]) else ()
        self.asked = 0  # the signal that this program got

    def pass_on(self, number: int, frame: FrameType | None) -> None:
        """Ask the session to end. A second Ctrl-C is passed on, too."""
        if number in self._kills_on and not self.asked:
            number = signal.SIGUSR1
        self.asked = number
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def session(self) -> int:
        """Run the command once; its exit code, as a shell gives it."""
        before = self._summary()  # of a session before
        more = ["--resume"] if self._run.exists() and "--resume" not in self._command else []
        self._process = subprocess.Popen([*self._command, *more], start_new_session=True)
        if self.asked:  # it came before there was a process
            self._process.send_signal(self.asked)
        code = self._process.wait()
        if code == 0 and self._summary() in (None, before):
            return LOST
        return 128 - code if code < 0 else code

    def _summary(self) -> tuple[int, int] | None:
        """What tells one summary.json from another; None if there is none, as while a session runs."""
        try:
            found = (self._run / "summary.json").stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def newest(self) -> tuple[int, bool]:
        """Of the checkpoints: its iteration, and whether that was finished."""
        names = (CHECKPOINT.fullmatch(path.name) for path in self._run.glob("checkpoints/*.pt"))
        return max(((int(name[2]), name[1] == "iteration") for name in names if name), default=(-1, False))


def _is_open_mpi(program: str) -> bool:
    if Path(program).name not in ("mpirun", "mpiexec", "prterun"):
        return False
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.lower()
    except OSError:  # the session says why
        return False
    return "open mpi" in told or "open-mpi" in told or "prte" in told


def _out(command: Sequence[str]) -> str:
    """The folder of the run, which --out RUN or --out=RUN names, the last of them; empty if none does."""
    found = ""
    for before, word in zip(("", *command), command, strict=False):
        if before == "--out" or word.startswith("--out="):
            found = word.removeprefix("--out=")
    return found


def main(arguments: Sequence[str]) -> int:
    """The exit code of the last session; 2 for a mistake in the arguments."""
    out = _out(arguments[1:])
    if not out or not arguments[0].isdecimal():
        print((__doc__ or "").partition("\n\n")[0], file=sys.stderr)
        return 2
    most, command = int(arguments[0]), arguments[1:]
    runner = Runner(command, Path(out))
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, runner.pass_on)
    crashes = 0  # in a row, without a new checkpoint
    for left in range(most, -1, -1):
        before = runner.newest()
        try:
            code = runner.session()
        except OSError as error:
            print(f"restarts.py: {command[0]}: {error.strerror}", file=sys.stderr)
            return MISTAKE
        crashes = crashes + 1 if runner.newest() == before else 0
        if code == 0 or (code == MISTAKE and crashes) or runner.asked or not left:
            return code
        if crashes == 2:
            print(f"restarts.py: exit code {code} twice without a new checkpoint: not started again", file=sys.stderr)
            return code
        print(
            f"restarts.py: exit code {code}; started again, {left - 1} more times at most", file=sys.stderr, flush=True
        )
        time.sleep(PAUSE_S)
    raise AssertionError("the last session returns")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
