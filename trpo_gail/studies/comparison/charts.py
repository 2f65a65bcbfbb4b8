"""The numbers behind the curves of a comparison, for a reader who points at them: the same lines as those of `plots`."""

from __future__ import annotations

from collections.abc import Sequence

from trpo_gail.reports import style
from trpo_gail.reports.chart import Chart, Key, Level, Look, Plot, Series
from trpo_gail.studies.comparison.analysis import ALL, NEAR, Analysis, Curve
from trpo_gail.studies.comparison.plots import COLUMNS


def step_curves(found: Analysis) -> Chart:
    """Returns against environment steps, a panel per task; over several tasks one of scores against their part."""
    panels = [_panel(found, found.curves, env, "environment steps") for env in found.scales]
    if any(curve.env == ALL for curve in found.curves):
        panels.append(_panel(found, found.curves, ALL, "part of the environment steps"))
    return _chart(found, panels)


def time_curves(found: Analysis) -> Chart:
    """Returns against seconds of training, a panel per task."""
    return _chart(found, [_panel(found, found.time_curves, env, "seconds of training") for env in found.scales])


def _chart(found: Analysis, panels: Sequence[Plot]) -> Chart:
    keys = [Key(contestant.name, _look(found, contestant.name)) for contestant in found.plan.contestants]
    return Chart(panels, keys, min(COLUMNS, len(panels)))


def _panel(found: Analysis, curves: Sequence[Curve], env: str, x_label: str) -> Plot:
    """On a task as returns, with the expert's, 95 % of it and the random policy's."""
    scale, lines = found.scales.get(env), list[Series]()
    for curve in curves:
        if curve.env == env:
            middle, low, high = (v if scale is None else scale.value(v) for v in (curve.score, curve.low, curve.high))
            name = curve.contestant
            lines.append(Series(name, curve.x, middle, _look(found, name), [name], (low, high)))
    levels = [
        Level(name, score if scale is None else scale.random + score * (scale.expert - scale.random), colour, dashes)
        for score, name, colour, dashes in (
            (1.0, "expert", style.EXPERT, "--"), (NEAR, "", style.REFERENCE, ":"), (0.0, "random", style.RANDOM, ":"),
        )
    ]  # fmt: skip
    title, y_label = ("all tasks", "score (IQM)") if env == ALL else (env, "return (IQM)")
    return Plot(title, x_label, y_label, lines, levels)


def _look(found: Analysis, contestant: str) -> Look:
    look = style.line_look([c.name for c in found.plan.contestants].index(contestant))
    return Look(look["color"], look["ls"], 1.9)
