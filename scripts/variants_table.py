"""Print what one change each made of the first contestant, as Markdown: python scripts/variants_table.py FOLDER

FOLDER is that of a `trpo-gail compare` whose runs are done. The first table has the score of the first contestant (mean
of the middle half of runs, with an interval of 95 %) and by how much the mean score of each other is above it, with its
interval; a star marks what is significant among all variants of the task (Holm). The second has the median of the steps
to 95 % of the expert, of the runs that came there, with how many did and how many held it to the end.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

Row = dict[str, str]


def tables(folder: Path) -> str:
    """Both tables. Raises FileNotFoundError if the comparison has no results yet."""
    compared = {(row["contestant"], row["env"]): row for row in _rows(folder / "comparison.csv")}
    differences = {(row["contestant"], row["env"]): row for row in _rows(folder / "differences.csv")}
    names, tasks = (list(dict.fromkeys(key[part] for key in compared)) for part in (0, 1))

    def score(name: str, task: str) -> str:
        return _difference(differences[name, task]) if name != names[0] else _score(compared[name, task])

    def steps(name: str, task: str) -> str:
        return _steps(compared[name, task])

    return "\n\n".join(_table(names, tasks, cell) for cell in (score, steps))


def _rows(path: Path) -> list[Row]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _table(names: list[str], tasks: list[str], cell: Callable[[str, str], str]) -> str:
    rows = [[name, *(cell(name, task) for task in tasks)] for name in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in [["", *tasks], ["---"] * (len(tasks) + 1), *rows])


def _score(row: Row) -> str:
    score, low, high = (float(row[name]) for name in ("score_iqm", "iqm_low", "iqm_high"))
    return f"{score:.3f} ({low:.3f} to {high:.3f})"


def _difference(row: Row) -> str:
    mean = next(float(value) for name, value in row.items() if name.startswith("score_above_"))
    star = " *" if row["significant_by_holm"] == "1" else ""
    return f"{mean:+.3f} ({float(row['low']):+.3f} to {float(row['high']):+.3f}){star}"


def _steps(row: Row) -> str:
    counts = f"{row['reached_95']} of {row['runs']}, held {row['held_95']}"
    return f"{int(row['steps_to_95_median']):,} ({counts})" if row["steps_to_95_median"] else counts


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        print(tables(Path(sys.argv[1])))
    except FileNotFoundError as error:
        sys.exit(
            f"variants_table.py: {error.filename}: no such file; a comparison writes it when all its runs are done"
        )
