"""The paper's grid as the runner takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trpo_gail.errors import UserError
from trpo_gail.studies.reproduction import results
from trpo_gail.studies.reproduction.grid import CLONE, CONSTANT, Cell, Grid, Places, command


@dataclass(frozen=True)
class GridExperiment:
    """An `Experiment`, as the runner defines it."""

    grid: Grid
    places: Places

    @property
    def runs(self) -> Path:
        return self.places.runs

    def command(self, cell: Cell) -> list[str]:
        return command(self.grid, cell, self.places)

    def iterations(self, cell: Cell) -> int:
        return self.grid.tasks[cell.task].iterations_of(cell.algorithm)

    def work(self, cell: Cell) -> int:
        return self.grid.work(cell)

    def restarts(self, cell: Cell) -> bool:
        """Cloning takes minutes at most."""
        return cell.algorithm == CLONE

    def is_done(self, cell: Cell) -> bool:
        file = results.path(self.places.results, cell)
        return file.exists() and results.read(file, self.grid) is not None

    def finish(self, cell: Cell, peak_memory_mb: float | None) -> str:
        result = results.harvest(self.places.run(cell), cell, self.grid, peak_memory_mb)
        results.write(self.places.results, result)
        return f"return {result.return_mean:.2f} ± {result.return_std:.2f}"

    def check(self, cells: Sequence[Cell]) -> None:
        """Raise UserError where a cell's demonstrations are missing."""
        for cell in cells:
            file = self.places.expert_data / self.grid.tasks[cell.task].demonstrations
            if cell.algorithm != CONSTANT and not file.is_file():
                raise UserError(f"--expert_data: {file} does not exist, and {cell.name} needs it")
