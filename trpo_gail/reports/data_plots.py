"""Pictures of a file of demonstrations: how its returns, its lengths and its actions are distributed."""

from __future__ import annotations

from typing import Any

import numpy as np

from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.numbers import INTEGERS
from trpo_gail.reports import style

BINS = 40
MOST = 10  # panels of action dimensions


@style.picture
def histograms(held: Demonstrations) -> bytes:
    """Returns, lengths, and each dimension of the actions, as one PNG."""
    actions = held.actions.reshape(len(held.actions), -1)
    columns, labels = list(actions.T[:MOST]), actions.dtype.kind in INTEGERS
    names = ["actions"] if held.actions.ndim == 1 else [f"action {i}" for i in range(len(columns))]
    panels: list[tuple[str, np.ndarray | None, bool]] = [
        ("returns", held.finished_returns, False),
        ("lengths, steps", held.episode_lengths, False),
        *((name, column, labels) for name, column in zip(names, columns, strict=True)),
    ]
    figure, axes = style.grid(len(panels), 3, 2.4)
    for one, (name, values, labels) in zip(axes, panels, strict=True):
        _panel(one, values, labels)
        one.set_title(name, fontsize=10)
        one.tick_params(labelsize=8)
    return style.png(figure)


def _panel(axes: Any, values: np.ndarray | None, labels: bool) -> None:
    if values is None:
        axes.text(0.5, 0.5, "unknown", ha="center", va="center", transform=axes.transAxes)
    elif labels:
        found, counts = np.unique(values, return_counts=True)
        axes.bar(found, counts, color=style.COLOURS[0])
        axes.set_xticks(found[:: -(-len(found) // 10)])
    else:
        axes.hist(values.astype(np.float64), BINS, color=style.COLOURS[0])
