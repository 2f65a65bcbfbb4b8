"""The small file that stays of a finished cell: one JSON per cell, written whole or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError
from trpo_gail.runs.run_folder import read_json, read_metrics
from trpo_gail.studies.reproduction.grid import Cell, Grid, Places, command
from trpo_gail.studies.result_files import check_returns, harvesting, is_finite, rounded, write_fields
from trpo_gail.system import typed

CURVE_POINTS = 100  # at most, of a learning curve


@dataclass(frozen=True)
class Result:
    """What a cell's run came to. Returns are of the last policy acting deterministically, over whole episodes."""

    grid: int  # version
    task: str
    algorithm: str
    trajectories: int
    seed: int
    env: str
    returns: list[float]  # [episodes]
    lengths: list[int]  # [episodes], steps
    return_mean: float
    return_std: float  # of the population
    expert_return_mean: float | None  # of the demonstrations' file; None without demonstrations
    random_return_mean: float | None  # of uniformly random actions
    iterations: int
    steps: int | None  # environment steps, over all ranks; None where none were taken
    wall_s: float  # of training
    eval_s: float | None
    env_steps_per_s: float | None
    ranks: int
    peak_memory_mb: float | None  # of the largest process of the last session, where the runner saw it
    command: list[str]  # from a checkout, with the usual folders
    commit: str | None  # several, in turn, where the run was resumed by another
    python: str
    versions: dict[str, str]
    curve: dict[str, list[float | None]]  # iteration, steps, return_mean (true return of the training episodes)

    @property
    def cell(self) -> Cell:
        return Cell(self.task, self.algorithm, self.trajectories, self.seed)


def path(results: Path, cell: Cell) -> Path:
    """Where a cell's result is, or will be."""
    return results / "cells" / f"{cell.name}.json"


def read(file: Path, grid: Grid) -> Result:
    """One result. Raises UserError where it is damaged, or of another version of the grid."""
    raw = read_json(file)
    version = raw.get("grid")
    if version != grid.version or isinstance(version, bool):
        raise UserError(
            f"{file}: made with version {version} of the grid, and this is version {grid.version}; "
            "move it away to run the cell again, or name another --results folder"
        )
    result: Result = typed.build(Result, raw, file)
    if path(file.parent.parent, result.cell).name != file.name:
        raise UserError(f"{file}: holds the cell {result.cell.name}, which its name does not say")
    check_returns(result.returns, result.return_mean, file)
    for name in ("expert_return_mean", "random_return_mean"):
        value = getattr(result, name)
        if value is not None and not is_finite(value):
            raise UserError(f"{file}: field {name!r}: a finite number or null expected, found {value!r}")
    return result


def read_all(results: Path, grid: Grid) -> list[Result]:
    """Every result in a folder, in the order of the grid. Raises UserError for one that cannot be used."""
    found = [read(file, grid) for file in sorted((results / "cells").glob("*.json"))]
    order = {group: k for k, group in enumerate(grid.groups())}
    for result in found:
        if result.cell.group not in order:
            raise UserError(f"{path(results, result.cell)}: the grid has no such cell")
    return sorted(found, key=lambda result: (order[result.cell.group], result.seed))


def write(results: Path, result: Result) -> None:
    """Write a result, atomically."""
    write_fields(path(results, result.cell), result)


def harvest(run: Path, cell: Cell, grid: Grid, peak_memory_mb: float | None = None) -> Result:
    """The result of a finished run folder. Raises UserError where it lacks something."""
    summary = read_json(run / "summary.json")
    sessions = read_json(run / "config.json", sessions=list[dict])["sessions"]
    with harvesting(run):
        returns = [round(float(value), 6) for value in summary["returns"]]
        result = Result(
            grid=grid.version,
            **dataclasses.asdict(cell),
            env=summary["env"],
            returns=returns,
            lengths=[int(value) for value in summary["lengths"]],
            return_mean=summary["return_mean"],
            return_std=summary["return_std"],
            expert_return_mean=summary["expert_return_mean"],
            random_return_mean=summary["random_return_mean"],
            iterations=summary["iterations"],
            steps=summary.get("steps"),
            wall_s=round(summary["wall_s"], 2),
            eval_s=rounded(summary.get("eval_s"), 2),
            env_steps_per_s=rounded(summary.get("env_steps_per_s"), 1),
            ranks=summary["ranks"],
            peak_memory_mb=rounded(peak_memory_mb, 1),
            command=_command(grid, cell, summary["ranks"]),
            commit=", ".join(dict.fromkeys(s["commit"] for s in sessions if s["commit"])) or None,
            python=sessions[-1]["python"],
            versions=sessions[-1]["versions"],
            curve=curve(read_metrics(run)),
        )
    typed.check_fields(result, run)
    check_returns(result.returns, result.return_mean, run / "summary.json")
    return result


def _command(grid: Grid, cell: Cell, ranks: int) -> list[str]:
    """As from a checkout: where this machine keeps its folders is nobody's business."""
    return [*(["mpirun", "-n", str(ranks)] if ranks > 1 else []), "trpo-gail", *command(grid, cell, Places())]


def curve(rows: Sequence[dict[str, float | None]]) -> dict[str, list[Any]]:
    """At most CURVE_POINTS of a run's iterations, evenly spread, the last among them; none of cloning (it has no returns)."""
    rows = [row for row in rows if "return_mean" in row]
    count = min(len(rows), CURVE_POINTS)
    kept = [rows[(k + 1) * len(rows) // count - 1] for k in range(count)]
    columns = ("iteration", "steps", "return_mean")
    return {
        name: [rounded(row[name], 3) if name == "return_mean" else _whole(row[name]) for row in kept]
        for name in columns
    }


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
