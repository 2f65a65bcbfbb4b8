"""Print the page of the runs that `scripts/benchmarks.sh` kept: python scripts/benchmarks_table.py results/benchmarks

A task without a finished seed is left out.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from typing import Any

from results_table import rows_of

from trpo_gail.system.terminal import guarded

# What others' documents state, and of what, by task: first of those that scripts/benchmarks.sh trains.
PEERS = {
    "LunarLander-v3": "DI-engine, GAIL on DQN, LunarLander-v2: 200",
    "BipedalWalker-v3": "DI-engine, GAIL on SAC: 300",
    "Hopper-v4": "DI-engine, GAIL on SAC, Hopper-v3: 3500; Tianshou, GAIL on PPO, Hopper-v2: 1761 (best of a run)",
    "PointNav2D-v0": "the notebook's greedy expert: 0.883, and 0.955 of 200 episodes reach the goal",
    "Pendulum-v1": "Stable-Baselines, its expert: -149.9; RL Zoo, TRPO on the true reward: -175 after 100,000 steps",
    "CartPole-v1": "Stable-Baselines, its expert: 495.3; RL Zoo, TRPO on the true reward: 500 after 100,000 steps",
    "Acrobot-v1": "Ho & Ermon, GAIL from 1 to 10 trajectories, Acrobot-v0: -77.3 to -83.1",
    "MountainCar-v0": "Ho & Ermon, GAIL from 1 and 10 trajectories: -101.6 and -100.8",
}
# The same of tasks whose runs are in results/learning, with the folder of each.
LEARNED = {
    "HalfCheetah-v4": (
        "halfcheetah",
        "Tianshou, GAIL on PPO, HalfCheetah-v2: 5177 (best of a run; expert: some 11,000)",
    ),
    "Walker2d-v4": ("walker2d", "Tianshou, GAIL on PPO, Walker2d-v2: 2021 (best of a run; expert: some 5,000)"),
}

HEAD = """\
# The benchmarks that peers' documents name

`scripts/benchmarks.sh` made these runs, and `scripts/benchmarks_table.py` makes this page. Every run has the default
settings of its commit, and all episodes of the task's file in `expert_data/`. The page on
[settings](../../docs/hyperparameters.md) says whether these are today's defaults.

The return is that of 50 deterministic episodes (1000 on PointNav2D-v0) of the last policy. Success is the share of
these episodes that the environment calls a success, or a dash if the environment never says. The bar is 95 % of the
expert's mean return; if that is negative, it is 95 % of the way from a random policy's return to the expert's. A run
reaches the bar at the first periodic evaluation at or above it, and holds it if its last three evaluations are.

HalfCheetah-v4 (five seeds) and Walker2d-v4 (ten) are the runs of [learning](../learning/README.md): two ranks, 200
pairs, and the bar is that of the four trajectories. Other programs ran on the machine, so the seconds of the whole
runs say little. Most peers state neither seeds nor intervals, and their environments, experts and amounts of data
differ from ours. The form of the reward, `auto`, was chosen with other seeds; two tasks of this page were among those
that were tried ([how](../adversaries/README.md#reward-forms-and-endings)).

| task | peers state | expert | return: median, worst | success | steps | bar reached at: median, worst | run, s | held |
|---|---|---|---|---|---|---|---|---|"""


def line(task: str, stated: str, rows: list[dict[str, Any]]) -> str:
    """One task's line of the table."""
    returns = [r["return_mean"] for r in rows]
    reached = [r["reached"] if r["reached"] is not None else float("inf") for r in rows]
    cells = [
        task,
        stated,
        number(rows[0]["expert_return_mean"]),
        f"{number(median(returns))}, {number(min(returns))}",
        success(rows),
        f"{rows[0]['steps']:,}",
        f"{steps(median(reached))}, {steps(max(reached))}",
        f"{median(r['wall_s'] for r in rows):.0f}",
        f"{sum(r['held'] for r in rows)} of {len(rows)}",
    ]
    return f"| {' | '.join(cells)} |"


def success(rows: list[dict[str, Any]]) -> str:
    """The median over runs, if all say it."""
    shares = [r["success_rate"] for r in rows if r.get("success_rate") is not None]
    return f"{median(shares):.3f}" if len(shares) == len(rows) else "-"


def number(value: float, scale: float | None = None) -> str:
    """A return, with as many digits as befits its size, or that of `scale`."""
    size = abs(value if scale is None else scale)
    return f"{value:.{3 if size < 10 else 1 if size < 1000 else 0}f}"


def steps(value: float) -> str:
    """A number of steps, or that there is no such number."""
    return "never" if value == float("inf") else f"{value:,.0f}"


def page(folder: Path) -> str:
    """The page, and under the table each task's seeds."""
    places = {task: (folder / task, stated) for task, stated in PEERS.items()}
    places |= {task: (folder.parent / "learning" / name, stated) for task, (name, stated) in LEARNED.items()}
    found = {task: rows for task, (place, _) in places.items() if (rows := rows_of(place))}
    lines = [HEAD, *(line(task, places[task][1], rows) for task, rows in found.items()), "", "## Seeds", ""]
    lines += ["| task | seed | return | bar reached at | last three evaluations |", "|---|---|---|---|---|"]
    for task, rows in found.items():
        for r in rows:
            at = steps(float("inf") if r["reached"] is None else r["reached"])
            last = ", ".join(map(number, r["evaluations"][-3:]))
            mean, spread = number(r["return_mean"]), number(r["return_std"], r["return_mean"])
            lines.append(f"| {task} | {r['seed']} | {mean} ± {spread} | {at} | {last} |")
    return "\n".join(lines)


@guarded
def main() -> int:
    """Print the page of a folder."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not any(rows_of(Path(sys.argv[1]) / task) for task in PEERS):
        sys.exit(f"benchmarks_table.py: {sys.argv[1]}: no TASK/seed_*/summary.json there, expected one at least")
    print(page(Path(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
