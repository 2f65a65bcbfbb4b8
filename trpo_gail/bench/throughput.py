"""Training against raw stepping of the same environments, and where the time of training goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from trpo_gail.bench.jobs import Found, about, check, in_turn, measured, ratio
from trpo_gail.config.tree import Config

PHASES = ("sample", "reward", "generator", "critic", "adversary")


def throughput(config: Config, ranks: Sequence[int], seconds: float, repeats: int) -> Found:
    """Measure on each number of ranks; prints nothing. Raises UserError."""
    check(config, ranks, seconds, repeats)
    measurements: dict[str, Callable[[], Found]] = {}
    for number in ranks:
        measurements[f"raw {number}"] = partial(measured, "raw", config, number, seconds)
        measurements[f"training {number}"] = partial(measured, "training", config, number, seconds)
    runs = in_turn(repeats, measurements)
    found = [_on(number, runs[f"raw {number}"], runs[f"training {number}"]) for number in ranks]
    return {"bench": "throughput", **about(config), "repeats": repeats, "seconds": seconds, "ranks": found}


def _on(ranks: int, stepped: Sequence[Found], runs: Sequence[Found]) -> Found:
    raw, trained = ([run["steps_s"] for run in some] for some in (stepped, runs))
    simulator = 1e6 / median(raw)
    phases = shares(runs)
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
    """Of each phase the share of a run's time, the share of that time that the phase spent in collectives, and microseconds
    per step: medians over runs of the mean over ranks. `other` is what lies between the phases; a run's shares add up
    to 1."""
    found = [_shares(run) for run in runs]
    return {
        name: {key: median(one[name][key] for one in found) for key in ("share", "collectives", "us_per_step")}
        for name in found[0]
    }


def _shares(run: Found) -> dict[str, Found]:
    seconds, ranks = run["seconds"], run["ranks"]
    wall, own = (
        {name: sum(rank[key].get(name, 0.0) for rank in ranks) / len(ranks) for name in PHASES}
        for key in ("wall_s", "own_s")
    )
    wall["other"] = own["other"] = seconds - sum(wall.values())
    return {
        name: {
            "share": spent / seconds,
            # One rank waits for nobody; what is left between its two clocks is noise.
            "collectives": max(0.0, spent - own[name]) / seconds if len(ranks) > 1 else 0.0,
            "us_per_step": 1e6 * spent / run["steps"],
        }
        for name, spent in wall.items()
    }


def limit(phases: dict[str, Found], simulator: float) -> str:
    """The phase that costs most, of sampling what is beyond the simulator's own time."""
    costs = {name: phase["us_per_step"] - (simulator if name == "sample" else 0.0) for name, phase in phases.items()}
    return max(costs, key=lambda name: costs[name])
