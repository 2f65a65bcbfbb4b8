"""How fast demonstrations are loaded and converted, against how fast h5py reads and copies the same bytes, and what memory
converting takes.

Each measurement runs in a process of its own. Loading and reading take turns, and so do each conversion and a copy, so that
a machine whose speed drifts favours none; medians and the median of paired ratios count. Memory is the largest that was
resident in the process that converts.
"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from trpo_gail.bench.jobs import Found, last_line, machine, tell
from trpo_gail.errors import UserError, of_system
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import native

EPISODES, STEPS = 1000, 1000  # of the file that is loaded
_ROW = 83  # bytes of a row in the native file
LOADED = EPISODES * STEPS * _ROW  # bytes of that file
DISK = 7  # times the converted file: what is there while the last conversions are made
LEAST = 0.2  # of the seconds to start that a conversion must take beside these, for a rate to mean anything
PIECE = 10  # episodes that are made at once: what is written at once takes less than a second, in which a signal waits
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


def bench_data(gigabytes: float, repeats: int, folder: str | None, episodes: int = EPISODES) -> Found:
    """Run all measurements; prints nothing. Files are made in a new folder within `folder`, and removed. `episodes` are those
    of the file that is loaded. Raises UserError."""
    if not 0 < gigabytes < math.inf:
        raise UserError(f"--gigabytes: {gigabytes:g} given, more than 0 expected")
    if repeats < 1:
        raise UserError(f"--repeats: {repeats} given, at least 1 expected")
    try:
        free = shutil.disk_usage(folder or tempfile.gettempdir()).free
        needed = DISK * 1e9 * gigabytes + LOADED
        if free < needed:
            raise UserError(
                f"--gigabytes: {gigabytes:g} given, which needs {needed / 1e9:.3g} GB in the folder, and {free / 1e9:.3g} GB "
                "are free"
            )
        with tempfile.TemporaryDirectory(dir=folder) as name:
            loading = _loading(Path(name), repeats, episodes)
            return {
                "bench": "data",
                **machine(),
                "repeats": repeats,
                "loading": loading,
                **_converting(Path(name), gigabytes),
            }
    except OSError as error:
        where = f"{folder}: {error.strerror or error}" if folder else of_system(error)
        raise UserError(f"--folder: {where}") from error


def pieces(episodes: int) -> Iterator[Demonstrations]:
    """Episodes of 1,000 steps with 17 numbers an observation and 6 an action, as of HalfCheetah, drawn at random."""
    for i in range(0, episodes, PIECE):
        rng, lengths = np.random.default_rng(i), np.full(min(PIECE, episodes - i), STEPS)
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


def _loading(folder: Path, repeats: int, episodes: int) -> Found:
    tell("loading")
    path = _written(folder / "load.h5", episodes)
    seconds: dict[str, list[float]] = {"read": [], "load": []}
    for _ in range(repeats):
        for what, times in seconds.items():
            times.append(_seconds(what, path))
    size = path.stat().st_size
    path.unlink()
    return {
        "rows": episodes * STEPS,
        "bytes": size,
        "h5py_s": median(seconds["read"]),
        "load_s": median(seconds["load"]),
        "h5py_all": seconds["read"],
        "load_all": seconds["load"],
        "ratio": median(read / load for read, load in zip(seconds["read"], seconds["load"], strict=True)),
    }


def _converting(folder: Path, gigabytes: float) -> Found:
    files = {"native": _written(folder / "native", max(1, round(gigabytes * 1e9 / _ROW / STEPS)))}
    size = files["native"].stat().st_size
    short, rows = _written(folder / "short", 1), []
    for source, to in CONVERSIONS:
        tell(f"converting {source} to {to}")
        out = folder / (to if to not in files else "again")
        copy_s = _seconds("copy", files["native"])
        start_s = converted(short, folder / "short_again", "native")[1]
        (folder / "short_again").unlink()
        megabytes, taken = converted(files[source], out, to)
        own = taken - start_s if taken - start_s > LEAST * start_s else None
        rows.append(
            {
                "from": source,
                "to": to,
                "seconds": taken,
                "start_s": start_s,
                "megabytes_s": own and size / 1e6 / own,
                "ratio": own and copy_s / own,
                "peak_mib": megabytes,
            }
        )
        if to not in files:
            files[to] = out
        else:
            out.unlink()
    return {"converted_bytes": size, "conversions": rows}


# `trpo-gail`, followed by the memory that it took, and its seconds, without those of starting Python.
_MAIN = (
    "import sys, time; from trpo_gail.cli import main; from trpo_gail.bench.resident import resident; "
    "began = time.perf_counter(); code = main(sys.argv[1:]); taken = time.perf_counter() - began; "
    "print(resident(), taken); sys.exit(code)"
)


def converted(source: Path, out: Path, to: str) -> tuple[int, float]:
    """Convert a file in a fresh process; the most megabytes that were resident there, and the seconds."""
    megabytes, seconds = _child(["-c", _MAIN, "data", "convert", str(source), str(out), "--to", to]).split()
    return int(megabytes), float(seconds)


def _seconds(what: str, path: Path) -> float:
    return float(_child(["-m", "trpo_gail.bench.data", what, str(path)]))


def _child(words: list[str]) -> str:
    """What a fresh process prints last."""
    return last_line([sys.executable, *words], "a measurement of data")


# ---- in the measured process -----------------------------------------------------------------------------------------


def _measure(what: str, path: str) -> None:
    """Print the seconds that it takes to load a file, or h5py to read or copy it."""
    import h5py

    from trpo_gail.experts.load import load

    began = time.perf_counter()
    if what == "load":
        load(path)
    else:
        with h5py.File(path) as file:
            held = {name: file[name][()] for name in file}
        assert held
        if what == "copy":
            _copy(Path(f"{path}.copy"), held)
    print(time.perf_counter() - began)


def _copy(path: Path, held: dict[str, Any]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name, values in held.items():
            file[name] = values
    path.unlink()


if __name__ == "__main__":
    _measure(*sys.argv[1:])
