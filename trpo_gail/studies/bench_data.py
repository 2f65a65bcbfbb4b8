"""How fast demonstrations are loaded, against how fast h5py reads the same bytes, and what memory converting takes.

Each measurement runs in a process of its own. Loading and reading take turns, so that a machine whose speed drifts
favours neither; medians and the median of paired ratios count. Memory is the largest that was resident in the process
that converts.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import native
from trpo_gail.studies.launch import ONE_THREAD

EPISODES, STEPS = 1000, 1000  # of the file that is loaded
_ROW = 83  # bytes of a row in the native file
# What is converted into what, one after the other; each reads what one before has written.
CONVERSIONS = (
    ("native", "native"),
    ("native", "d4rl"),
    ("native", "minari"),
    ("native", "stable_baselines"),
    ("d4rl", "native"),
    ("minari", "native"),
    ("stable_baselines", "native"),
)


def bench_data(gigabytes: float, repeats: int, folder: str | None) -> dict[str, Any]:
    """Run all measurements; prints nothing. Files are made in a new folder within `folder`, and removed."""
    if gigabytes <= 0 or repeats < 1:
        raise UserError(f"--gigabytes {gigabytes}, --repeats {repeats}: each must be more than 0")
    try:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            return _loading(Path(name), repeats) | _converting(Path(name), gigabytes)
    except FileNotFoundError as error:
        raise UserError(f"--folder: {error.filename}: no such folder") from error


def pieces(episodes: int) -> Iterator[Demonstrations]:
    """Episodes of 1,000 steps with 17 numbers an observation and 6 an action, as of HalfCheetah, drawn at random."""
    for i in range(0, episodes, 100):
        rng, lengths = np.random.default_rng(i), np.full(min(100, episodes - i), STEPS)
        steps = np.tile(np.arange(STEPS), len(lengths))
        rewards = rng.normal(size=len(steps)).astype(np.float32)
        yield Demonstrations(
            observations=rng.normal(size=(len(steps), 17)).astype(np.float32),
            actions=rng.normal(size=(len(steps), 6)).astype(np.float32),
            terminals=np.zeros(len(steps), bool),
            timeouts=steps == STEPS - 1,
            steps=steps,
            episode_lengths=lengths,
            rewards=rewards,
            episode_returns=rewards.reshape(-1, STEPS).sum(axis=1, dtype=np.float64),
            final_observations=rng.normal(size=(len(lengths), 17)).astype(np.float32),
        )


def _written(path: Path, episodes: int) -> Path:
    with native.writing(path) as append:
        for piece in pieces(episodes):
            append(piece)
    return path


def _loading(folder: Path, repeats: int) -> dict[str, Any]:
    path = _written(folder / "load.h5", EPISODES)
    seconds: dict[str, list[float]] = {"read": [], "load": []}
    for _ in range(repeats):
        for what, times in seconds.items():
            times.append(float(_child(["-m", "trpo_gail.studies.bench_data", what, str(path)])))
    path.unlink()
    pairs = zip(seconds["read"], seconds["load"], strict=True)
    return {
        "episodes x steps x dimensions": f"{EPISODES} x {STEPS} x 17",
        "repeats": repeats,
        "h5py reads it, seconds": median(seconds["read"]),
        "it is loaded, seconds": median(seconds["load"]),
        "rate of loading / h5py's": median(read / load for read, load in pairs),
    }


def _converting(folder: Path, gigabytes: float) -> dict[str, Any]:
    files = {"native": _written(folder / "native", max(1, round(gigabytes * 1e9 / _ROW / STEPS)))}
    found: dict[str, Any] = {"size of the native file, bytes": files["native"].stat().st_size}
    for source, to in CONVERSIONS:
        out = folder / (to if to not in files else "again")
        began = time.perf_counter()
        megabytes = converted(files[source], out, to)
        taken = time.perf_counter() - began
        found[f"{source} to {to}"] = f"{megabytes} MB resident at most, {taken:.0f} s"
        if to not in files:
            files[to] = out
        else:
            out.unlink()
    return found


# `trpo-gail`, followed by the memory that it took.
_MAIN = (
    "import sys; from trpo_gail.cli import main; from trpo_gail.studies.bench_data import resident; "
    "code = main(sys.argv[1:]); print(resident()); sys.exit(code)"
)


def converted(source: Path, out: Path, to: str) -> int:
    """Convert a file in a fresh process; the most megabytes that were resident there."""
    return int(_child(["-c", _MAIN, "data", "convert", str(source), str(out), "--to", to]))


def _child(words: list[str]) -> str:
    """What a fresh process prints last."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=os.environ | ONE_THREAD)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UserError(f"bench data: a measurement failed: {said[-1]}")
    return done.stdout.strip().splitlines()[-1]


# ---- in the measured process -----------------------------------------------------------------------------------------


def _measure(what: str, path: str) -> None:
    """Print the seconds that it takes to load, or read, a file."""
    import h5py

    from trpo_gail.experts.load import load

    began = time.perf_counter()
    if what == "load":
        load(path)
    else:
        with h5py.File(path) as file:
            held = [file[name][()] for name in file]
        assert held
    print(time.perf_counter() - began)


def resident() -> int:
    """The most megabytes that were resident in this process."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) >> 10
    except (OSError, StopIteration):  # no Linux; the kernel's other number counts what the parent had as well
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most >> (20 if sys.platform == "darwin" else 10)


if __name__ == "__main__":
    _measure(*sys.argv[1:])
