"""The paper's numbers in the package against its Table 3, and against the raw returns, where those are at hand."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from trpo_gail.studies.reproduction.grid import load_grid
from trpo_gail.studies.reproduction.paper import load_paper

SHARED = Path(__file__).parents[2].parent / "shared"
PAPER = load_paper()
NAMES = {task.title: name for name, task in load_grid().tasks.items()}


def test_a_few_cells_of_table_3_and_table_1() -> None:
    for group, mean, std, runs in [
        (("cartpole", "bc", 1), 72.02, 35.82, 7),
        (("acrobot", "gail", 10), -78.91, 15.76, 7),
        (("reacher", "gail_ent1e-3", 4), -32.37, 39.81, 7),
        (("ant", "gtal", 11), -6252.19, 409.42, 1),
        (("humanoid", "gail", 240), 10361.94, 61.28, 1),
        (("walker", "expert", 0), 6717.08, 845.62, 1),
        (("hopper", "random", 0), 14.47, 7.96, 1),
    ]:
        cell = PAPER.cell(group)
        assert cell is not None
        assert (round(cell.mean, 2), round(cell.std, 2), len(cell.means)) == (mean, std, runs)


def test_every_cell_of_the_grid_is_there_but_the_control() -> None:
    groups = {group for group in load_grid().groups() if group[1] != "constant"}
    ends = {(task, name, 0) for task in load_grid().tasks for name in ("expert", "random")}
    assert PAPER.runs.keys() == groups | ends
    assert sum(len(PAPER.runs[group].means) for group in groups) == 517
    assert PAPER.cell(("hopper", "constant", 0)) is None


def test_all_of_table_3() -> None:
    notes = SHARED / "reference" / "gail-paper.md"
    if not notes.exists():
        pytest.skip("the notes on the paper are not beside the repository")
    checked = 0
    columns: list[str] = []
    for line in notes.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[:2] == ["Task", "trajs"]:
            reacher = "λ=1e-3" in line
            columns = (
                ["bc", "gail", *(f"gail_ent1e-{k}" for k in (3, 2, 1))] if reacher else ["bc", "fem", "gtal", "gail"]
            )
        elif columns and cells[0] in NAMES:
            for algorithm, cell in zip(columns, cells[2:], strict=True):
                mean, std = map(float, re.match(r"(-?[\d.]+) ± ([\d.]+)", cell).groups())
                ours = PAPER.runs[NAMES[cells[0]], algorithm, int(cells[1])]
                assert (ours.mean, ours.std) == (pytest.approx(mean, abs=0.0051), pytest.approx(std, abs=0.0051)), line
                checked += 1
    assert checked == 139


def test_the_raw_returns() -> None:
    raw = SHARED / "paper" / "results.h5"
    if not raw.exists():
        pytest.skip("the paper's raw returns are not beside the repository")
    with h5py.File(raw) as file:
        for (task, algorithm, size), runs in PAPER.runs.items():
            if algorithm == "random":
                continue
            where = file[task] if algorithm == "expert" else file[task][algorithm][str(size)]
            names = ["expert"] if algorithm == "expert" else sorted(where, key=lambda name: int(name.split("_")[1]))
            returns = [where[name]["returns"][:] for name in names]
            assert runs.means == pytest.approx([r.mean() for r in returns], abs=1e-6)
            assert runs.stds == pytest.approx([r.std() for r in returns], abs=1e-6)
            assert runs.episodes == tuple(map(len, returns))
            assert runs.std == pytest.approx(float(np.concatenate(returns).std()), abs=1e-5)
