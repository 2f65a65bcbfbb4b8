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
from trpo_gail.reports.same_start import Pair, Side
from trpo_gail.reports.visits import Visits, bin_edges, shares

WINDOW = 40  # a running mean is over this part of a run's rows
LEAST_EPISODES = 25  # of a running mean over single episodes
MOST_PATHS = 10  # trajectories drawn of each side
MOST_ACTIONS = 12  # dimensions
EXPERT_FILL = "#b5b5b5"
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


@style.picture
def histograms(expert: Visits | None, learners: Mapping[int, tuple[str, Visits]], dimensions: Sequence[int]) -> bytes:
    """How often each observation dimension takes which value: the expert filled, learners (by place) as lines."""
    columns = 4
    figure, grid = style.grid(len(dimensions), columns, 1.75)
    for axes, dimension in zip(grid, dimensions, strict=True):
        samples = {place: visits.rows[:, dimension] for place, (_, visits) in learners.items()}
        reference = None if expert is None else expert.rows[:, dimension]
        edges = bin_edges([*samples.values(), *([] if reference is None else [reference])])
        if reference is not None:
            axes.stairs(100 * shares(reference, edges), edges, fill=True, color=EXPERT_FILL)
        for place, sample in samples.items():
            axes.stairs(100 * shares(sample, edges), edges, lw=1.3, **style.line_look(place))
        style.title(axes, f"observation {dimension}")
        axes.tick_params(labelsize=8)
        axes.locator_params(axis="x", nbins=5)
    for axes in grid[::columns]:
        axes.set_ylabel("% of steps", fontsize=8)
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [] if expert is None else [Patch(color=EXPERT_FILL)]
    handles += [Line2D([], [], lw=1.5, **style.line_look(place)) for place in learners]
    style.legend(figure, handles, ["expert"] * (expert is not None) + [name for name, _ in learners.values()])
    return style.png(figure)


@style.picture
def action_histograms(expert: Visits | None, learners: Mapping[int, tuple[str, Visits]]) -> bytes:
    """How often each dimension of the actions has which value; labels as bars side by side."""
    known = {
        place: (name, acted) for place, (name, visits) in learners.items() if (acted := visits.actions) is not None
    }
    theirs = None if expert is None else expert.actions
    dimensions = min(MOST_ACTIONS, *(acted.shape[1] for _, acted in known.values()))
    columns = min(3, dimensions)
    figure, grid = style.grid(dimensions, columns, 2.6 if columns < 3 else 2.0)
    for dimension, axes in enumerate(grid):
        sides = [(style.line_look(place), acted[:, dimension]) for place, (_, acted) in known.items()]
        if theirs is not None:
            sides.insert(0, ({"color": EXPERT_FILL}, theirs[:, dimension]))
        if all(sample.dtype.kind in "iub" for _, sample in sides):
            _label_bars(axes, sides)
        else:
            edges = bin_edges([sample for _, sample in sides])
            for k, (look, sample) in enumerate(sides):
                filled = theirs is not None and k == 0
                axes.stairs(100 * shares(sample, edges), edges, fill=filled, **look | ({} if filled else {"lw": 1.5}))
        style.title(axes, f"action {dimension}" if dimensions > 1 else "action")
    for axes in grid[::columns]:
        axes.set_ylabel("% of steps", fontsize=9)
    from matplotlib.patches import Patch

    handles = [Patch(color=EXPERT_FILL)] if theirs is not None else []
    handles += [Patch(color=style.line_look(place)["color"]) for place in known]
    style.legend(figure, handles, ["expert"] * (theirs is not None) + [name for name, _ in known.values()])
    return style.png(figure)


def _label_bars(axes: Any, sides: Sequence[tuple[dict[str, Any], np.ndarray]]) -> None:
    labels = np.unique(np.concatenate([sample for _, sample in sides]))
    width = 0.84 / len(sides)
    for k, (look, sample) in enumerate(sides):
        heights = [100 * float(np.mean(sample == label)) for label in labels]
        axes.bar(np.arange(len(labels)) - 0.42 + (k + 0.5) * width, heights, 0.92 * width, color=look["color"])
    axes.set_xticks(np.arange(len(labels)), [str(label) for label in labels])
    if len(labels) > 12:
        axes.locator_params(axis="x", nbins=12)


