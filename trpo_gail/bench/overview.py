"""`trpo-gail bench` without a subcommand: training against random actions, and on several ranks, in a dozen numbers.

Each rate is measured in a process of its own and in turn, so that a machine whose speed drifts does not favour one. Medians
and the medians of paired ratios count.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from trpo_gail.bench.jobs import check, in_turn, measured, ratio
from trpo_gail.bench.scaling import grown
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.system.cores import cores


def overview(config: Config, seconds: float, repeats: int, ranks: int) -> dict[str, Any]:
    """Run all measurements; prints nothing. Raises UserError if `mpirun` is missing, or a child fails."""
    check(config, [ranks], seconds, repeats)
    if ranks > len(cores()):
        raise UserError(f"--ranks: {ranks} given, but this process may use {len(cores())} core(s) only")
    more = grown(config, ranks)
    rates: dict[str, Callable[[], float]] = {
        "random": lambda: measured("raw", config, 1, seconds)["steps_s"],
        "training": lambda: measured("training", config, 1, seconds)["steps_s"],
    }
    if ranks > 1:
        rates |= {
            "random on all": lambda: measured("raw", more, ranks, seconds)["steps_s"],
            "weak": lambda: measured("training", more, ranks, seconds)["steps_s"],
            "strong": lambda: measured("training", config, ranks, seconds)["steps_s"],
        }
    return _result(config, ranks, in_turn(repeats, rates))


def _result(config: Config, ranks: int, rates: dict[str, list[float]]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "env": config.env,
        "preset": config.preset,
        "num_envs": config.num_envs,
        "timesteps_per_batch": config.timesteps_per_batch,
        "repeats": len(rates["random"]),
        "random actions, one core, steps/s": median(rates["random"]),
        "training, one core, steps/s": median(rates["training"]),
        "training / random": ratio(rates["training"], rates["random"]),
    }
    if ranks > 1:
        result |= {
            "ranks": ranks,
            "random actions on all ranks / one core": ratio(
                rates["random on all"], rates["random"]
            ),  # what the machine itself allows
            "training, weak scaling, steps/s": median(rates["weak"]),
            "weak scaling / one core": ratio(rates["weak"], rates["training"]),
            "training, strong scaling, steps/s": median(rates["strong"]),
            "strong scaling / one core": ratio(rates["strong"], rates["training"]),
        }
    return result | {"all rates": {name: [round(rate) for rate in values] for name, values in rates.items()}}
