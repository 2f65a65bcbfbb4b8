#!/usr/bin/env python3
"""Fit the cost model of docs/scaling.md to measurements of `trpo-gail bench scaling`, check it, and extend it.

    trpo-gail bench scaling Hopper-v4 --ranks 2 --batches 2048 8192 32768 --json scaling.json
    python scripts/cost_model.py scaling.json [MORE.json ...] [--held_out 4 | --held_out_rows 8192] [--latency_us 2]

Seconds of an iteration with R ranks, N environments, a batch of B rows and K small updates (the critic's minibatches and
the discriminator's updates):

    T = sampling + updates + communication + waiting
    sampling      = a0 B / N + a1 B / R         B / N times, all environments of a rank are stepped together
    updates       = b0 + b1 B / R + b2 K        rewards, generator, critic, adversary
    communication = M (s + alpha L) + beta V L  M collectives that sum V bytes in all; L = ceil(log2 R) steps each
    waiting       = w (sampling + updates) E(R)

E(R) is the expected largest of R standard normal numbers, so w is the relative spread of the ranks' work. All are found by
least squares; points of `--held_out` ranks, or of `--held_out_rows` in a batch on the most ranks, are left out and only
compared. So are those of more ranks than cores, R ranks on C of them: there a core does the work of R / C ranks, one after
the other, so T = (sampling + updates) R / C + communication. With `--latency_us` and `--gigabytes_s`, alpha and beta are
those of a network, if that is slower than this machine's memory; they are assumptions, not measurements.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.bench.tables import table
from trpo_gail.errors import UserError
from trpo_gail.system import whole_file
from trpo_gail.system.terminal import guarded

POINT = (
    "kind", "ranks", "num_envs", "timesteps_per_batch", "rows", "small_updates", "own_s", "communication_s", "waiting_s",
    "iteration_s", "messages", "summed_bytes",
)  # fmt: skip
EXTENDED = tuple(2**k for k in range(11))  # ranks
FINE = np.linspace(0.0, 9.0, 9_001)  # distances of a standard normal number from 0
ALIKE = 0.01  # share of the largest singular value below which columns are taken to depend on each other

Sum = tuple[int, float, float]  # ranks, bytes and seconds of a single sum


@dataclass(frozen=True)
class Load:
    """The work of an iteration."""

    ranks: int
    envs: int
    rows: float
    small: int  # updates whose cost does not depend on the rows of a rank
    messages: float
    summed_bytes: float

    @property
    def share(self) -> float:
        """Rows of a rank."""
        return self.rows / self.ranks

    @property
    def steps(self) -> float:
        """How often all environments of a rank are stepped."""
        return self.rows / self.envs


@dataclass(frozen=True)
class Point(Load):
    """One measurement: seconds of an iteration, in the mean over ranks."""

    batch: int  # rows that were asked for, of one rank with weak scaling
    sampling: float
    updates: float
    communication: float
    waiting: float
    total: float

    @classmethod
    def of(cls, found: dict[str, Any], source: str) -> Point:
        """A point of the JSON. Raises UserError for a field that is missing."""
        if missing := [name for name in POINT if name not in found]:
            raise UserError(f"{source}: points: {missing[0]}: missing; expected what `bench scaling --json` writes")
        numbers = {name: found[name] for name in POINT if name not in ("kind", "own_s")}
        numbers |= found["own_s"] if isinstance(found["own_s"], dict) else {"own_s": found["own_s"]}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise UserError(f"{source}: points: {name}: {value!r} found, a number expected")
        if found["ranks"] < 1 or found["num_envs"] < 1 or "sample" not in numbers:
            raise UserError(f"{source}: points: ranks and num_envs from 1 on, and own_s of 'sample' expected")
        own, weak = found["own_s"], found["kind"] == "weak"
        return cls(
            found["ranks"], found["num_envs"], found["rows"], found["small_updates"], found["messages"],
            found["summed_bytes"], found["timesteps_per_batch"] // (found["ranks"] if weak else 1), own["sample"],
            sum(own.values()) - own["sample"], found["communication_s"], found["waiting_s"], found["iteration_s"],
        )  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """What the files hold that counts."""

    points: list[Point]
    sums: list[Sum]
    crowded: Sequence[tuple[Point, int]] = ()  # points of more ranks than cores, which no fit sees, and the cores


@dataclass(frozen=True)
class Model:
    """The coefficients; `start` is s."""

    a0: float
    a1: float
    b0: float
    b1: float
    b2: float
    start: float
    alpha: float
    beta: float
    w: float

    def parts(self, load: Load) -> dict[str, float]:
        """Seconds of an iteration by what they are spent on."""
        steps = levels(load.ranks)
        sampling = self.a0 * load.steps + self.a1 * load.share
        updates = self.b0 + self.b1 * load.share + self.b2 * load.small
        sums = load.messages * (self.start + self.alpha * steps) + self.beta * load.summed_bytes * steps
        waiting = self.w * (sampling + updates) * expected_largest(load.ranks)
        return {
            "sampling": sampling, "updates": updates, "communication": sums if steps else 0.0, "waiting": waiting,
        }  # fmt: skip

    def seconds(self, load: Load) -> float:
        """Of an iteration."""
        return sum(self.parts(load).values())

    def on_network(self, latency_us: float, gigabytes_s: float) -> Model:
        """The same machines with a network between them. What a message costs on one machine it costs there, too, so nothing
        becomes cheaper."""
        alpha, beta = 1e-6 * latency_us, 1e-9 / gigabytes_s
        return dataclasses.replace(self, alpha=max(self.alpha, alpha), beta=max(self.beta, beta))


def levels(ranks: int) -> int:
    """Steps in which a number of each rank can reach all: ceil(log2 R)."""
    return (ranks - 1).bit_length()


def expected_largest(ranks: int) -> float:
    """Of so many standard normal numbers: the integral of 1 - F^R over what is above 0, less that of F^R below."""
    up = np.array([0.5 * math.erfc(-x / math.sqrt(2.0)) for x in FINE])
    return float(np.trapezoid(1.0 - up**ranks, FINE) - np.trapezoid((1.0 - up) ** ranks, FINE))


# ---- the fit ---------------------------------------------------------------------------------------------------------


def fit(points: Sequence[Point], sums: Sequence[Sum]) -> Model:
    """Least squares. The messages' part comes from single sums: those of a training have nearly all one size.

    Raises UserError for points that do not determine the model.
    """
    if not any(point.ranks > 1 for point in points):
        raise UserError("points: none has several ranks, and no more of them than cores")
    a0, a1 = _coefficients("sampling", [(p.steps, p.share) for p in points], [p.sampling for p in points])
    several = len({point.small for point in points}) > 1  # with one number, nothing tells its cost from the constant
    rows = [(1.0, point.share, float(several * point.small)) for point in points]
    b0, b1, b2 = _coefficients("updates", rows, [point.updates for point in points])
    start, alpha, beta = _messages(sums)
    waits = [(expected_largest(p.ranks) * (p.sampling + p.updates), p.waiting) for p in points if p.ranks > 1]
    w = sum(x * y for x, y in waits) / sum(x * x for x, _ in waits)
    return Model(a0, a1, b0, b1, b2, start, alpha, beta, w)


def _coefficients(what: str, rows: Sequence[tuple[float, ...]], values: Sequence[float]) -> tuple[float, ...]:
    """None is below 0. Raises UserError if the columns do not vary apart."""
    matrix = np.array(rows)
    used = matrix[:, matrix.any(0)]
    if np.linalg.matrix_rank(used / np.linalg.norm(used, axis=0), ALIKE) < used.shape[1]:
        raise UserError(
            f"points: too alike to fit {what}: strong scaling is needed beside one rank, or other --batches"
        )
    return _squares(rows, values)


def _messages(sums: Sequence[Sum]) -> tuple[float, float, float]:
    """Seconds of a sum as a constant, a multiple of the steps, and one of bytes times steps. With one number of ranks nothing
    tells the first two apart: all is the constant, to which a network's steps are added."""
    several = len({levels(ranks) for ranks, *_ in sums}) > 1
    rows = [(1.0, float(several * levels(ranks)), size * levels(ranks)) for ranks, size, _ in sums]
    start, alpha, beta = _squares(rows, [seconds for *_, seconds in sums])
    return start, alpha, beta


