"""`trpo-gail report`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from trpo_gail.commands.parsing import by_rank_0, parse
from trpo_gail.config.marks import Positional
from trpo_gail.errors import UserError

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers


@dataclass(frozen=True)
class _ReportArguments:
    runs: Annotated[tuple[str, ...], Positional("RUN ...")]
    """Run folders."""
    out: str | None = None
    """HTML file to write. None writes report.html: into the run's folder, or, if there are several runs, into the current
    folder."""
    png: str | None = None
    """Folder for PNG files of the pictures; None writes no such files."""
    episodes: int = 10
    """Number of episodes to roll out by each run's policy, to see which states it visits."""


FLAGS = {"report": _ReportArguments}


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Write the page, and print its path."""
    given = parse(_ReportArguments, arguments, "report")
    if not given.runs:
        raise UserError("report: no run folder given, at least 1 expected (trpo-gail report --help)")
    from trpo_gail.reports.run_report import write_report

    by_rank_0(workers, lambda: print(f"report  {write_report(given.runs, given.out, given.png, given.episodes)}"))
    return 0
