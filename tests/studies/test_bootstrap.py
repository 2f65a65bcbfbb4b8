"""Bootstrap intervals and their kin against closed forms, and against rliable where that can be imported."""

from __future__ import annotations

import numpy as np
import pytest

from trpo_gail.studies import statistics
from trpo_gail.studies.statistics import (
    improvement,
    improvement_interval,
    iqm,
    iqm_curve,
    iqm_interval,
    percentiles,
    profile,
    profile_interval,
    resample,
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0], 3.0),
        ([1.0, 2.0, 6.0], 3.0),  # a quarter of three is less than one: nothing is cut
        ([4.0, 1.0, 2.0, 100.0], 3.0),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 60.0, -70.0], 2.5),
        ([*range(1, 13)], 6.5),
        ([-1e9, 0.0, 0.0, 9.0, 1e9], 3.0),  # a quarter of five is one
    ],
)
def test_iqm_by_hand(values: list[float], expected: float) -> None:
    assert iqm(np.array(values)) == expected
    assert iqm(np.array([values, values])).tolist() == [expected] * 2


def test_intervals_of_runs_that_are_all_alike_are_points() -> None:
    assert iqm_interval([np.full(5, 0.7), np.full(5, 0.7)]) == (pytest.approx(0.7), pytest.approx((0.7, 0.7)))
    assert improvement_interval([np.ones(3)], [np.zeros(4)]) == (1.0, (1.0, 1.0))
    found, low, high = iqm_curve([np.tile([0.0, 0.5, 1.0], (4, 1))])
    assert found.tolist() == low.tolist() == high.tolist() == [0.0, 0.5, 1.0]


def test_resampling_stays_within_each_task() -> None:
    """Tasks that differ widely while their runs agree have no spread: a bootstrap over all runs would have some."""
    strata = [np.full(4, 0.0), np.full(4, 1.0)]
    assert iqm_interval(strata) == (0.5, (0.5, 0.5))
    first, second = resample([np.arange(3), np.arange(10, 15)], 50, np.random.default_rng(0))
    assert first.shape == (50, 3) and second.shape == (50, 5)
    assert set(first.flat) == {0, 1, 2} and set(second.flat) == {10, 11, 12, 13, 14}


def test_a_bootstrap_interval_against_its_law() -> None:
    """The mean of two runs, 0 and 1, resamples to 0, 1/2, 1 with 1/4, 1/2, 1/4; of many runs it is nearly normal."""
    assert iqm_interval([np.array([0.0, 1.0])]) == (0.5, (0.0, 1.0))
    drawn = iqm(resample([np.array([0.0, 1.0])], 20_000, np.random.default_rng(1))[0])
    assert [np.mean(drawn == value) for value in (0.0, 0.5, 1.0)] == pytest.approx([0.25, 0.5, 0.25], abs=0.015)
    means = np.random.default_rng(2).normal(0, 1, (100_000, 1))
    assert percentiles(means)[0] == pytest.approx([-1.96], abs=0.03) and percentiles(means)[1] == pytest.approx(
        [1.96], abs=0.03
    )


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([[2.0, 3.0]], [[0.0, 1.0]], 1.0),
        ([[0.0]], [[1.0, 2.0, 3.0]], 0.0),
        ([[1.0, 1.0]], [[1.0, 1.0]], 0.5),
        ([[0.0, 2.0]], [[1.0]], 0.5),
        ([[1.0, 2.0]], [[1.0, 0.0]], 7 / 8),  # pairs: half, 1, 1, 1
        ([[1.0], [1.0]], [[0.0], [2.0]], 0.5),  # one task each way
        ([[1.0], [5.0, 5.0]], [[0.0] * 100, [5.0]], 0.75),  # tasks weigh alike, whatever their runs
    ],
)
def test_probability_of_improvement_by_hand(x: list, y: list, expected: float) -> None:
    xs, ys = [np.array(v) for v in x], [np.array(v) for v in y]
    assert improvement(xs, ys) == expected
    assert improvement(ys, xs) == pytest.approx(1 - expected)
    found, (low, high) = improvement_interval(xs, ys)
    assert found == expected and 0 <= low <= expected <= high <= 1


