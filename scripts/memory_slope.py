"""Train for some minutes, sample the memory of all ranks, and fit its slope.

    python scripts/memory_slope.py --out results/faults/memory.csv                    two hours of each task
    python scripts/memory_slope.py --out memory.csv --minutes 3 --skip 1 --env CartPole-v1
    python scripts/memory_slope.py --out memory.csv --table                           the slopes so far, as Markdown

Every ten seconds, OUT gets a line per rank: the lowest and the mean of its resident memory (RSS) in a hundred samples.
Within an iteration a rank's memory rises and falls by some thirty MB, since freed pages are given back. What it falls to
is what it keeps, and a leak raises that. The mean also depends on how long each phase of an iteration lasts, which
changes with whatever else runs on the machine. The slope is that of a straight line through the lowest RSS of five minutes
each (--window), the sum of all ranks', from the end of the first ten minutes on (--skip); that of the means stands beside
it. The settings are those of users: evaluations, checkpoints and events are written.

A task that OUT holds already for its whole time is not run again. Linux only. Exit code 1 if a slope reaches --most, or
a run fails.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from trpo_gail.system.launcher import LAUNCHERS  # noqa: E402
from trpo_gail.system.terminal import guarded  # noqa: E402

COLUMNS = ("env", "seconds", "rank", "lowest_mb", "mean_mb")
SAMPLE_S = 0.1  # seconds between two samples
SAMPLES = 100  # of a line
EVERY_S = SAMPLE_S * SAMPLES
START_S = 300.0  # for the ranks to begin, on a busy machine
END_S = 300.0  # for an iteration and a checkpoint
RANK = {name for name, _ in LAUNCHERS if name != "SLURM_PROCID"}  # variables that hold a process's rank
ENDLESS = ("--steps", str(10**9), "--iterations", str(10**8), "--quiet")


# ---- a run ---------------------------------------------------------------------------------------------------------


def ranks(folder: Path) -> dict[int, int]:
    """Process ids by rank, of those whose working directory is the folder. Their child processes have no rank."""
    found = {}
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdecimal() and Path(os.readlink(path / "cwd")) == folder:
                words = (path / "environ").read_bytes().split(b"\0")
                told = dict(word.decode(errors="replace").split("=", 1) for word in words if b"=" in word)
                for name in RANK & told.keys():
                    found[int(told[name])] = int(path.name)
    return found


def memory(pid: int) -> float:
    """RSS in MB. Raises OSError if the process has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(f"process {pid} has no memory any more")


