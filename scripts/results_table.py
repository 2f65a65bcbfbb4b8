"""Print a table of the runs that `scripts/run_seeds.sh` kept: python scripts/results_table.py results/hopper [BAR]

The default bar is 95 % of the expert's mean return in the demonstration file, over all its episodes. It is reached at the
first periodic evaluation at or above it, and held if the last three evaluations are at or above it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from typing import Any

from trpo_gail.runs.run_folder import read_json, read_metrics


def row(folder: Path, bar: float | None) -> dict[str, Any]:
    """One run's line."""
    summary = read_json(folder / "summary.json")
    bar = bar or 0.95 * summary["expert_return_mean"]
    evaluations = [
        (r["steps"], r["eval_return_mean"]) for r in read_metrics(folder) if r["eval_return_mean"] is not None
    ]
    reached = next((int(steps) for steps, value in evaluations if value >= bar), None)  # type: ignore[arg-type]
    return summary | {
        "bar": bar,
        "reached": reached,
        "held": all(value >= bar for _, value in evaluations[-3:]),
        "last_three": ", ".join(f"{value:.0f}" for _, value in evaluations[-3:]),
    }


def main(folder: Path, bar: float | None) -> None:
    """Print markdown."""
    rows = [
        row(path.parent, bar)
        for path in sorted(folder.glob("seed_*/summary.json"), key=lambda p: int(p.parent.name[5:]))
    ]
    print(f"bar (95 % of the expert unless given): {rows[0]['bar']:.1f}\n")
    print(
        "| seed | bar reached at | last three evaluations | held | final return, 50 episodes | scaled | steps/s | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for r in rows:
        at = f"{r['reached']:,}" if r["reached"] else "never"
        print(
            f"| {r['seed']} | {at} | {r['last_three']} | {'yes' if r['held'] else 'no'} "
            f"| {r['return_mean']:.1f} ± {r['return_std']:.1f} | {r['scaled_score']:.3f} "
            f"| {r['env_steps_per_s']:.0f} | {r['wall_s']:.0f} |"
        )
    reached = [r["reached"] or float("inf") for r in rows]
    print(
        f"\n{len(rows)} seeds: reached in the median at {median(reached):,.0f} steps, in the worst at {max(reached):,.0f};",
        end=" ",
    )
    print(
        f"held in {sum(r['held'] for r in rows)}; scaled score {median(r['scaled_score'] for r in rows):.3f} in the median."
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None)
