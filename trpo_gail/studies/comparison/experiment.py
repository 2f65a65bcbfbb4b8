"""A comparison as the runner takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trpo_gail.config.choices import ADVERSARIES, reads
from trpo_gail.errors import UserError
from trpo_gail.studies.comparison import results
from trpo_gail.studies.comparison.plan import Cell, Plan


@dataclass(frozen=True)
class ComparisonExperiment:
    """An `Experiment`, as the runner defines it."""

    plan: Plan
    experts: Mapping[str, Path]  # files of demonstrations, by environment
    out: Path
    runs: Path

    def command(self, cell: Cell) -> list[str]:
        words = self._words(cell, str(self.experts[cell.env]))
        return [*words, "--out", str(self.runs / cell.name), "--quiet"]

    def _words(self, cell: Cell, expert: str) -> list[str]:
        """Arguments without the run folder."""
        plan, task, contestant = self.plan, self.plan.task(cell.env), self.plan.contestant(cell.contestant)
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
        return self.plan.task(cell.env).steps / self.plan.contestant(cell.contestant).epoch_steps

    def work(self, cell: Cell) -> int:
        return self.plan.task(cell.env).steps

    def restarts(self, cell: Cell) -> bool:
        return False

    def is_done(self, cell: Cell) -> bool:
        file = results.path(self.out, cell)
        return file.exists() and results.read(file, self.plan, cell) is not None

    def finish(self, cell: Cell, peak_memory_mb: float | None) -> str:
        # Where this machine keeps its files is nobody's business: the command is kept with their names alone.
        ranks = ["mpirun", "-n", str(self.plan.ranks)] if self.plan.ranks > 1 else []
        command = [*ranks, "trpo-gail", *self._words(cell, self.plan.task(cell.env).expert)]
        result = results.harvest(self.runs / cell.name, cell, self.plan, command, peak_memory_mb)
        results.write(self.out, result)
        return f"return {result.return_mean:.2f}"

    def check(self, cells: Sequence[Cell]) -> None:
        """Raise UserError where a cell's demonstrations are missing."""
        for cell in cells:
            if not self.experts[cell.env].is_file():
                raise UserError(f"--expert: {self.experts[cell.env]} does not exist, and {cell.name} needs it")
