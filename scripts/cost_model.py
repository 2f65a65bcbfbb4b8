#!/usr/bin/env python3
"""Fit the cost model of docs/scaling.md to measurements of `trpo-gail bench scaling`, check it, and extend it.

    trpo-gail bench scaling Hopper-v4 --ranks 2 4 8 --batches 2048 8192 --json scaling.json
    python scripts/cost_model.py scaling.json [MORE.json ...] [--held_out 4] [--latency_us 2 --gigabytes_s 10]

Seconds of an iteration with R ranks and a batch of B rows:

    T = sampling + updates + communication + waiting
    sampling      = a0 + a1 B / R
    updates       = b0 + b1 B / R               rewards, generator, critic, adversary
    communication = M (s + alpha L) + beta V L  M collectives that sum V bytes in all; L = ceil(log2 R) steps each
    waiting       = w (sampling + updates) E(R)

E(R) is the expected largest of R standard normal numbers, so w is the relative spread of the ranks' work. All are found by
least squares; points of `--held_out` ranks are left out and only compared. With `--latency_us` and `--gigabytes_s`, alpha
and beta are those of a network instead of this machine's memory; they are assumptions, not measurements.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.bench.tables import table
from trpo_gail.errors import UserError
from trpo_gail.system import whole_file

POINT = ("ranks", "rows", "own_s", "communication_s", "waiting_s", "iteration_s", "messages", "summed_bytes")
EXTENDED = tuple(2**k for k in range(11))  # ranks
FINE = np.linspace(0.0, 9.0, 9_001)  # distances of a standard normal number from 0


@dataclass(frozen=True)
class Point:
    """One measurement: seconds of an iteration, in the mean over ranks."""

    ranks: int
    rows: float
    sampling: float
    updates: float
    communication: float
    waiting: float
    total: float
    messages: float
    summed_bytes: float

    @classmethod
    def of(cls, found: dict[str, Any], source: str) -> Point:
        """A point of the JSON. Raises UserError for a field that is missing."""
        if missing := [name for name in POINT if name not in found]:
            raise UserError(f"{source}: points: {missing[0]}: missing; expected what `bench scaling --json` writes")
        own = found["own_s"]
        return cls(
            found["ranks"], found["rows"], own["sample"], sum(own.values()) - own["sample"],
            found["communication_s"], found["waiting_s"], found["iteration_s"], found["messages"], found["summed_bytes"],
        )  # fmt: skip


@dataclass(frozen=True)
class Model:
    """The coefficients; `start` is s."""

    a0: float
    a1: float
    b0: float
    b1: float
    start: float
    alpha: float
    beta: float
    w: float

    def parts(self, ranks: int, rows: float, messages: float, summed_bytes: float) -> dict[str, float]:
        """Seconds of an iteration by what they are spent on."""
        share, steps = rows / ranks, levels(ranks)
        sampling, updates = self.a0 + self.a1 * share, self.b0 + self.b1 * share
        communication = (
            messages * (self.start + self.alpha * steps) + self.beta * summed_bytes * steps if steps else 0.0
        )
        waiting = self.w * (sampling + updates) * expected_largest(ranks)
        return {"sampling": sampling, "updates": updates, "communication": communication, "waiting": waiting}

    def seconds(self, ranks: int, rows: float, messages: float, summed_bytes: float) -> float:
        """Of an iteration."""
        return sum(self.parts(ranks, rows, messages, summed_bytes).values())

    def on_network(self, latency_us: float, gigabytes_s: float) -> Model:
        """The same machines with a network between them: its latency and its rate in place of the memory's."""
        return dataclasses.replace(self, alpha=1e-6 * latency_us, beta=1e-9 / gigabytes_s)


def levels(ranks: int) -> int:
    """Steps in which a number of each rank can reach all: ceil(log2 R)."""
    return (ranks - 1).bit_length()


def expected_largest(ranks: int) -> float:
    """Of so many standard normal numbers: the integral of 1 - F^R over what is above 0, less that of F^R below."""
    up = np.array([0.5 * math.erfc(-x / math.sqrt(2.0)) for x in FINE])
    return float(np.trapezoid(1.0 - up**ranks, FINE) - np.trapezoid((1.0 - up) ** ranks, FINE))


# ---- the fit ---------------------------------------------------------------------------------------------------------


def fit(points: Sequence[Point], sums: Sequence[tuple[int, float, float]]) -> Model:
    """Least squares. `sums` are (ranks, bytes, seconds) of single sums, from which the messages' part comes: those of a
    training have nearly all one size. Raises UserError for points that do not determine the model."""
    shares = {round(point.rows / point.ranks) for point in points}
    if len(shares) < 2:
        raise UserError("points: all have the same rows for a rank, several expected: other --ranks or --batches")
    if not any(point.ranks > 1 for point in points):
        raise UserError("points: none has several ranks")
    a0, a1 = _line(points, lambda point: point.sampling)
    b0, b1 = _line(points, lambda point: point.updates)
    start, alpha, beta = _messages(sums)
    waits = [(expected_largest(p.ranks) * (p.sampling + p.updates), p.waiting) for p in points if p.ranks > 1]
    w = sum(x * y for x, y in waits) / sum(x * x for x, _ in waits)
    return Model(a0, a1, b0, b1, start, alpha, beta, w)


