"""The tables of every comparison in `results` are what its committed results come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from trpo_gail.studies.comparison.analysis import analyse
from trpo_gail.studies.comparison.plan import load
from trpo_gail.studies.comparison.results import read_all
from trpo_gail.studies.comparison.tables import write_tables

RESULTS = Path(__file__).parents[2] / "results"
FOLDERS = sorted(str(file.parent.relative_to(RESULTS)) for file in RESULTS.rglob("comparison.csv"))


@pytest.mark.parametrize("name", FOLDERS)
def test_the_committed_tables(name: str, tmp_path: Path) -> None:
    folder = RESULTS / name
    plan = load(folder)
    found = read_all(folder, plan)
    assert [result.cell for result in found] == plan.cells()
    written = write_tables(analyse(plan, found), tmp_path)
    assert {file.name for file in written} == {file.name for file in folder.glob("*.csv")}
    for file in written:
        assert file.read_text() == (folder / file.name).read_text(), "trpo-gail compare report writes them"
