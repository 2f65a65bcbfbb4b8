"""The numbers behind the curves of `plots`, for a reader who points at them: the same lines, from the same columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trpo_gail.records import EVAL_SUCCESS, SUCCESS
from trpo_gail.reports import plots, style
from trpo_gail.reports.chart import Chart, Key, Level, Look, Plot, Series
from trpo_gail.reports.plots import LEAST_EPISODES, RETURNS, SUCCESSES, WINDOW, Panel, has, running_mean
from trpo_gail.reports.run_data import RunData, by_environment

TRAINING, EVALUATION = "training episodes (sampled actions)", "evaluation (deterministic)"
EVALUATION_STD = f"{EVALUATION} ± std"
SINGLE, MEAN = "single iterations", "running mean"
STEPS = "environment steps"


def learning_curve(runs: Sequence[RunData], expert: Mapping[str, float]) -> Chart:
    """Returns against steps, a panel per environment."""
    drawn, panels = _drawn(runs, RETURNS), list[Plot]()
    for env, places in by_environment(runs, drawn).items():
        lines = [line for place in places for line in _returns(runs, place)]
        random = _random(runs, places, "random_return_mean", 1.0)
        if random and not any(0.0 in runs[place].column("return_mean")[0] for place in places):
            dot = Look(style.RANDOM, dots=True)
            lines.append(Series("random policy", np.zeros(1), np.array([random[0].value]), dot))
        levels = [Level("expert", expert[env], style.EXPERT)] if env in expert else []
        panels.append(Plot(env, STEPS, "return", lines, [*levels, *random]))
    return Chart(panels, _keys(runs, drawn, RETURNS, (TRAINING, EVALUATION_STD)))


def success_curve(runs: Sequence[RunData]) -> Chart:
    """Shares of successes against steps, in per cent, a panel per environment."""
    drawn, panels = _drawn(runs, SUCCESSES), list[Plot]()
    for env, places in by_environment(runs, drawn).items():
        lines = list[Series]()
        for place in places:
            x, share = runs[place].curve(SUCCESS)
            lines += _line(runs, place, TRAINING, x, 100 * share)
            x, share = runs[place].column(EVAL_SUCCESS)
            lines += _line(runs, place, EVALUATION, x, 100 * share)
        levels = _random(runs, places, "random_success_rate", 100.0)
        panels.append(Plot(env, STEPS, "% of the episodes", lines, levels, -4, 104))
    return Chart(panels, _keys(runs, drawn, SUCCESSES, (TRAINING, EVALUATION)))


def metrics(runs: Sequence[RunData], panels: Sequence[Panel], columns: int = 2) -> Chart:
    """A panel per quantity against steps: each iteration, and the running mean."""
    drawn, shown = _drawn(runs, panels), list[Plot]()
    x_label = STEPS if runs[drawn[0]].x_name == "steps" else "iterations"
    for panel in panels:
        lines = list[Series]()
        for place in drawn:
            x, values = runs[place].curve(panel.column)
            measured, means = np.isfinite(values), values.copy()
            means[measured] = running_mean(values[measured], measured.sum() // WINDOW)
            lines += _line(runs, place, SINGLE, x, values) + _line(runs, place, MEAN, x, means)
        found = sorted({value for place in drawn if (value := panel.level(runs[place])) is not None})
        levels = [Level(panel.level_name, value, style.REFERENCE) for value in found]
        shown.append(Plot(panel.title, x_label, "", lines, levels, panel.bottom, panel.top))
    return Chart(shown, [*_run_keys(runs, drawn), *_kind_keys(runs, drawn, (SINGLE, MEAN))], columns)


def training_episodes(runs: Sequence[RunData], places: Sequence[int]) -> Chart:
    """A dot for every episode of training, by success, and the running mean; a panel per run."""
    panels, keys = list[Plot](), dict[str, Key]()
    for place in places:
        x, returns, success = runs[place].training_episodes()
        lines = list[Series]()
        for name, colour, which in (
            ("success", plots.SUCCEEDED, success == 1),
            ("no success", plots.FAILED, success == 0),
            ("episode of training", _colour(place), np.isnan(success)),
        ):
            if which.any():
                look = Look(colour, opacity=0.45, dots=True)
                keys.setdefault(name, Key(name, look))
                lines.append(Series(name, x[which], returns[which], look, [name]))
        mean = running_mean(returns, max(LEAST_EPISODES, len(returns) // WINDOW))
        lines.append(Series(MEAN, x, mean, Look(style.EXPERT), [MEAN]))
        title = runs[place].label if len(places) > 1 else runs[place].env
        panels.append(Plot(title, STEPS, "return", lines))
    return Chart(panels, [*keys.values(), Key(MEAN, Look(style.EXPERT))], min(2, len(places)))


# ---- parts -----------------------------------------------------------------------------------------------------------


def _drawn(runs: Sequence[RunData], panels: Sequence[Panel]) -> list[int]:
    return [place for place, run in enumerate(runs) if has([run], panels)]


def _colour(place: int) -> str:
    return str(style.line_look(place)["color"])


def _look(place: int, kind: str) -> Look:
    """Single values thin, what is to be looked at first thick."""
    if kind in (TRAINING, SINGLE):
        return Look(_colour(place), width=0.9, opacity=0.5)
    return Look(_colour(place), str(style.line_look(place)["ls"]))


def _line(
    runs: Sequence[RunData], place: int, kind: str, x: np.ndarray, y: np.ndarray,
    band: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[Series]:  # fmt: skip
    """A line of a run, if it has any points."""
    if not np.isfinite(y).any():
        return []
    label = runs[place].label
    name, keys = (f"{label}, {kind}", [label, kind]) if len(runs) > 1 else (kind, [kind])
    return [Series(name, x, y, _look(place, kind), keys, band)]


def _returns(runs: Sequence[RunData], place: int) -> list[Series]:
    """Episodes of training; periodic evaluations with a band of one standard deviation."""
    run = runs[place]
    x, mean = run.curve("eval_return_mean")
    spread = run.curve("eval_return_std")[1]
    band = (mean - spread, mean + spread) if len(spread) == len(mean) else None
    return _line(runs, place, TRAINING, *run.curve("return_mean")) + _line(runs, place, EVALUATION_STD, x, mean, band)


def _random(runs: Sequence[RunData], places: Sequence[int], field: str, times: float) -> list[Level]:
    values = [value for place in places if (value := runs[place].summary.get(field)) is not None]
    return [Level("random", times * float(np.mean(values)), style.RANDOM, ":")] if values else []


def _keys(runs: Sequence[RunData], drawn: Sequence[int], kinds: Sequence[Panel], names: Sequence[str]) -> list[Key]:
    shown = [runs[place] for place in drawn]
    there = [name for name, kind in zip(names, kinds, strict=True) if has(shown, [kind])]
    return [*_run_keys(runs, drawn), *_kind_keys(runs, drawn, there)]


def _run_keys(runs: Sequence[RunData], drawn: Sequence[int]) -> list[Key]:
    return [Key(runs[place].label, _look(place, MEAN)) for place in drawn] if len(runs) > 1 else []


def _kind_keys(runs: Sequence[RunData], drawn: Sequence[int], kinds: Sequence[str]) -> list[Key]:
    """Of several runs in black, of one in its colour."""
    looks = [_look(drawn[0], kind) for kind in kinds]
    black = [Look(style.EXPERT, width=look.width, opacity=look.opacity) for look in looks]
    return [Key(kind, look) for kind, look in zip(kinds, black if len(runs) > 1 else looks, strict=True)]