def _line(points: Sequence[Point], of: Callable[[Point], float]) -> tuple[float, float]:
    """Seconds as a constant and a multiple of the rows of a rank, neither below 0."""
    return _squares([(1.0, point.rows / point.ranks) for point in points], [of(point) for point in points])  # type: ignore[return-value]


def _messages(sums: Sequence[tuple[int, float, float]]) -> tuple[float, float, float]:
    """Seconds of a sum as a constant, a multiple of the steps, and one of bytes times steps. With one number of ranks alone
    the constant is 0, since nothing tells it from the steps."""
    several = len({levels(ranks) for ranks, *_ in sums}) > 1
    rows = [(float(several), float(levels(ranks)), size * levels(ranks)) for ranks, size, _ in sums]
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
    rows = []
    for point in points:
        predicted = model.seconds(point.ranks, point.rows, point.messages, point.summed_bytes)
        error = predicted / point.total - 1.0
        rows.append(
            {"ranks": point.ranks, "rows": point.rows, "measured": point.total, "predicted": predicted, "error": error}
        )
    return rows


def extended(model: Model, one: Point, several: Point, weak: bool) -> list[dict[str, float]]:
    """From one rank to 1,024: seconds of an iteration by part, and the rate against one rank's. `several` tells the
    messages."""
    rows, alone = [], one.rows / model.seconds(1, one.rows, 0.0, 0.0)
    for ranks in EXTENDED:
        batch = one.rows * (ranks if weak else 1)
        parts = model.parts(ranks, batch, several.messages, several.summed_bytes)
        seconds = sum(parts.values())
        rows.append({"ranks": ranks, "rows": batch, "seconds": seconds, **parts, "times_one": batch / seconds / alone})
    return rows


def strongest(rows: Sequence[dict[str, float]]) -> int:
    """The number of ranks with the highest rate: beyond it, strong scaling ends."""
    return int(max(rows, key=lambda row: row["times_one"])["ranks"])


def read(paths: Sequence[Path]) -> tuple[list[Point], list[tuple[int, float, float]]]:
    """Points, and single sums as (ranks, bytes, seconds). Raises UserError."""
    points, sums = [], []
    for path in paths:
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: not readable as JSON ({error})") from error
        if not isinstance(found, dict) or found.get("bench") != "scaling":
            raise UserError(f"{path}: bench: 'scaling' expected; expected what `trpo-gail bench scaling --json` writes")
        points += [Point.of(point, str(path)) for point in found["points"]]
        sums += [(of["ranks"], one["bytes"], 1e-6 * one["us"]) for of in found["messages"] for one in of["sums"]]
    return points, sums


def result(
    points: Sequence[Point], sums: Sequence[tuple[int, float, float]], given: argparse.Namespace
) -> dict[str, Any]:
    """The model, its errors, and what it says of more ranks. Raises UserError."""
    used = [point for point in points if point.ranks != given.held_out]
    if given.held_out is not None and len(used) == len(points):
        raise UserError(f"--held_out: {given.held_out} given, but no point has so many ranks")
    if given.held_out == 1 or all(point.ranks == 1 for point in used):
        raise UserError(f"--held_out: {given.held_out} given, one rank and another number must be left")
    model = fit(used, [one for one in sums if one[0] != given.held_out])
    one, several = (next(p for p in used if (p.ranks > 1) == more) for more in (False, True))
    cluster = model.on_network(given.latency_us, given.gigabytes_s) if given.latency_us else model
    held_out = [point for point in points if point.ranks == given.held_out]
    return {
        "model": dataclasses.asdict(model),
        "fitted": check(model, used),
        "held_out": check(model, held_out),
        "network": {"latency_us": given.latency_us, "gigabytes_s": given.gigabytes_s} if given.latency_us else None,
        "strong": extended(cluster, one, several, weak=False),
        "weak": extended(cluster, one, several, weak=True),
    }


def lines(found: dict[str, Any]) -> Iterable[str]:
    """What the terminal shows."""
    yield ", ".join(f"{name} {value:.4g}" for name, value in found["model"].items())
    for title in ("fitted", "held_out"):
        if found[title]:
            yield f"\n{title.replace('_', ' ')}: seconds of an iteration"
            yield from table(list(found[title][0]), [list(row.values()) for row in found[title]])
    for title in ("strong", "weak"):
        yield f"\n{title} scaling" + ("" if found["network"] is None else f", network {found['network']}")
        yield from table(list(found[title][0]), [list(row.values()) for row in found[title]])
    yield f"\nstrong scaling is fastest with {strongest(found['strong'])} ranks"


def main() -> int:
    """From flags to tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", type=Path, nargs="+", help="of `trpo-gail bench scaling --json`")
    parser.add_argument("--held_out", type=int, help="ranks whose points are compared only")
    parser.add_argument("--latency_us", type=float, help="of a network's message between two ranks")
    parser.add_argument("--gigabytes_s", type=float, default=10.0, help="rate of that network")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    try:
        found = result(*read(given.files), given)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(lines(found)))
    if given.json:
        whole_file.write_json(given.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
