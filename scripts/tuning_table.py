"""Print the figures by which a round of tuning is decided, highest first: python scripts/tuning_table.py FOLDER

FOLDER is that of a `trpo-gail compare`. A contestant's figure is the mean over seeds of its runs' scores, and then over
tasks. A score is 0 for a random policy and 1 for the expert.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from statistics import mean

from trpo_gail.system.terminal import guarded


def figures(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Scores of the runs, by contestant and task. Raises FileNotFoundError if the comparison has no run yet."""
    found: dict[str, dict[str, list[float]]] = {}
    with open(folder / "runs.csv", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["contestant"], {}).setdefault(row["env"], []).append(float(row["score"]))
    return found


def table(found: dict[str, dict[str, list[float]]]) -> str:
    """A row per contestant, as Markdown. A contestant that lacks a task that others have gets no figure."""
    tasks = list(dict.fromkeys(task for scores in found.values() for task in scores))
    lines = [f"| contestant | figure | {' | '.join(tasks)} |", "|---" * (len(tasks) + 2) + "|"]
    whole = {
        name: mean(mean(scores[task]) for task in tasks) for name, scores in found.items() if len(scores) == len(tasks)
    }
    for name in sorted(found, key=lambda name: -whole.get(name, float("-inf"))):
        cells = [" ".join(f"{score:.3f}" for score in found[name].get(task, [])) or "–" for task in tasks]
        lines.append(f"| {name} | {f'{whole[name]:.3f}' if name in whole else '–'} | {' | '.join(cells)} |")
    return "\n".join(lines)


@guarded
def main() -> int:
    """Print the figures of a folder."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not (Path(sys.argv[1]) / "runs.csv").is_file():
        sys.exit(
            f"tuning_table.py: {sys.argv[1]}: no runs.csv there; a comparison writes it when all its runs are done"
        )
    print(table(figures(Path(sys.argv[1]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
