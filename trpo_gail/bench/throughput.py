"""Training against raw stepping of the same environments, and where the time of training goes."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from trpo_gail.bench.jobs import Found, about, check, in_turn, measured, ratio
from trpo_gail.config.tree import Config

PHASES = ("sample", "reward", "generator", "critic", "adversary")


def throughput(config: Config, ranks: Sequence[int], seconds: float, repeats: int) -> Found:
    """Measure on each number of ranks; prints nothing. Raises UserError."""
    check(config, ranks, seconds, repeats)
    found = [_on(config, number, seconds, repeats) for number in ranks]
    return {"bench": "throughput", **about(config), "repeats": repeats, "seconds": seconds, "ranks": found}


def _on(config: Config, ranks: int, seconds: float, repeats: int) -> Found:
    runs = in_turn(
        repeats,
        {
            "raw": lambda: measured("raw", config, ranks, seconds)["steps_s"],
            "training": lambda: measured("training", config, ranks, seconds),
        },
    )
    raw, trained = runs["raw"], [run["steps_s"] for run in runs["training"]]
    simulator = 1e6 / median(raw)
    phases = shares(runs["training"])
    return {
        "ranks": ranks,
        "raw_steps_s": median(raw),
        "training_steps_s": median(trained),
        "ratio": ratio(trained, raw),
        "simulator_us_per_step": simulator,
        "phases": phases,
        "limit": limit(phases, simulator),
        "raw": raw,
        "training": trained,
    }


def shares(runs: Sequence[Found]) -> dict[str, Found]:
    """Of each phase the share of the time of all runs, what of that was waiting for other ranks, and microseconds per step,
    in the mean over ranks. `other` is what lies between the phases; the shares add up to 1."""
    seconds, steps = sum(run["seconds"] for run in runs), sum(run["steps"] for run in runs)
    of_ranks = [rank for run in runs for rank in run["ranks"]]
    ranks = len(of_ranks) / len(runs)
    wall = {name: sum(rank["wall_s"].get(name, 0.0) for rank in of_ranks) / ranks for name in PHASES}
    own = {name: sum(rank["own_s"].get(name, 0.0) for rank in of_ranks) / ranks for name in PHASES}
    wall["other"] = own["other"] = seconds - sum(wall.values())
    return {
        name: {
            "share": spent / seconds,
            "waiting": max(0.0, spent - own[name]) / seconds,
            "us_per_step": 1e6 * spent / steps,
        }
        for name, spent in wall.items()
    }


def limit(phases: dict[str, Found], simulator: float) -> str:
    """The phase that costs most, of sampling what is beyond the simulator's own time."""
    costs = {name: phase["us_per_step"] - (simulator if name == "sample" else 0.0) for name, phase in phases.items()}
    return max(costs, key=lambda name: costs[name])
