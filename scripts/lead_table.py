"""Print what the discriminator's lead does to runs: python scripts/lead_table.py RUN... [--picture FILE]

RUN is a run folder. The Markdown table has the return of the last policy, and of iterations the means over the middle of
the run, from 30 to 60 % of them: the share of pairs about which D is right, its mean logit, the share of the learner's
pairs with a logit below -4, the entropy of D's decisions and of the policy, the KL divergence of a step, and the spread of
rewards within a batch. A dash is where a run did not record it. The picture has the same quantities against steps.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.records import logit_below
from trpo_gail.reports import plots
from trpo_gail.reports.plots import Panel
from trpo_gail.reports.run_data import RunData, load
from trpo_gail.system import whole_file
from trpo_gail.system.terminal import guarded

MIDDLE = (0.3, 0.6)  # of a run's iterations
LOW = -4  # a logit at which `-log(1-D)` pays 0.018; at 0 it pays 0.69
PANELS = (
    Panel("return of the deterministic policy", "eval_return_mean"),
    Panel("spread of rewards in a batch", "reward_std", bottom=0.0),
    Panel("D right: learner's pairs", "d_accuracy_learner", bottom=0.0, top=1.04),
    Panel("D right: expert's pairs", "d_accuracy_expert", bottom=0.0, top=1.04),
    Panel("mean logit, learner's pairs", "d_logit_learner"),
    Panel("mean logit, expert's pairs", "d_logit_expert"),
    Panel("entropy of D's decisions, nats", "d_entropy", bottom=0.0),
    Panel("entropy of the policy, nats", "entropy"),
    Panel("KL of a step, nats", "kl", bottom=0.0),
    Panel(f"learner's pairs with a logit below {LOW}", logit_below("learner", LOW), bottom=0.0, top=1.04),
)
COLUMNS = (
    "run", "return", "D right: learner, expert", "logit: learner, expert", f"learner below {LOW}", "entropy of D",
    "of the policy", "KL", "spread of rewards",
)  # fmt: skip


def table(runs: Sequence[RunData]) -> str:
    """A line for each run."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|--:|---|---|--:|--:|--:|--:|--:|"]
    for run in runs:
        cells = [
            f"{run.summary['return_mean']:.0f}" if "return_mean" in run.summary else "-",
            f"{middle(run, 'd_accuracy_learner', '.2f')}, {middle(run, 'd_accuracy_expert', '.2f')}",
            f"{middle(run, 'd_logit_learner', '.1f')}, {middle(run, 'd_logit_expert', '.1f')}",
            middle(run, logit_below("learner", LOW), ".2f"),
            middle(run, "d_entropy", ".3f"),
            middle(run, "entropy", ".1f"),
            middle(run, "kl", ".4f"),
            middle(run, "reward_std", ".2f"),
        ]
        lines.append(f"| {run.label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def middle(run: RunData, column: str, form: str) -> str:
    """The mean over the middle of a run, or a dash."""
    values = run.column(column)[1]
    low, high = (round(part * len(values)) for part in MIDDLE)
    return format(float(np.mean(values[low : max(high, low + 1)])), form) if len(values) else "-"


@guarded
def command() -> int:
    """What the command line asks for."""
    if len(sys.argv) == 1:
        sys.exit(__doc__)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write the curves to a PNG file")
    given = parser.parse_args()
    try:
        if given.picture:
            whole_file.check("--picture", given.picture)
        runs = load(given.runs)
        print(table(runs))
        if given.picture:
            whole_file.write(given.picture, plots.metrics(runs, plots.has(runs, PANELS)))
    except UserError as error:
        sys.exit(f"lead_table.py: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(command())
