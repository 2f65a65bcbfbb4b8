"""Pictures of where learners went and what they did there, beside the expert. Each gives a figure's PNG.

A run's place in the report decides its colour, here as in `plots`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trpo_gail.reports import style
from trpo_gail.reports.same_start import Pair, Side
from trpo_gail.reports.visits import Visits, bin_edges, shares

MOST_PATHS = 10  # trajectories drawn of each side
MOST_ACTIONS = 12  # dimensions
EXPERT_FILL = "#b5b5b5"


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
