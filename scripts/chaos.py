"""Do one random thing to a short run at a random moment, resume it, and compare it with a run that nothing befell.

    python scripts/chaos.py --out chaos.jsonl --trials 100              with the mpirun beside this Python
    python scripts/chaos.py --out chaos.jsonl --trials 100 --python /other/venv/bin/python
    python scripts/chaos.py --out chaos.jsonl --table                   the counts so far, as Markdown

A trial sends a signal to one rank, to the launcher or to all, at a random time or within the start, a save, an evaluation
or the summary. It waits for the end, counts processes that are left, resumes, and compares bit for bit: parameters,
optimisers, normalisers and counters, metrics.csv, TensorBoard's events, the evaluation at the end. A stopped rank must be
noticed (`--rank_timeout`); a stopped launcher, or a job stopped as a whole, is continued after a second, and must go on.

A trial is drawn from its number, so the same numbers are the same trials. Those that OUT holds are not done again,
unless they failed and --again is given; the table then has the last try of each, and says how many failed at first.
`--forget PATH` is the control: the resume loses this part of the state, such as sampler/batches, and must differ.
Exit code 1 if a trial failed.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import functools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import digests
import torch

ROOT = Path(__file__).resolve().parents[1]
RANKS = 2
RUN = (
    "train CartPole-v0 --expert {root}/expert_data/CartPole-v0.h5 --trajectories 1 --num_envs 4 --timesteps_per_batch 128 "
    "--iterations 8 --steps 100000 --save_every 3 --eval_every 256 --eval_episodes 2 --final_episodes 2 "
    "--policy.hidden_sizes 16 --critic.hidden_sizes 16 --discriminator.hidden_sizes 16 --rank_timeout {timeout} --quiet"
)
TIMEOUT = 5  # --rank_timeout; more if others work, since a rank that gets no turn is like one that hangs
ENDS_S = 15.0  # seconds in which a job must end, beside those of --rank_timeout
MPI_STARTS_S = 65.0  # in place of --rank_timeout, until MPI has started
START_S = 280.0  # for a start on a busy machine
PAUSE_S = 1.0  # that a launcher, or all, are stopped
HOLD_S = 3.0  # that a rank stays at the moment, at most

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGSEGV", "SIGSTOP", "SIGUSR1")
MOMENTS = ("any", "start", "save", "evaluation", "summary")
POINTS = ("begin", "flush", "rename", "done")  # within a save
TARGETS = ("rank", "launcher", "all")


@dataclass(frozen=True)
class Trial:
    """What is done to a run."""

    number: int
    moment: str
    signal: str
    target: str
    rank: int  # if the target is one
    point: str  # within a save
    turn: int  # at the how manieth time that the moment comes
    share: float  # of the time of an undisturbed run, if the moment is any

    @classmethod
    def draw(cls, number: int) -> Trial:
        rng = random.Random(number)
        return cls(
            number, rng.choice(MOMENTS), rng.choice(SIGNALS), rng.choice(TARGETS), rng.randrange(RANKS),
            rng.choice(POINTS), rng.randint(1, 3), rng.random(),
        )  # fmt: skip


@dataclass
class Outcome:
    """What came of it. `failed` is why the trial failed; empty if it did not."""

    mpi: str
    trial: dict[str, Any]
    code: int = 0
    ended_s: float = 0.0  # from the signal
    left: int = 0
    said: list[str] = field(default_factory=list)  # lines of ours on stderr
    went_on: str = ""
    failed: str = ""


# ---- a rank that stays at a moment -----------------------------------------------------------------------------------


def be_rank(arguments: list[str]) -> int:
    """The command line of a rank: MOMENT POINT TURN FORGET, then those of trpo-gail. Its working directory is the trial's."""
    moment, point, turn, forget, *line = arguments
    Path(f"pid.{os.getpid()}").touch()
    hold = functools.partial(_hold, int(turn), [0])
    if moment == "start":
        _hold(1, [0])
    from trpo_gail.cli import main
    from trpo_gail.learner import Learner
    from trpo_gail.runs.evaluate import Evaluator
    from trpo_gail.runs.session import Session

    if moment == "save":
        owner, name = within_save()[point]
        _before(owner, name, hold, _is_part if point == "flush" else None)
    if moment == "evaluation":
        _before(Evaluator, "run", hold)
    if moment == "summary":
        _before(Session, "_finish", functools.partial(_hold, 1, [0]))
    if forget:
        _forget(Learner, forget.split("/"))
    return main(line)