@contextlib.contextmanager
def job(env: str, number: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A training without an end, whose processes have the folder as their working directory."""
    beside = Path(sys.executable).with_name("mpirun")
    launcher = str(beside) if beside.exists() else shutil.which("mpirun") or sys.exit("memory_slope.py: no mpirun")
    said = subprocess.run([launcher, "--version"], capture_output=True, text=True, check=False).stdout.lower()
    more = ("--oversubscribe", "--allow-run-as-root") if "open mpi" in said or "open-mpi" in said else ()
    train = ("-m", "trpo_gail", "train", env, "--expert", str(ROOT / "expert_data" / f"{env}.h5"), "--out", "run")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [launcher, *more, "-n", str(number), sys.executable, *train, *ENDLESS], cwd=folder, start_new_session=True,
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        for pid in ranks(folder).values():  # Open MPI's are in groups of their own
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def sample(env: str, number: int, seconds: float, out: Path) -> str:
    """Run a task for so long, with a line in OUT per rank and sample; why it failed, or an empty string."""
    with tempfile.TemporaryDirectory(prefix="memory") as name:
        folder = Path(name).resolve()
        with job(env, number, folder) as process:
            if not _until(lambda: len(ranks(folder)) == number and (folder / "run/metrics.csv").exists(), process):
                return f"no first iteration: {_last_line(folder)}"
            pids, began = ranks(folder), time.monotonic()
            while (now := time.monotonic() - began) < seconds and process.poll() is None:
                samples = []
                for _ in range(SAMPLES):
                    with contextlib.suppress(OSError):
                        samples.append([memory(pid) for _, pid in sorted(pids.items())])
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(SAMPLE_S)
                if process.poll() is None and samples:
                    with open(out, "a") as file:
                        both = zip(np.min(samples, axis=0), np.mean(samples, axis=0), strict=True)
                        file.writelines(
                            f"{env},{now:.1f},{rank},{low:.2f},{mean:.2f}\n" for rank, (low, mean) in enumerate(both)
                        )
            if process.poll() is not None:
                return f"it ended after {now:.0f} s: {_last_line(folder)}"
            process.send_signal(signal.SIGUSR1)
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(END_S)
                return f"exit code {code}: {_last_line(folder)}" if code else ""
            return f"it did not end within {END_S:.0f} s of its signal"


def _until(what: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + START_S
    while not what():
        if process.poll() is not None or time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def _last_line(folder: Path) -> str:
    return ((folder / "log").read_text(errors="replace").strip().splitlines() or ["it says nothing"])[-1]


# ---- the slopes ----------------------------------------------------------------------------------------------------


def read(out: Path) -> dict[str, dict[float, np.ndarray]]:
    """The lowest and the mean RSS of each rank [ranks, 2], by task and seconds."""
    found: dict[str, dict[float, list[tuple[float, float]]]] = {}
    with open(out, newline="") as file:
        for row in csv.DictReader(file):
            old = row.get("rss_mb", "")  # of the files from before there was a lowest
            both = float(row.get("lowest_mb", old)), float(row.get("mean_mb", old))
            found.setdefault(row["env"], {}).setdefault(float(row["seconds"]), []).append(both)
    return {env: {time_s: np.array(both) for time_s, both in samples.items()} for env, samples in found.items()}


def held(out: Path, env: str, seconds: float) -> bool:
    """Whether OUT has a task for so long. If it has less of it, these rows are dropped."""
    lines = out.read_text().splitlines(keepends=True)
    own = [float(line.split(",")[1]) for line in lines[1:] if line.startswith(f"{env},")]
    if own and max(own) >= seconds - 2 * EVERY_S:
        return True
    out.write_text("".join(line for line in lines if not line.startswith(f"{env},")))
    return False


def slope(seconds: Sequence[float], megabytes: Sequence[float]) -> tuple[float, float]:
    """MB an hour by least squares, and its standard error. Raises ValueError for fewer than three samples."""
    if len(seconds) < 3:
        raise ValueError(f"{len(seconds)} windows, at least 3 expected")
    hours, values = np.array(seconds) / 3600, np.array(megabytes)
    (rate, start), spread = np.polyfit(hours, values, 1), hours - hours.mean()
    rest = values - rate * hours - start
    return float(rate), float(np.sqrt(rest @ rest / (len(rest) - 2) / (spread @ spread)))


def windows(samples: dict[float, np.ndarray], skip: float, window: float) -> list[tuple[float, float, float]]:
    """From `skip` on, all in seconds, of each window: its middle, and the sums over ranks of the lowest and the mean RSS."""
    parts: dict[float, list[float]] = {}
    for time_s in sorted(samples):
        if time_s >= skip:
            parts.setdefault((time_s - skip) // window if window else time_s, []).append(time_s)
    found = []
    for times in parts.values():
        if times[-1] - times[0] < window / 2:  # the last one, with few samples
            continue
        both = np.array([samples[time_s] for time_s in times])  # [T, ranks, 2]
        found.append((float(np.mean(times)), float(both[..., 0].min(0).sum()), float(both[..., 1].mean(0).sum())))
    return found


def table(out: Path, skip: float, window: float, most: float) -> tuple[str, bool]:
    """A row per task, as Markdown, and whether all slopes are below `most`, in MB an hour."""
    lines = [
        "| task | ranks | minutes | skipped | first, MB | last, MB | slope, MB an hour | of means |",
        "|---|---|---|---|---|---|---|---|",
    ]
    good = True
    for env, samples in read(out).items():
        kept = windows(samples, skip, window)
        times, lowest, means = ([row[column] for row in kept] for column in range(3))
        try:
            (rate, error), other = slope(times, lowest), slope(times, means)
        except ValueError as reason:
            lines.append(f"| {env} | {reason} after {skip / 60:g} minutes |")
            good = False
            continue
        number = len(next(iter(samples.values())))
        lines.append(
            f"| {env} | {number} | {max(samples) / 60:.0f} | {skip / 60:g} | {lowest[0]:.1f} | {lowest[-1]:.1f} "
            f"| {round(rate, 2) + 0.0:.2f} ± {error:.2f} | {round(other[0], 2) + 0.0:.2f} ± {other[1]:.2f} |"
        )
        good &= rate < most
    return "\n".join(lines), good


@guarded
def main(arguments: Sequence[str]) -> int:
    """0: all slopes are below --most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a line per rank and sample")
    parser.add_argument("--env", nargs="+", default=["Hopper-v4", "CartPole-v1"], help="tasks of expert_data/")
    parser.add_argument("--minutes", type=float, default=130.0, help="of each task, after its first iteration")
    parser.add_argument("--skip", type=float, default=10.0, help="minutes that the slope leaves out")
    parser.add_argument("--window", type=float, default=5.0, help="minutes of which the lowest memory counts")
    parser.add_argument("--ranks", type=int, default=2, help="how many")
    parser.add_argument("--most", type=float, default=1.0, help="MB an hour that a slope must stay below")
    parser.add_argument("--table", action="store_true", help="print the slopes of OUT, and do nothing")
    given = parser.parse_args(arguments)
    failed = False
    for number in (signal.SIGTERM, signal.SIGHUP):  # the ranks, in a session of their own, must not train on for ever
        signal.signal(number, lambda got, frame: sys.exit(128 + got))
    if not given.table:
        if not given.out.exists():
            given.out.write_text(",".join(COLUMNS) + "\n")
        seconds = 60 * given.minutes
        for env in given.env:
            if not held(given.out, env, seconds) and (why := sample(env, given.ranks, seconds, given.out)):
                print(f"memory_slope.py: {env}: {why}", file=sys.stderr)
                failed = True
    text, good = table(given.out, 60 * given.skip, 60 * given.window, given.most)
    print(text)
    return 0 if good and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
