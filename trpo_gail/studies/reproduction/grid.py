"""The grid of the paper's experiments: what its cells are, and the command line that runs each one."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError

CLONE, CONSTANT = "bc", "constant"  # the algorithm that is no `train`, and the one without demonstrations
CLONE_BATCH = 128  # pairs of one step of cloning (their batch size); weighs only in the time left


@dataclass(frozen=True)
class Cell:
    """One run: an algorithm on a task, from so many trajectories, with a seed."""

    task: str
    algorithm: str
    trajectories: int  # 0 where the algorithm has no demonstrations
    seed: int

    @property
    def name(self) -> str:
        return f"{self.task}-{self.algorithm}-{self.trajectories}-seed{self.seed}"

    @property
    def group(self) -> tuple[str, str, int]:
        """What the seeds have in common: a row of the table."""
        return self.task, self.algorithm, self.trajectories


@dataclass(frozen=True)
class Algorithm:
    """A column of the paper's Table 3, or the control."""

    title: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """A row of the paper's Table 1 with its settings."""

    title: str
    env: str
    demonstrations: str  # file name
    subsample: int  # every how many-th pair
    trajectories: tuple[int, ...]
    algorithms: tuple[str, ...]
    seeds: int
    iterations: int
    clone_iterations: int
    clone_eval_every: int
    flags: tuple[str, ...]

    def sizes(self, algorithm: str) -> tuple[int, ...]:
        """Numbers of trajectories of an algorithm's cells."""
        return (0,) if algorithm == CONSTANT else self.trajectories

    def iterations_of(self, algorithm: str) -> int:
        return self.clone_iterations if algorithm == CLONE else self.iterations


@dataclass(frozen=True)
class Grid:
    """All of `grid.toml`."""

    version: int
    train: tuple[str, ...]
    clone: tuple[str, ...]
    algorithms: dict[str, Algorithm]
    tasks: dict[str, Task]

    def groups(self) -> list[tuple[str, str, int]]:
        """(task, algorithm, trajectories), in the file's order."""
        return [
            (name, algorithm, size)
            for name, task in self.tasks.items()
            for algorithm in task.algorithms
            for size in task.sizes(algorithm)
        ]

    def work(self, cell: Cell) -> int:
        """State-action pairs that a cell asks for, at least: what its time is roughly in proportion to."""
        task = self.tasks[cell.task]
        if cell.algorithm == CLONE:
            return task.clone_iterations * CLONE_BATCH
        return task.iterations * int(task.flags[task.flags.index("--timesteps_per_batch") + 1])


@dataclass(frozen=True)
class Selection:
    """Which cells; what is empty stands for all."""

    tasks: Sequence[str] = ()
    algorithms: Sequence[str] = ()
    trajectories: Sequence[int] = ()
    seeds: Sequence[int] = ()
    shard: tuple[int, int] = (1, 1)  # the i-th of n parts, from 1


@dataclass(frozen=True)
class Places:
    """Folders that a cell reads and writes."""

    expert_data: Path = Path("expert_data/paper")
    runs: Path = Path("runs/paper")
    results: Path = Path("results/paper")

    def run(self, cell: Cell) -> Path:
        return self.runs / cell.name


@cache
def load_grid() -> Grid:
    """The grid of this package."""
    return parse_grid(tomllib.loads(files("trpo_gail.studies.reproduction").joinpath("grid.toml").read_text("utf-8")))


def parse_grid(raw: dict[str, Any]) -> Grid:
    """A grid from what a TOML file holds; a mistake in it is ours, and fails."""
    algorithms = {name: Algorithm(**_tuples(values)) for name, values in raw["algorithms"].items()}
    tasks = {name: Task(**_tuples(values)) for name, values in raw["tasks"].items()}
    assert all(algorithm in algorithms for task in tasks.values() for algorithm in task.algorithms)
    return Grid(raw["version"], tuple(raw["train"]), tuple(raw["clone"]), algorithms, tasks)


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def select(grid: Grid, wanted: Selection) -> list[Cell]:
    """Cells in the order of tasks, seeds, algorithms, sizes; every n-th of them for a shard.

    Raises UserError for a task, an algorithm or a size that the grid (or every task chosen) lacks, and where nothing is left.
    """
    tasks = _known("--task", wanted.tasks, grid.tasks)
    algorithms = _known("--algorithm", wanted.algorithms, grid.algorithms)
    chosen = {name: grid.tasks[name] for name in grid.tasks if name in tasks}
    _in_some_task("--algorithm", wanted.algorithms, {name: task.algorithms for name, task in chosen.items()})
    sizes = {name: {s for a in task.algorithms for s in task.sizes(a)} for name, task in chosen.items()}
    _in_some_task("--trajectories", wanted.trajectories, sizes)
    if any(seed < 0 for seed in wanted.seeds):
        raise UserError(f"--seeds: {min(wanted.seeds)} given, at least 0 expected")
    cells = [
        Cell(name, algorithm, size, seed)
        for name, task in chosen.items()
        for seed in sorted(set(wanted.seeds)) or range(task.seeds)
        for algorithm in task.algorithms
        for size in task.sizes(algorithm)
        if algorithm in algorithms and (not wanted.trajectories or size in wanted.trajectories)
    ]
    if not cells:
        raise UserError(
            f"--task, --algorithm, --trajectories: no cell of the grid is all of {', '.join(wanted.tasks) or 'any task'}; "
            f"{', '.join(wanted.algorithms) or 'any algorithm'}; {', '.join(map(str, wanted.trajectories))} trajectories"
        )
    part, parts = wanted.shard
    return cells[part - 1 :: parts]


def _known(flag: str, wanted: Sequence[str], known: dict[str, Any]) -> Sequence[str]:
    for name in wanted:
        if name not in known:
            raise UserError(f"{flag}: {name!r} is not in the grid, which has {', '.join(known)}")
    return wanted or list(known)


def _in_some_task(flag: str, wanted: Sequence[Any], have: dict[str, Any]) -> None:
    for value in wanted:
        if not any(value in values for values in have.values()):
            told = "; ".join(f"{name} has {', '.join(map(str, sorted(values)))}" for name, values in have.items())
            raise UserError(f"{flag}: {value} is not in the grid: {told}")


def parse_shard(text: str) -> tuple[int, int]:
    """(i, n) from "i/n". Raises UserError unless 1 <= i <= n."""
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise UserError(f"--shard: {text!r} given, i/n with i from 1 to n expected (2/4: the second of four parts)")
    return int(part), int(parts)


def command(grid: Grid, cell: Cell, places: Places) -> list[str]:
    """Arguments of `trpo-gail` that run a cell."""
    task = grid.tasks[cell.task]
    expert: list[str] = []
    if cell.algorithm != CONSTANT:
        file = places.expert_data / task.demonstrations
        rows = ["--trajectories", str(cell.trajectories), "--subsample", str(task.subsample)]
        expert = ["--expert", str(file), *rows]
    end = ["--seed", str(cell.seed), "--out", str(places.run(cell)), "--quiet"]
    if cell.algorithm == CLONE:
        length = ["--iterations", str(task.clone_iterations), "--eval_every", str(task.clone_eval_every)]
        return ["clone", task.env, *grid.clone, *expert, *length, *end]
    flags = [*grid.train, *grid.algorithms[cell.algorithm].flags, *task.flags]
    return ["train", task.env, *flags, *expert, "--iterations", str(task.iterations), *end]
