"""What is drawn: the running mean in closed form, colours that can be told from their ground, and PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from trpo_gail.reports import plots, style, visit_plots
from trpo_gail.reports.plots import Panel, running_mean
from trpo_gail.reports.run_data import load
from trpo_gail.reports.visits import Visits

PNG = b"\x89PNG\r\n\x1a\n"


def size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels, which a PNG's header holds."""
    assert png.startswith(PNG)
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_the_running_mean_is_the_mean_around() -> None:
    values = np.array([0.0, 3.0, 6.0, 9.0, 0.0])
    np.testing.assert_allclose(running_mean(values, 3), [1.5, 3.0, 6.0, 5.0, 4.5])
    np.testing.assert_array_equal(running_mean(values, 0), values)
    np.testing.assert_array_equal(running_mean(values, 1), values)
    np.testing.assert_allclose(running_mean(values, 99), np.full(5, 3.6))
    assert len(running_mean(np.zeros(0), 0)) == 0


def linear(colour: np.ndarray) -> np.ndarray:
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def contrast(a: np.ndarray, b: np.ndarray) -> float:
    """Of two colours, as WCAG defines it."""
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (a, b))
    return (high + 0.05) / (low + 0.05)


def turned_over(colour: np.ndarray) -> np.ndarray:
    """What the page's style sheet makes of a colour on a dark screen: invert(.93), then hue-rotate(180deg)."""
    c = colour * (1 - 0.93) + (1 - colour) * 0.93
    grey = c @ [0.213, 0.715, 0.072]
    return np.clip(2 * grey - c, 0, 1)  # half a turn about the greys


@pytest.mark.parametrize("colour", [*style.COLOURS, style.EXPERT, style.RANDOM, style.REFERENCE])
def test_lines_can_be_told_from_white_and_from_the_dark_page(colour: str) -> None:
    rgb = np.array(to_rgb(colour))
    assert contrast(rgb, np.ones(3)) > 3.0
    assert contrast(turned_over(rgb), np.array(to_rgb("#121212"))) > 3.0


def test_many_runs_look_different() -> None:
    looks = [tuple(style.line_look(place).values()) for place in range(len(style.COLOURS) * len(style.DASHES))]
    assert len(set(looks)) == len(looks) == 16


def test_a_column_that_no_run_has_is_no_panel(cartpole: Path) -> None:
    runs = load([cartpole])
    there, not_there = Panel("a", "d_loss"), Panel("b", "no_such_column")
    assert plots.has(runs, [there, not_there]) == [there]


def test_the_same_runs_give_the_same_picture(cartpole: Path) -> None:
    runs = load([cartpole])
    assert plots.learning_curve(runs, {}) == plots.learning_curve(runs, {})
    assert plots.learning_curve(runs, {}) != plots.learning_curve(runs, {"CartPole-v0": 200.0})


def test_pictures_are_as_wide_as_a_page_and_grow_with_their_panels(cartpole: Path) -> None:
    runs = load([cartpole])
    two, four = (plots.metrics(runs, [Panel("d", "d_loss")] * n) for n in (2, 4))
    assert size(two)[0] == size(four)[0] == round(style.WIDTH * style.DPI)
    assert size(four)[1] == 2 * size(two)[1]


@pytest.mark.parametrize("expert", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_states_are_drawn_with_and_without_an_expert(expert: bool, whole: bool, rng: np.random.Generator) -> None:
    side = Visits([rng.standard_normal((length, 2)) for length in (5, 1, 9)], None, True, whole)
    learners = {0: ("a", side), 3: ("b", side)}
    for png in (
        visit_plots.trajectories(side if expert else None, learners),
        visit_plots.histograms(side if expert else None, learners, [0, 1]),
    ):
        assert size(png)[0] > 1000
