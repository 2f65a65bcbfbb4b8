#!/usr/bin/env python3
"""Speed against other libraries: same task, same pairs, networks of the same sizes; contestants take turns.

    python scripts/bench_peers.py make FOLDER                 # their environments; pins are checked
    python scripts/bench_peers.py rates FOLDER --seconds 30 --repeats 5 --json rates.json
    python scripts/bench_peers.py to_expert FOLDER --seeds 5 --json to_expert.json
    python scripts/bench_peers.py update FOLDER --rows 50000

`rates` measures steps a second, `to_expert` seconds of training, evaluations left out, to 95 % of the expert's return, and
`update` the milliseconds of one TRPO update without the critic, on the same rows and from the same policy. Contestants with
1 core run in one process on one core with one thread; with 2, their environments have processes of their own, torch has one
thread or two, and ours two ranks. `ours, their terms` has the batch and the numbers of updates that the others have, and
`ours, their terms and simulator` gymnasium's environments, too; `ours` has its own defaults. What a library leaves open is
its default.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from contestants import (
    ALONE,
    OURS,
    OWN,
    PEERS,
    Contestant,
    Pairs,
    Task,
    Terms,
    bar_of,
    bounds_of,
    of_peer,
    python_of,
    rate,
    reported,
    seconds_to_expert,
)

from trpo_gail.bench.jobs import Found, demonstrations, machine, ratio
from trpo_gail.bench.tables import table
from trpo_gail.commands.parsing import alone
from trpo_gail.errors import UserError
from trpo_gail.experts.load import load
from trpo_gail.system import whole_file
from trpo_gail.system.terminal import guarded

TORCH = "torch==2.13.0"  # is installed first and alone, so that no other package chooses its build
_MUJOCO = ("mujoco==4.0.0", "imageio==2.38.1", "packaging==26.4")  # gymnasium imports the others, too
VENVS = {
    "imitation": ("imitation==1.0.1", "stable-baselines3==2.2.1", "sb3-contrib==2.2.1", "gymnasium==0.29.1", *_MUJOCO),
    "tianshou": ("tianshou==2.0.1", "gymnasium==1.4.0", *_MUJOCO),
    "sb3": ("sb3-contrib==2.9.2", "stable-baselines3==2.9.2", "gymnasium==1.4.0", *_MUJOCO),
}


# ---- their environments ----------------------------------------------------------------------------------------------


def make(folder: Path) -> None:
    """Make what is missing, and check the versions of all. Raises UserError."""
    for name, pins in VENVS.items():
        python = folder / name / "bin" / "python"
        if not python.exists():
            called([sys.executable, "-m", "venv", str(folder / name)])
        if wrong(python, [TORCH, *pins]):
            for words in ([TORCH], pins):
                called([str(python), "-m", "pip", "install", "-q", *words])
        if found := wrong(python, [TORCH, *pins]):
            raise UserError(f"{folder / name}: {', '.join(found)}; remove the folder, and make it again")
        print(f"{folder / name}: {', '.join([TORCH, *pins])}")


def called(words: Sequence[str]) -> str:
    """What a program prints. Raises UserError if it fails."""
    try:
        return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"{' '.join(words)}: failed: {error}") from None


def wrong(python: Path, pins: Sequence[str]) -> list[str]:
    """What an environment has in another version than the pins say, or not at all."""
    held = dict(
        line.split("==")
        for line in called([str(python), "-m", "pip", "freeze"]).lower().replace("_", "-").splitlines()
        if "==" in line
    )
    wanted = dict(pin.split("==") for pin in pins)
    found = {name: held.get(name, "missing").partition("+")[0] for name in wanted}
    return [f"{name} {found[name]}, expected {version}" for name, version in wanted.items() if found[name] != version]


# ---- measurements ----------------------------------------------------------------------------------------------------


Save = Callable[[Found], None]


def entered(names: Sequence[str], cores: Sequence[int], threads: dict[str, int] | None = None) -> list[Contestant]:
    """All that take part. On two cores a peer's process has one thread and two, or the number that is given by name."""
    found = []
    for name in names:
        for n in cores:
            several = (1, 2) if threads is None else (threads.get(name, n),)
            found += [Contestant(name, n, number) for number in (several if name in PEERS and n > 1 else (1,))]
    return found


def tried(call: Callable[[], Any]) -> tuple[Any, str | None]:
    """What a measurement gives; or None, and why it failed: one failure must not cost all others."""
    try:
        return call(), None
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        return None, str(error)


