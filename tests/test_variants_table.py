"""scripts/variants_table.py: what one change each made, on each task."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

import variants_table  # noqa: E402


def test_differences_from_the_first_and_steps(tmp_path: Path) -> None:
    (tmp_path / "comparison.csv").write_text(
        "contestant,env,runs,score_iqm,iqm_low,iqm_high,reached_95,held_95,steps_to_95_median\n"
        "base,A,5,0.9876,0.98,1,5,4,20480\n"
        "base,all,5,0.9876,0.98,1,5,4,\n"
        "other,A,5,0.5,0.4,0.6,0,0,\n"
        "other,all,5,0.5,0.4,0.6,0,0,\n"
    )
    (tmp_path / "differences.csv").write_text(
        "contestant,env,score_above_base,low,high,p,significant_by_holm\n"
        "other,A,-0.4876,-0.6,-0.4,0.008,1\n"
        "other,all,0.25,-0.1,0.4,0.5,0\n"
    )
    scores, steps = variants_table.tables(tmp_path).split("\n\n")
    assert scores.splitlines()[2:] == [
        "| base | 0.988 (0.980 to 1.000) | 0.988 (0.980 to 1.000) |",
        "| other | -0.488 (-0.600 to -0.400) * | +0.250 (-0.100 to +0.400) |",
    ]
    assert steps.splitlines()[2:] == [
        "| base | 20,480 (5 of 5, held 4) | 5 of 5, held 4 |",
        "| other | 0 of 5, held 0 | 0 of 5, held 0 |",
    ]


def test_what_has_no_number_is_a_dash(tmp_path: Path) -> None:
    """`base` has no result on A, where `other` is the first that has one; B has returns and no scores."""
    (tmp_path / "comparison.csv").write_text(
        "contestant,env,runs,score_iqm,iqm_low,iqm_high,reached_95,held_95,steps_to_95_median\n"
        "other,A,5,0.5,0.4,0.6,3,1,20480.5\n"
        "base,B,5,,,,,,\n"
        "other,B,5,,,,,,\n"
    )
    (tmp_path / "differences.csv").write_text("contestant,env,score_above_base,low,high,p,significant_by_holm\n")
    scores, steps = variants_table.tables(tmp_path).split("\n\n")
    assert scores.splitlines() == ["|  | A | B |", "| --- | --- | --- |", "| base | - | - |", "| other | - | - |"]
    assert steps.splitlines()[2:] == ["| base | - | - |", "| other | 20,480 (3 of 5, held 1) | - |"]
