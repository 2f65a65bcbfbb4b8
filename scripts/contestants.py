"""Who takes part in scripts/bench_peers.py, on which terms, and one run of each."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.bench.jobs import Found, last_line, measured
from trpo_gail.bench.throughput import PHASES
from trpo_gail.config.presets import changed, preset
from trpo_gail.config.tree import Config
from trpo_gail.envs import vector
from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.runs import metrics_file
from trpo_gail.studies.launch import ONE_THREAD, mpirun
from trpo_gail.system.launcher import unlaunched_environment

PROGRAMS = Path(__file__).with_name("peers")
NEAR = 0.95  # of the expert's return
OURS, EQUAL, ALONE = "ours", "ours, their terms", "sb3-contrib TRPO alone"
STEPPED = "ours, their terms and simulator"  # whose environments are gymnasium's, as the peers' are, and not EnvPool's
OWN = (OURS, EQUAL, STEPPED)


@dataclass(frozen=True)
class Terms:
    """What is the same for all peers: those numbers with which `imitation` and TRPO learned Hopper well."""

    num_envs: int = 8
    batch: int = 4096
    d_step: int = 8
    d_batch: int = 128
    vf_iters: int = 10
    vf_batch: int = 128
    gamma: float = 0.995
    lam: float = 0.97
    units: int = 64
    d_units: int = 100


@dataclass(frozen=True)
class Peer:
    """A program of another library."""

    venv: str
    program: str
    kind: str
    imitates: bool = True
    clips: bool = False  # its discriminator sees the learner's actions as they are executed, clipped to the bounds


PEERS = {
    "imitation TRPO": Peer("imitation", "imitation_gail.py", "trpo", clips=True),
    "imitation PPO": Peer("imitation", "imitation_gail.py", "ppo", clips=True),
    "Tianshou GAIL": Peer("tianshou", "tianshou_gail.py", "ppo"),
    ALONE: Peer("sb3", "sb3_trpo.py", "trpo", imitates=False),
}


@dataclass(frozen=True)
class Contestant:
    """Who trains, and on what. `threads` are those of a peer's one process; each rank of ours has one."""

    name: str
    cores: int
    threads: int = 1

    @property
    def is_peer(self) -> bool:
        return self.name in PEERS

    def __str__(self) -> str:
        threads = f", {self.threads} thread(s)" if self.is_peer else ""
        return f"{self.name}, {self.cores} core(s){threads}"


# ---- what all are given ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairs:
    """Files of the expert's pairs. Actions beyond the bounds would give the expert away to a discriminator that sees only
    clipped ones of the learner, so each peer has them as it sees its own."""

    raw: Path
    clipped: Path

    @classmethod
    def written(cls, folder: Path, expert: Demonstrations, bounds: tuple[np.ndarray, np.ndarray] | None) -> Pairs:
        """Both files, in a folder. `bounds` are those of the environment's actions; without them nothing is clipped."""
        made = cls(folder / "raw.npz", folder / "clipped.npz")
        clipped = expert.actions if bounds is None else np.clip(expert.actions, *bounds)
        for path, actions in ((made.raw, expert.actions), (made.clipped, clipped)):
            np.savez(path, observations=expert.observations, actions=actions)
        return made


@dataclass(frozen=True)
class Task:
    """What all train on."""

    folder: Path  # of the environments
    env: str
    expert: str
    pairs: Pairs
    bar: float
    seconds: float
    eval_every: int
    eval_episodes: int
    terms: Terms

    def job(self, who: Contestant, seed: int, bar: float | None, **more: Any) -> Found:
        """As `peers/common.py` reads it."""
        peer = PEERS[who.name]
        pairs = self.pairs.clipped if peer.clips else self.pairs.raw
        about = {"kind": peer.kind, "env": self.env, "pairs": str(pairs), "seed": seed}
        about |= {"cores": who.cores, "threads": who.threads}
        limits = {
            "seconds": self.seconds,
            "bar": bar,
            "eval_every": self.eval_every,
            "eval_episodes": self.eval_episodes,
        }
        return about | limits | dataclasses.asdict(self.terms) | more

    def settings(self, name: str) -> dict[str, Any]:
        """What ours has besides its own defaults, by path: the pairs, and perhaps the peers' terms."""
        found: dict[str, Any] = {"expert": self.expert, "trajectories": 4, "subsample": 20}
        if name in (EQUAL, STEPPED):
            found |= on_terms(self.terms)
        return found | ({"backend": "gymnasium"} if name == STEPPED else {})

    def config(self, name: str) -> Config:
        """The same as a config."""
        return changed(preset("default", self.env), self.settings(name))


