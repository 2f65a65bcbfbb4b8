"""What stays of a finished run of a comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from trpo_gail.config.files import from_dict
from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.runs.run_folder import read_json, read_metrics
from trpo_gail.studies import results, store
from trpo_gail.studies.comparison.plan import Cell, Plan
from trpo_gail.studies.results import checked, harvesting, is_finite, measured
from trpo_gail.studies.store import Record

CURVE = ("steps", "return_mean", "wall_s")
Rows = Sequence[Mapping[str, float | None]]  # of metrics.csv


@dataclass(frozen=True, kw_only=True)
class Result(results.Result):
    """The curve has steps and return_mean of the periodic evaluations, and wall_s of training until each."""

    setup: str  # of the plan: its hash
    contestant: str
    expert_return_mean: float
    random_return_mean: float
    steps: int
    curve: dict[str, list[float]]
    eval_s: float
    env_steps_per_s: float
    d_updates: float | None = None  # of the discriminator in all, if the run counted them, as one that may rest does
    init_policy_sha256: str | None = None  # of the checkpoint that the run began with, if it did

    @property
    def cell(self) -> Cell:
        return Cell(self.env, self.contestant, self.seed)


def read(record: Record, plan: Plan, cell: Cell) -> Result:
    """The result of a cell. Raises UserError if it is damaged, another cell's or another plan's."""
    result, source = results.build(Result, record), record.source
    if result.setup != plan.setup(cell):
        raise UserError(
            f"{source}: field 'setup': {result.setup} found, {plan.setup(cell)} by plan.json expected: either plan.json was "
            "changed since, or this is another comparison's result, without which the cell would be run again"
        )
    lengths = {len(result.curve.get(name, [])) for name in CURVE}
    if len(lengths) > 1 or 0 in lengths or not all(is_finite(x) for name in CURVE for x in result.curve[name]):
        raise UserError(f"{source}: field 'curve': finite numbers expected, as many in each of {', '.join(CURVE)}")
    steps = result.curve["steps"]
    if result.steps < 1 or any(later <= earlier for earlier, later in pairwise(steps)):
        raise UserError(f"{source}: fields 'steps' and 'curve': steps from 1 on that rise expected")
    return result


def read_all(folder: Path, plan: Plan) -> list[Result]:
    """Those of the plan's cells that have a result, in the plan's order. Raises UserError for one that cannot be used, and
    if a contestant's runs on a task began with different policies."""
    found = [(cell, record) for cell in plan.cells() if (record := store.find(folder, cell.name))]
    begun: dict[tuple[str, str], tuple[str, str | None]] = {}
    kept = []
    for cell, record in found:
        result = read(record, plan, cell)
        source, first = begun.setdefault((cell.contestant, cell.env), (record.source, result.init_policy_sha256))
        if result.init_policy_sha256 != first:
            raise UserError(
                f"{record.source}: field 'init_policy_sha256': another policy to begin with than in {source}: the one that "
                "--init_policy names was replaced between the runs"
            )
        kept.append(result)
    return kept


def harvest(run: Path, cell: Cell, plan: Plan, command: Sequence[str], peak_memory_mb: float | None) -> Result:
    """The result of a finished run folder. Raises UserError if it lacks something, or is of other data or settings."""
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
        if summary["ranks"] != plan.ranks:
            raise UserError(
                f"{run}: its last session had {summary['ranks']} rank(s), {plan.ranks} by the plan; does another comparison "
                "keep its runs there? (--runs)"
            )
        rows = read_metrics(run)
        result = Result(
            setup=plan.setup(cell),
            contestant=cell.contestant,
            env=cell.env,
            seed=cell.seed,
            curve=curve(run, rows, task.steps, task.eval_every),
            command=list(command),
            d_updates=_updates(rows),
            init_policy_sha256=config["setting"].get("init_policy_sha256"),
            **measured(summary, config["sessions"], peak_memory_mb),
        )
    return checked(result, run)


def _updates(rows: Rows) -> float | None:
    """The discriminator's updates; None if the run does not count them."""
    counts = [count for row in rows if (count := row.get("d_updates")) is not None]
    return sum(counts) if counts else None


def curve(run: Path, rows: Rows, steps: int, every: int) -> dict[str, list[float]]:
    """The periodic evaluations in a run's rows of metrics. Raises UserError if there is none.

    Left out is one of a last, larger batch that passes a multiple of `every` beyond `steps`: with smaller batches there is
    none.
    """
    evaluated = [row for row in rows if row.get("eval_return_mean") is not None]
    kept = [row for row in evaluated if (row["steps"] or 0) // every <= steps // every]
    if not kept:
        raise UserError(f"{run}: metrics.csv: periodic evaluations (eval_return_mean) expected, none found")
    return {
        "steps": [int(row["steps"] or 0) for row in kept],
        "return_mean": [round(row["eval_return_mean"] or 0.0, 6) for row in kept],
        "wall_s": [round(row["wall_s"] or 0.0, 3) for row in kept],
    }
