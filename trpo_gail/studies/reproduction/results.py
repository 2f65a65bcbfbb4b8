"""What stays of a finished cell of the paper's grid."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError
from trpo_gail.runs.run_folder import read_json, read_metrics
from trpo_gail.studies import results, store
from trpo_gail.studies.reproduction.grid import Cell, Grid, Places, command
from trpo_gail.studies.results import checked, harvesting, is_finite, measured
from trpo_gail.studies.store import Record

CURVE_POINTS = 100  # at most, of a learning curve


@dataclass(frozen=True, kw_only=True)
class Result(results.Result):
    """The curve has iteration, steps and return_mean (the training episodes' true return); the command the usual folders."""

    grid: int  # version
    task: str
    algorithm: str
    trajectories: int
    lengths: list[int]  # [episodes], steps
    return_std: float  # of the population
    curve: dict[str, list[float | None]]

    @property
    def cell(self) -> Cell:
        return Cell(self.task, self.algorithm, self.trajectories, self.seed)


def read(record: Record, grid: Grid) -> Result:
    """One result. Raises UserError if it is damaged, or of another version of the grid."""
    version, source = record.values.get("grid"), record.source
    if version is None:
        raise UserError(f"{source}: field 'grid': missing; is this the result of another study, not of `paper run`?")
    if version != grid.version or isinstance(version, bool):
        raise UserError(
            f"{source}: made with version {version} of the grid, and this is version {grid.version}; "
            "remove this result and its run folder to run the cell again, or name another --results folder"
        )
    result = results.build(Result, record)
    for name in ("expert_return_mean", "random_return_mean"):
        value = getattr(result, name)
        if value is not None and not is_finite(value):
            raise UserError(f"{source}: field {name!r}: a finite number or null expected, found {value!r}")
    if result.cell.group not in grid.groups():
        raise UserError(f"{source}: the grid has no such cell")
    return result


def read_all(folder: Path, grid: Grid) -> list[Result]:
    """Every result in a folder, in the order of the grid. Raises UserError for one that cannot be used."""
    order = {group: k for k, group in enumerate(grid.groups())}
    records = store.read_all(folder)
    found = [read(record, grid) for record in records]
    shown: dict[tuple[str, int], tuple[str, float]] = {}
    for result, record in zip(found, records, strict=True):
        if (mean := result.expert_return_mean) is not None:
            source, first = shown.setdefault((result.task, result.trajectories), (record.source, mean))
            if not math.isclose(mean, first, rel_tol=results.MEAN_TOLERANCE):
                raise UserError(
                    f"{record.source}: field 'expert_return_mean': {mean:g} found, {first:g} in {source}: they are of "
                    "different demonstrations (--expert_data), which no table can put together"
                )
    return sorted(found, key=lambda result: (order[result.cell.group], result.seed))


def harvest(run: Path, cell: Cell, grid: Grid, peak_memory_mb: float | None) -> Result:
    """The result of a finished run folder. Raises UserError if it lacks something."""
    summary = read_json(run / "summary.json")
    sessions = read_json(run / "config.json", sessions=list[dict])["sessions"]
    with harvesting(run):
        result = Result(
            grid=grid.version,
            **dataclasses.asdict(cell),
            env=summary["env"],
            lengths=[int(value) for value in summary["lengths"]],
            return_std=summary["return_std"],
            command=_command(grid, cell, summary["ranks"]),
            curve=curve(read_metrics(run)),
            **measured(summary, sessions, peak_memory_mb),
        )
    return checked(result, run)


def _command(grid: Grid, cell: Cell, ranks: int) -> list[str]:
    """As from a checkout: where this machine keeps its folders is nobody's business."""
    return [*(["mpirun", "-n", str(ranks)] if ranks > 1 else []), "trpo-gail", *command(grid, cell, Places())]


def curve(rows: Sequence[dict[str, float | None]]) -> dict[str, list[Any]]:
    """At most CURVE_POINTS of a run's iterations, evenly spread, the last among them; none of cloning (it has no returns)."""
    rows = [row for row in rows if "return_mean" in row]
    count = min(len(rows), CURVE_POINTS)
    kept = [rows[(k + 1) * len(rows) // count - 1] for k in range(count)]
    return {
        "iteration": [_whole(row["iteration"]) for row in kept],
        "steps": [_whole(row["steps"]) for row in kept],
        "return_mean": [None if (mean := row["return_mean"]) is None else round(mean, 3) for row in kept],
    }


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