@style.picture
def same_starts(found: Sequence[Pair], place: int) -> bytes:
    """A panel for each pair: paths, if observations have two numbers, else the returns so far."""
    from matplotlib.lines import Line2D

    figure, grid = style.grid(len(found), 2, 3.4 if _is_path(found[0]) else 2.8)
    colour = style.line_look(place)["color"]
    for axes, pair in zip(grid, found, strict=True):
        for side, look in (
            (pair.expert, {"color": "#8a8a8a", "lw": 3.2}),
            (pair.learner, {"color": colour, "lw": 1.5}),
        ):
            if _is_path(pair):
                axes.plot(*side.observations.T, **look)
                axes.plot(*side.observations[-1], marker="o", ms=5, color=look["color"])
            else:
                axes.plot(np.arange(len(side.rewards) + 1), np.concatenate([[0.0], np.cumsum(side.rewards)]), **look)
        if _is_path(pair):
            axes.plot(*pair.learner.observations[0], marker="s", ms=7, color=style.EXPERT)
            _same_plane(axes, found)
            axes.set_xlabel("observation 0", fontsize=9)
            axes.set_ylabel("observation 1", fontsize=9)
        else:
            axes.set_xlabel("step of the episode", fontsize=9)
            axes.set_ylabel("return so far", fontsize=9)
        axes.set_title(f"expert {_result(pair.expert)}\nlearner {_result(pair.learner)}", fontsize=10)
    handles = [Line2D([], [], lw=3.2, color="#8a8a8a"), Line2D([], [], lw=1.5, color=colour)]
    names = ["expert", "learner"]
    if _is_path(found[0]):
        handles.append(Line2D([], [], ls="", marker="s", ms=7, color=style.EXPERT))
        names.append("start")
    style.legend(figure, handles, names)
    return style.png(figure)


def _is_path(pair: Pair) -> bool:
    return pair.learner.observations.shape[1] == 2


def _result(side: Side) -> str:
    """Return and success, as a panel's title says it."""
    said = "" if np.isnan(side.success) else ", success" if side.success else ", no success"
    return f"{side.ret:.4g}{said}"


def _same_plane(axes: Any, found: Sequence[Pair]) -> None:
    """Ends of the axes that hold all paths."""
    points = np.concatenate([side.observations for pair in found for side in (pair.expert, pair.learner)])
    low, high = points.min(0), points.max(0)
    room = 0.06 * np.maximum(high - low, 1e-9)
    axes.set_xlim(low[0] - room[0], high[0] + room[0])
    axes.set_ylim(low[1] - room[1], high[1] + room[1])
    if 1 / 3 < room[0] / room[1] < 3:  # a plane, rather than a position and a speed
        axes.set_aspect("equal")


@style.picture
def trajectories(expert: Visits | None, learners: Mapping[int, tuple[str, Visits]]) -> bytes:
    """Two-dimensional observations as paths: a panel per learner (by place), the expert's paths behind them."""
    figure, grid = style.grid(len(learners), min(2, len(learners)), 4.2)
    for axes, (place, (label, visits)) in zip(grid, learners.items(), strict=True):
        if expert is not None:
            for episode in expert.episodes[:MOST_PATHS]:
                look = {"lw": 1.6} if expert.whole else {"lw": 0.0, "marker": "o", "ms": 3}
                axes.plot(*episode.T, color="#9a9a9a", alpha=0.7, **look)
        for episode in visits.episodes[:MOST_PATHS]:
            axes.plot(*episode.T, lw=0.9, alpha=0.85, color=style.line_look(place)["color"])
            axes.plot(*episode[0], marker="o", ms=4, color=style.line_look(place)["color"])
        if 1 / 3 < axes.dataLim.width / axes.dataLim.height < 3:  # a plane, rather than a position and a speed
            axes.set_aspect("equal")
        style.title(axes, label)
        axes.set_xlabel("observation 0", fontsize=9)
        axes.set_ylabel("observation 1", fontsize=9)
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], lw=2, color="#9a9a9a")] if expert is not None else []
    handles += [Line2D([], [], lw=1.5, color=style.line_look(place)["color"]) for place in learners]
    style.legend(figure, handles, ["expert"] * (expert is not None) + [name for name, _ in learners.values()])
    return style.png(figure)
