"""The picture of a measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from trpo_gail.bench.jobs import Found
from trpo_gail.reports import style


@style.picture
def picture(found: Found) -> bytes:
    """What one of the subcommands found, as PNG."""
    figure = DRAWINGS[found["bench"]](found)
    return style.png(figure)


def _bars(axes: Any, names: Sequence[str], values: Sequence[float], label: str) -> None:
    """A bar for each name, with its value behind it; the first name is on top."""
    axes.barh(range(len(names)), values, color=style.COLOURS[0], height=0.7)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(label, fontsize=9)
    for place, value in enumerate(values):
        axes.annotate(f"{value:.3g}", (value, place), (3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.margins(x=0.12)


def _throughput(found: Found) -> Any:
    """Where a step's time goes, a bar for each number of ranks, beside the simulator alone."""
    rows = found["ranks"]
    figure, (axes,) = style.grid(1, 1, 0.0)
    figure.set_figheight(0.9 * len(rows) + 1.6)
    names, ticks, handles = list(rows[0]["phases"]), [], []
    for place, row in enumerate(rows):
        begin = 0.0
        for k, name in enumerate(names):
            width = row["phases"][name]["us_per_step"]
            bar = axes.barh(2 * place, width, left=begin, color=style.FILLS[k % len(style.FILLS)], height=0.8)
            begin += width
            if not place:
                handles.append(bar)
        axes.barh(2 * place + 0.85, row["simulator_us_per_step"], color=style.RANDOM, height=0.5)
        ticks += [(2 * place, f"training, {row['ranks']} rank(s)"), (2 * place + 0.85, "raw stepping")]
    axes.set_yticks(*map(list, zip(*ticks, strict=True)))
    axes.set_ylim(2 * len(rows) - 0.6, -0.7)
    axes.set_xlabel("microseconds per environment step", fontsize=9)
    style.title(axes, f"{found['env']}, preset {found['preset']}")
    style.legend(figure, handles, names)
    return figure


def _update(found: Found) -> Any:
    """How many times as long as its products each part takes, a panel for each width and batch."""
    cells = list(dict.fromkeys((row["width"], row["rows"]) for row in found["parts"]))
    figure, grid = style.grid(len(cells), min(2, len(cells)), 2.9)
    for axes, (width, rows) in zip(grid, cells, strict=True):
        shown = [row for row in found["parts"] if (row["width"], row["rows"]) == (width, rows)]
        _bars(axes, [row["part"] for row in shown], [row["ratio"] for row in shown], "time / that of its products")
        axes.axvline(1.0, color=style.REFERENCE, ls="--", lw=1.1)
        style.title(axes, f"{width} units, {rows:,} rows")
    return figure


def _scaling(found: Found) -> Any:
    """Rates against ranks, and the shares of communication and of waiting: a line for each kind and batch."""
    figure, (rates, shares) = style.grid(2, 2, 3.1)
    for k, (name, shown) in enumerate(_lines_of_scaling(found["points"])):
        look = style.line_look(k) | {"marker": "os"[k % 2], "ms": 5}
        ranks = [point["ranks"] for point in shown]
        rates.plot(ranks, [point["times_one"] for point in shown], label=name, **look)
        shares.plot(ranks, [100 * point["communication_share"] for point in shown], **look)
        shares.plot(ranks, [100 * point["waiting_share"] for point in shown], alpha=0.45, **look)
    numbers = sorted({point["ranks"] for point in found["points"]})
    most = numbers[-1]
    rates.plot([1, most], [1, most], color=style.REFERENCE, ls=":", lw=1.1)
    rates.set_ylabel("steps a second / one rank's", fontsize=9)
    shares.set_ylabel("% of an iteration", fontsize=9)
    style.title(rates, f"{found['env']}: rate (dotted: as many times)")
    style.title(shares, "communication, and paler waiting")
    for axes in (rates, shares):
        axes.set_xlabel("ranks", fontsize=9)
        axes.set_xticks(numbers)
    rates.legend(fontsize=8, frameon=False)
    return figure


def _lines_of_scaling(points: Sequence[Found]) -> Iterator[tuple[str, list[Found]]]:
    """Names, and the points of each: those of a batch follow its point of one rank."""
    starts = [place for place, point in enumerate(points) if point["kind"] == "one"]
    for start, end in pairwise([*starts, len(points)]):
        one, *more = points[start:end]
        for kind in ("strong", "weak"):
            yield f"{kind}, {one['timesteps_per_batch']:,} rows", [one, *(p for p in more if p["kind"] == kind)]


def _memory(found: Found) -> Any:
    figure, (axes,) = style.grid(1, 1, 0.4 * len(found["rows"]) + 1.4)
    names = [f"{row['rows']:,.0f} rows, {row['ranks']} rank(s)" for row in found["rows"]]
    _bars(axes, names, [row["peak_mib"] for row in found["rows"]], "most MiB resident in a rank")
    style.title(axes, f"{found['env']}, preset {found['preset']}")
    return figure


def _start(found: Found) -> Any:
    figure, (axes,) = style.grid(1, 1, 0.4 * len(found["rows"]) + 1.4)
    names = [f"{row['what']}, {row['ranks']} rank(s)" for row in found["rows"]]
    _bars(axes, names, [row["seconds"] for row in found["rows"]], "seconds")
    style.title(axes, f"start, {found['env']}")
    return figure


def _data(found: Found) -> Any:
    figure, (axes,) = style.grid(1, 1, 3.1)
    rows = [row for row in found["conversions"] if row["ratio"] is not None]
    names = ["load", *(f"{row['from']} to {row['to']}" for row in rows)]
    ratios = [found["loading"]["ratio"], *(row["ratio"] for row in rows)]
    _bars(axes, names, ratios, "rate / that of h5py, reading or copying the same")
    return figure


DRAWINGS: dict[str, Callable[[Found], Any]] = {
    "throughput": _throughput,
    "update": _update,
    "scaling": _scaling,
    "memory": _memory,
    "start": _start,
    "data": _data,
}
