"""The paper's grid as the runner takes it."""

from __future__ import annotations

from pathlib import Path

from trpo_gail.studies.experiment import Experiment
from trpo_gail.studies.reproduction import results
from trpo_gail.studies.reproduction.grid import CLONE, CONSTANT, Cell, Grid, Places, command
from trpo_gail.studies.reproduction.results import Result
from trpo_gail.studies.store import Record


class GridExperiment(Experiment[Cell]):
    """Cells of the grid."""

    expert_flag = "--expert_data"

    def __init__(self, grid: Grid, places: Places) -> None:
        super().__init__(places.results, places.runs)
        self._grid, self._places = grid, places

    def command(self, cell: Cell) -> list[str]:
        return command(self._grid, cell, self._places)

    def iterations(self, cell: Cell) -> int:
        return self._grid.tasks[cell.task].iterations_of(cell.algorithm)

    def work(self, cell: Cell) -> int:
        return self._grid.work(cell)

    def expert(self, cell: Cell) -> Path | None:
        demonstrations = self._places.expert_data / self._grid.tasks[cell.task].demonstrations
        return None if cell.algorithm == CONSTANT else demonstrations

    def harvest(self, cell: Cell, peak_memory_mb: float | None) -> Result:
        return results.harvest(self._places.run(cell), cell, self._grid, peak_memory_mb)

    def read(self, cell: Cell, record: Record) -> Result:
        return results.read(record, self._grid)

    def restarts(self, cell: Cell) -> bool:
        """Cloning takes minutes at most."""
        return cell.algorithm == CLONE