def within_save() -> dict[str, tuple[Any, str]]:
    """What is called at each of the POINTS: its owner and its name."""
    from trpo_gail.runs import checkpoint
    from trpo_gail.system import whole_file

    return {
        "begin": (whole_file, "beside"), "flush": (whole_file, "flush"), "rename": (os, "replace"),
        "done": (checkpoint, "_remove_old"),
    }  # fmt: skip


def _is_part(path: Path) -> bool:
    """Whether it is a file that is being written, and not a folder or rows, which are flushed, too."""
    return path.suffix == ".part"


def _before(owner: Any, name: str, do: Any, when: Any = None) -> None:
    """Call `do` before each call, or before those `when` its arguments make it true."""
    call = getattr(owner, name)

    def first(*given: Any, **more: Any) -> Any:
        if when is None or when(*given):
            do()
        return call(*given, **more)

    setattr(owner, name, first)


def _hold(turn: int, count: list[int]) -> None:
    """Say that the moment has come, and wait for what happens then."""
    count[0] += 1
    if count[0] != turn:
        return
    Path("reached").touch()
    until = time.monotonic() + HOLD_S
    while not Path("fired").exists() and time.monotonic() < until:
        time.sleep(0.002)


def _forget(learner: Any, path: list[str]) -> None:
    """Let a resume begin with a part of the state that is as in a new run."""
    load = learner.load_state_dict

    def without(self: Any, state: dict[str, Any]) -> None:
        fresh, held = self.state_dict(), state
        for name in path[:-1]:
            fresh, held = fresh[name], held[name]
        held[path[-1]] = fresh[path[-1]]
        load(self, state)

    learner.load_state_dict = without


# ---- a job -----------------------------------------------------------------------------------------------------------


class Job:
    """A run under mpirun, in a folder that all its processes have as their working directory."""

    def __init__(
        self, python: Path, folder: Path, trial: Trial | None, *more: str, forget: str = "", timeout: int = TIMEOUT
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for left in ("reached", "fired", *(path.name for path in folder.glob("pid.*"))):
            (folder / left).unlink(missing_ok=True)
        held = (trial.moment, trial.point, str(trial.turn)) if trial else ("", "", "0")
        program = [str(python), str(Path(__file__).resolve()), "rank", *held, forget]
        line = RUN.format(root=ROOT, timeout=timeout).split()
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        waiting = {
            "MPIR_CVAR_CH4_PROGRESS_THROTTLE": "1",
            "MPIR_CVAR_CH4_PROGRESS_THROTTLE_NO_PROGRESS_COUNT": "64",
            "OMPI_MCA_mpi_yield_when_idle": "1",
        }
        self.folder, self._err = folder, open(folder / "stderr", "wb")  # noqa: SIM115 - the job's
        self.process = subprocess.Popen(
            [*mpirun(python), *program, *line, "--out", "run", *more], cwd=folder, start_new_session=True,
            env=os.environ | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""} | one_thread | waiting,
            stdin=subprocess.DEVNULL, stdout=self._err, stderr=self._err,
        )  # fmt: skip

    def ranks(self) -> list[int]:
        """Process ids of those that have begun."""
        return sorted(int(path.suffix[1:]) for path in self.folder.glob("pid.*"))

    def processes(self) -> list[int]:
        """Everything of this job that is there, but for what has ended and waits for its parent."""
        found = []
        for path in Path("/proc").iterdir():
            if path.name.isdecimal():
                with contextlib.suppress(OSError):
                    dead = " Z " in (path / "stat").read_text() or " X " in (path / "stat").read_text()
                    if os.readlink(path / "cwd") == str(self.folder) and not dead:
                        found.append(int(path.name))
        return found

    def wait(self, seconds: float, processes: bool = True) -> bool:
        """Until the launcher, and with `processes` all others, have ended; whether they did in time."""
        until = time.monotonic() + seconds
        while self.process.poll() is None or (processes and self.processes()):
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def wait_for(self, what: Any) -> bool:
        """Until something is true; False if the job ends before."""
        until = time.monotonic() + START_S
        while not what():
            if self.process.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(0.005)
        return True

    def kill(self) -> None:
        """Kill what is left of it."""
        for pid in [*self.processes(), *([self.process.pid] if self.process.poll() is None else [])]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self._err.close()

    def said(self) -> list[str]:
        return ours((self.folder / "stderr").read_text(errors="replace"))


