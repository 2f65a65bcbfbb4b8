"""The pictures of runs. Each takes one run or several, a line per run, and gives a figure's PNG.

Shapes: O observation size; a run's place in the sequence decides its colour in all pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from trpo_gail.records import EVAL_SUCCESS, SUCCESS
from trpo_gail.reports import style
from trpo_gail.reports.run_data import RunData, by_environment

WINDOW = 40  # a running mean is over this part of a run's rows
LEAST_EPISODES = 25  # of a running mean over single episodes
SUCCEEDED, FAILED = style.COLOURS[0], style.COLOURS[1]


@dataclass(frozen=True)
class Panel:
    """One quantity of the metrics."""

    title: str
    column: str
    level: Callable[[RunData], float | None] = lambda run: None  # something to compare it with, and its name
    level_name: str = ""
    bottom: float | None = None  # where the axis begins and ends, if the numbers do not decide it
    top: float | None = None


RETURNS = (Panel("", "return_mean"), Panel("", "eval_return_mean"))  # what a learning curve is drawn from
SUCCESSES = (Panel("", SUCCESS), Panel("", EVAL_SUCCESS))


def has(runs: Sequence[RunData], panels: Sequence[Panel]) -> list[Panel]:
    """Those panels that any of the runs has values for."""
    return [panel for panel in panels if any(len(run.column(panel.column)[1]) for run in runs)]


@style.picture
def metrics(runs: Sequence[RunData], panels: Sequence[Panel], columns: int = 2) -> bytes:
    """A panel per quantity against steps: each iteration thin, the running mean thick."""
    figure, grid = style.grid(len(panels), columns, 2.5)
    drawn = [place for place, run in enumerate(runs) if has([run], panels)]
    for axes, panel in zip(grid, panels, strict=True):
        for place in drawn:
            x, values = runs[place].curve(panel.column)
            look, measured = style.line_look(place), np.isfinite(values)
            _line(axes, x, values, lw=0.6, alpha=0.3, color=look["color"])
            values[measured] = running_mean(values[measured], measured.sum() // WINDOW)
            _line(axes, x, values, lw=1.6, **look)
        for level in sorted({value for place in drawn if (value := panel.level(runs[place])) is not None}):
            style.reference(axes, level, panel.level_name)
        flat = panel.bottom == 0.0 and axes.dataLim.y1 <= 0.0  # all 0: any scale will do
        axes.set_ylim(panel.bottom, 1.0 if flat else panel.top)
        style.title(axes, panel.title)
        style.count_axis(axes.xaxis)
        axes.set_xlabel("environment steps" if runs[drawn[0]].x_name == "steps" else "iterations", fontsize=9)
    _run_legend(figure, runs, drawn)
    return style.png(figure)


@style.picture
def logits(runs: Sequence[RunData], sides: Mapping[str, Sequence[tuple[float, str]]]) -> bytes:
    """How logits spread as a run goes on: a row of panels per run, one for each side. `sides` have edges and the columns
    with the share of rows below them."""
    drawn = with_logits(runs, sides)
    figure, grid = style.grid(len(drawn) * len(sides), len(sides), 2.4)
    panels = iter(grid)
    for run in drawn:
        for side, edges in sides.items():
            _spread(next(panels), run, edges, side if len(drawn) == 1 else f"{run.label}: {side}")
    from matplotlib.patches import Patch

    limits = [edge for edge, _ in next(iter(sides.values()))]
    names = [
        f"below {limits[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in pairwise(limits)),
        f"above {limits[-1]:g}",
    ]
    style.legend(figure, [Patch(color=colour) for colour in style.shades(len(names))], names)
    return style.png(figure)


def with_logits(runs: Sequence[RunData], sides: Mapping[str, Sequence[tuple[float, str]]]) -> list[RunData]:
    """Those runs that have all of these columns, each with as many values."""
    lengths = [{len(run.column(name)[1]) for edges in sides.values() for _, name in edges} for run in runs]
    return [run for run, found in zip(runs, lengths, strict=True) if len(found) == 1 and found != {0}]


def _spread(axes: Any, run: RunData, edges: Sequence[tuple[float, str]], title: str) -> None:
    """The shares of rows between edges, one on top of the other; means over a fortieth of the run."""
    lines = [run.column(name) for _, name in edges]
    x, window = lines[0][0], max(1, len(lines[0][0]) // WINDOW)
    below = [np.zeros(len(x)), *(running_mean(values, window) for _, values in lines), np.ones(len(x))]
    for (low, high), colour in zip(pairwise(below), style.shades(len(edges) + 1), strict=True):
        axes.fill_between(x, 100 * low, 100 * high, color=colour, lw=0)
    axes.set_ylim(0, 100)
    style.title(axes, title)
    axes.set_ylabel("% of rows", fontsize=9)
    style.count_axis(axes.xaxis)
    axes.set_xlabel("environment steps" if run.x_name == "steps" else "iterations", fontsize=9)


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """The mean of the `window` values around each [R], of fewer at the ends."""
    half = window // 2
    total = np.concatenate([[0.0], np.cumsum(values)])
    last = np.arange(1, len(values) + 1)
    low, high = np.maximum(last - 1 - half, 0), np.minimum(last + half, len(values))
    return (total[high] - total[low]) / (high - low)


def _line(axes: Any, x: np.ndarray, values: np.ndarray, lw: float, **look: Any) -> None:
    """Measured neighbours are joined; between others nothing is known. One without neighbours is a dot."""
    axes.plot(x, values, lw=lw, **look)
    alone = _alone(values)
    axes.plot(x[alone], values[alone], **look | {"ls": ""}, marker="o", ms=2.5, mew=0)


def _alone(values: np.ndarray) -> np.ndarray:
    """Which of them [R] are measured, and neither neighbour is."""
    known = np.isfinite(np.concatenate([[np.nan], values, [np.nan]]))
    return known[1:-1] & ~known[:-2] & ~known[2:]


def _run_legend(figure: Any, runs: Sequence[RunData], places: Sequence[int]) -> None:
    if len(runs) > 1:
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], lw=1.8, **style.line_look(place)) for place in places]
        style.legend(figure, handles, [runs[place].label for place in places])


@style.picture
def learning_curve(runs: Sequence[RunData], expert: Mapping[str, float]) -> bytes:
    """Returns against steps, a panel per environment, with the expert's (by environment) and the random policy's."""
    drawn = [place for place, run in enumerate(runs) if has([run], RETURNS)]
    groups = by_environment(runs, drawn)
    figure, grid = style.grid(len(groups), 1, 4.0 if len(groups) == 1 else 3.2)
    for axes, (env, places) in zip(grid, groups.items(), strict=True):
        for place in places:
            _returns(axes, runs[place], style.line_look(place))
        if env in expert:
            style.reference(axes, expert[env], "expert", style.EXPERT)
        random = [value for place in places if (value := runs[place].summary.get("random_return_mean")) is not None]
        if random:
            style.reference(axes, float(np.mean(random)), "random", style.RANDOM, ":")
            if not any(0.0 in runs[place].column("return_mean")[0] for place in places):
                axes.plot([0.0], [np.mean(random)], color=style.RANDOM, marker="o", ms=4)  # what comes nearest
        _over_steps(axes, [runs[place] for place in places], env, "return")
    grid[-1].set_xlabel("environment steps", fontsize=9)
    _curves_legend(figure, runs, drawn, RETURNS, " ± std")
    return style.png(figure)


def _over_steps(axes: Any, runs: Sequence[RunData], title: str, quantity: str) -> None:
    """From step 0 to the last, with some room."""
    last = max(run.last("steps") or 1.0 for run in runs)
    axes.set_xlim(-0.02 * last, 1.02 * last)
    style.title(axes, title)
    axes.set_ylabel(quantity, fontsize=9)
    style.count_axis(axes.xaxis)


@style.picture
def success_curve(runs: Sequence[RunData]) -> bytes:
    """Shares of successes against steps, a panel per environment: training thin, with the running mean; evaluations thick."""
    drawn = [place for place, run in enumerate(runs) if has([run], SUCCESSES)]
    groups = by_environment(runs, drawn)
    figure, grid = style.grid(len(groups), 1, 3.2)
    for axes, (env, places) in zip(grid, groups.items(), strict=True):
        for place in places:
            look = style.line_look(place)
            x, share = runs[place].curve(SUCCESS)
            _line(axes, x, 100 * share, lw=0.9, alpha=0.5, color=look["color"])
            x, share = runs[place].column(EVAL_SUCCESS)
            axes.plot(x, 100 * share, lw=1.8, marker="o", ms=3, **look)
        random = [value for p in places if (value := runs[p].summary.get("random_success_rate")) is not None]
        if random:
            style.reference(axes, 100 * float(np.mean(random)), "random", style.RANDOM, ":")
        axes.set_ylim(-4, 104)
        _over_steps(axes, [runs[place] for place in places], env, "% of the episodes")
    grid[-1].set_xlabel("environment steps", fontsize=9)
    _curves_legend(figure, runs, drawn, SUCCESSES)
    return style.png(figure)


def _returns(axes: Any, run: RunData, look: dict[str, Any]) -> None:
    """Episodes of training thin; periodic evaluations thick, with a band of one standard deviation."""
    _line(axes, *run.curve("return_mean"), lw=0.9, alpha=0.5, color=look["color"])
    steps, mean = run.curve("eval_return_mean")
    if len(steps):
        spread = run.curve("eval_return_std")[1]
        if len(spread) == len(mean):  # not where a damaged file has the one and not the other
            low, high, alone = mean - spread, mean + spread, _alone(mean)
            axes.fill_between(steps, low, high, color=look["color"], alpha=0.18, lw=0)
            axes.vlines(steps[alone], low[alone], high[alone], color=look["color"], alpha=0.3, lw=3)
        axes.plot(steps, mean, lw=1.8, marker="o", ms=3, **look)


@style.picture
def training_episodes(runs: Sequence[RunData], places: Sequence[int]) -> bytes:
    """A dot for every episode of training, coloured by success if that is known, behind the running mean; a panel per
    run."""
    from matplotlib.lines import Line2D

    figure, grid = style.grid(len(places), min(2, len(places)), 3.6 if len(places) == 1 else 2.8)
    kinds: dict[str, str] = {}
    for axes, place in zip(grid, places, strict=True):
        x, returns, success = runs[place].training_episodes()
        for name, colour, which in (
            ("success", SUCCEEDED, success == 1),
            ("no success", FAILED, success == 0),
            ("episode of training", style.line_look(place)["color"], np.isnan(success)),
        ):
            if which.any():
                kinds.setdefault(name, colour)
                axes.plot(x[which], returns[which], ls="", marker="o", ms=2.6, mew=0, alpha=0.45, color=colour)
        window = max(LEAST_EPISODES, len(returns) // WINDOW)
        axes.plot(x, running_mean(returns, window), lw=1.6, color=style.EXPERT)
        _over_steps(axes, [runs[place]], runs[place].label if len(places) > 1 else runs[place].env, "return")
        axes.set_xlabel("environment steps", fontsize=9)
    handles = [Line2D([], [], ls="", marker="o", ms=5, mew=0, color=colour) for colour in kinds.values()]
    handles.append(Line2D([], [], lw=1.6, color=style.EXPERT))
    style.legend(figure, handles, [*kinds, "running mean"])
    return style.png(figure)


def _curves_legend(
    figure: Any, runs: Sequence[RunData], drawn: Sequence[int], kinds: Sequence[Panel], spread: str = ""
) -> None:
    """The runs, if there are several, and what the two kinds of lines are, of training and of evaluations."""
    from matplotlib.lines import Line2D

    several = drawn if len(runs) > 1 else []
    handles = [Line2D([], [], lw=1.8, **style.line_look(place)) for place in several]
    names = [runs[place].label for place in several]
    shown, colour = [runs[place] for place in drawn], style.EXPERT if several else style.line_look(drawn[0])["color"]
    if has(shown, kinds[:1]):
        handles.append(Line2D([], [], lw=0.9, alpha=0.5, color=colour))
        names.append("training episodes (sampled actions)")
    if has(shown, kinds[1:]):
        handles.append(Line2D([], [], lw=1.8, marker="o", ms=3, color=colour))
        names.append(f"evaluation (deterministic){spread}")
    style.legend(figure, handles, names)


@style.picture
def episode_returns(
    runs: Sequence[RunData], learned: Mapping[int, np.ndarray], expert: Mapping[str, np.ndarray]
) -> bytes:
    """A dot per episode: the expert's of each environment, then those of its runs (by place); a bar at each mean."""
    groups = by_environment(runs, list(learned))
    figure, grid = style.grid(len(groups), 1, 0.0)
    lines = sum(len(places) + (env in expert) for env, places in groups.items())
    figure.set_figheight(0.32 * lines + 0.75 * len(groups) + 0.2)
    for axes, (env, places) in zip(grid, groups.items(), strict=True):
        shown = [("expert", expert[env], style.EXPERT)] if env in expert else []
        shown += [(runs[p].label, learned[p], style.line_look(p)["color"]) for p in places]
        for row, (_, returns, colour) in enumerate(shown):
            height = row + np.linspace(-0.28, 0.28, len(returns)) if len(returns) > 1 else np.full(len(returns), row)
            axes.scatter(returns, height, s=9, color=colour, alpha=0.55, lw=0)
            axes.plot([returns.mean()] * 2, [row - 0.4, row + 0.4], color=colour, lw=2.2)
        random = [value for p in places if (value := runs[p].summary.get("random_return_mean")) is not None]
        if random:
            axes.axvline(float(np.mean(random)), color=style.RANDOM, ls=":", lw=1.1)
            axes.annotate(
                "random", (float(np.mean(random)), 1.0), (3, -2), xycoords=("data", "axes fraction"),
                textcoords="offset points", va="top", fontsize=8, color=style.RANDOM,
            )  # fmt: skip
        axes.set_yticks(range(len(shown)), [style.wrapped(name, 16) for name, *_ in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        style.title(axes, env)
    grid[-1].set_xlabel("return of an episode", fontsize=9)
    return style.png(figure)


@style.picture
def phases(labels: Sequence[str], seconds: Sequence[Mapping[str, float]]) -> bytes:
    """The share of each phase in a run's time, a bar per run; seconds by phase."""
    names = list(dict.fromkeys(name for times in seconds for name in times))
    colours = {name: style.FILLS[index % len(style.FILLS)] for index, name in enumerate(names)}
    figure, (axes,) = style.grid(1, 1, 0.4 * len(labels) + 1.3)
    for place, times in enumerate(seconds):
        left, total = 0.0, sum(times.values()) or 1.0
        for name, colour in colours.items():
            width = 100 * times.get(name, 0.0) / total
            axes.barh(place, width, left=left, color=colour, edgecolor="white")
            if width * figure.get_figwidth() >= 48:
                look = {"color": style.ink(colour), "fontsize": 8}
                axes.text(left + width / 2, place, f"{width:.0f} %", ha="center", va="center", **look)
            left += width
    axes.set_yticks(range(len(labels)), [style.wrapped(label, 16) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the time", fontsize=9)
    style.legend(figure, axes.patches[: len(names)], names)
    return style.png(figure)
