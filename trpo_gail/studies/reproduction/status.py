"""How far a selection of cells is: one line per task and algorithm."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from trpo_gail.studies.reproduction.experiment import GridExperiment
from trpo_gail.studies.reproduction.grid import Cell, Grid, Places
from trpo_gail.studies.runner import is_claimed

STATES = ("done", "running", "begun", "open")


def state(cell: Cell, grid: Grid, places: Places) -> str:
    """done, running (a runner has it), begun (the next `run` resumes it) or open. Raises UserError for a useless result."""
    experiment = GridExperiment(grid, places)
    if experiment.is_done(cell):
        return "done"
    if is_claimed(experiment, cell):
        return "running"
    return "begun" if (places.run(cell) / "config.json").exists() else "open"


def status(grid: Grid, cells: Sequence[Cell], places: Places) -> str:
    """A table of counts, and below it the cells that run now."""
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    running = []
    for cell in cells:
        found = state(cell, grid, places)
        counts[cell.task, cell.algorithm][found] += 1
        if found == "running":
            running.append(cell.name)
    order = sorted(counts, key=lambda key: (list(grid.tasks).index(key[0]), list(grid.algorithms).index(key[1])))
    rows = [[*key, *(str(counts[key][name]) for name in STATES)] for key in order]
    total = sum(counts.values(), Counter())
    rows = [["task", "algorithm", *STATES], *rows, ["all", "", *(str(total[name]) for name in STATES)]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(_pad(row, widths)).rstrip() for row in rows]
    return "\n".join([*lines, *(f"running: {name}" for name in running)])


def _pad(row: list[str], widths: list[int]) -> list[str]:
    return [
        cell.ljust(width) if k < 2 else cell.rjust(width)
        for k, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