def ours(text: str) -> list[str]:
    """Lines of ours in what was printed, also those of a single rank, without tracebacks' own lines."""
    return [line[:300] for line in text.splitlines() if re.match(r"(\[rank \d+\] )?(trpo-gail\b.*: |Traceback)", line)]


@functools.cache
def mpirun(python: Path) -> tuple[str, ...]:
    """The first words of a job's command."""
    more = ("--oversubscribe", "--allow-run-as-root") if name_of(python) == "Open MPI" else ()
    return (_launcher(python), *more, "-n", str(RANKS))


def _launcher(python: Path) -> str:
    path = shutil.which("mpirun", path=f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if path is None:
        sys.exit(f"chaos.py: no mpirun beside {python} or on the PATH")
    return path


@functools.cache
def name_of(python: Path) -> str:
    """The MPI whose launcher is beside a Python."""
    said = subprocess.run([_launcher(python), "--version"], capture_output=True, text=True).stdout.lower()
    return "Open MPI" if "open mpi" in said or "open-mpi" in said else "MPICH"


# ---- a trial ---------------------------------------------------------------------------------------------------------


def fire(job: Job, trial: Trial) -> None:
    """Send the signal, at the moment."""
    number = signal.Signals[trial.signal]
    ranks = job.ranks()
    one = ranks[min(trial.rank, len(ranks) - 1) :][:1]
    targets = {"rank": one, "launcher": [job.process.pid], "all": [job.process.pid, *job.processes()]}[trial.target]
    _send(targets, number)
    (job.folder / "fired").touch()
    if number == signal.SIGSTOP and trial.target != "rank":
        time.sleep(PAUSE_S)
        _send(targets, signal.SIGCONT)


def _send(pids: Sequence[int], number: int) -> None:
    for pid in dict.fromkeys(pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def reach(job: Job, trial: Trial, whole_s: float) -> bool:
    """Wait for the moment. False if the run ends before it."""
    if not job.wait_for(lambda: len(job.ranks()) == RANKS):
        return False
    if trial.moment != "any":
        return job.wait_for((job.folder / "reached").exists)
    with contextlib.suppress(subprocess.TimeoutExpired):
        job.process.wait(0.9 * trial.share * whole_s)
        return False
    return True


def attempt(
    trial: Trial, python: Path, folder: Path, whole: dict[str, Any], ends_s: float = ENDS_S, forget: str = "",
    timeout: int = TIMEOUT,
) -> Outcome:  # fmt: skip
    """Do a trial in an empty folder."""
    outcome = Outcome(name_of(python), asdict(trial))
    job = Job(python, folder, trial, timeout=timeout)
    try:
        if not reach(job, trial, whole["seconds"]):
            outcome.went_on = "over before the moment"
            if job.process.poll() != 0:
                outcome.failed = "the moment does not come, or the job fails by itself before it"
        else:
            fire(job, trial)
        began = time.monotonic()
        in_time = job.wait(ends_s + _more_time(trial, whole["seconds"], timeout))
        outcome.ended_s, outcome.left = round(time.monotonic() - began, 1), len(job.processes())
        outcome.code, outcome.said = job.process.poll() or 0, job.said()
        if not in_time and not outcome.failed:
            outcome.failed = f"no end after {outcome.ended_s} s, {outcome.left} processes left"
    finally:
        job.kill()
    try:
        outcome.went_on = outcome.went_on or go_on(python, folder, forget, timeout)
        different = differences(whole, read(folder / "run"))
        outcome.failed = outcome.failed or "; ".join(different)
    except Exception as error:
        outcome.failed = outcome.failed or f"{type(error).__name__}: {error}"
    return outcome


def _more_time(trial: Trial, whole_s: float, timeout: int) -> float:
    """Seconds that the end may take longer: until a hang is noticed, or for a whole run, if it goes on."""
    if trial.signal != "SIGSTOP":
        return 0.0
    if trial.target != "rank":
        return 2.0 * whole_s
    return MPI_STARTS_S if trial.moment in ("start", "any") else timeout


def go_on(python: Path, folder: Path, forget: str, timeout: int) -> str:
    """Resume a run that has not finished, or begin it if it never did. Raises RuntimeError if that fails."""
    run = folder / "run"
    if (run / "summary.json").exists() and json.loads((run / "summary.json").read_text())["stopped"] == "iterations":
        return "finished"
    how = "resumed" if (run / "config.json").exists() else "begun anew"
    job = Job(python, folder, None, *(["--resume"] if run.exists() else []), forget=forget, timeout=timeout)
    try:
        if not job.wait(START_S) or job.process.returncode:
            raise RuntimeError(f"{how}: exit code {job.process.poll()}: {' | '.join(job.said())}")
    finally:
        job.kill()
    return how


# ---- comparing -------------------------------------------------------------------------------------------------------


def read(run: Path) -> dict[str, Any]:
    """What must be the same."""
    best = torch.load(run / "checkpoints" / "best.pt", weights_only=True)["learner"]
    left = [path.name for path in run.rglob("*") if path.suffix in (".part", ".damaged", ".old")]
    return digests.read_run(run) | {
        "best": dict(digests._entries("", best)), "events": list(events(run)), "left": left,
    }  # fmt: skip


def events(run: Path) -> Iterator[tuple[str, int, float]]:
    """TensorBoard's values, without seconds."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(run)).Reload()
    for tag in accumulator.Tags()["scalars"]:
        if not tag.endswith("_s"):
            yield from ((tag, event.step, event.value) for event in accumulator.Scalars(tag))


def differences(whole: dict[str, Any], run: dict[str, Any]) -> list[str]:
    """In words; and what a run should have cleaned up."""
    found = [*digests.compare(whole, run)[0]]
    found += [f"{name} differ" for name in ("best", "events") if repr(whole[name]) != repr(run[name])]
    return found + [f"{name} is left" for name in run["left"]]


def undisturbed(python: Path, folder: Path) -> dict[str, Any]:
    """The run that nothing befalls, and its seconds."""
    job, began = Job(python, folder, None), time.monotonic()
    try:
        if not job.wait(START_S) or job.process.returncode:
            sys.exit(f"chaos.py: the undisturbed run failed: {' | '.join(job.said())}")
    finally:
        job.kill()
    return read(folder / "run") | {"seconds": time.monotonic() - began}


# ---- the command -----------------------------------------------------------------------------------------------------


def table(outcomes: Sequence[dict[str, Any]]) -> str:
    """Counts by signal and target, as Markdown; of a trial that was done again, the last try counts."""
    tries, outcomes = outcomes, list({(o["mpi"], o["trial"]["number"]): o for o in outcomes}.values())
    lines = [
        "| MPI | signal | to | trials | failed | processes left | longest end, s |",
        "|---|---|---|---|---|---|---|",
    ]
    kinds = collections.defaultdict(list)
    for outcome in outcomes:
        kinds[outcome["mpi"], outcome["trial"]["signal"], outcome["trial"]["target"]].append(outcome)
    for kind, held in sorted(kinds.items()):
        failed, left = sum(bool(o["failed"]) for o in held), sum(o["left"] for o in held)
        lines.append(f"| {' | '.join(kind)} | {len(held)} | {failed} | {left} | {max(o['ended_s'] for o in held)} |")
    moments = collections.Counter(o["trial"]["moment"] for o in outcomes)
    ways = collections.Counter(o["went_on"] for o in outcomes)
    failed = sum(bool(o["failed"]) for o in outcomes)
    again = len(tries) - len(outcomes)
    more = f", {again} failed at first and {'was' if again == 1 else 'were'} done again" if again else ""
    return "\n".join([
        *lines, "", f"{len(outcomes)} trials, {failed} failed{more}. Moments: {_counts(moments)}. After: {_counts(ways)}.",
    ])  # fmt: skip


def _counts(counts: collections.Counter[str]) -> str:
    return ", ".join(f"{name or 'nothing'} {number}" for name, number in sorted(counts.items()))


def main(arguments: list[str]) -> int:
    """0: all trials went well. 1: a trial failed. 2: a mistake in a flag."""
    if arguments[:1] == ["rank"]:
        return be_rank(arguments[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a line of JSON per trial")
    parser.add_argument("--trials", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--python", type=Path, action="append", help="with its own MPI; several are tried in turn")
    parser.add_argument(
        "--ends", type=float, default=ENDS_S, help="seconds in which a job must end; more if others work"
    )
    parser.add_argument("--timeout", type=int, default=TIMEOUT, help="--rank_timeout of the job; more if others work")
    parser.add_argument("--again", action="store_true", help="do those that failed once more")
    parser.add_argument("--forget", default="", help="part of the state that the resume loses: trials must fail then")
    parser.add_argument("--signal", choices=SIGNALS, help="instead of the one that is drawn")
    parser.add_argument("--moment", choices=MOMENTS, help="instead of the one that is drawn")
    parser.add_argument("--table", action="store_true", help="print the counts of OUT, and do nothing")
    given = parser.parse_args(arguments)
    done = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    if given.table:
        print(table(done))
        return 0
    fixed = {name: value for name in ("signal", "moment") if (value := getattr(given, name))}
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        failed = _trials(given, done, fixed, Path(folder).resolve())
    return 1 if failed else 0


def _trials(given: argparse.Namespace, done: list[dict[str, Any]], fixed: dict[str, Any], folder: Path) -> int:
    """Do those that are not done; how many failed."""
    pythons = given.python or [Path(sys.executable)]
    wholes: dict[Path, dict[str, Any]] = {}
    last = {(o["mpi"], o["trial"]["number"]): o for o in done}
    known, failed = {key for key, outcome in last.items() if not (given.again and outcome["failed"])}, 0
    for number in range(given.first, given.first + given.trials):
        python = pythons[number % len(pythons)]
        if (name_of(python), number) in known:
            continue
        if python not in wholes:
            wholes[python] = undisturbed(python, folder / f"whole{len(wholes)}")
        trial = replace(Trial.draw(number), **fixed)
        outcome = attempt(trial, python, folder / str(number), wholes[python], given.ends, given.forget, given.timeout)
        shutil.rmtree(folder / str(number), ignore_errors=True)
        with open(given.out, "a") as out:
            out.write(json.dumps(asdict(outcome)) + "\n")
        what = f"{outcome.mpi:8} {number:4} {trial.moment:10} {trial.signal:7} {trial.target:8}"
        print(f"{what} {outcome.ended_s:5.1f} s  {outcome.went_on:12} {outcome.failed or 'same'}", flush=True)
        failed += bool(outcome.failed)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