def test_a_profile_by_hand() -> None:
    strata, thresholds = [np.array([0.0, 1.0]), np.array([0.5])], np.array([-1.0, 0.0, 0.5, 0.9, 1.0])
    assert profile(strata, thresholds).tolist() == [1.0, 0.75, 0.25, 0.25, 0.0]
    low, high = profile_interval(strata, thresholds)
    assert low.tolist() == [1.0, 0.5, 0.0, 0.0, 0.0] and high.tolist() == [1.0, 1.0, 0.5, 0.5, 0.0]


def test_curves_are_resampled_whole() -> None:
    """Two runs that cross: their mean is 1/2 everywhere, in every resample of both; a resample of one run is a run."""
    found, low, high = iqm_curve([np.array([[0.0, 1.0], [1.0, 0.0]])])
    assert (found.tolist(), low.tolist(), high.tolist()) == ([0.5, 0.5], [0.0, 0.0], [1.0, 1.0])
    curves = np.random.default_rng(0).normal(size=(7, 3))
    found, low, high = iqm_curve([curves, curves + 1])
    for k in range(3):
        one, ends = iqm_interval([curves[:, k], curves[:, k] + 1])
        assert found[k] == pytest.approx(one) and (low[k], high[k]) == pytest.approx(ends, abs=0.08)


def test_the_same_numbers_each_time_and_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = [np.arange(5.0), np.arange(3.0)], [np.arange(4.0) + 0.5, np.arange(2.0)]
    first = improvement_interval(x, y)
    assert first == improvement_interval(x, y)
    monkeypatch.setattr(statistics, "CHUNK", 999)
    assert improvement_interval(x, y)[1] == pytest.approx(first[1], abs=0.05)
    assert len(statistics._in_chunks(100, 35, lambda n: np.zeros(n))) == 35


# ---- against rliable -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_an_estimate_lies_within_its_interval(seed: int) -> None:
    """Of few runs and of many, of skewed scores and of scores with a far outlier."""
    rng = np.random.default_rng(seed)
    runs, tasks = int(rng.integers(2, 12)), int(rng.integers(1, 6))
    scores = [rng.exponential(1.0, runs) - rng.standard_normal() for _ in range(tasks)]
    scores[0][0] += 50.0 * (seed % 2)
    found, (low, high) = iqm_interval(scores)
    assert low <= found <= high
    others = [rng.exponential(1.0, runs) for _ in range(tasks)]
    found, (low, high) = improvement_interval(scores, others)
    assert low <= found <= high


def test_against_rliable(rng: np.random.Generator) -> None:
    try:
        from rliable import library, metrics  # type: ignore[import-not-found]
    except Exception as error:
        pytest.skip(f"rliable cannot be imported: {error}")
    x, y = rng.normal(0.8, 0.3, (9, 3)).round(1), rng.normal(0.7, 0.3, (7, 3)).round(1)  # [runs, tasks]; some ties
    xs, ys = list(x.T), list(y.T)
    assert iqm(np.concatenate(xs)) == pytest.approx(metrics.aggregate_iqm(x))
    assert improvement(xs, ys) == pytest.approx(metrics.probability_of_improvement(x, y))
    thresholds = np.linspace(0, 1.5, 16)
    theirs, bands = library.create_performance_profile({"x": x}, thresholds, reps=2000)
    assert profile(xs, thresholds) == pytest.approx(theirs["x"])
    assert np.array(profile_interval(xs, thresholds)) == pytest.approx(bands["x"], abs=0.05)
    _, ends = library.get_interval_estimates({"x": x}, lambda s: np.array([metrics.aggregate_iqm(s)]), reps=2000)
    assert iqm_interval(xs)[1] == pytest.approx(ends["x"].ravel(), abs=0.02)
    _, ends = library.get_interval_estimates(
        {"xy": (x, y)}, lambda a, b: np.array([metrics.probability_of_improvement(a, b)]), reps=2000
    )
    assert improvement_interval(xs, ys)[1] == pytest.approx(ends["xy"].ravel(), abs=0.03)
