"""Table 3 with our results beside the paper's, and a verdict for each cell; `formats` writes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trpo_gail.scores import scaled_score
from trpo_gail.studies.reproduction.grid import Grid
from trpo_gail.studies.reproduction.paper import Group, Paper
from trpo_gail.studies.reproduction.results import Result
from trpo_gail.studies.reproduction.runs import Runs
from trpo_gail.studies.statistics import holm, one_sample_p, permutation_p, t_interval

SEVERAL, ENOUGH = 2, 3  # runs for a permutation test, on either side; seeds for a judgement on one run of the paper's


@dataclass(frozen=True)
class Row:
    """A cell of the table: our runs and the paper's, either of which may be missing."""

    group: Group
    ours: Runs | None
    paper: Runs | None
    scaled: float | None  # of our mean
    paper_scaled: float | None
    interval: tuple[float, float] | None
    p: float | None  # uncorrected; None if the rule gives no test
    verdict: str  # "" where we have nothing


@dataclass(frozen=True)
class Scale:
    """Returns of a task's expert and of random actions."""

    expert: float | None
    random: float | None

    def score(self, value: float | None) -> float | None:
        return scaled_score(value, self.expert, self.random)


def make_table(grid: Grid, found: Sequence[Result], paper: Paper) -> list[Row]:
    """A row for every cell of the grid, in its order."""
    ours = our_runs(found)
    p = {group: _p(ours.get(group), paper.cell(group)) for group in grid.groups()}
    tested = [group for group in p if p[group] is not None]
    rejected = dict(zip(tested, holm([p[group] for group in tested]), strict=True))  # type: ignore[misc]
    scales = our_scales(found)
    rows = []
    for group in grid.groups():
        a, b, task = ours.get(group), paper.cell(group), group[0]
        rows.append(
            Row(
                group=group,
                ours=a,
                paper=b,
                scaled=scales[task].score(a.mean) if a else None,
                paper_scaled=paper_scale(paper, task).score(b.mean) if b else None,
                interval=t_interval(a.means) if a else None,
                p=p[group],
                verdict=_verdict(a, b, rejected.get(group)),
            )
        )
    return rows


def our_runs(found: Sequence[Result]) -> dict[Group, Runs]:
    """Results by cell, seeds together."""
    groups: defaultdict[Group, list[Result]] = defaultdict(list)
    for result in found:
        groups[result.cell.group].append(result)
    return {
        group: Runs(
            tuple(float(np.mean(r.returns)) for r in seeds),
            tuple(float(np.std(r.returns)) for r in seeds),
            tuple(len(r.returns) for r in seeds),
        )
        for group, seeds in groups.items()
    }


def our_scales(found: Sequence[Result]) -> dict[str, Scale]:
    """By task: the demonstrations' mean return, and that of random actions over all runs."""
    ends: defaultdict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for result in found:
        for values, value in zip(
            ends[result.task], (result.expert_return_mean, result.random_return_mean), strict=True
        ):
            if value is not None:
                values.append(value)
    means = {task: [float(np.mean(values)) if values else None for values in both] for task, both in ends.items()}
    return {task: Scale(*both) for task, both in means.items()}


def paper_scale(paper: Paper, task: str) -> Scale:
    """The paper's expert and random policy."""
    return Scale(paper.expert(task), paper.random(task))


def _p(ours: Runs | None, paper: Runs | None) -> float | None:
    """By the rule; None if it has no test."""
    if ours is None or paper is None:
        return None
    if len(ours.means) >= SEVERAL and len(paper.means) >= SEVERAL:
        return permutation_p(ours.means, paper.means, np.random.default_rng(0))
    if len(ours.means) >= ENOUGH:
        return one_sample_p(ours.means, paper.mean)
    return None


def _verdict(ours: Runs | None, paper: Runs | None, rejected: bool | None) -> str:
    if ours is None:
        return ""
    if paper is None:
        return "n/a (not in the paper)"
    if rejected is None:
        return f"n/a ({len(ours.means)} seed{'s' if len(ours.means) > 1 else ''})"
    if not rejected:
        return "matches"
    return "above" if np.mean(ours.means) > np.mean(paper.means) else "below"
