"""The numbers of Ho & Ermon (2016), by run: what their published evaluations come to.

`paper_results.csv` has a row per policy of theirs: mean and standard deviation of its episodes' returns, computed from the
raw returns in results/*.h5 of openai/imitation. The algorithm `expert` is the expert's evaluation (it acts stochastically);
`random` is Table 1's column.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from trpo_gail.studies.reproduction.runs import Runs

Group = tuple[str, str, int]  # task, algorithm, trajectories


@dataclass(frozen=True)
class Paper:
    """All of the file."""

    runs: dict[Group, Runs]

    def cell(self, group: Group) -> Runs | None:
        """A row of Table 3; None if the paper has none."""
        return self.runs.get(group)

    def expert(self, task: str) -> float:
        return self.runs[task, "expert", 0].mean

    def random(self, task: str) -> float:
        return self.runs[task, "random", 0].mean


@cache
def load_paper() -> Paper:
    """The file of this package."""
    text = files("trpo_gail.studies.reproduction").joinpath("paper_results.csv").read_text("utf-8")
    rows: defaultdict[Group, list[Sequence[float]]] = defaultdict(list)
    for row in csv.DictReader(text.splitlines()):
        group = row["task"], row["algorithm"], int(row["trajectories"])
        rows[group].append((float(row["return_mean"]), float(row["return_std"]), int(row["episodes"])))
    return Paper({group: Runs(*(tuple(column) for column in zip(*runs, strict=True))) for group, runs in rows.items()})