def _squares(rows: Sequence[tuple[float, ...]], values: Sequence[float]) -> tuple[float, ...]:
    """Least squares of relative errors with coefficients of at least 0: one that would be negative is left out, the most
    negative first. Relative, since seconds of large batches would outweigh all others."""
    scale = 1.0 / np.maximum(np.array(values), 1e-12)
    matrix, ones = np.array(rows) * scale[:, None], np.ones(len(values))
    kept = [k for k in range(matrix.shape[1]) if matrix[:, k].any()]
    while kept:
        found = np.linalg.lstsq(matrix[:, kept] / (size := np.abs(matrix[:, kept]).max(0)), ones, rcond=None)[0] / size
        if (found >= 0.0).all():
            break
        kept.remove(kept[int(np.argmin(found * size))])
    result = np.zeros(matrix.shape[1])
    result[kept] = found if kept else []
    return tuple(map(float, result))


# ---- what it says ----------------------------------------------------------------------------------------------------


def check(model: Model, points: Iterable[Point]) -> list[dict[str, float]]:
    """Measured and predicted seconds of points, and the relative error."""
    return [_compared(point, model.seconds(point)) for point in points]


def check_crowded(model: Model, crowded: Iterable[tuple[Point, int]]) -> list[dict[str, float]]:
    """The same of points with fewer cores than ranks. While a rank waits, another one works on its core."""
    rows = []
    for point, cores in crowded:
        parts = model.parts(point)
        own = (parts["sampling"] + parts["updates"]) * point.ranks / cores
        rows.append(_compared(point, own + parts["communication"]))
    return rows


