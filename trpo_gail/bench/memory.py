"""The most memory that is resident in each rank of a training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from trpo_gail.bench.jobs import Found, about, check, measured, tell
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError


def memory(config: Config, ranks: Sequence[int], batches: Sequence[int], iterations: int) -> Found:
    """Train for some iterations with each number of rows in a batch (default: the preset's) on each number of ranks;
    prints nothing. Raises UserError."""
    check(config, ranks, batches=batches)
    if iterations < 1:
        raise UserError(f"--iterations: {iterations} given, at least 1 expected")
    rows = []
    for batch in batches or (config.timesteps_per_batch,):
        sized = dataclasses.replace(config, timesteps_per_batch=batch)
        rows += [_row(sized, number, iterations) for number in ranks]
    return {"bench": "memory", **about(config), "iterations": iterations, "rows": rows}


def _row(config: Config, ranks: int, iterations: int) -> Found:
    tell(f"batches of {config.timesteps_per_batch} steps on {ranks} rank(s)")
    run = measured("training", config, ranks, iterations=iterations)
    peaks = [rank["resident_mib"] for rank in run["ranks"]]
    return {
        "timesteps_per_batch": config.timesteps_per_batch,
        "rows": run["steps"] / run["iterations"],  # more, if batches are of whole episodes
        "ranks": ranks,
        "at_start_mib": max(rank["at_start_mib"] for rank in run["ranks"]),
        "peak_mib": max(peaks),
        "peak_mib_by_rank": peaks,
        "seconds_per_iteration": run["seconds"] / run["iterations"],
    }