def rates(task: Task, chosen: Sequence[Contestant], repeats: int, save: Save) -> Found:
    """Steps a second, and ours as a multiple of each, in pairs; contestants take turns."""
    taken: dict[Contestant, list[tuple[Any, str | None]]] = {who: [] for who in chosen}
    for _ in range(repeats):
        for who in chosen:
            taken[who].append(tried(partial(rate, task, who)))
        save({"rates": rate_rows(taken)})
    return {"rates": rate_rows(taken)}


def rate_rows(taken: dict[Contestant, list[tuple[Any, str | None]]]) -> list[Found]:
    """A row for each contestant; turns in which it failed, or ours did, count in no ratio."""
    rows = []
    for who, tries in taken.items():
        all_ = [value for value, _ in tries]
        best = [value for value, _ in taken.get(Contestant(OURS, who.cores), [])]
        pairs = [(ours, of) for ours, of in zip(best, all_, strict=False) if ours is not None and of is not None]
        row = dataclasses.asdict(who) | {
            "steps_s": _median([value for value in all_ if value is not None]),
            "all": all_,
        }
        row |= {"ours_times": ratio(*zip(*pairs, strict=True))} if pairs else {}
        rows.append(row | _errors(tries))
    return rows


def _errors(tries: Sequence[tuple[Any, str | None]]) -> Found:
    found = [why for _, why in tries if why]
    return {"errors": found} if found else {}


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


class Kept:
    """Runs of `to_expert` by contestant and seed. A file that is there is gone on with: it takes hours to make."""

    def __init__(self, path: Path | None, about: Found) -> None:
        """Raises UserError if the file holds other measurements."""
        self.path, self.about = path, about
        self.runs: dict[Contestant, dict[int, Found]] = {}
        if path is not None and path.exists():
            self._load(path)

    def _load(self, path: Path) -> None:
        try:
            held = json.loads(path.read_text())
            rows = [
                (Contestant(row["name"], row["cores"], row["threads"]), {run["seed"]: run for run in row["runs"]})
                for row in held["to_expert"]
            ]
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(f"--json: {path} is there, and is none of `to_expert`: another name is needed") from None
        about = json.loads(json.dumps(self.about))
        if other := [name for name in about if name != "date" and held.get(name) != about[name]]:
            raise UserError(
                f"--json: {path} is of another {', '.join(other)}: another name is needed, or the same settings"
            )
        self.about = {name: held[name] for name in about}
        self.runs.update(rows)

    def has(self, who: Contestant, seed: int) -> bool:
        """Whether this run is done; one that failed is made again."""
        return "error" not in self.runs.get(who, {}).get(seed, {"error": "not made"})

    def add(self, who: Contestant, run: Found) -> None:
        """Keep a run, on the disk."""
        self.runs.setdefault(who, {})[run["seed"]] = run
        if self.path is not None:
            whole_file.write_json(self.path, self.about | self.found())

    def found(self) -> Found:
        """A row for each contestant."""
        rows = []
        for who, by_seed in self.runs.items():
            runs = [by_seed[seed] for seed in sorted(by_seed)]
            rows.append(dataclasses.asdict(who) | middle(runs) | {"runs": runs})
        return {"to_expert": rows}


def to_expert(task: Task, chosen: Sequence[Contestant], seeds: Sequence[int], kept: Kept) -> Found:
    """Seconds and steps to 95 % of the expert, by seed; None where a run did not get there in time, or failed."""
    for seed in seeds:
        for who in chosen:
            if kept.has(who, seed):
                continue
            found, why = tried(partial(seconds_to_expert, task, who, seed))
            found = found or {"to_expert_s": None, "to_expert_steps": None, "error": why}
            kept.add(who, {"seed": seed, **found})
            print(f"seed {seed}, {who}: {found['to_expert_s']} s", file=sys.stderr, flush=True)
    return kept.found()


def middle(runs: Sequence[Found]) -> Found:
    """Medians over seeds, in which a run that did not get there took longest; None if that is the median. Runs that failed do
    not count."""
    good = [run for run in runs if "error" not in run]

    def of(key: str) -> float | None:
        found = _median([float("inf") if run[key] is None else float(run[key]) for run in good])
        return None if found == float("inf") else found

    got = sum(run["to_expert_s"] is not None for run in good)
    return {
        "to_expert_s": of("to_expert_s"), "to_expert_steps": of("to_expert_steps"), "reached": got,
        "failed": len(runs) - len(good),
    }  # fmt: skip


