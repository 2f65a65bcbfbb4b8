"""A comparison as the runner takes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trpo_gail.config.choices import ADVERSARIES, reads
from trpo_gail.studies.comparison import results
from trpo_gail.studies.comparison.plan import Cell, Plan
from trpo_gail.studies.comparison.results import Result
from trpo_gail.studies.experiment import Experiment
from trpo_gail.studies.store import Record


class ComparisonExperiment(Experiment[Cell]):
    """Cells of a plan."""

    expert_flag = "--expert"

    def __init__(self, plan: Plan, experts: Mapping[str, Path], out: Path, runs: Path) -> None:
        """`experts`: files of demonstrations, by environment."""
        super().__init__(out, runs)
        self._plan, self._experts = plan, experts

    def command(self, cell: Cell) -> list[str]:
        words = self._words(cell, str(self._experts[cell.env]))
        return [*words, "--out", str(self.runs / cell.name), "--quiet"]

    def _words(self, cell: Cell, expert: str) -> list[str]:
        """Arguments without the run folder."""
        plan, task, contestant = self._plan, self._plan.task(cell.env), self._plan.contestant(cell.contestant)
        updates = reads(ADVERSARIES, contestant.config["adversary"], "d_step")
        numbers = {
            "d_step": contestant.config["d_step"] if updates else None,
            "trajectories": task.trajectories, "subsample": task.subsample,
            "steps": task.steps, "eval_every": task.eval_every, "eval_episodes": plan.eval_episodes,
            "final_episodes": plan.final_episodes, "seed": cell.seed,
        }  # fmt: skip
        last = [word for name, value in numbers.items() if value is not None for word in (f"--{name}", str(value))]
        return ["train", cell.env, *plan.flags, *contestant.flags, *task.flags, "--expert", expert, *last]

    def iterations(self, cell: Cell) -> float:
        return self._plan.task(cell.env).steps / self._plan.contestant(cell.contestant).iteration_steps

    def work(self, cell: Cell) -> int:
        return self._plan.task(cell.env).steps

    def expert(self, cell: Cell) -> Path:
        return self._experts[cell.env]

    def harvest(self, cell: Cell, peak_memory_mb: float | None) -> Result:
        # Where this machine keeps its demonstrations is nobody's business: they are kept by their names alone.
        ranks = ["mpirun", "-n", str(self._plan.ranks)] if self._plan.ranks > 1 else []
        command = [*ranks, "trpo-gail", *self._words(cell, self._plan.task(cell.env).expert)]
        return results.harvest(self.runs / cell.name, cell, self._plan, command, peak_memory_mb)

    def read(self, cell: Cell, record: Record) -> Result:
        return results.read(record, self._plan, cell)
