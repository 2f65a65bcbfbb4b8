"""Print what one change each made of the first contestant, as Markdown: python scripts/variants_table.py FOLDER

FOLDER is that of a `trpo-gail compare` whose runs are done. The first table has the score of the first contestant (mean
of the middle half of runs, with an interval of 95 %) and by how much the mean score of each other is above it, with its
interval; a star marks what is significant among all variants of the task (Holm). The second has the median of the steps
to 95 % of the expert, with how many runs came there and how many held it to the end. A dash is where there is no number:
no run has a result, or the task has no scores.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

from trpo_gail.system.terminal import guarded

Row = dict[str, str]
ABOVE = "score_above_"  # before the name of the first contestant, in a header
ABSENT = "-"


def tables(folder: Path) -> str:
    """Both tables. Raises FileNotFoundError if the comparison has no results yet."""
    compared = {(row["contestant"], row["env"]): row for row in _rows(folder / "comparison.csv")}
    differences = {(row["contestant"], row["env"]): row for row in _rows(folder / "differences.csv")}
    first = _first(folder / "differences.csv")
    tasks = list(dict.fromkeys(env for _, env in compared))
    names = list(dict.fromkeys([first, *(name for name, _ in compared)]))

    def score(name: str, task: str) -> str:
        if name == first:
            return _score(compared.get((name, task)))
        return _difference(differences.get((name, task)))

    def steps(name: str, task: str) -> str:
        return _steps(compared.get((name, task)))

    return "\n\n".join(_table(names, tasks, cell) for cell in (score, steps))


def _first(path: Path) -> str:
    """The contestant with which the others are compared; it may have no result."""
    with open(path, newline="") as file:
        return next(name for name in next(csv.reader(file)) if name.startswith(ABOVE)).removeprefix(ABOVE)


def _rows(path: Path) -> list[Row]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _table(names: list[str], tasks: list[str], cell: Callable[[str, str], str]) -> str:
    rows = [[name, *(cell(name, task) for task in tasks)] for name in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in [["", *tasks], ["---"] * (len(tasks) + 1), *rows])


def _score(row: Row | None) -> str:
    if row is None or not row["score_iqm"]:
        return ABSENT
    score, low, high = (float(row[name]) for name in ("score_iqm", "iqm_low", "iqm_high"))
    return f"{score:.3f} ({low:.3f} to {high:.3f})"


def _difference(row: Row | None) -> str:
    if row is None:
        return ABSENT
    mean = next(float(value) for name, value in row.items() if name.startswith(ABOVE))
    star = " *" if row["significant_by_holm"] == "1" else ""
    return f"{mean:+.3f} ({float(row['low']):+.3f} to {float(row['high']):+.3f}){star}"


def _steps(row: Row | None) -> str:
    if row is None or not row["reached_95"]:
        return ABSENT
    counts = f"{row['reached_95']} of {row['runs']}, held {row['held_95']}"
    return f"{float(row['steps_to_95_median']):,.0f} ({counts})" if row["steps_to_95_median"] else counts


@guarded
def main() -> int:
    """Print the tables of a folder."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        print(tables(Path(sys.argv[1])))
    except FileNotFoundError as error:
        sys.exit(
            f"variants_table.py: {error.filename}: no such file; a comparison writes it when all its runs are done"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
