"""Curves of a run: where their points stand, and what is joined."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from trpo_gail.reports import plots, run_charts, style, visit_plots
from trpo_gail.reports.chart import Chart
from trpo_gail.reports.plots import Panel
from trpo_gail.reports.run_data import RunData
from trpo_gail.reports.visits import Visits

NAN = float("nan")


def run(
    returns: Sequence[float | None], evaluated: Mapping[int, float] | None = None, lost: Sequence[int] = (),
    eval_every: int = 250, random: float | None = -5.0, **columns: Sequence[float],
) -> RunData:  # fmt: skip
    """A row per 100 steps; `evaluated` has returns by iteration; the rows of iterations `lost` are not there."""
    rows: list[dict[str, float | None]] = []
    for k, value in enumerate(returns):
        score = (evaluated or {}).get(k + 1)
        row = {"iteration": k + 1.0, "steps": 100.0 * (k + 1), "return_mean": value, "kl": 0.01 * (k + 1)}
        rows.append(row | {"eval_return_mean": score, "eval_return_std": None if score is None else 1.0})
    rows = [row for row in rows if row["iteration"] not in lost]
    summary: dict[str, Any] = {} if random is None else {"random_return_mean": random}
    return RunData(Path("run"), "run", {"env": "E", "eval_every": eval_every}, {}, [], rows, summary, "training")


def same(curve: tuple[np.ndarray, np.ndarray], x: Sequence[float], values: Sequence[float]) -> None:
    np.testing.assert_array_equal(curve[0], x)
    np.testing.assert_array_equal(curve[1], values)


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_what_a_policy_did_stands_where_its_batch_began() -> None:
    """The first batch is sampled before any update: at step 0, it is the untrained policy's."""
    one = run([1.0, 2.0, 3.0], {3: 9.0})
    same(one.curve("return_mean"), [0, 100, 200], [1, 2, 3])
    same(one.curve("kl"), [100, 200, 300], [0.01, 0.02, 0.03])
    same(one.curve("eval_return_mean"), [300], [9])


def test_an_iteration_without_an_episode_and_a_lost_row_are_gaps() -> None:
    one = run([None, 2.0, 3.0, None, 5.0, 6.0, 7.0, 8.0], lost=[6, 7])
    same(one.curve("return_mean"), [0, 100, 200, 300, 400, 800, 800], [NAN, 2, 3, NAN, 5, NAN, 8])
    same(one.column("return_mean"), [100, 200, 400, 800], [2, 3, 5, 8])
    same(one.curve("no_such_column"), [], [])


def test_evaluations_are_joined_unless_one_is_missing() -> None:
    """Every 250 steps, so at 300, 500, 800, 1000, 1300: at spaces of 200 or 300 steps."""
    scores = {3: 1.0, 5: 2.0, 8: 3.0, 10: 4.0, 13: 5.0}
    same(run([0.0] * 14, scores).curve("eval_return_mean"), [300, 500, 800, 1000, 1300], [1, 2, 3, 4, 5])
    without = {k: v for k, v in scores.items() if k != 8}
    same(run([0.0] * 14, without).curve("eval_return_mean"), [300, 500, 800, 1000, 1300], [1, 2, NAN, 4, 5])
    cut = run([0.0] * 14, scores, lost=[4, 7, 8, 9])  # 4 was not to be evaluated, 8 was
    same(cut.curve("eval_return_mean"), [300, 500, 1000, 1000, 1300], [1, 2, NAN, 4, 5])
    each = run([0.0] * 4, {1: 1.0, 2: 2.0, 4: 4.0}, eval_every=10)  # iterations are longer
    same(each.curve("eval_return_mean"), [100, 200, 300, 400], [1, 2, NAN, 4])


def test_a_run_that_does_not_say_when_it_was_to_be_evaluated() -> None:
    same(run([0.0] * 9, {3: 1.0, 9: 2.0}, eval_every=0).curve("eval_return_mean"), [300, 900], [1, 2])


# ---- pictures --------------------------------------------------------------------------------------------------------


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """What is drawn, instead of PNG files."""
    drawn: list[Figure] = []

    def keep(figure: Figure) -> bytes:
        drawn.append(figure)
        return b""

    monkeypatch.setattr(style, "png", keep)
    return drawn


def lines(figure: Figure) -> list[tuple[list[float], list[float]]]:
    """Points of all lines that have some, but for the level ones."""
    found = []
    for line in figure.axes[0].lines:
        x, y = (np.asarray(values, float) for values in line.get_data())
        if np.isfinite(y).any() and list(x) != [0, 1]:
            found.append((list(x), list(y)))
    return found


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for shown in figure.legends for text in shown.get_texts()]


