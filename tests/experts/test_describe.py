"""What a person reads of demonstrations."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from trpo_gail.experts import describe
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.load import read


def test_info_tells_all_that_a_file_holds(native: Path) -> None:
    lines = dict(describe.info(read(native)))
    assert lines["file"] == str(native)
    assert lines["format"] == "native"
    assert lines["environment"] == 'Toy-v0 {"gravity": 2}'
    assert lines["episodes"] == "3"
    assert lines["transitions"] == "9 rows of 9 steps (subsample 1)"
    assert lines["observations"] == "float32 [9, 2]"
    assert lines["actions"] == "float32 [9, 1], 0 to 0.23, 33.3% of coordinates outside the bounds -0.2 to 0.2"
    assert lines["returns"] == "3.0 +- 0.8, 2 to 4"
    assert lines["lengths"] == "3.0 +- 0.8, 2 to 4"
    assert lines["ends"] == "1 terminal, 2 by time limit"
    assert lines["policy"] == "by hand (stochastic)"
    assert (lines["seed"], lines["licence"], lines["attribution"]) == ("3", "MIT", "nobody")


def test_the_ends_of_episodes_whose_last_rows_are_left_out(demonstrations: Demonstrations) -> None:
    """They are told if the source says them, and are unknown otherwise."""
    few = demonstrations.select(subsample=3)
    assert dict(describe.info(few))["ends"] == "1 terminal, 2 by time limit"
    bare = dataclasses.replace(few, episode_endings=None, whole=None)
    assert dict(describe.info(bare))["ends"] == ("1 terminal, 1 by time limit, 1 unknown, whose last rows are left out")
