#!/usr/bin/env python3
"""Speed against other libraries: same task, same pairs, networks of the same sizes; contestants take turns.

    python scripts/bench_peers.py make FOLDER                 # their environments; pins are checked
    python scripts/bench_peers.py rates FOLDER --seconds 30 --repeats 5 --json rates.json
    python scripts/bench_peers.py to_expert FOLDER --seeds 5 --json to_expert.json
    python scripts/bench_peers.py update FOLDER --rows 50000

`rates` measures steps a second, `to_expert` seconds of training, evaluations left out, to 95 % of the expert's return, and
`update` the milliseconds of one TRPO update without the critic. Contestants with 1 core run in one process on one core with
one thread; with 2, their environments have processes of their own, and ours two ranks. `ours, their terms` has the batch and
the numbers of updates that the others have, and `ours, their terms and simulator` gymnasium's environments, too; `ours` has
its own defaults. What a library leaves open is its default.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from trpo_gail.bench.jobs import Found, demonstrations, in_turn, last_line, machine, measured, ratio
from trpo_gail.bench.tables import table
from trpo_gail.bench.throughput import PHASES
from trpo_gail.bench.update import update
from trpo_gail.config.presets import changed, preset
from trpo_gail.config.tree import Config
from trpo_gail.envs import vector
from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.load import load
from trpo_gail.runs import metrics_file
from trpo_gail.studies.launch import ONE_THREAD, mpirun
from trpo_gail.system import whole_file

PROGRAMS = Path(__file__).with_name("peers")
TORCH = "torch==2.13.0"  # is installed first and alone, so that no other package chooses its build
_MUJOCO = ("mujoco==4.0.0", "imageio==2.38.1", "packaging==26.4")  # gymnasium imports the others, too
VENVS = {
    "imitation": ("imitation==1.0.1", "stable-baselines3==2.2.1", "sb3-contrib==2.2.1", "gymnasium==0.29.1", *_MUJOCO),
    "tianshou": ("tianshou==2.0.1", "gymnasium==1.4.0", *_MUJOCO),
    "sb3": ("sb3-contrib==2.9.2", "stable-baselines3==2.9.2", "gymnasium==1.4.0", *_MUJOCO),
}
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


# ---- their environments ----------------------------------------------------------------------------------------------


def make(folder: Path) -> None:
    """Make what is missing, and check the versions of all. Raises UserError."""
    for name, pins in VENVS.items():
        python = folder / name / "bin" / "python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
        if wrong(python, [TORCH, *pins]):
            for words in ([TORCH], pins):
                subprocess.run([str(python), "-m", "pip", "install", "-q", *words], check=True)
        if found := wrong(python, [TORCH, *pins]):
            raise UserError(f"{folder / name}: {', '.join(found)}; remove the folder, and make it again")
        print(f"{folder / name}: {', '.join([TORCH, *pins])}")


def wrong(python: Path, pins: Sequence[str]) -> list[str]:
    """What an environment has in another version than the pins say, or not at all."""
    done = subprocess.run([str(python), "-m", "pip", "freeze"], capture_output=True, text=True, check=True)
    held = dict(line.split("==") for line in done.stdout.lower().replace("_", "-").splitlines() if "==" in line)
    wanted = dict(pin.split("==") for pin in pins)
    found = {name: held.get(name, "missing").partition("+")[0] for name in wanted}
    return [f"{name} {found[name]}, expected {version}" for name, version in wanted.items() if found[name] != version]


# ---- one measurement -------------------------------------------------------------------------------------------------


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

    def job(self, name: str, cores: int, seed: int, bar: float | None, rows: int = 0) -> Found:
        """As `peers/common.py` reads it."""
        pairs = self.pairs.clipped if PEERS[name].clips else self.pairs.raw
        about = {"kind": PEERS[name].kind, "env": self.env, "pairs": str(pairs), "seed": seed, "cores": cores}
        limits = {
            "seconds": self.seconds,
            "bar": bar,
            "eval_every": self.eval_every,
            "eval_episodes": self.eval_episodes,
        }
        return about | limits | dataclasses.asdict(self.terms) | {"rows": rows}

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


def of_peer(task: Task, name: str, job: Found) -> Found:
    """What a peer's program reports."""
    peer = PEERS[name]
    python = task.folder / peer.venv / "bin" / "python"
    if not python.exists():
        raise UserError(f"{python}: missing; `bench_peers.py make {task.folder}` makes it")
    found: Found = json.loads(last_line([str(python), str(PROGRAMS / peer.program), json.dumps(job)], name))
    return found