def test_a_learning_curve_begins_at_0_and_has_a_legend(figures: list[Figure]) -> None:
    plots.learning_curve([run([1.0, 2.0, 3.0], {3: 9.0})], {"E": 10.0})
    training, evaluation = lines(figures[0])
    assert training == ([0, 100, 200], [1, 2, 3]) and evaluation == ([300], [9])
    assert legend(figures[0]) == ["training episodes (sampled actions)", "evaluation (deterministic) ± std"]
    assert {text.get_text() for text in figures[0].axes[0].texts} == {"expert", "random"}
    left, right = figures[0].axes[0].get_xlim()
    assert left < 0 and 300 < right < 320


def test_what_has_no_neighbour_is_a_dot(figures: list[Figure]) -> None:
    plots.learning_curve([run([1.0, None, 3.0, 4.0, None, 6.0])], {})
    joined, dots = lines(figures[0])
    assert dots == ([0, 500], [1, 6])
    np.testing.assert_array_equal(joined[1], [1, NAN, 3, 4, NAN, 6])


def test_until_an_episode_ends_the_random_policy_stands_at_0(figures: list[Figure]) -> None:
    plots.learning_curve([run([None, 2.0, 3.0])], {})
    assert ([0], [-5]) in lines(figures[0])
    plots.learning_curve([run([None, 2.0, 3.0], random=None)], {})
    assert all(0 not in np.array(x)[np.isfinite(y)] for x, y in lines(figures[1]))


def test_one_iteration_and_several_runs(figures: list[Figure]) -> None:
    plots.learning_curve([run([1.0])], {})
    assert ([0], [1]) in lines(figures[0])
    plots.learning_curve([run([1.0]), run([2.0, 3.0])], {})
    assert legend(figures[1]) == ["run", "run", "training episodes (sampled actions)"]


def test_panels_have_the_gaps_too(figures: list[Figure]) -> None:
    returns = [1.0, 2.0, None, 4.0, 5.0]
    plots.metrics([run(returns)], [Panel("return", "return_mean")])
    for _, values in lines(figures[0]):
        np.testing.assert_array_equal(values, [NAN if value is None else value for value in returns])


# ---- successes, single episodes --------------------------------------------------------------------------------------


def with_episodes(*episodes: tuple[float, float, float, float], lost: Sequence[int] = ()) -> RunData:
    """`episodes`: iteration, return, length, success."""
    return dataclasses.replace(run([1.0, 2.0, 3.0], lost=lost), episodes=np.array(episodes).reshape(-1, 4).T)


def test_training_episodes_are_spread_over_their_batch() -> None:
    one = with_episodes((1, 5, 9, 1), (1, 6, 9, 0), (3, 7, 9, NAN), (3, 1e300, 9, 1), (4, 8, 9, 1))
    np.testing.assert_array_equal(one.training_episodes(), [[25, 75, 250], [5, 6, 7], [1, 0, NAN]])
    assert with_episodes().training_episodes().shape == (3, 0)
    lost = with_episodes((1, 5, 9, 1), (2, 6, 9, 0), (3, 7, 9, 1), lost=[2])
    np.testing.assert_array_equal(lost.training_episodes()[:2], [[50, 300], [5, 7]])


def test_a_dot_for_each_episode_by_success_behind_the_running_mean(figures: list[Figure]) -> None:
    one = with_episodes((1, 4, 9, 1), (1, 6, 9, 0), (3, 8, 9, NAN))
    plots.training_episodes([one], [0])
    succeeded, failed, unknown, mean = figures[0].axes[0].lines
    colours = [line.get_color() for line in (succeeded, failed)]
    assert colours == [plots.SUCCEEDED, plots.FAILED]
    np.testing.assert_array_equal(succeeded.get_xydata(), [[25, 4]])
    np.testing.assert_array_equal(failed.get_xydata(), [[75, 6]])
    np.testing.assert_array_equal(unknown.get_xydata(), [[250, 8]])
    np.testing.assert_array_equal(mean.get_xydata(), [[25, 6], [75, 6], [250, 6]])


def test_shares_of_successes_over_steps(figures: list[Figure]) -> None:
    one = run([1.0, 2.0, 3.0], {3: 9.0})
    rows = [{**row, "success_rate": share} for row, share in zip(one.rows, [0.25, None, 0.5], strict=True)]
    rows[2]["eval_success_rate"] = 0.75
    summary = {**one.summary, "random_success_rate": 0.1}
    plots.success_curve([dataclasses.replace(one, rows=rows, summary=summary)])
    training, _, evaluation, random = figures[0].axes[0].lines
    np.testing.assert_array_equal(training.get_xydata(), [[0, 25], [100, NAN], [200, 50]])
    np.testing.assert_array_equal(evaluation.get_xydata(), [[300, 75]])
    np.testing.assert_array_equal(random.get_ydata(), [10, 10])