def _compared(point: Point, predicted: float) -> dict[str, float]:
    error = predicted / point.total - 1.0
    return {"ranks": point.ranks, "rows": point.rows, "measured": point.total, "predicted": predicted, "error": error}


def extended(model: Model, one: Point, several: Point, weak: bool) -> list[dict[str, float]]:
    """Seconds of an iteration by part, and the rate against one rank's: to 1,024 ranks with weak scaling; with strong scaling
    to as many as there are environments, since no rank can be without one. `several` tells the messages."""
    alone = Load(1, one.envs, one.rows, one.small, several.messages, several.summed_bytes)
    one_rate, rows = alone.rows / model.seconds(alone), []
    for ranks in EXTENDED if weak else sorted({*(n for n in EXTENDED if n < one.envs), one.envs}):
        times = ranks if weak else 1
        load = dataclasses.replace(alone, ranks=ranks, envs=one.envs * times, rows=one.rows * times)
        parts = model.parts(load)
        seconds = sum(parts.values())
        of_one = load.rows / seconds / one_rate
        rows.append({"ranks": ranks, "rows": load.rows, "seconds": seconds, **parts, "times_one": of_one})
    return rows


def strongest(rows: Sequence[dict[str, float]]) -> int:
    """The number of ranks with the highest rate: beyond it, strong scaling ends."""
    return int(max(rows, key=lambda row: row["times_one"])["ranks"])


def read(paths: Sequence[Path]) -> Measured:
    """What the files hold. Raises UserError."""
    points, sums, crowded = list[Point](), list[Sum](), list[tuple[Point, int]]()
    first: tuple[Any, ...] = ()
    for path in paths:
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: not readable as JSON ({error})") from error
        if not isinstance(found, dict) or found.get("bench") != "scaling":
            raise UserError(f"{path}: bench: 'scaling' expected; expected what `trpo-gail bench scaling --json` writes")
        for name, kind in (("points", list), ("messages", list), ("cores", int)):
            if not isinstance(found.get(name), kind) or not found[name]:
                raise UserError(f"{path}: {name}: not there, or empty; expected what `bench scaling --json` writes")
        machine = tuple(found.get(name) for name in ("env", "preset", "processor"))
        if machine != (first := first or machine):
            raise UserError(
                f"{path}: of {machine}, and the file before of {first}: one model is of one machine and task"
            )
        here, cores = [Point.of(point, str(path)) for point in found["points"]], found["cores"]
        points += [point for point in here if point.ranks <= cores]
        crowded += [(point, cores) for point in here if point.ranks > cores]
        of_ranks = [of for of in found["messages"] if of["ranks"] <= cores]
        sums += [(of["ranks"], one["bytes"], 1e-6 * one["us"]) for of in of_ranks for one in of["sums"]]
    return Measured(points, sums, crowded)