def words(settings: dict[str, Any]) -> list[str]:
    """Settings as flags of `train`."""
    found = []
    for path, value in settings.items():
        found += [f"--{path}", *map(str, value if isinstance(value, tuple) else [value])]
    return found


def ours_to_expert(task: Task, name: str, cores: int, seed: int) -> Found:
    """Train as a user does, until metrics.csv shows the bar or the time is over."""
    limits = {
        "seed": seed, "steps": 10**9, "eval_every": task.eval_every, "eval_episodes": task.eval_episodes,
        "final_episodes": 0,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        flags = words(task.settings(name) | limits)
        command = [sys.executable, "-m", "trpo_gail", "train", task.env, *flags, "--out", str(out), "--quiet"]
        process = subprocess.Popen([*mpirun(cores), *_on_cores(cores), *command], env=os.environ | ONE_THREAD)
        try:
            while True:
                rows = metrics_file.read(out / "metrics.csv").numbers() if (out / "metrics.csv").exists() else []
                if (found := reached(rows, task.bar, task.seconds)) is not None:
                    return found
                if process.poll() is not None:
                    raise UserError(f"{name}: training ended with exit code {process.returncode}")
                time.sleep(0.5)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
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


# ---- measurements ----------------------------------------------------------------------------------------------------


def rates(task: Task, names: Sequence[str], cores: Sequence[int], repeats: int) -> Found:
    """Steps a second, and ours as a multiple of each, in pairs."""
    chosen = {f"{name}, {n} core(s)": _rate(task, name, n) for name in names for n in cores}
    found = in_turn(repeats, chosen)
    best = {n: found[f"{OURS}, {n} core(s)"] for n in cores} if OURS in names else {}
    rows = []
    for name in names:
        for n in cores:
            of = found[f"{name}, {n} core(s)"]
            row = {"name": name, "cores": n, "steps_s": median(of), "all": of}
            rows.append(row | ({"ours_times": ratio(best[n], of)} if best else {}))
    return {"rates": rows}


def _rate(task: Task, name: str, cores: int) -> Callable[[], float]:
    if name in PEERS:
        return lambda: of_peer(task, name, task.job(name, cores, 0, None))["steps_s"]
    return lambda: measured("training", task.config(name), cores, task.seconds)["steps_s"]


def to_expert(task: Task, names: Sequence[str], cores: Sequence[int], seeds: int) -> Found:
    """Seconds and steps to 95 % of the expert, by seed; None where a run did not get there in time."""
    chosen = [(name, n) for name in names for n in cores if name not in PEERS or PEERS[name].imitates]
    runs: dict[tuple[str, int], list[Found]] = {one: [] for one in chosen}
    for seed in range(seeds):
        for name, n in chosen:
            if name in PEERS:
                found = of_peer(task, name, task.job(name, n, seed, task.bar))
            else:
                found = ours_to_expert(task, name, n, seed)
            runs[name, n].append({"seed": seed, **{key: found[key] for key in ("to_expert_s", "to_expert_steps")}})
            print(f"seed {seed}, {name}, {n} core(s): {found['to_expert_s']} s", file=sys.stderr, flush=True)
    return {
        "to_expert": [{"name": name, "cores": n, **middle(found), "runs": found} for (name, n), found in runs.items()]
    }


def middle(runs: Sequence[Found]) -> Found:
    """Medians over seeds, in which a run that did not get there took longest; None if that is the median."""

    def of(key: str) -> float | None:
        found = median(float("inf") if run[key] is None else float(run[key]) for run in runs)
        return None if found == float("inf") else found

    got = sum(run["to_expert_s"] is not None for run in runs)
    return {"to_expert_s": of("to_expert_s"), "to_expert_steps": of("to_expert_steps"), "reached": got}


def updates(task: Task, rows: int, repeats: int) -> Found:
    """Milliseconds of a TRPO update without the critic: sb3-contrib's and ours on as many rows with the same network."""
    config = changed(preset("default", "Toy"), {"trpo.fvp_subsample": 1})
    theirs, ours = [], []
    for _ in range(repeats):
        theirs.append(float(of_peer(task, ALONE, task.job(ALONE, 1, 0, None, rows))["update_ms"]))
        found = update(config, [rows], [task.terms.units], _sizes(task), 5)
        ours.append(next(row["ms"] for row in found["parts"] if row["part"] == "TRPO update"))
    return {"update": {"rows": rows, "ours_ms": median(ours), "sb3_ms": median(theirs), "ratio": ratio(theirs, ours)}}


def _sizes(task: Task) -> tuple[int, int]:
    with np.load(task.pairs.raw) as file:
        return file["observations"].shape[1], file["actions"].shape[1]


# ---- the command line ------------------------------------------------------------------------------------------------


def lines(found: Found) -> list[str]:
    """What the terminal shows."""
    if "rates" in found:
        cells = [[row["name"], row["cores"], row["steps_s"], row.get("ours_times", "")] for row in found["rates"]]
        return list(table(["", "cores", "steps/s", "ours / it"], cells))
    if "to_expert" in found:
        got = [
            [
                row["name"],
                row["cores"],
                row["reached"],
                row["to_expert_s"] or "never",
                row["to_expert_steps"] or "never",
            ]
            for row in found["to_expert"]
        ]
        return list(table(["", "cores", "seeds", "median s", "median steps"], got))
    one = found["update"]
    return [
        f"TRPO update, {one['rows']:,} rows: ours {one['ours_ms']:.4g} ms, sb3-contrib {one['sb3_ms']:.4g} ms, "
        f"ratio {one['ratio']:.2f}"
    ]


def arguments() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["make", "rates", "to_expert", "update"])
    parser.add_argument("folder", type=Path, help="of the peers' environments")
    parser.add_argument("--env", default="Hopper-v4")
    parser.add_argument("--expert", help="demonstrations; default as `trpo-gail bench throughput`")
    parser.add_argument("--only", nargs="+", choices=[*OWN, *PEERS], default=[*OWN, *PEERS])
    parser.add_argument("--cores", type=int, nargs="+", choices=[1, 2], default=[1, 2])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each rate; the most of a run of to_expert")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--eval_every", type=int, default=20_480)
    parser.add_argument("--eval_episodes", type=int, default=10)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def bar_of(expert: Demonstrations, file: str) -> float:
    """95 % of the mean return of the trajectories that are given, whatever else their file holds. Raises UserError."""
    if expert.episode_returns is None:
        raise UserError(f"--expert: {file} holds no rewards, so the expert's return is unknown")
    mean = float(expert.episode_returns.mean())
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


