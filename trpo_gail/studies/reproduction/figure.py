"""Figure 1 of Ho & Ermon (2016), (a) and (b), with our results over the paper's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trpo_gail.reports import style
from trpo_gail.studies.reproduction.grid import CONSTANT, Grid
from trpo_gail.studies.reproduction.table import Row, Scale
from trpo_gail.studies.statistics import t_interval
from trpo_gail.system import whole_file

SWEEP = "reacher"  # (b) is the task on which the weight of the causal entropy varies
LOWEST, HIGHEST = -0.3, 1.25  # scaled; what is lower or higher is marked at the edge
PNG_DPI = 150
DODGE = 0.02  # of a panel's width: algorithms stand side by side, so that intervals do not cover each other
# Colours that the colour-blind tell apart (Okabe & Ito), and a marker each. As in the paper, λ = 0.1 is left out.
STYLES = {
    "bc": ("#E69F00", "s"), "fem": ("#009E73", "D"), "gtal": ("#CC79A7", "v"), "gail": ("#0072B2", "o"),
    "gail_ent1e-3": ("#56B4E9", "^"), "gail_ent1e-2": ("#D55E00", "P"),
}  # fmt: skip
Line = list[tuple[int, float, float | None, float | None]]  # trajectories, scaled mean, ends of its interval


@style.picture
def paper_figure(grid: Grid, rows: Sequence[Row], scales: dict[str, Scale], path: Path) -> None:
    """Draw and write a PNG, atomically. `scales` are our experts and random policies, by task."""
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    figure = Figure(figsize=(10.5, 8.6), layout="constrained", facecolor="white")
    panels = figure.subplots(3, 3)
    order = [*(task for task in grid.tasks if task != SWEEP), SWEEP]
    for axes, task in zip(panels.flat, order, strict=True):
        _panel(axes, grid, task, [row for row in rows if row.group[0] == task], scales.get(task))
    for axes in panels[:, 0]:
        axes.set_ylabel("scaled return")
    for axes in panels[-1]:
        axes.set_xlabel("demonstrated trajectories")
    figure.legend(handles=_legend(grid), loc="outside lower center", ncol=4, frameon=False, fontsize=9)
    whole_file.write(path, style.png(figure, PNG_DPI))


def _panel(axes: Any, grid: Grid, task: str, rows: Sequence[Row], scale: Scale | None) -> None:
    sizes = grid.tasks[task].trajectories
    for end in (0.0, 1.0):
        axes.axhline(end, color="#888888", lw=0.8, ls=":", zorder=0)
    width = sizes[-1] - sizes[0]
    drawn = [algorithm for algorithm in STYLES if algorithm in grid.tasks[task].algorithms]
    for k, algorithm in enumerate(drawn):
        (colour, marker), shift = STYLES[algorithm], DODGE * width * (k - (len(drawn) - 1) / 2)
        mine = [row for row in rows if row.group[1] == algorithm]
        theirs: Line = [(row.group[2], s, None, None) for row in mine if (s := row.paper_scaled) is not None]
        _draw(axes, sizes, theirs, shift, colour, marker, ours=False)
        _draw(axes, sizes, list(_ours(mine, scale)), shift, colour, marker, ours=True)
    for _, score, low, high in _ours([row for row in rows if row.group[1] == CONSTANT], scale):
        axes.axhline(score, color="#333333", lw=1.2, ls="-.", zorder=1)
        if low is not None and high is not None:
            axes.axhspan(low, high, color="#333333", alpha=0.08, lw=0, zorder=0)
    letter = "(b)" if task == SWEEP else "(a)"
    axes.set_title(f"{letter} {grid.tasks[task].title}", fontsize=10)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlim(sizes[0] - 0.08 * width, sizes[-1] + 0.08 * width)
    axes.set_ylim(LOWEST, HIGHEST)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _ours(rows: Sequence[Row], scale: Scale | None) -> Iterator[tuple[int, float, float | None, float | None]]:
    for row in rows:
        if row.ours and scale and row.scaled is not None:
            ends = t_interval(row.ours.means)
            low, high = (scale.score(end) for end in ends) if ends else (None, None)
            yield row.group[2], row.scaled, low, high


def _draw(axes: Any, sizes: Sequence[int], line: Line, shift: float, colour: str, marker: str, ours: bool) -> None:
    """The paper's thin, dashed and hollow; ours thick and filled, with the 95 % interval. A size without a score is a gap."""
    if not line:
        return
    scores = {size: score for size, score, *_ in line}
    x, y = [size + shift for size in sizes], [scores.get(size, math.nan) for size in sizes]
    look: dict[str, Any] = {"color": colour, "marker": marker, "ms": 5}
    if ours:
        axes.plot(x, y, lw=1.8, zorder=3, **look)
        for size, _, low, high in line:
            if low is not None and high is not None:
                axes.plot([size + shift] * 2, [low, high], color=colour, lw=1.1, zorder=3)
    else:
        axes.plot(x, y, lw=1.0, ls=(0, (4, 2)), markerfacecolor="white", zorder=2, **look)
    for at, score in zip(x, y, strict=True):
        if score < LOWEST or score > HIGHEST:  # marker 7 points down, 6 up, each with its tip on the edge
            edge, arrow = (LOWEST, 7) if score < LOWEST else (HIGHEST, 6)
            fill = colour if ours else "white"
            axes.plot([at], [edge], color=colour, mfc=fill, marker=arrow, ms=7, ls="", clip_on=False, zorder=4)


def _legend(grid: Grid) -> list[Any]:
    from matplotlib.lines import Line2D

    grey = "#444444"
    return [
        *(Line2D([], [], color=c, marker=m, ms=5, label=grid.algorithms[name].title) for name, (c, m) in STYLES.items()),
        Line2D([], [], color=grey, lw=1.8, marker="o", ms=5, label="ours, with the 95 % interval over seeds"),
        Line2D([], [], color=grey, lw=1.0, ls=(0, (4, 2)), marker="o", ms=5, mfc="white", label="the paper's"),
        Line2D([], [], color="#333333", lw=1.2, ls="-.", label="ours with D = 0.5, without demonstrations"),
        Line2D([], [], color="#888888", lw=0.8, ls=":", label="random policy (0) and expert (1)"),
        Line2D([], [], color=grey, marker=7, ms=7, ls="", label="below the axis"),
    ]  # fmt: skip