def parted(measured: Measured, ranks: int | None, rows: int | None) -> tuple[Measured, list[Point]]:
    """What the fit sees, and the points that are held out: those of some ranks; or those of some rows in a batch on the most
    ranks, which others of these ranks and one rank's of these rows must then foretell. Raises UserError."""
    most = max((point.ranks for point in measured.points), default=0)

    def is_held(point: Point) -> bool:
        return point.ranks == (most if rows is not None else ranks) and rows in (None, point.batch)

    held, used = ([p for p in measured.points if is_held(p) == out] for out in (True, False))
    flag, given = ("--held_out", ranks) if rows is None else ("--held_out_rows", rows)
    if given is not None and not held:
        raise UserError(f"{flag}: {given} given, but no point that is used has so many")
    if given is not None and len({point.ranks > 1 for point in used}) < 2:
        raise UserError(f"{flag}: {given} given, one rank and another number must be left")
    return Measured(used, [one for one in measured.sums if one[0] != ranks], measured.crowded), held


def result(measured: Measured, given: argparse.Namespace) -> dict[str, Any]:
    """The model, its errors, and what it says of more ranks. Raises UserError."""
    if not 0 < given.gigabytes_s < math.inf or not 0 <= (given.latency_us or 0.0) < math.inf:
        raise UserError("--latency_us, --gigabytes_s: a latency from 0 on and a rate above 0 expected")
    used, held_out = parted(measured, given.held_out, given.held_out_rows)
    model = fit(used.points, used.sums)
    one, several = _pair(used.points)
    networked = given.latency_us is not None
    cluster = model.on_network(given.latency_us, given.gigabytes_s) if networked else model
    return {
        "model": dataclasses.asdict(model),
        "ranks_of_sums": sorted({ranks for ranks, *_ in used.sums}),
        "fitted": check(model, used.points),
        "held_out": check(model, held_out),
        "crowded": check_crowded(model, measured.crowded),
        "network": {"latency_us": given.latency_us, "gigabytes_s": given.gigabytes_s} if networked else None,
        "strong": extended(cluster, one, several, weak=False),
        "weak": extended(cluster, one, several, weak=True),
    }


def _pair(points: Sequence[Point]) -> tuple[Point, Point]:
    """The first point of one rank, and one of several with the same batch. Raises UserError."""
    found = (
        (one, more) for one in points for more in points if one.ranks == 1 < more.ranks and one.batch == more.batch
    )
    if (pair := next(found, None)) is None:
        raise UserError("points: no batch was measured both on one rank and on several")
    return pair


def lines(found: dict[str, Any]) -> Iterable[str]:
    """What the terminal shows."""
    yield ", ".join(f"{name} {value:.4g}" for name, value in found["model"].items())
    titles = {"fitted": "fitted", "held_out": "held out", "crowded": "held out, more ranks than cores"}
    for key, title in titles.items():
        if found[key]:
            yield f"\n{title}: seconds of an iteration"
            yield from table(list(found[key][0]), [list(row.values()) for row in found[key]])
    for title in ("strong", "weak"):
        yield f"\n{title} scaling" + ("" if found["network"] is None else f", network {found['network']}")
        yield from table(list(found[title][0]), [list(row.values()) for row in found[title]])
    if found["network"] is None and len(found["ranks_of_sums"]) == 1:
        yield "sums were timed on one number of ranks, so their time is taken not to grow with ranks: see --latency_us"
    end = found["strong"][-1]["ranks"]
    yield f"\nstrong scaling is fastest with {strongest(found['strong'])} ranks; it ends at {end}, one for each environment"


@guarded
def main() -> int:
    """From flags to tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", type=Path, nargs="+", help="of `trpo-gail bench scaling --json`")
    held_out = parser.add_mutually_exclusive_group()
    held_out.add_argument("--held_out", type=int, help="ranks whose points are compared only")
    held_out.add_argument("--held_out_rows", type=int, help="rows of a batch whose points on the most ranks are so")
    parser.add_argument("--latency_us", type=float, help="of a network's message between two ranks")
    parser.add_argument("--gigabytes_s", type=float, default=10.0, help="rate of that network")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    try:
        if given.json:
            whole_file.check("--json", given.json)
        found = result(read(given.files), given)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(lines(found)))
    if given.json:
        whole_file.write_json(given.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