def run(given: argparse.Namespace, folder: Path) -> Found:
    """Measure; `folder` is for the pairs."""
    file = demonstrations(given.env, given.expert)
    if file is None:
        raise UserError(f"--expert: a file of demonstrations of {given.env} is needed")
    expert = load(file, 4, 20)
    pairs, bar = Pairs.written(folder, expert, bounds_of(given.env)), bar_of(expert, file)
    limits = (given.seconds, given.eval_every, given.eval_episodes, Terms())
    task = Task(given.folder.absolute(), given.env, file, pairs, bar, *limits)
    if given.what == "rates":
        found = rates(task, given.only, given.cores, given.repeats)
    elif given.what == "to_expert":
        found = to_expert(task, given.only, given.cores, given.seeds)
    else:
        found = updates(task, given.rows, given.repeats)
    about = {"bench": "peers", "env": given.env, "pairs": len(expert.actions), "bar": bar, **machine()}
    return about | {"terms": dataclasses.asdict(Terms()), "pins": VENVS} | found


def main() -> int:
    """From flags to a table."""
    given = arguments()
    try:
        if given.what == "make":
            make(given.folder)
            return 0
        with tempfile.TemporaryDirectory() as folder:
            found = run(given, Path(folder))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(lines(found)))
    if given.json:
        whole_file.write_json(given.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