def test_actions_of_both_sides(figures: list[Figure], rng: np.random.Generator) -> None:
    """Labels as bars side by side, numbers as histograms; each side's shares add up."""
    labels = (np.array([[0], [0], [1], [3]]), np.array([[1], [1], [1], [0]]))
    expert, learner = (Visits([np.zeros((4, 2))], None, True, actions=acted) for acted in labels)
    visit_plots.action_histograms(expert, {0: ("a", learner)})
    bars: list[Any] = list(figures[0].axes[0].patches)
    assert [bar.get_height() for bar in bars] == [50, 25, 25, 25, 75, 0]
    assert [text.get_text() for text in figures[0].axes[0].get_xticklabels()] == ["0", "1", "3"]
    expert, learner = (Visits([np.zeros((9, 2))], None, True, actions=rng.normal(size=(9, 3))) for _ in "ab")
    visit_plots.action_histograms(expert, {0: ("a", learner), 1: ("b", learner)})
    assert [len(axes.patches) for axes in figures[1].axes] == [3, 3, 3]
    visit_plots.action_histograms(None, {0: ("a", learner)})
    assert [len(axes.patches) for axes in figures[2].axes] == [1, 1, 1]


# ---- the same lines for a reader who points at them ------------------------------------------------------------------


def shown(chart: Chart) -> list[tuple[list[float], list[float]]]:
    return [(list(series.x), list(series.y)) for plot in chart.plots for series in plot.series]


def agree(chart: Chart, figure: Figure) -> None:
    """Each line of the picture is a series of the chart, and the other way round; the picture has lone dots besides."""
    drawn = [(x, y) for axes in figure.axes for x, y in points(axes)]
    alone = [(x, y) for x, y in drawn if np.isfinite(y).sum() == 1]
    for series in shown(chart):
        assert any(same_points(series, line) for line in drawn), series
    for line in drawn:
        assert line in alone or any(same_points(series, line) for series in shown(chart)), line


def same_points(a: tuple[list[float], list[float]], b: tuple[list[float], list[float]]) -> bool:
    return all(np.array_equal(one, other, equal_nan=True) for one, other in zip(a, b, strict=True))


def points(axes: Any) -> list[tuple[list[float], list[float]]]:
    pairs = [tuple(np.asarray(values, float).tolist() for values in line.get_data()) for line in axes.lines]
    return [(x, y) for x, y in pairs if x != [0, 1] and np.isfinite(y).any()]


def two_runs() -> list[RunData]:
    one = run([1.0, None, 3.0, 4.0, 5.0], {2: 7.0, 5: 9.0})
    rows = [{**row, "success_rate": 0.1 * k, "eval_success_rate": 0.5} for k, row in enumerate(one.rows)]
    return [one, dataclasses.replace(run([2.0, 3.0]), label="other", rows=rows)]


@pytest.mark.parametrize("count", [1, 2])
def test_a_chart_has_the_lines_of_its_picture(figures: list[Figure], count: int) -> None:
    runs, panels = two_runs()[-count:], [Panel("return", "return_mean", lambda run: 1.0, "one"), Panel("KL", "kl")]
    plots.learning_curve(runs, {"E": 10.0})
    plots.success_curve(runs)
    plots.metrics(runs, panels)
    curve = run_charts.learning_curve(runs, {"E": 10.0})
    made = [curve, run_charts.success_curve(runs), run_charts.metrics(runs, panels)]
    for chart, figure in zip(made, figures, strict=True):
        agree(chart, figure)
        assert [key.name for key in chart.keys] == legend(figure) or chart is made[2]
        used = {key for plot in chart.plots for series in plot.series for key in series.keys}
        assert used == {key.name for key in chart.keys}
    assert [(level.name, level.value) for level in curve.plots[0].levels] == [("expert", 10), ("random", -5)]
    assert [level.value for level in made[2].plots[0].levels] == [1.0]


def test_the_band_is_one_standard_deviation_and_the_random_policy_a_dot() -> None:
    chart = run_charts.learning_curve([run([None, 2.0, 3.0], {3: 9.0})], {})
    training, evaluation, random = chart.plots[0].series
    assert training.band is None and evaluation.band is not None
    np.testing.assert_array_equal(evaluation.band, [[8.0], [10.0]])
    assert (list(random.x), list(random.y), random.look.dots) == ([0], [-5], True)


def test_dots_of_episodes_are_in_the_chart(figures: list[Figure]) -> None:
    one = with_episodes((1, 4, 9, 1), (1, 6, 9, 0), (3, 8, 9, NAN))
    plots.training_episodes([one], [0])
    chart = run_charts.training_episodes([one], [0])
    assert shown(chart) == points(figures[0].axes[0])
    assert [key.name for key in chart.keys] == legend(figures[0])
