"""The numbers of a figure, for a reader who points at it: `chart.js` draws them in the picture's place.

The picture stays in the page. It is printed, and a reader without scripts sees it. The script is our own: it is a two
hundredth of Plotly's 4 MB, which each page would hold, and it can be read on a phone and by the keyboard. The page's
policy names the script by its SHA-256, so no other runs, and none loads anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

MOST_NUMBERS = 300_000  # in a figure; one with more is a picture only
EXACT = 1e15  # greater whole numbers are no longer exact in JavaScript


@dataclass(frozen=True)
class Look:
    """How a line is drawn; colours and dashes are those of `style`."""

    colour: str
    dashes: str = "-"
    width: float = 1.8
    opacity: float = 1.0
    dots: bool = False  # points that are not joined


@dataclass(frozen=True)
class Key:
    """What a reader switches on and off: a run, or a kind of line in all runs."""

    name: str
    look: Look


@dataclass(frozen=True)
class Series:
    """A line. Neighbours are joined unless a value is missing (not a number)."""

    name: str
    x: np.ndarray  # [G], rising
    y: np.ndarray  # [G]
    look: Look
    keys: Sequence[str] = ()  # it is shown while all of these are on
    band: tuple[np.ndarray, np.ndarray] | None = None  # [G] below and [G] above


@dataclass(frozen=True)
class Level:
    """Something to compare with, the same at all steps."""

    name: str
    value: float
    colour: str
    dashes: str = "--"


@dataclass(frozen=True)
class Plot:
    """A panel."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    levels: Sequence[Level] = ()
    bottom: float | None = None  # where the axis begins and ends, if the numbers do not decide it
    top: float | None = None


@dataclass(frozen=True)
class Chart:
    """All panels of a figure, `columns` in a row if there is room."""

    plots: Sequence[Plot]
    keys: Sequence[Key] = field(default_factory=list)
    columns: int = 1


def as_html(chart: Chart) -> str:
    """The numbers as a block of data, which no browser runs; "" if they are too many, or none."""
    xs: dict[bytes, tuple[int, np.ndarray]] = {}
    content = {
        "columns": chart.columns,
        "keys": [{"name": key.name, **_look(key.look)} for key in chart.keys],
        "plots": [_plot(plot, [key.name for key in chart.keys], xs) for plot in chart.plots],
        "xs": [_numbers(x) for _, x in xs.values()],
    }
    if not 0 < _count(chart) <= MOST_NUMBERS:
        return ""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")  # ends no script
    return f'<script type="application/json">{text}</script>'


def _count(chart: Chart) -> int:
    return sum(len(series.y) * (3 if series.band else 1) for plot in chart.plots for series in plot.series)


def _plot(plot: Plot, keys: Sequence[str], xs: dict[bytes, tuple[int, np.ndarray]]) -> dict[str, Any]:
    return {
        "title": plot.title,
        "x_label": plot.x_label,
        "y_label": plot.y_label,
        "bottom": plot.bottom,
        "top": plot.top,
        "series": [_series(series, keys, xs) for series in plot.series],
        "levels": [{**vars(level), "value": _number(level.value)} for level in plot.levels],
    }


def _series(series: Series, keys: Sequence[str], xs: dict[bytes, tuple[int, np.ndarray]]) -> dict[str, Any]:
    place, _ = xs.setdefault(series.x.tobytes(), (len(xs), series.x))  # many lines have the same steps
    shown = {"name": series.name, "x": place, "y": _numbers(series.y), **_look(series.look)}
    shown["keys"] = [keys.index(key) for key in series.keys]
    if series.band is not None:
        shown["low"], shown["high"] = map(_numbers, series.band)
    return shown


def _look(look: Look) -> dict[str, Any]:
    return dict(vars(look))


def _numbers(values: np.ndarray) -> list[float | int | None]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float | int | None:
    """To six digits that count, all those of a whole part, as a comparison's CSV files have them."""
    if not math.isfinite(value):
        return None
    number = float(f"{value:.6g}") if not 1e6 <= abs(value) < EXACT else float(round(value))
    return int(number) if number.is_integer() and abs(number) < EXACT else number


def script() -> tuple[str, str]:
    """The page's script, and the source expression that allows it."""
    text = Path(__file__).with_name("chart.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return text, f"'sha256-{digest}'"


STYLE = """
.chart { display: none; }
.chart button { font: inherit; color: inherit; background: none; border: 1px solid var(--line); border-radius: .3rem; }
.chart button:hover, .chart button:focus-visible { border-color: var(--link); }
.chart button[aria-pressed=false] { opacity: .55; text-decoration: line-through; }
.panels { display: grid; gap: .8rem 1rem; }
.panel { min-width: 0; }
.head { display: flex; justify-content: space-between; gap: .5rem; min-height: 1.7rem; font-size: .85rem; }
.head strong { overflow-wrap: anywhere; }
.plot { position: relative; height: 15rem; cursor: crosshair; touch-action: pan-y pinch-zoom; user-select: none; }
.one .plot { height: 23rem; }
.plot > svg { display: block; width: 100%; height: 100%; }
.plot text { font-size: 12px; fill: #1a1a1a; }
.plot .level { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-opacity: .8; }
.plot .grid { stroke: #dddddd; }
.plot .cross { stroke: #555555; }
.plot .marked { fill: #0072b2; fill-opacity: .2; }
.tip { position: absolute; top: 6px; left: 60px; max-width: 70%; padding: .3rem .5rem; pointer-events: none; }
.tip { background: var(--back); border: 1px solid var(--line); border-radius: .3rem; font-size: .8rem; line-height: 1.35; }
.tip { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.tip.right { left: auto; right: 8px; }
.tip i { display: inline-block; width: .6rem; height: .6rem; margin-right: .35rem; border-radius: 50%; }
.legend { display: flex; flex-wrap: wrap; gap: .4rem; margin: .5rem 0; font-size: .8rem; }
.legend button { display: flex; align-items: center; gap: .4rem; min-height: 2rem; text-align: left; }
.legend span { overflow-wrap: anywhere; }
.legend svg { flex: none; }
@media screen {
  .live .chart { display: block; }
  .live > picture, .live > img { display: none; }
}
@media screen and (min-width: 48rem) {
  .panels.several { grid-template-columns: 1fr 1fr; }
}
@media screen and (max-width: 48rem) {
  .tip, .tip.right { top: 100%; left: 0; right: 0; max-width: none; z-index: 1; }
}
@media screen and (prefers-color-scheme: dark) {
  .plot > svg, .legend svg, .tip i { filter: invert(.93) hue-rotate(180deg); }
}
"""
