"""The tables of `results/speed`: made from what was measured, and from nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

import speed_table  # noqa: E402

SPEED = ROOT / "results" / "speed"


def test_the_page_has_all_tables_as_they_are() -> None:
    if not SPEED.exists():
        pytest.skip("scripts/speed.sh has not been run")
    page = (SPEED / "README.md").read_text()
    made = speed_table.tables(SPEED).split("\n\n**")
    assert len(made) > 3
    assert [table for table in made if table not in page] == [], "run scripts/speed_table.py"


def test_a_table_needs_its_file(tmp_path: Path) -> None:
    assert speed_table.tables(tmp_path) == ""
    (tmp_path / "start.json").write_text(json.dumps({"rows": [{"what": "--help", "ranks": 1, "seconds": 0.0712}]}))
    assert speed_table.tables(tmp_path) == (
        "**Start of CartPole-v1**\n\n| until | ranks | seconds |\n| --- | --- | --- |\n| --help | 1 | 0.0712 |"
    )


def test_what_was_not_reached_is_a_dash(tmp_path: Path) -> None:
    runs: list[dict[str, Any]] = [{"seed": 0, "to_expert_s": 12.34, "to_expert_steps": 1000}]
    runs += [{"seed": seed, "to_expert_s": None, "to_expert_steps": None} for seed in (1, 2)]
    row = {"name": "theirs", "cores": 1, "threads": 1, "to_expert_s": None, "to_expert_steps": None, "reached": 1}
    (tmp_path / "to_expert.json").write_text(json.dumps({"to_expert": [row | {"runs": runs}]}))
    assert speed_table.tables(tmp_path).splitlines()[-1] == "| theirs | 1 | 1 | 1 of 3 | - | 12.3 to 12.3 | - |"


def test_seconds_to_the_expert_are_iterations_times_the_models_seconds() -> None:
    nothing = dict.fromkeys(("a0", "a1", "b1", "start", "alpha", "beta", "w"), 0.0)
    strong = {"kind": "strong", "num_envs": 8, "timesteps_per_batch": 100, "small_updates": 10, "messages": 20,
              "summed_bytes": 1e3}  # fmt: skip
    runs = [("100", "Toy-v0", "1000"), ("400_small", "Toy-v0", "4000"), ("400", "Toy-v0", ""), ("100", "all", "")]
    rows = [
        {"contestant": name, "env": env, "runs": "3", "reached_95": "2", "held_95": "1", "score_iqm": "0.5",
         "steps_to_95_median": steps}
        for name, env, steps in runs
    ]  # fmt: skip
    held: dict[str, Any] = {
        "extended": {"model": nothing | {"b0": 2.0, "b2": 0.1}, "network": {"latency_us": 0.0, "gigabytes_s": 1e9}},
        "weak": {"env": "Toy-v0", "points": [{"kind": "one"}, strong]},
        "batches": {"rows": rows},
    }
    # Ten iterations each: of 2 + 10 * 0.1 seconds, and with four times the updates of 2 + 40 * 0.1.
    seconds = [*speed_table._batches_time(held)]
    assert seconds[4:] == ["| 100 | 30 | 30 | 30 | - | - |", "| 400_small | 60 | 60 | 60 | 60 | - |"]
    learning = [*speed_table._batches(held)]
    assert learning[4:] == [
        "| 100 | Toy-v0 | 1,000 | 2 of 3 | 1 | 0.500 |",
        "| 400_small | Toy-v0 | 4,000 | 2 of 3 | 1 | 0.500 |",
        "| 400 | Toy-v0 | - | 2 of 3 | 1 | 0.500 |",
    ]
