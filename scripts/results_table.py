"""Print a table of the runs that `scripts/run_seeds.sh` kept: python scripts/results_table.py results/hopper [BAR]

The default bar is 95 % of the mean return of the trajectories that the learner was given (of all in their file, if it
is not in the repository); if that is negative, 95 % of the way to it from a random policy's. The bar is reached at the
first periodic evaluation at or above it, and held if the last three evaluations are at or above it.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.load import load
from trpo_gail.runs.run_folder import read_json, read_metrics
from trpo_gail.scores import scaled_score
from trpo_gail.studies.comparison.analysis import LAST
from trpo_gail.system.terminal import guarded

ROOT = Path(__file__).parents[1]


def given(config: dict[str, Any]) -> Demonstrations | None:
    """What the learner of a run was given, if its file is in the repository."""
    return _given(config["expert"], config["trajectories"], config["subsample"])


@cache
def _given(expert: str, trajectories: int | None, subsample: int) -> Demonstrations | None:
    return load(ROOT / expert, trajectories, subsample) if (ROOT / expert).is_file() else None


def bar_of(summary: dict[str, Any]) -> float:
    """The default bar of a run."""
    expert: float = summary["expert_return_mean"]
    low: float = 0.0 if expert > 0 else summary["random_return_mean"]
    return low + 0.95 * (expert - low)


def row(folder: Path, bar: float | None = None) -> dict[str, Any]:
    """One run's line."""
    summary = read_json(folder / "summary.json")
    demonstrations = given(read_json(folder / "config.json")["config"])
    if demonstrations and (mean := demonstrations.given_return_mean) is not None:
        summary["expert_return_mean"] = mean
        summary["scaled_score"] = scaled_score(
            summary["return_mean"], summary["expert_return_mean"], summary["random_return_mean"]
        )
    bar = bar_of(summary) if bar is None else bar
    evaluated = [r for r in read_metrics(folder) if r["eval_return_mean"] is not None]
    returns: list[Any] = [r["eval_return_mean"] for r in evaluated]
    first: dict[str, Any] = next((r for r, value in zip(evaluated, returns, strict=True) if value >= bar), {})
    return summary | {
        "bar": bar,
        "evaluations": returns,
        "reached": int(first["steps"]) if first else None,
        "reached_s": first.get("wall_s"),
        "held": len(returns) >= LAST and all(value >= bar for value in returns[-LAST:]),
        "last_three": ", ".join(f"{value:.0f}" for value in returns[-LAST:]),
    }


def rows_of(folder: Path, bar: float | None = None) -> list[dict[str, Any]]:
    """The lines of a folder's seeds, by number; [] if it has none."""
    paths = sorted(folder.glob("seed_*/summary.json"), key=lambda path: int(path.parent.name[5:]))
    return [row(path.parent, bar) for path in paths]


def differing(folder: Path) -> list[str]:
    """Settings in which the seeds of a folder differ, besides the seed."""
    paths = sorted(folder.glob("seed_*/config.json"))
    configs = [_flat(read_json(path)["config"]) for path in paths]
    return sorted(
        name for name in set().union(*configs) - {"seed"} if len({repr(one.get(name)) for one in configs}) > 1
    )


def _flat(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return found


def number(text: str) -> float:
    """The bar that was named. Raises UserError."""
    try:
        return float(text)
    except ValueError:
        raise UserError(f"BAR: {text!r} given, a number expected") from None


def main(folder: Path, bar: float | None) -> None:
    """Print markdown."""
    if not (rows := rows_of(folder, bar)):
        raise UserError(f"{folder}: no finished seed (seed_*/summary.json); scripts/run_seeds.sh keeps them")
    if names := differing(folder):
        print(f"careful: the seeds differ in {', '.join(names)}", file=sys.stderr)
    print(f"bar (95 % of the expert unless given): {rows[0]['bar']:.1f}\n")
    counts = sorted({r["episodes"] for r in rows})
    episodes = f"{counts[0]} episodes" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} episodes"
    print(
        f"| seed | bar reached at | last three evaluations | held | final return, {episodes} | scaled | steps/s | seconds |"
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


@guarded
def command() -> int:
    """What the command line asks for."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        main(Path(sys.argv[1]), number(sys.argv[2]) if len(sys.argv) == 3 else None)
    except UserError as error:
        sys.exit(f"results_table.py: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(command())
