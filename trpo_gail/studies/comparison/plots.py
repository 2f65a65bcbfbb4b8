"""The pictures of a comparison. A contestant's place decides its colour in all of them; bands and bars are 95 % intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trpo_gail.reports import style
from trpo_gail.studies.comparison.analysis import ALL, NEAR, Analysis, Curve

MARKERS = "osD^vP"
EVERY = 12  # points of a line from one marker to the next
COLUMNS = 2  # of panels


@style.picture
def step_curves(found: Analysis) -> bytes:
    """Returns against environment steps, a panel per task; over several tasks one of scores against their part."""
    panels = [*found.scales, *([ALL] if any(curve.env == ALL for curve in found.curves) else [])]

    def draw(axes: Any, env: str) -> None:
        _curves(axes, found, [curve for curve in found.curves if curve.env == env], env)
        if env == ALL:
            axes.set_xlabel("part of the environment steps", fontsize=9)
            axes.set_ylabel("score (IQM)", fontsize=9)
            axes.set_title("all tasks", fontsize=10)
        else:
            axes.set_xlabel("environment steps", fontsize=9)
            style.count_axis(axes.xaxis)

    return _panels(found, panels, draw)


@style.picture
def time_curves(found: Analysis) -> bytes:
    """Returns against seconds of training, a panel per task."""

    def draw(axes: Any, env: str) -> None:
        _curves(axes, found, [curve for curve in found.time_curves if curve.env == env], env)
        axes.set_xlabel("seconds of training", fontsize=9)

    return _panels(found, list(found.scales), draw)


def _panels(found: Analysis, names: Sequence[str], draw: Callable[[Any, str], None]) -> bytes:
    figure, grid = style.grid(len(names), min(COLUMNS, len(names)), 3.9 if len(names) == 1 else 3.1)
    for axes, name in zip(grid, names, strict=True):
        axes.set_title(name, fontsize=10)
        axes.set_ylabel("return (IQM)", fontsize=9)
        draw(axes, name)
    _legend(figure, found)
    return style.png(figure)


def _curves(axes: Any, found: Analysis, curves: Sequence[Curve], env: str) -> None:
    """Lines with bands; on a task as returns, with the expert's, 95 % of it and the random policy's."""
    scale = found.scales.get(env)
    for curve in curves:
        look = _look(found, curve.contestant)
        middle, low, high = (v if scale is None else scale.value(v) for v in (curve.score, curve.low, curve.high))
        axes.fill_between(curve.x, low, high, color=look["color"], alpha=0.16, lw=0)
        axes.plot(curve.x, middle, lw=1.9, markevery=EVERY, **look)
    for score, name, colour, dashes in (
        (1.0, "expert", style.EXPERT, "--"), (NEAR, "", style.REFERENCE, ":"), (0.0, "random", style.RANDOM, ":"),
    ):  # fmt: skip
        value = score if scale is None else float(scale.value(np.array(score)))
        style.reference(axes, value, name, colour, dashes)


@style.picture
def final_scores(found: Analysis) -> bytes:
    """A dot per run; bars are the IQM and its interval."""
    groups: dict[str, list[Any]] = {}
    for row in found.rows:
        groups.setdefault(row.env, []).append(row)
    figure, (axes,) = style.grid(1, 1, 0.0)
    lines = sum(map(len, groups.values())) + 0.7 * len(groups)
    figure.set_figheight(0.34 * lines + 1.1)
    height, ticks = 0.0, []
    for env, rows in groups.items():
        for row in rows:
            colour = _look(found, row.contestant)["color"]
            axes.plot([row.iqm.low, row.iqm.high], [height] * 2, color=colour, lw=7, alpha=0.3, solid_capstyle="butt")
            axes.plot([row.iqm.value] * 2, [height - 0.3, height + 0.3], color=colour, lw=2.4)
            spread = np.linspace(-0.2, 0.2, row.runs) if row.runs > 1 else np.zeros(1)
            axes.scatter(row.scores, height + spread, s=14, color=colour, edgecolor="white", lw=0.4, zorder=3)
            ticks.append((height, f"{'all tasks' if env == ALL else env}: {row.contestant}"))
            height += 1
        height += 0.7
    axes.set_yticks(*map(list, zip(*ticks, strict=True)))
    axes.set_ylim(height - 1.1, -0.6)
    for score, dashes in ((0.0, ":"), (1.0, "--")):
        axes.axvline(score, color=style.REFERENCE, ls=dashes, lw=1.1, zorder=1.5)
    axes.set_xlabel("score of a run: 0 random, 1 expert", fontsize=9)
    return style.png(figure)


@style.picture
def profiles(found: Analysis) -> bytes:
    """The part of the runs above each score."""
    figure, (axes,) = style.grid(1, 1, 3.9)
    for profile in found.profiles:
        look = _look(found, profile.contestant)
        axes.fill_between(
            profile.thresholds, profile.low, profile.high, color=look["color"], alpha=0.16, lw=0, step="post"
        )
        axes.step(profile.thresholds, profile.part, where="post", lw=1.9, markevery=EVERY, **look)
    axes.axvline(1.0, color=style.EXPERT, ls="--", lw=1.1, zorder=1.5)
    axes.annotate(
        "expert", (1.0, 1.0), (3, 2), xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=8
    )
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("score", fontsize=9)
    axes.set_ylabel("part of the runs above it", fontsize=9)
    _legend(figure, found)
    return style.png(figure)


@style.picture
def improvements(found: Analysis) -> bytes:
    """A line per pair of contestants and task: how probably a run of the first is above one of the second."""
    shown = found.improvements
    figure, (axes,) = style.grid(1, 1, 0.34 * len(shown) + 0.9)
    for place, one in enumerate(shown):
        weight = 2.6 if one.env == ALL else 1.5
        axes.plot([one.probability.low, one.probability.high], [place] * 2, color=style.REFERENCE, lw=weight)
        axes.plot(
            [one.probability.value], [place], marker="o", ms=7 if one.env == ALL else 5, color=style.EXPERT, ls=""
        )
    names = [f"{'all tasks' if one.env == ALL else one.env}: {one.first} above {one.second}" for one in shown]
    axes.set_yticks(range(len(shown)), names)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.02)
    axes.axvline(0.5, color=style.RANDOM, ls=":", lw=1.1, zorder=1.5)
    axes.set_xlabel("probability", fontsize=9)
    return style.png(figure)


def _place(found: Analysis, contestant: str) -> int:
    return [c.name for c in found.plan.contestants].index(contestant)


def _look(found: Analysis, contestant: str) -> dict[str, Any]:
    """Colour, and for prints without colours a marker."""
    place = _place(found, contestant)
    return style.line_look(place) | {"marker": MARKERS[place % len(MARKERS)], "ms": 5}


def _legend(figure: Any, found: Analysis) -> None:
    from matplotlib.lines import Line2D

    names = [contestant.name for contestant in found.plan.contestants]
    handles = [Line2D([], [], lw=1.9, **_look(found, name)) for name in names]
    style.legend(figure, handles, names)
