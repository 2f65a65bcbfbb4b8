"""How pictures look. Dark on white, as print wants them; the page turns them over on a dark screen.

Runs are told apart by colours of Okabe and Ito, which the colour-blind can tell apart too, and then by dashes; what they
are compared with is black or grey. Lines have a contrast of 3 to 1 at least, on white and turned over on the dark page.
"""

from __future__ import annotations

import contextlib
import functools
import io
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

import numpy as np

from trpo_gail.system.plotting import without_backend

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
FILLS = (*COLOURS, "#E69F00", "#56B4E9")  # too pale for lines
DASHES = ("-", "--", "-.", ":")
EXPERT, RANDOM, REFERENCE = "#111111", "#7a7a7a", "#555555"
WIDTH = 9.6  # inches, of a picture for a wide page, which shows it at 992 pixels: 8 points are 11 of them
NARROW = 3.2  # of one for a phone, on whose 328 pixels or more 8 points are 11, too
DPI, NARROW_DPI = 130, 250
SMALLEST = 8  # points of any text
_for_phones: ContextVar[bool] = ContextVar("_for_phones", default=False)
P = ParamSpec("P")
R = TypeVar("R")


def shades(count: int) -> list[Any]:
    """Colours from the one end over a pale middle to the other, for what has an order."""
    from matplotlib import colormaps

    return [colormaps["RdBu"](x) for x in np.linspace(0.05, 0.95, count)]


def picture(draw: Callable[P, R]) -> Callable[P, R]:
    """For a function that draws: with matplotlib's own settings, whatever MPLBACKEND and a matplotlibrc say. Afterwards the
    settings are the user's again."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with without_backend():
            from matplotlib.style import context

        with context(["default", {"text.parse_math": False}]), warnings.catch_warnings():  # a $ in a name is a $
            warnings.filterwarnings("ignore", "Glyph .* missing")  # a name's letter that the font lacks is a box
            return draw(*args, **kwargs)

    return drawn


@contextlib.contextmanager
def for_phones() -> Iterator[None]:
    """Within it, pictures are narrow, with their panels one below the other."""
    token = _for_phones.set(True)
    try:
        yield
    finally:
        _for_phones.reset(token)


def line_look(index: int) -> dict[str, Any]:
    """Colour and dashes of the run in place `index`."""
    return {"color": COLOURS[index % len(COLOURS)], "ls": DASHES[index // len(COLOURS) % len(DASHES)]}


def grid(panels: int, columns: int, height: float) -> tuple[Any, list[Any]]:
    """A figure and its axes, `columns` in a row, or one if it is for phones; `height` of a row in inches. Places without a
    panel stay empty."""
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    width = WIDTH
    if _for_phones.get():
        width, columns, height = NARROW, 1, min(height, 2.6)
    rows = -(-panels // columns)
    figure = Figure(figsize=(width, height * rows), layout="constrained", facecolor="white")
    if _for_phones.get():
        engine: Any = figure.get_layout_engine()
        engine.set(h_pad=0.09)  # between a panel's title and the one above
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for empty in axes[panels:]:
        empty.set_axis_off()
    for used in axes[:panels]:
        used.grid(color="#dddddd", lw=0.6)
        used.set_axisbelow(True)
        used.spines[["top", "right"]].set_visible(False)
        used.tick_params(labelsize=8)
    return figure, axes[:panels]


def count_axis(axis: Any) -> None:
    """Ticks like 200k and 1M; axis: `axes.xaxis` or `axes.yaxis`."""
    from matplotlib.ticker import EngFormatter

    axis.set_major_formatter(EngFormatter(sep=""))


def reference(axes: Any, value: float, label: str, colour: str = REFERENCE, dashes: str = "--") -> None:
    """A level line with its name at its right end."""
    axes.axhline(value, color=colour, ls=dashes, lw=1.1, zorder=1.5)
    axes.annotate(
        label, (1.0, value), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        va="center", fontsize=8, color=colour, annotation_clip=False,
    )  # fmt: skip


def ink(colour: str) -> str:
    """Black or white, whichever is read better on a colour."""
    from matplotlib.colors import to_rgb

    return "black" if np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) > 0.45 else "white"


def legend(figure: Any, handles: list[Any], names: list[str]) -> None:
    """One legend below all panels, in as many columns as the longest name leaves room for."""
    room = 100 * figure.get_figwidth() / WIDTH
    columns = max(1, min(len(names), int(room // (max(map(len, names), default=1) + 8))))
    if _for_phones.get():  # where it takes many rows, and the panels shall keep their height
        figure.set_figheight(figure.get_figheight() + 0.18 * -(-len(names) // columns))
    figure.legend(handles, names, loc="outside lower center", ncol=columns, frameon=False, fontsize=8)


def title(axes: Any, text: str) -> None:
    """A panel's, in several lines if the panel is narrow."""
    axes.set_title(wrapped(text, 38), fontsize=10)


def wrapped(text: str, width: int) -> str:
    """In lines of so many letters on a phone, else in one."""
    return textwrap.fill(text, width) if _for_phones.get() else text


def png(figure: Any, dpi: int | None = None) -> bytes:
    """The picture as a file's content; the same figure gives the same bytes."""
    dpi = dpi or (NARROW_DPI if _for_phones.get() else DPI)
    figure.set_dpi(dpi)
    # `savefig` would lay it out by a first drawing that is thrown away.
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
    return file.getvalue()
