"""A study's cells as the runner takes them: what all studies do alike, and what each must say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from statistics import pstdev
from typing import ClassVar, Generic, TypeVar

from trpo_gail.errors import UserError
from trpo_gail.experts import catalogue
from trpo_gail.studies import store
from trpo_gail.studies.results import Named, Result
from trpo_gail.studies.store import Record

CellT = TypeVar("CellT", bound=Named)


class Experiment(ABC, Generic[CellT]):
    """Cells, of which each is a run and a result."""

    expert_flag: ClassVar[str]  # says where the demonstrations are

    def __init__(self, results: Path, runs: Path) -> None:
        self.results = results  # folder of what stays of finished cells
        self.runs = runs  # folder of the cells' run folders, logs and locks

    @abstractmethod
    def command(self, cell: CellT) -> list[str]:
        """Arguments of `trpo-gail` that run the cell into the run folder runs/NAME."""

    @abstractmethod
    def iterations(self, cell: CellT) -> float:
        """Rows that the run's metrics will have."""

    @abstractmethod
    def work(self, cell: CellT) -> float:
        """What the cell's time is roughly in proportion to."""

    @abstractmethod
    def expert(self, cell: CellT) -> Path | None:
        """The file of demonstrations; None for a cell without them."""

    @abstractmethod
    def harvest(self, cell: CellT, peak_memory_mb: float | None) -> Result:
        """The result of a finished run folder. Raises UserError if the folder lacks something."""

    @abstractmethod
    def read(self, cell: CellT, record: Record) -> Result:
        """A result that is there. Raises UserError if it cannot be used: it is not ours to overwrite."""

    def restarts(self, cell: CellT) -> bool:
        """Whether a run that was begun starts anew instead of going on."""
        return False

    def is_done(self, cell: CellT) -> bool:
        """Whether the cell's result is there. Raises UserError as `read` does."""
        record = store.find(self.results, cell.name)
        return record is not None and bool(self.read(cell, record))

    def finish(self, cell: CellT, peak_memory_mb: float | None) -> str:
        """Write the result of a finished run folder; what to print about it. Raises UserError as `harvest` does."""
        result = self.harvest(cell, peak_memory_mb)
        store.write(self.results, cell.name, result)
        return f"return {result.return_mean:.2f} ± {pstdev(result.returns):.2f}"

    def check(self, cells: Sequence[CellT]) -> None:
        """Raise UserError if a cell's demonstrations are missing."""
        for cell in cells:
            if (file := self.expert(cell)) and not file.is_file():
                why = f"does not exist, and {cell.name} needs it{catalogue.advice(file)}"
                raise UserError(f"{self.expert_flag}: {file} {why}")