def on_terms(terms: Terms) -> dict[str, Any]:
    """The settings that make ours learn from as many rows, as often, with networks of the same sizes. sb3-contrib's
    Fisher-vector products take all rows."""
    return {
        "num_envs": terms.num_envs,
        "timesteps_per_batch": terms.batch,
        "d_step": terms.d_step,
        "gamma": terms.gamma,
        "lam": terms.lam,
        "trpo.fvp_subsample": 1,
        "policy.hidden_sizes": (terms.units,) * 2,
        "critic.hidden_sizes": (terms.units,) * 2,
        "critic.vf_iters": terms.vf_iters,
        "critic.vf_batch_size": terms.vf_batch,
        "discriminator.hidden_size_adversary": terms.d_units,
        "discriminator.d_batch_size": terms.d_batch,
        "discriminator.gradient_penalty": 0.0,
    }


def bar_of(expert: Demonstrations, file: str) -> float:
    """95 % of the mean return of the trajectories that are given, whatever else their file holds. Raises UserError."""
    mean = expert.given_return_mean
    if mean is None:
        raise UserError(f"--expert: {file} holds no rewards, so the expert's return is unknown")
    if mean <= 0:
        raise UserError(f"--expert: the mean return is {mean:g}; a share of it says something if it is above 0")
    return NEAR * mean


def bounds_of(env: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Of an environment's actions, in its own units; None if they are not numbers."""
    made = vector.make(env, 1)
    try:
        return made.spec.executed.bounds
    finally:
        made.close()


# ---- one run ---------------------------------------------------------------------------------------------------------


def python_of(folder: Path, name: str) -> Path:
    """That of a peer's environment. Raises UserError if it is missing."""
    python = folder / PEERS[name].venv / "bin" / "python"
    if not python.exists():
        raise UserError(f"{python}: missing; `bench_peers.py make {folder}` makes it")
    return python


def reported(python: str | Path, program: str, job: Found, what: str) -> Found:
    """What a program of `peers/` reports. Raises UserError if it fails."""
    last = last_line([str(python), str(PROGRAMS / program), json.dumps(job)], what)
    try:
        found = json.loads(last)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{what}: its last line is no result: {last[:200]}")
    return found


def of_peer(task: Task, name: str, job: Found) -> Found:
    """What a peer's program reports. Raises UserError if it fails."""
    return reported(python_of(task.folder, name), PEERS[name].program, job, name)


def rate(task: Task, who: Contestant) -> float:
    """Steps a second. Raises UserError if a program fails, or reports no rate."""
    if not who.is_peer:
        return float(measured("training", task.config(who.name), who.cores, task.seconds)["steps_s"])
    found = of_peer(task, who.name, task.job(who, 0, None)).get("steps_s")
    if found is None:
        raise UserError(f"{who}: no rate reported")
    return float(found)


def seconds_to_expert(task: Task, who: Contestant, seed: int) -> Found:
    """Seconds and steps to the bar; None if it was not reached in time. Raises UserError if a program fails."""
    if not who.is_peer:
        return ours_to_expert(task, who, seed)
    found = of_peer(task, who.name, task.job(who, seed, task.bar))
    return {key: found.get(key) for key in ("to_expert_s", "to_expert_steps")}


def words(settings: dict[str, Any]) -> list[str]:
    """Settings as flags of `train`."""
    found = []
    for path, value in settings.items():
        found += [f"--{path}", *map(str, value if isinstance(value, tuple) else [value])]
    return found


def ours_to_expert(task: Task, who: Contestant, seed: int) -> Found:
    """Train as a user does, until metrics.csv shows the bar or the time is over."""
    limits = {
        "seed": seed, "steps": 10**9, "eval_every": task.eval_every, "eval_episodes": task.eval_episodes,
        "final_episodes": 0,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        flags = words(task.settings(who.name) | limits)
        command = [sys.executable, "-m", "trpo_gail", "train", task.env, *flags, "--out", str(out), "--quiet"]
        launched = [*mpirun(who.cores), *_on_cores(who.cores), *command]
        # mpirun's own lines must not stand above the table.
        process = subprocess.Popen(launched, env=unlaunched_environment() | ONE_THREAD, stdout=sys.stderr)
        try:
            while True:
                rows = metrics_file.read(out / "metrics.csv").numbers() if (out / "metrics.csv").exists() else []
                if (found := reached(rows, task.bar, task.seconds)) is not None:
                    return found
                if process.poll() is not None:
                    raise UserError(f"{who}: training ended with exit code {process.returncode}")
                time.sleep(0.5)
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """As a user ends it; by force if that takes a minute."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _on_cores(cores: int) -> list[str]:
    """The words that keep one process on one core, as the peers' are."""
    if cores > 1 or shutil.which("taskset") is None:
        return []
    return ["taskset", "-c", str(min(os.sched_getaffinity(0)))]


def reached(rows: Sequence[dict[str, float | None]], bar: float, limit: float) -> Found | None:
    """When the first evaluation was at the bar, by the seconds of training up to it; with None in the place of both if the
    time is over, and None in all while it is neither."""
    seconds = 0.0
    for row in rows:
        seconds += sum(row[f"{phase}_s"] or 0.0 for phase in PHASES)
        returned = row.get("eval_return_mean")
        if returned is not None and returned >= bar:
            return {"to_expert_s": seconds, "to_expert_steps": row["steps"]}
    return {"to_expert_s": None, "to_expert_steps": None} if seconds >= limit else None
