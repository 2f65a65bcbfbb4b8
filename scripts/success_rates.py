"""Print success rates of point-navigation runs that `scripts/run_seeds.sh` kept, with an `evaluation.json` beside each:

    python scripts/success_rates.py results/pointnav/discrete_4096 [...]

A folder without such a run is skipped.

A return is 1 if the goal was reached, minus 0.01 per step. So the rate is the mean return plus 0.01 times the mean length.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from trpo_gail.runs.run_folder import read_json, read_metrics
from trpo_gail.system.terminal import guarded


def show(folder: Path) -> None:
    """Print markdown of one folder of seeds."""
    paths = sorted(folder.glob("seed_*/evaluation.json"))
    if not paths:
        print(f"{folder}: no seed_*/evaluation.json, skipped", file=sys.stderr)
        return
    print(f"\n{folder.name}\n")
    print("| seed | steps | iterations | success rate | mean return | mean length | periodic evaluations | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    rates = []
    for path in paths:
        evaluation, summary = read_json(path), read_json(path.parent / "summary.json")
        rates.append(_rate(evaluation["return_mean"], evaluation["length_mean"]))
        during = ", ".join(
            f"{_rate(r['eval_return_mean'], r['eval_length_mean']):.3f}"  # type: ignore[arg-type]
            for r in read_metrics(path.parent)
            if r["eval_return_mean"] is not None
        )
        print(
            f"| {summary['seed']} | {summary['steps']:,} | {summary['iterations']} | {rates[-1]:.3f} "
            f"| {evaluation['return_mean']:.3f} | {evaluation['length_mean']:.1f} | {during} | {summary['wall_s']:.0f} |"
        )
    print(f"\n{len(rates)} seeds: {median(rates):.3f} in the median, {min(rates):.3f} in the worst.")


def _rate(return_mean: float, length_mean: float) -> float:
    return return_mean + 0.01 * length_mean


@guarded
def main() -> int:
    """Print markdown of all folders."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for name in sys.argv[1:]:
        show(Path(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
