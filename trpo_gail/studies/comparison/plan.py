"""What is compared: contestants, tasks and seeds. The plan is kept beside the results, which belong to it alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError, shortened
from trpo_gail.runs.run_folder import read_json
from trpo_gail.studies import store
from trpo_gail.system import typed, whole_file

FORMAT = 1  # of plan.json and of the cells' results
# Characters of a cell's name: a name of a file has 255 at most, and endings and the seed's digits come to it.
LONGEST = 200
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
Config = dict[str, Any]  # settings by path, {"trpo.max_kl": 0.01, ...}, as JSON holds them


def iteration_steps(settings: Config) -> int:
    """Environment steps of one iteration: all environments step together, so a batch is rounded up to whole rounds of them.
    With whole episodes, the least."""
    rounds = -(-settings["timesteps_per_batch"] // settings["num_envs"])
    return rounds * settings["num_envs"] * settings["g_step"]


@dataclass(frozen=True)
class Contestant:
    """A configuration of `trpo-gail train`, by a name."""

    name: str
    flags: tuple[str, ...]  # its own
    config: Config  # all that decides what it computes, but for task and seed
    notes: tuple[str, ...] = ()  # where it departs from the others' terms, on purpose or by rounding

    @property
    def iteration_steps(self) -> int:
        return iteration_steps(self.config)


@dataclass(frozen=True)
class Task:
    """An environment with its demonstrations, the same for all."""

    env: str
    expert: str  # name of the file
    expert_sha256: str
    expert_return_mean: float
    trajectories: int | None
    subsample: int
    steps: int
    eval_every: int  # steps
    flags: tuple[str, ...] = ()  # of `train`, for all contestants on this task
    settings: Config = dataclasses.field(default_factory=dict)  # what these come to


@dataclass(frozen=True)
class Cell:
    """One run."""

    env: str
    contestant: str
    seed: int

    @property
    def name(self) -> str:
        return f"{re.sub(r'[^A-Za-z0-9.+-]+', '_', self.env)}-{self.contestant}-seed{self.seed}"


@dataclass(frozen=True)
class Plan:
    """All of plan.json."""

    contestants: tuple[Contestant, ...]
    tasks: tuple[Task, ...]
    seeds: tuple[int, ...]
    flags: tuple[str, ...]  # common to all contestants
    eval_episodes: int
    final_episodes: int
    ranks: int

    def cells(self) -> list[Cell]:
        """Contestants beside each other, seeds outermost: what is there early is balanced, and meets the same load."""
        return [
            Cell(task.env, contestant.name, seed)
            for seed in self.seeds
            for task in self.tasks
            for contestant in self.contestants
        ]

    def task(self, env: str) -> Task:
        return next(task for task in self.tasks if task.env == env)

    def contestant(self, name: str) -> Contestant:
        return next(contestant for contestant in self.contestants if contestant.name == name)

    def config(self, cell: Cell) -> Config:
        """All settings that a cell's run has, but for files and times."""
        task = self.task(cell.env)
        own = {"env": cell.env, "trajectories": task.trajectories, "subsample": task.subsample, "steps": task.steps}
        own |= {"seed": cell.seed, "eval_every": task.eval_every, "eval_episodes": self.eval_episodes}
        return self.contestant(cell.contestant).config | task.settings | own | {"final_episodes": self.final_episodes}

    def setup(self, cell: Cell) -> str:
        """A hash of all that decides a cell's numbers, but for its seed and the versions of the software."""
        task = dataclasses.asdict(self.task(cell.env)) | {"expert": None}
        content = [FORMAT, self.contestant(cell.contestant).config, task, self.eval_episodes, self.final_episodes]
        text = json.dumps([*content, self.ranks], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_names(contestants: Sequence[str], envs: Sequence[str]) -> None:
    """Raise UserError for names that are no part of a file's name, or not different."""
    for name in contestants:
        if not NAME.fullmatch(name):
            raise UserError(f"--contestant: {name!r} is no name; letters, digits and ._+- expected before the colon")
    if len(contestants) < 1:
        raise UserError(f"--generators, --contestant: {len(contestants)} given, at least 1 expected")
    for flag, names in (("--contestant", contestants), ("--env", envs)):
        if twice := sorted({name for name in names if list(names).count(name) > 1}):
            raise UserError(f"{flag}: {twice[0]!r} given twice, different names expected")
    files: dict[str, tuple[str, str]] = {}
    for env in envs:
        for name in contestants:
            file = Cell(env, name, 0).name
            if len(file) > LONGEST:
                raise UserError(
                    f"--env, --contestant: {env:.60} with {name:.60} would have files whose names are too long: "
                    f"{len(file)} characters, at most {LONGEST} expected"
                )
            own = files.setdefault(file.casefold(), (env, name))
            if own != (env, name):
                raise UserError(
                    f"--env, --contestant: {own[0]} with {own[1]} and {env} with {name} would have the same files: "
                    "other names of contestants expected, or another folder for one of the environments"
                )


def check_folder(plan: Plan, out: Path, runs: Path, busy: bool = False) -> None:
    """Raise UserError if a folder holds another comparison, of which there is a result or a run, or is `busy`: a runner has a
    cell of it. More seeds of the same one are welcome."""
    file = out / "plan.json"
    if not file.exists():
        return
    there, content = read_json(file), _content(plan)
    seeds = there.get("seeds")
    grows = isinstance(seeds, list) and all(seed in content["seeds"] for seed in seeds)
    found = difference(there | {"seeds": content["seeds"]} if grows else there, content)
    if found and (busy or store.read_all(out) or any(runs.glob("*/config.json"))):
        raise UserError(f"--out: {file} holds another comparison ({found}); name another folder for this one")


def keep(plan: Plan, out: Path) -> None:
    """Write the plan into a folder that passes `check_folder`. Raises UserError if it cannot be written."""
    file = out / "plan.json"
    content = _content(plan)
    if file.exists() and not difference(read_json(file), content):
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        whole_file.write(file, (json.dumps(content, indent=2) + "\n").encode())
    except OSError as error:
        raise UserError(f"--out: {file} cannot be written: {error.strerror}") from error


def load(out: Path) -> Plan:
    """The plan of a folder. Raises UserError if there is none, or none of this format."""
    file = out / "plan.json"
    if not file.is_file():
        raise UserError(f"--out: {out} holds no comparison (no plan.json)")
    raw = read_json(file)
    found = raw.pop("format", None)
    if found != FORMAT:
        raise UserError(f"{file}: field 'format': {FORMAT} expected, {found} found")
    try:
        raw["contestants"] = tuple(Contestant(**_tuples(c, "flags", "notes")) for c in raw["contestants"])
        raw["tasks"] = tuple(Task(**_tuples({"flags": ()} | task, "flags")) for task in raw["tasks"])
        plan = Plan(**_tuples(raw, "seeds", "flags"))
    except (KeyError, TypeError) as error:
        raise UserError(f"{file}: fields missing or unknown: {error}") from error
    for part in (plan, *plan.contestants, *plan.tasks):
        typed.check_fields(part, file)
    _check(plan, file)
    return plan


def _check(plan: Plan, file: Path) -> None:
    """Raise UserError for what no comparison could have written: the file was changed by hand, or damaged."""
    try:
        check_names([contestant.name for contestant in plan.contestants], [task.env for task in plan.tasks])
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    if not plan.tasks or not plan.seeds or len(set(plan.seeds)) < len(plan.seeds):
        raise UserError(f"{file}: tasks and different seeds expected")
    least = {"eval_episodes": plan.eval_episodes, "final_episodes": plan.final_episodes, "ranks": plan.ranks}
    for task in plan.tasks:
        least |= {f"steps of {task.env}": task.steps, f"eval_every of {task.env}": task.eval_every}
    for name, number in least.items():
        if number < 1:
            raise UserError(f"{file}: {name}: at least 1 expected, found {number}")


def _content(plan: Plan) -> dict[str, Any]:
    return json.loads(json.dumps({"format": FORMAT} | dataclasses.asdict(plan)))


def _tuples(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return values | {name: tuple(values[name]) for name in names}


def difference(there: Any, asked: Any, where: str = "") -> str | None:
    """The first place in which two JSON trees differ, in words; None if they are the same. The name of a file of
    demonstrations may differ, its content may not; and so may the words of notes."""
    if isinstance(there, dict) and isinstance(asked, dict):
        for name in [*asked, *(name for name in there if name not in asked)]:
            if name not in ("expert", "notes") and (
                found := difference(there.get(name), asked.get(name), f"{where}.{name}" if where else name)
            ):
                return found
        return None
    named = [isinstance(v, list) and bool(v) and all(isinstance(x, dict) for x in v) for v in (there, asked)]
    if all(named) and len(there) == len(asked):
        pairs = zip(there, asked, strict=True)
        return next((d for k, (a, b) in enumerate(pairs) if (d := difference(a, b, f"{where}[{k}]"))), None)
    if there == asked:
        return None
    return f"{where}: {_short(there)} there, {_short(asked)} here"


def _short(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return ", ".join(str(item.get("name", item.get("env"))) for item in value)
    return shortened(" ".join(map(str, value)) if isinstance(value, list) else str(value), 60)