def check_kind(path: Path, what: str) -> None:
    """Raise UserError for a file that holds something else, which would be lost."""
    try:
        held = json.loads(path.read_text()) if path.exists() else {what: None}
    except (OSError, ValueError):
        held = None
    if not isinstance(held, dict) or what not in held:
        raise UserError(f"--json: {path} is there, and is none of `{what}`: another name is needed")


def faster_threads(path: Path, about: Found) -> dict[str, int]:
    """By peer, the number of threads with which it was faster on two cores, as `rates` found on this machine. Raises
    UserError."""
    try:
        held = json.loads(path.read_text())
        rows = [row for row in held["rates"] if row["cores"] > 1 and row["steps_s"] is not None]
        if other := [name for name in ("env", "cores", "processor") if held[name] != about[name]]:
            raise UserError(f"--rates: {path} is of another {', '.join(other)}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"--rates: {path}: not what `rates --json` writes ({error})") from error
    return {row["name"]: row["threads"] for row in sorted(rows, key=lambda row: row["steps_s"])}


def updates(task: Task, rows: int, repeats: int, save: Save) -> Found:
    """A TRPO update without the critic, sb3-contrib's and ours: on the same rows, from the same policy, each in a process on
    one core; each turn has other rows. Raises UserError if a program fails."""
    theirs, ours, who = list[Found](), list[Found](), Contestant(ALONE, 1)
    for turn in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            job = task.job(who, turn, None, rows=rows, rows_file=str(Path(folder) / "rows.npz"))
            theirs.append(of_peer(task, ALONE, job))
            ours.append(reported(sys.executable, "ours_trpo.py", job, OURS))
        save({"update": update_row(theirs, ours)})
    return {"update": update_row(theirs, ours)}


def update_row(theirs: Sequence[Found], ours: Sequence[Found]) -> Found:
    """Medians, the median of paired ratios, and what each update took. Raises UserError if the rows were not the same."""
    if (counts := {one["rows"] for one in (*theirs, *ours)}) != {theirs[0]["rows"]}:
        raise UserError(f"update: {' and '.join(map(str, sorted(counts)))} rows: the same number expected")
    theirs_ms, ours_ms = ([one["update_ms"] for one in of] for of in (theirs, ours))
    return {
        "rows": theirs[0]["rows"], "ours_ms": median(ours_ms), "sb3_ms": median(theirs_ms),
        "ratio": ratio(theirs_ms, ours_ms), "ours": list(ours), "sb3": list(theirs),
    }  # fmt: skip


# ---- the command line ------------------------------------------------------------------------------------------------


def lines(found: Found) -> list[str]:
    """What the terminal shows."""
    if "rates" in found:
        columns = ["steps_s", "ours_times"]
        cells = [[*_who(row), *(row.get(name) or "none" for name in columns)] for row in found["rates"]]
        return list(table([*WHO, "steps/s", "ours / it"], cells))
    if "to_expert" in found:
        columns = ["to_expert_s", "to_expert_steps"]
        got = [
            [*_who(row), row["reached"], row["failed"], *(row[name] or "never" for name in columns)]
            for row in found["to_expert"]
        ]
        return list(table([*WHO, "reached", "failed", "median s", "median steps"], got))
    one = found["update"]
    columns = ["update_ms", "products", "backtracks", "step_accepted", "kl"]
    got = [
        [name, turn, *(float(row[column]) for column in columns)]
        for turn in range(len(one["ours"]))
        for name, row in (("ours", one["ours"][turn]), ("sb3-contrib", one["sb3"][turn]))
    ]
    return [
        f"TRPO update, {one['rows']:,} rows: ours {one['ours_ms']:.4g} ms, sb3-contrib {one['sb3_ms']:.4g} ms, "
        f"ratio {one['ratio']:.2f}",
        *table(["", "turn", "ms", "products", "backtracks", "accepted", "KL"], got),
    ]


WHO = ("", "cores", "threads")


def _who(row: Found) -> list[Any]:
    return [row["name"], row["cores"], row["threads"]]


SECONDS = {"rates": 30.0, "to_expert": 1800.0}


def positive(text: str) -> float:
    """A number above 0."""
    if not 0 < (value := float(text)) < float("inf"):
        raise ValueError
    return value


def count(text: str) -> int:
    """A whole number from 1 on."""
    if (value := int(text)) < 1:
        raise ValueError
    return value


def arguments() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["make", "rates", "to_expert", "update"])
    parser.add_argument("folder", type=Path, help="of the peers' environments")
    parser.add_argument("--env", default="Hopper-v4")
    parser.add_argument("--expert", help="demonstrations; default as `trpo-gail bench throughput`")
    parser.add_argument("--only", nargs="+", choices=[*OWN, *PEERS], default=[*OWN, *PEERS])
    parser.add_argument("--cores", type=int, nargs="+", choices=[1, 2], default=[1, 2])
    parser.add_argument(
        "--seconds", type=positive, help="of each rate (default 30); the most of a run of to_expert (1800)"
    )
    parser.add_argument("--repeats", type=count, default=5)
    parser.add_argument("--seeds", type=count, default=5)
    parser.add_argument("--first_seed", type=int, default=0)
    parser.add_argument(
        "--rates", type=Path, help="of `rates`: on two cores to_expert gives each peer the better threads"
    )
    parser.add_argument("--eval_every", type=count, default=20_480)
    parser.add_argument("--eval_episodes", type=count, default=10)
    parser.add_argument("--rows", type=count, default=50_000)
    parser.add_argument(
        "--json", type=Path, help="is written after each turn; to_expert goes on with one that is there"
    )
    given = parser.parse_args()
    given.seconds = SECONDS.get(given.what) if given.seconds is None else given.seconds
    return given


