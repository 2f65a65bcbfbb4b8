"""The tables in `results/trpo_vs_ppo` are what the committed results come to."""

from __future__ import annotations

from pathlib import Path

from trpo_gail.studies.comparison.analysis import analyse
from trpo_gail.studies.comparison.plan import load
from trpo_gail.studies.comparison.results import read_all
from trpo_gail.studies.comparison.tables import write_tables

FOLDER = Path(__file__).parents[2] / "results" / "trpo_vs_ppo"


def test_the_committed_tables(tmp_path: Path) -> None:
    plan = load(FOLDER)
    found = read_all(FOLDER, plan)
    assert [result.cell for result in found] == plan.cells()
    written = write_tables(analyse(plan, found), tmp_path)
    assert {file.name for file in written} == {file.name for file in FOLDER.glob("*.csv")}
    for file in written:
        assert file.read_text() == (FOLDER / file.name).read_text(), "trpo-gail compare report writes them"
