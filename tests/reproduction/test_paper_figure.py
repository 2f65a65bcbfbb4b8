"""Figure 1: a line joins only sizes that are next to each other in the grid."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from trpo_gail.studies.reproduction import figure


def test_a_size_without_a_score_is_a_gap_and_a_seed_alone_has_no_interval() -> None:
    axes = Figure().subplots()
    figure._draw(axes, (4, 11, 18), [(4, 0.5, 0.25, 0.75), (18, 1.0, None, None)], 0.5, "#0072B2", "o", ours=True)
    line, *intervals = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), [4.5, 11.5, 18.5])
    np.testing.assert_array_equal(line.get_ydata(), [0.5, np.nan, 1.0])
    assert [tuple(np.asarray(data).tolist() for data in bar.get_data()) for bar in intervals] == [
        ([4.5, 4.5], [0.25, 0.75])
    ]


def test_scores_beyond_the_axis_are_marked_at_its_edges() -> None:
    axes = Figure().subplots()
    line: figure.Line = [(4, -1.0, None, None), (11, 0.5, None, None), (18, 2.0, None, None)]
    figure._draw(axes, (4, 11, 18), line, 0.0, "#0072B2", "o", ours=True)
    marks = [(*np.asarray(mark.get_data()).ravel().tolist(), mark.get_marker()) for mark in axes.lines[1:]]
    assert marks == [(4, figure.LOWEST, 7), (18, figure.HIGHEST, 6)]
