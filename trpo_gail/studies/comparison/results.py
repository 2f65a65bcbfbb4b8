"""What stays of a finished run of a comparison: one small JSON file per cell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trpo_gail.config.files import from_dict
from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.runs.run_folder import read_json, read_metrics
from trpo_gail.studies.comparison.plan import Cell, Plan
from trpo_gail.studies.result_files import check_returns, harvesting, is_finite, rounded, write_fields
from trpo_gail.system import typed

CURVE = ("steps", "return_mean", "wall_s")


@dataclass(frozen=True)
class Result:
    """A run's numbers. Returns are of the policy acting deterministically, over whole episodes."""

    setup: str  # of the plan: its hash
    contestant: str
    env: str
    seed: int
    returns: list[float]  # [episodes], of the last policy
    return_mean: float
    expert_return_mean: float
    random_return_mean: float  # of uniformly random actions
    iterations: int
    steps: int  # environment steps, over all ranks
    curve: dict[str, list[float]]  # steps and return_mean of the periodic evaluations, wall_s of training until each
    wall_s: float  # of training alone
    eval_s: float
    env_steps_per_s: float
    ranks: int
    peak_memory_mb: float | None  # of the largest process of the last session, where the runner saw it
    command: list[str]
    commit: str | None
    python: str
    versions: dict[str, str]

    @property
    def cell(self) -> Cell:
        return Cell(self.env, self.contestant, self.seed)


def path(out: Path, cell: Cell) -> Path:
    """Where a cell's result is, or will be."""
    return out / "cells" / f"{cell.name}.json"


def read(file: Path, plan: Plan, cell: Cell) -> Result:
    """One result. Raises UserError where it is damaged, another cell's or another plan's."""
    result: Result = typed.build(Result, read_json(file), file)
    if result.cell != cell:
        raise UserError(f"{file}: holds the cell {result.cell.name}, which its name does not say")
    if result.setup != plan.setup(cell):
        raise UserError(
            f"{file}: field 'setup': {plan.setup(cell)} by the plan expected, {result.setup} found; move the file away to "
            "run the cell again"
        )
    check_returns(result.returns, result.return_mean, file)
    lengths = {len(result.curve.get(name, [])) for name in CURVE}
    if len(lengths) > 1 or 0 in lengths or not all(is_finite(x) for name in CURVE for x in result.curve[name]):
        raise UserError(f"{file}: field 'curve': finite numbers expected, as many in each of {', '.join(CURVE)}")
    return result


def read_all(out: Path, plan: Plan) -> list[Result]:
    """Those of the plan's cells that have a result, in the plan's order. Raises UserError for one that cannot be used."""
    return [read(file, plan, cell) for cell in plan.cells() if (file := path(out, cell)).exists()]


def write(out: Path, result: Result) -> None:
    """Write a result, atomically."""
    write_fields(path(out, result.cell), result)


def harvest(run: Path, cell: Cell, plan: Plan, command: Sequence[str], peak_memory_mb: float | None) -> Result:
    """The result of a finished run folder. Raises UserError where it lacks something, or is of other data or settings."""
    summary = read_json(run / "summary.json")
    config = read_json(run / "config.json", config=dict, setting=dict, sessions=list[dict])
    task = plan.task(cell.env)
    with harvesting(run):
        if config["setting"]["expert_sha256"] != task.expert_sha256:
            raise UserError(f"{run}: its demonstrations are not those of the plan (their SHA-256 differs)")
        made = json.loads(json.dumps(flatten(from_dict(Config, config["config"], f"{run}/config.json"))))
        for name, value in plan.config(cell).items():
            if made[name] != value:
                raise UserError(
                    f"{run}: made with --{name} {made[name]}, {value} by the plan; does another comparison keep its runs "
                    "there? (--runs)"
                )
        session = config["sessions"][-1]
        result = Result(
            setup=plan.setup(cell),
            contestant=cell.contestant,
            env=cell.env,
            seed=cell.seed,
            returns=[round(float(value), 6) for value in summary["returns"]],
            return_mean=summary["return_mean"],
            expert_return_mean=summary["expert_return_mean"],
            random_return_mean=summary["random_return_mean"],
            iterations=summary["iterations"],
            steps=summary["steps"],
            curve=curve(run),
            wall_s=round(summary["wall_s"], 3),
            eval_s=round(summary["eval_s"], 3),
            env_steps_per_s=round(summary["env_steps_per_s"], 1),
            ranks=summary["ranks"],
            peak_memory_mb=rounded(peak_memory_mb, 1),
            command=list(command),
            commit=session["commit"],
            python=session["python"],
            versions=session["versions"],
        )
    typed.check_fields(result, run)
    check_returns(result.returns, result.return_mean, run / "summary.json")
    return result


def curve(run: Path) -> dict[str, list[float]]:
    """A run's periodic evaluations. Raises UserError where there is none."""
    rows = [row for row in read_metrics(run) if row.get("eval_return_mean") is not None]
    if not rows:
        raise UserError(f"{run}: metrics.csv: periodic evaluations (eval_return_mean) expected, none found")
    return {
        "steps": [int(row["steps"] or 0) for row in rows],
        "return_mean": [round(row["eval_return_mean"] or 0.0, 6) for row in rows],
        "wall_s": [round(row["wall_s"] or 0.0, 3) for row in rows],
    }
