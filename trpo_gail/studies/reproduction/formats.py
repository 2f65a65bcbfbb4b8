"""The table as Markdown, CSV and LaTeX: all of its rows, or some. The counts below it are always those of all."""

from __future__ import annotations

import csv
import io
import math
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from trpo_gail.studies.reproduction.grid import Grid
from trpo_gail.studies.reproduction.runs import Runs
from trpo_gail.studies.reproduction.table import Row
from trpo_gail.studies.statistics import LEVEL

ABSENT = "—"

RULE = """\
Mean ± standard deviation over all episodes of all seeds: whole episodes of the last policy (BC: the best by validation),
which acts deterministically. The interval is Student's t over the seeds' means, 95 %. Scaled: 0 is the random policy, 1 the
expert, each side's own. Verdict: where both sides have several runs, a two-sided permutation test over run means; where the
paper has one run, whether its mean lies in our 95 % interval over at least three seeds; level 5 %, Holm-corrected over the
table. p is before that correction. All seeds of a cell share their demonstrations, and the paper's were others: with few
trajectories a difference may be theirs.""".replace("\n", " ")

CSV_COLUMNS = (
    "task", "algorithm", "trajectories", "seeds", "return_mean", "return_std", "ci_low", "ci_high", "paper_mean",
    "paper_std", "scaled", "verdict",
)  # fmt: skip


def as_csv(rows: Sequence[Row], grid: Grid, shown: Sequence[Row]) -> str:
    """One line a cell; what is missing is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in shown:
        low, high = row.interval or (None, None)
        numbers = [
            *((row.ours.mean, row.ours.std) if row.ours else (None, None)), low, high,
            *((row.paper.mean, row.paper.std) if row.paper else (None, None)), row.scaled,
        ]  # fmt: skip
        seeds = len(row.ours.means) if row.ours else 0
        writer.writerow([*row.group, seeds, *("" if n is None else round(n, 4) for n in numbers), row.verdict])
    return out.getvalue()


def as_markdown(rows: Sequence[Row], grid: Grid, shown: Sequence[Row]) -> str:
    """A table for people, with the rule and the counts below it."""
    head = ["task", "algorithm", "trajectories", "seeds", "ours", "95 % interval", "paper", "runs"]
    head += ["scaled", "paper's", "p", "verdict"]
    lines = [head, ["---"] * 2 + ["--:"] * (len(head) - 3) + ["---"]]
    for row in shown:
        task, algorithm, size = row.group
        cells = [grid.tasks[task].title, grid.algorithms[algorithm].title, str(size) if size else ABSENT]
        lines.append([*cells, *_texts(row), row.verdict or ABSENT])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = (
        textwrap.fill(note, 120, break_on_hyphens=False, break_long_words=False) for note in (RULE, counts(rows, grid))
    )
    return "\n\n".join([table, *notes]) + "\n"


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


def as_latex(rows: Sequence[Row], grid: Grid, shown: Sequence[Row]) -> str:
    """A `tabular` (package booktabs) with what fits the width of a page."""
    lines = [
        r"\begin{tabular}{llrrrrrl}", r"\toprule",
        r"Task & Algorithm & Traj. & Seeds & Ours & Paper & Scaled & Verdict \\",
    ]  # fmt: skip
    task = ""
    for row in shown:
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


FORMATS: dict[str, Callable[[Sequence[Row], Grid, Sequence[Row]], str]] = {
    "md": as_markdown,
    "csv": as_csv,
    "latex": as_latex,
}
