"""scripts/tuning_table.py: the figure by which a round of tuning is decided."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

import tuning_table  # noqa: E402


def test_the_highest_mean_over_tasks_is_first_however_many_seeds_a_task_has(tmp_path: Path) -> None:
    rows = ["low,A,1,0.5", "low,A,2,0.7", "low,B,1,0.2", "high,A,1,0.1", "high,B,1,0.9", "part,A,1,2.0"]
    (tmp_path / "runs.csv").write_text("\n".join(["contestant,env,seed,score", *rows]) + "\n")
    assert tuning_table.table(tuning_table.figures(tmp_path)).splitlines()[2:] == [
        "| high | 0.500 | 0.100 | 0.900 |",
        "| low | 0.400 | 0.500 0.700 | 0.200 |",  # not 0.467, the mean of its runs
        "| part | – | 2.000 | – |",
    ]
