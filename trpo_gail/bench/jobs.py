"""Measurements in processes of their own, each rank on a core of its own, and what was measured on which machine."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any, Literal

from trpo_gail.config.files import to_dict
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.experts import catalogue
from trpo_gail.studies.launch import ONE_THREAD, mpirun
from trpo_gail.system.cores import cores
from trpo_gail.system.launcher import unlaunched_environment

Found = dict[str, Any]
What = Literal["raw", "training", "messages"]
NEVER = 10**12  # steps
WAITING = ("MPIR_CVAR_", "OMPI_MCA_mpi_yield")  # starts of names
MARK = "bench found: "  # begins the line of a measured process that holds what it found


def measured(what: What, config: Config, ranks: int, seconds: float = 0.0, iterations: int = 1) -> Found:
    """What one fresh process, or `ranks` of them, found. Raises UserError if it fails, or without mpirun."""
    job = {
        "what": what,
        "config": to_dict(endless(config)),
        "seconds": seconds,
        "iterations": iterations,
        "by": os.getpid(),
    }
    command = [*mpirun(ranks), sys.executable, "-m", "trpo_gail.bench.child", json.dumps(job)]
    found: Found = json.loads(last_line(command, f"the {what} measurement on {ranks} rank(s)", MARK))
    return found


def last_line(command: Sequence[str], what: str, mark: str = "") -> str:
    """What a fresh process prints last, behind a mark if there is one: an environment may print, too. Raises UserError if it
    fails."""
    pipe = subprocess.PIPE
    with started(command, stdout=pipe, stderr=pipe, text=True, errors="replace") as process:
        out, err = process.communicate()
    if process.returncode:
        raise what_failed(what, err, process.returncode)
    printed = [line for line in out.strip().splitlines() if mark in line]
    if not printed:
        raise UserError(f"bench: {what} printed no result")
    return printed[-1].partition(mark)[2] if mark else printed[-1]


@contextmanager
def started(command: Sequence[str], **how: Any) -> Iterator[subprocess.Popen[Any]]:
    """A fresh process, which an interruption ends, with its ranks: Open MPI's mpirun leaves them behind if it is killed."""
    process = subprocess.Popen(command, env=unlaunched_environment() | ONE_THREAD, **how)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


OURS = re.compile(r"^trpo_gail\.errors\.\w+: ")  # what a user need not see of an error's last line
ERROR = re.compile(r"[\w.]*(Error|Exception): |trpo-gail: ")  # how the last line of a traceback begins, and ours
RULE = re.compile(r"^-{20,}$", re.MULTILINE)  # around what Open MPI's mpirun says


def what_failed(what: str, stderr: str, code: int) -> UserError:
    """The error of a process that failed, in one line."""
    said = [line for line in stderr.strip().splitlines() if line.strip()]
    if RULE.search(stderr):  # the first paragraph has the reason
        last = " ".join(RULE.sub("", stderr).strip().partition("\n\n")[0].split())
    else:
        last = said[-1] if said else _ended(code)
    wrong = next((line for line in reversed(said) if ERROR.match(line)), last)
    return UserError(f"bench: {what} failed: {OURS.sub('', wrong)}")


def _ended(code: int) -> str:
    """How a process ended that said nothing."""
    try:
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    except ValueError:  # a number that is no signal's
        return f"exit code {code}"


@contextmanager
def on_one_core() -> Iterator[None]:
    """Keep this process on one core, where the system can: one that moves between cores loses what it holds in a cache."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def endless(config: Config) -> Config:
    """Without a limit, evaluations and checkpoints: the measurement says when it is over."""
    return dataclasses.replace(config, steps=NEVER, iterations=None, eval_every=0, final_episodes=0)


def demonstrations(env: str, expert: str | None) -> str | None:
    """The file to train on: the one that is named, or that of the repository or the package; None if there is none of
    these. Raises UserError if the named one is not there."""
    if expert is not None:
        catalogue.require(catalogue.located(expert))
        return expert
    own = Path(f"expert_data/{env.replace('Paper/', 'paper/')}.h5")
    if own.exists():
        return str(own)
    return env if env in catalogue.bundled() else None


def check(
    config: Config, ranks: Sequence[int], seconds: float = 1.0, repeats: int = 1, batches: Sequence[int] = ()
) -> None:
    """Raise UserError for a number that cannot be meant."""
    if batches and (min(batches) < config.num_envs or len(set(batches)) < len(batches)):
        raise UserError(
            f"--batches: {' '.join(map(str, batches))} given, different numbers from {config.num_envs} on expected, a row of "
            "each of --num_envs"
        )
    if not 0 < seconds < math.inf:
        raise UserError(f"--seconds: {seconds:g} given, more than 0 expected")
    if repeats < 1:
        raise UserError(f"--repeats: {repeats} given, at least 1 expected")
    if not ranks or min(ranks) < 1 or len(set(ranks)) < len(ranks):
        raise UserError(
            f"--ranks: {' '.join(map(str, ranks)) or 'nothing'} given, different numbers from 1 on expected"
        )
    if max(ranks) > config.num_envs:
        raise UserError(f"--ranks: {max(ranks)} given, at most {config.num_envs} expected, one for each of --num_envs")
    mpirun(max(ranks))  # is there, before the work and not in the middle of it


def tell(what: str) -> None:
    """Print what is measured now, on stderr: all of it may take minutes."""
    print(f"bench: {what}", file=sys.stderr, flush=True)


def in_turn(repeats: int, measurements: dict[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """Results by name, `repeats` of each. They take turns, so that a machine whose speed drifts favours none."""
    found: dict[str, list[Any]] = {name: [] for name in measurements}
    for turn in range(repeats):
        for name, measure in measurements.items():
            tell(f"{name}, turn {turn + 1} of {repeats}")
            found[name].append(measure())
    return found


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of paired ratios."""
    return median(a / b for a, b in zip(above, below, strict=True))


def about(config: Config) -> Found:
    """What a measurement was of, and on which machine."""
    return {
        "env": config.env,
        "preset": config.preset,
        "num_envs": config.num_envs,
        "timesteps_per_batch": config.timesteps_per_batch,
        "demonstrations": (config.expert or "random actions") if config.imitates else None,
        **machine(),
    }


def machine() -> Found:
    """The machine, and the versions on which its speed depends."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(cores()),
        "processor": _processor(),
        "python": platform.python_version(),
        "waiting": waiting_by(),
        "versions": {name: found for name in ("trpo_gail", "torch", "numpy", "envpool") if (found := _version(name))},
    }


def waiting_by() -> dict[str, str]:
    """The environment variables that are set and decide how ranks wait for messages: spinning, or asleep."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(WAITING)}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # no Linux
        return platform.processor() or platform.machine()
