"""What more ranks give: with the same work in all (strong scaling), and with the same work for each (weak)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, cast

from trpo_gail.bench.jobs import Found, about, check, in_turn, measured
from trpo_gail.bench.throughput import PHASES
from trpo_gail.config.leaves import build, flatten
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError

Case = tuple[str, int, Config]  # strong or weak, ranks, settings


def scaling(config: Config, ranks: Sequence[int], seconds: float, repeats: int, batches: Sequence[int] = ()) -> Found:
    """Measure on one rank and on each other number, for each number of rows in a batch (default: the preset's); prints
    nothing. Raises UserError."""
    check(config, ranks, seconds, repeats, batches)
    more = sorted(set(ranks) - {1})
    if not more:
        raise UserError("--ranks: 1 given, a number above 1 expected, to be compared with one rank")
    points = []
    for batch in batches or (config.timesteps_per_batch,):
        sized = dataclasses.replace(config, timesteps_per_batch=batch)
        points += _points(cases(sized, more), seconds, repeats)
    found = {"bench": "scaling", **about(config), "repeats": repeats, "seconds": seconds, "points": points}
    return found | {"messages": [_messages(config, number) for number in more]}


def cases(config: Config, ranks: Sequence[int]) -> list[Case]:
    """One rank, then both kinds of each number."""
    found: list[Case] = [("one", 1, config)]
    for number in ranks:
        found += [("strong", number, config), ("weak", number, grown(config, number))]
    return found


def grown(config: Config, ranks: int) -> Config:
    """The work of one rank on each of several: totals times their number."""
    now, names = flatten(config), ["num_envs", "timesteps_per_batch"]
    names += ["critic.vf_batch_size"] if config.critic.fit == "adam" else []
    names += ["ppo.batch_size"] if config.generator == "ppo" else []
    names += [f"discriminator.{name}" for name in ("d_batch_size", "expert_batch_size")]
    totals = {name: now[name] * ranks for name in names if now[name] is not None}
    return cast(Config, build(Config, now | totals))


def small_updates(config: Config, rows: float) -> int:
    """Of an iteration with so many rows in all: minibatches of the critic and updates of the discriminator. Each costs a rank
    something that does not depend on its rows."""
    critic, batches = config.critic, max(1, round(rows / config.g_step / config.critic.vf_batch_size))
    passes = critic.vf_iters if critic.fit == "adam" else 0
    return config.g_step * passes * batches + config.d_step


def _points(made: Sequence[Case], seconds: float, repeats: int) -> list[Found]:
    def measurement(case: Case) -> Callable[[], Any]:
        return lambda: measured("training", case[2], case[1], seconds)

    runs = in_turn(repeats, {f"{kind} {ranks}": measurement((kind, ranks, config)) for kind, ranks, config in made})
    alone = [run["steps_s"] for run in runs["one 1"]]
    return [point(kind, ranks, config, runs[f"{kind} {ranks}"], alone) for kind, ranks, config in made]


def point(kind: str, ranks: int, config: Config, runs: Sequence[Found], alone: Sequence[float]) -> Found:
    """Medians over runs; `alone` are the rates of one rank in the same turns. Seconds and messages are an iteration's, in
    the mean over ranks."""

    def each(of_rank: Callable[[Found], float]) -> float:
        return median(sum(map(of_rank, run["ranks"])) / len(run["ranks"]) / run["iterations"] for run in runs)

    rates, iteration_s = [run["steps_s"] for run in runs], median(run["seconds"] / run["iterations"] for run in runs)
    times = median(rate / one for rate, one in zip(rates, alone, strict=True))
    rows = median(run["steps"] / run["iterations"] for run in runs)
    communication, waiting = each(lambda rank: rank["communication_s"]), each(lambda rank: rank["waiting_s"])
    return {
        "kind": kind,
        "ranks": ranks,
        "num_envs": config.num_envs,
        "timesteps_per_batch": config.timesteps_per_batch,
        "rows": rows,
        "small_updates": small_updates(config, rows),
        "steps_s": median(rates),
        "times_one": times,
        "efficiency": times / ranks,
        "iteration_s": iteration_s,
        "own_s": {name: each(lambda rank, name=name: rank["own_s"].get(name, 0.0)) for name in PHASES},  # type: ignore[misc]
        "communication_s": communication,
        "waiting_s": waiting,
        "communication_share": communication / iteration_s,
        "waiting_share": waiting / iteration_s,
        "messages": each(lambda rank: rank["messages"]),
        "summed_bytes": each(lambda rank: rank["summed_bytes"]),
        "rates": rates,
    }


def _messages(config: Config, ranks: int) -> Found:
    return {"ranks": ranks, "sums": measured("messages", config, ranks)["messages"]}
