"""A comparison's numbers as CSV. Seconds and memory, which differ from run to run, have files of their own: times*.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.studies.comparison.analysis import ALL, Analysis, Curve, held, to_near
from trpo_gail.studies.comparison.fairness import updates_per_step
from trpo_gail.system import whole_file

Cells = Sequence[str | int | float | None]


def write_tables(found: Analysis, out: Path) -> list[Path]:
    """Write all files, each whole or not at all. Raises UserError if they cannot be written."""
    paths = []
    for name, table in TABLES.items():
        path = out / f"{name}.csv"
        try:
            whole_file.write(path, as_csv(table(found)).encode())
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from error
        paths.append(path)
    return paths


def as_csv(lines: Iterable[Cells]) -> str:
    """Numbers to six digits that count; what is missing is empty."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([_text(cell) for cell in line] for line in lines)
    return out.getvalue()


def _text(cell: str | int | float | None) -> str:
    if isinstance(cell, float):
        return f"{cell + 0.0:.6g}" if abs(cell) < 1e6 else f"{cell:.0f}"
    return "" if cell is None else str(cell)


def _comparison(found: Analysis) -> Iterable[Cells]:
    yield (
        "contestant", "env", "runs", "planned", "return_mean", "return_std", "expert_return", "random_return", "score_iqm",
        "iqm_low", "iqm_high", "reached_95", "held_95", "steps_to_95_median",
    )  # fmt: skip
    for row in found.rows:
        scale = found.scales.get(row.env)
        moments = (None, None) if row.returns is None else (float(row.returns.mean()), float(row.returns.std()))
        ends = (scale.expert, scale.random) if scale else (None, None)
        iqm = (row.iqm.value, row.iqm.low, row.iqm.high)
        yield (
            row.contestant, row.env, row.runs, row.planned, *moments, *ends, *iqm, row.reached, row.held,
            row.steps_to_near,
        )  # fmt: skip
    for contestant, env, mine, (expert, random) in found.bare():
        returns = np.array([r.return_mean for r in mine])
        planned = len(found.plan.seeds)
        moments = float(returns.mean()), float(returns.std())
        yield contestant, env, len(mine), planned, *moments, expert, random, *[None] * 6


def _runs(found: Analysis) -> Iterable[Cells]:
    yield (
        "contestant", "env", "seed", "steps", "iterations", "updates_per_1000_steps", "return_mean", "score", "steps_to_95",
        "held_95",
    )  # fmt: skip
    for r in found.everything:
        scale = found.scales.get(r.env)
        rate = updates_per_step(found.plan, r)
        scores = (scale.score(r.return_mean), to_near(r, scale, "steps"), int(held(r, scale))) if scale else [None] * 3
        yield (
            r.contestant, r.env, r.seed, r.steps, r.iterations, None if rate is None else 1000 * rate, r.return_mean,
            *scores,
        )  # fmt: skip


def _curves(found: Analysis) -> Iterable[Cells]:
    yield "contestant", "env", "part_of_steps", "steps", "score_iqm", "iqm_low", "iqm_high"
    for curve in found.curves:
        total = 1 if curve.env == ALL else found.plan.task(curve.env).steps
        for x, *rest in _points(curve):
            yield curve.contestant, curve.env, x / total, None if curve.env == ALL else x, *rest


def _points(curve: Curve) -> Iterable[list[float]]:
    return np.stack([curve.x, curve.score, curve.low, curve.high], axis=1).tolist()


def _profiles(found: Analysis) -> Iterable[Cells]:
    yield "contestant", "score", "part_of_runs_above", "low", "high"
    for p in found.profiles:
        for line in np.stack([p.thresholds, p.part, p.low, p.high], axis=1).tolist():
            yield p.contestant, *line


def _improvements(found: Analysis) -> Iterable[Cells]:
    yield "first", "second", "env", "probability_first_is_higher", "low", "high"
    for i in found.improvements:
        yield i.first, i.second, i.env, i.probability.value, i.probability.low, i.probability.high


def _differences(found: Analysis) -> Iterable[Cells]:
    first = found.plan.contestants[0].name
    yield "contestant", "env", f"score_above_{first}", "low", "high", "p", "significant_by_holm"
    for d in found.differences:
        certain = None if d.certain is None else int(d.certain)
        yield d.contestant, d.env, d.score.value, d.score.low, d.score.high, d.p, certain


def _times(found: Analysis) -> Iterable[Cells]:
    yield "contestant", "env", "seed", "train_s", "evaluation_s", "env_steps_per_s", "seconds_to_95", "peak_memory_mb"
    for r in found.everything:
        scale = found.scales.get(r.env)
        seconds = to_near(r, scale, "wall_s") if scale else None
        yield r.contestant, r.env, r.seed, r.wall_s, r.eval_s, r.env_steps_per_s, seconds, r.peak_memory_mb


def _time_curves(found: Analysis) -> Iterable[Cells]:
    yield "contestant", "env", "seconds", "score_iqm", "iqm_low", "iqm_high"
    for curve in found.time_curves:
        for line in _points(curve):
            yield curve.contestant, curve.env, *line


TABLES: dict[str, Callable[[Analysis], Iterable[Cells]]] = {
    "comparison": _comparison,
    "runs": _runs,
    "curves": _curves,
    "profiles": _profiles,
    "improvement": _improvements,
    "differences": _differences,
    "times": _times,
    "times_curves": _time_curves,
}