def task_of(given: argparse.Namespace, folder: Path) -> tuple[Task, Found]:
    """What all train on, and what the JSON says of it; `folder` is for the pairs. Raises UserError."""
    file = demonstrations(given.env, given.expert)
    if file is None:
        raise UserError(f"--expert: a file of demonstrations of {given.env} is needed")
    expert = load(file, 4, 20)
    pairs, bar = Pairs.written(folder, expert, bounds_of(given.env)), bar_of(expert, file)
    limits = {"seconds": given.seconds, "eval_every": given.eval_every, "eval_episodes": given.eval_episodes}
    task = Task(given.folder.absolute(), given.env, file, pairs, bar, **limits, terms=Terms())
    held = hashlib.sha256(expert.observations.tobytes() + expert.actions.tobytes()).hexdigest()
    about = {"bench": "peers", "env": given.env, "pairs": len(expert.actions), "pairs_sha256": held, "bar": bar}
    return task, about | limits | machine() | {"terms": dataclasses.asdict(Terms()), "pins": VENVS}


def run(given: argparse.Namespace, folder: Path) -> Found:
    """Measure; `folder` is for the pairs. Raises UserError."""
    if given.json:
        whole_file.check("--json", given.json)
        if given.what != "to_expert":
            check_kind(given.json, given.what)
    task, about = task_of(given, folder)

    def save(found: Found) -> None:
        if given.json:
            whole_file.write_json(given.json, about | found)

    for name in given.only if given.what != "update" else [ALONE]:
        if name in PEERS:
            python_of(task.folder, name)  # before the work, not after hours of it
    if given.what == "rates":
        found = rates(task, entered(given.only, given.cores), given.repeats, save)
    elif given.what == "to_expert":
        names = [name for name in given.only if name not in PEERS or PEERS[name].imitates]
        threads = faster_threads(given.rates, about) if given.rates else {}
        kept = Kept(given.json, about)
        seeds = range(given.first_seed, given.first_seed + given.seeds)
        return kept.about | to_expert(task, entered(names, given.cores, threads), seeds, kept)
    else:
        found = updates(task, given.rows, given.repeats, save)
    return about | found


def ended(number: int, frame: object) -> None:
    """Leave as on an error, so that what runs is ended and temporary files are removed."""
    print(f"bench_peers.py: {signal.Signals(number).name}; what was measured is in --json", file=sys.stderr)
    raise SystemExit(128 + number)


@guarded
def main() -> int:
    """From flags to a table."""
    given = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):  # what runs must be ended, as on Ctrl-C
        signal.signal(number, ended)
    try:
        alone("bench_peers.py", ranks=False)
        if given.what == "make":
            make(given.folder)
            return 0
        with tempfile.TemporaryDirectory() as folder:
            found = run(given, Path(folder))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench_peers.py: interrupted; what was measured is in --json", file=sys.stderr)
        return 128 + signal.SIGINT
    print("\n".join(lines(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
