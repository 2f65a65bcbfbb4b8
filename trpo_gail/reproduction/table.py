"""Table 3 with our results beside the paper's, and a verdict for each cell."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trpo_gail.reproduction.grid import Grid
from trpo_gail.reproduction.paper import Group, Paper
from trpo_gail.reproduction.results import Result
from trpo_gail.reproduction.statistics import LEVEL, Runs, holm, interval, one_sample_p, permutation_p
from trpo_gail.scores import scaled_score

SEVERAL, ENOUGH = 2, 3  # runs for a permutation test, on either side; seeds for a judgement on one run of the paper's
ABSENT = "—"

RULE = """\
Mean ± standard deviation over all episodes of all seeds: whole episodes of the last policy (BC: the best by validation),
which acts deterministically. The interval is Student's t over the seeds' means, 95 %. Scaled: 0 is the random policy, 1 the
expert, each side's own. Verdict: where both sides have several runs, a two-sided permutation test over run means; where the
paper has one run, whether its mean lies in our 95 % interval over at least three seeds; level 5 %, Holm-corrected over the
table. p is before that correction.""".replace("\n", " ")


@dataclass(frozen=True)
class Row:
    """A cell of the table: our runs and the paper's, either of which may be missing."""

    group: Group
    ours: Runs | None
    paper: Runs | None
    scaled: float | None  # of our mean
    paper_scaled: float | None
    interval: tuple[float, float] | None
    p: float | None  # uncorrected; None where the rule gives no test
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
                interval=interval(a.means) if a else None,
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
    """By the rule; None where it has no test."""
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


# ---- formats ---------------------------------------------------------------------------------------------------------

CSV_COLUMNS = (
    "task", "algorithm", "trajectories", "seeds", "return_mean", "return_std", "ci_low", "ci_high", "paper_mean",
    "paper_std", "scaled", "verdict",
)  # fmt: skip


def as_csv(rows: Sequence[Row], grid: Grid) -> str:
    """One line a cell; what is missing is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        low, high = row.interval or (None, None)
        numbers = [
            *((row.ours.mean, row.ours.std) if row.ours else (None, None)), low, high,
            *((row.paper.mean, row.paper.std) if row.paper else (None, None)), row.scaled,
        ]  # fmt: skip
        seeds = len(row.ours.means) if row.ours else 0
        writer.writerow([*row.group, seeds, *("" if n is None else round(n, 4) for n in numbers), row.verdict])
    return out.getvalue()


def as_markdown(rows: Sequence[Row], grid: Grid) -> str:
    """A table for people, with the rule and the counts below it."""
    head = ["task", "algorithm", "trajectories", "seeds", "ours", "95 % interval", "paper", "runs"]
    head += ["scaled", "paper's", "p", "verdict"]
    lines = [head, ["---"] * 2 + ["--:"] * (len(head) - 3) + ["---"]]
    for row in rows:
        task, algorithm, size = row.group
        cells = [grid.tasks[task].title, grid.algorithms[algorithm].title, str(size) if size else ABSENT]
        lines.append([*cells, *_texts(row), row.verdict or ABSENT])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{RULE}\n\n{counts(rows, grid)}\n"


def _texts(row: Row) -> list[str]:
    """Seeds, ours, interval, paper's, its runs, both scaled, p."""
    return [
        str(len(row.ours.means)) if row.ours else ABSENT,
        _moments(row.ours),
        f"{row.interval[0]:.1f} to {row.interval[1]:.1f}" if row.interval else ABSENT,
        _moments(row.paper),
        str(len(row.paper.means)) if row.paper else ABSENT,
        ABSENT if row.scaled is None else f"{row.scaled:.3f}",
        ABSENT if row.paper_scaled is None else f"{row.paper_scaled:.3f}",
        ABSENT if row.p is None else f"{row.p:.2g}",
    ]


def _moments(runs: Runs | None) -> str:
    return f"{runs.mean:.2f} ± {runs.std:.2f}" if runs else ABSENT


def counts(rows: Sequence[Row], grid: Grid) -> str:
    """What the verdicts come to, and what the correction keeps from being one."""
    have, tested = [row for row in rows if row.ours], [row for row in rows if row.p is not None]
    text = f"{len(have)} of {len(rows)} cells have results"
    if not tested:
        return f"{text}; the rule gives none of them a verdict."
    by = Counter(row.verdict for row in tested)
    text += f", {len(tested)} a verdict: {by['above']} above, {by['matches']} matching, {by['below']} below."
    held_back = [row for row in tested if row.verdict == "matches" and (row.p or 0.0) <= LEVEL]
    if held_back:
        text += (
            f" Holm's correction asks the smallest p to be at most {LEVEL / len(tested):.2g}; seven runs against seven "
            f"cannot be below {2 / math.comb(14, 7):.2g}. Matching by the correction alone: "
            f"{'; '.join(_difference(row, grid) for row in held_back)}."
        )
    return text


def _difference(row: Row, grid: Grid) -> str:
    assert row.ours and row.paper
    task, algorithm, size = row.group
    side = "ours is higher" if np.mean(row.ours.means) > np.mean(row.paper.means) else "ours is lower"
    return f"{grid.tasks[task].title}, {grid.algorithms[algorithm].title}, {size} ({side}, p = {row.p:.2g})"


def as_latex(rows: Sequence[Row], grid: Grid) -> str:
    """A `tabular` (package booktabs) with what fits the width of a page."""
    lines = [
        r"\begin{tabular}{llrrrrrl}", r"\toprule",
        r"Task & Algorithm & Traj. & Seeds & Ours & Paper & Scaled & Verdict \\",
    ]  # fmt: skip
    task = ""
    for row in rows:
        new = row.group[0] != task
        task = row.group[0]
        lines += [r"\midrule"] if new else []
        seeds, ours, _, paper, _, scaled, *_ = _texts(row)
        cells = [
            grid.tasks[task].title if new else "",
            grid.algorithms[row.group[1]].title,
            str(row.group[2] or ABSENT),
        ]
        cells += [seeds, ours, paper, scaled, row.verdict or ABSENT]
        lines.append(" & ".join(map(_escape, cells)) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", f"% {RULE}", f"% {counts(rows, grid)}"]) + "\n"


def _escape(text: str) -> str:
    if "±" in text or text.lstrip("-").replace(".", "").isdecimal():
        return f"${text.replace('±', chr(92) + 'pm')}$"
    return text.replace("λ", r"$\lambda$").replace(ABSENT, "--")


FORMATS: dict[str, Callable[[Sequence[Row], Grid], str]] = {"md": as_markdown, "csv": as_csv, "latex": as_latex}
