"""Seconds that a start takes: of `--help`, and from a command to the end of training's first iteration."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from trpo_gail.bench.jobs import Found, about, check, in_turn, last_line, started, what_failed
from trpo_gail.config.presets import preset
from trpo_gail.studies.launch import mpirun

ENV = "CartPole-v1"  # its demonstrations come with the package
PROGRAM = (sys.executable, "-m", "trpo_gail")
ONE_ITERATION = ("--iterations", "1", "--eval_every", "0", "--final_episodes", "0", "--quiet")
LOOK_S = 0.01  # between two looks at metrics.csv


def start(ranks: Sequence[int], repeats: int) -> Found:
    """Measure `--help`, and a training on each number of ranks, in turn; prints nothing. Raises UserError."""
    config = dataclasses.replace(preset("default", ENV), expert=ENV)
    check(config, ranks, repeats=repeats)
    kinds: dict[tuple[str, int], Callable[[], float]] = {("--help", 1): help_}
    kinds |= {("first iteration", number): partial(first_iteration, number) for number in ranks}
    taken = in_turn(repeats, {f"{what} {number}": call for (what, number), call in kinds.items()})
    rows = [
        {"what": what, "ranks": number, "seconds": median(of), "all": of}
        for (what, number), of in zip(kinds, taken.values(), strict=True)
    ]
    return {"bench": "start", **about(config), "repeats": repeats, "rows": rows}


def help_() -> float:
    """Seconds of `trpo-gail --help`."""
    begin = time.perf_counter()
    last_line([*PROGRAM, "--help"], "--help")
    return time.perf_counter() - begin


def first_iteration(ranks: int) -> float:
    """Seconds until the row of the first iteration is in metrics.csv. Raises UserError if there is none."""
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder) / "run", Path(folder) / "log"
        command = [*mpirun(ranks), *PROGRAM, "train", ENV, "--expert", ENV, *ONE_ITERATION, "--out", str(out)]
        begin = time.perf_counter()
        with open(log, "wb") as said, started(command, stdout=said, stderr=said) as process:
            while not _has_a_row(out / "metrics.csv") and process.poll() is None:
                time.sleep(LOOK_S)
            seconds = time.perf_counter() - begin
            process.wait()
        if process.returncode or not _has_a_row(out / "metrics.csv"):
            raise what_failed(f"training on {ranks} rank(s)", log.read_text(errors="replace"), process.returncode)
        return seconds


def _has_a_row(metrics: Path) -> bool:
    return metrics.exists() and metrics.read_bytes().count(b"\n") > 1  # the first is the header
