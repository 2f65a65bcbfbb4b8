"""Tests and intervals against closed forms and printed tables; against scipy too, where that is at hand."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from trpo_gail.studies import statistics
from trpo_gail.studies.reproduction.runs import Runs
from trpo_gail.studies.statistics import (
    holm,
    one_sample_p,
    permutation_p,
    t_cdf,
    t_interval,
    t_quantile,
)


def test_students_distribution_in_closed_form() -> None:
    for t in (-3.0, -0.5, 0.0, 0.7, 12.0):
        assert t_cdf(t, 1) == pytest.approx(0.5 + math.atan(t) / math.pi, abs=1e-12)
        assert t_cdf(t, 2) == pytest.approx(0.5 + t / (2 * math.sqrt(2 + t * t)), abs=1e-12)
        x = t / math.sqrt(3)
        assert t_cdf(t, 3) == pytest.approx(0.5 + (x / (1 + x * x) + math.atan(x)) / math.pi, abs=1e-12)
        y = t / math.sqrt(4 + t * t)
        assert t_cdf(t, 4) == pytest.approx(0.5 + 0.75 * (y - y**3 / 3), abs=1e-12)


@pytest.mark.parametrize(("freedom", "printed"), [(1, 12.706), (2, 4.303), (4, 2.776), (6, 2.447), (30, 2.042)])
def test_quantiles_are_those_of_printed_tables(freedom: int, printed: float) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(printed, abs=5e-4)
    assert t_cdf(t_quantile(0.975, freedom), freedom) == pytest.approx(0.975, abs=1e-12)


def test_an_interval_by_hand() -> None:
    """Two runs at 0 and 2: 1 ± 12.706 * 1."""
    low, high = t_interval([0.0, 2.0]) or (0, 0)
    assert (low, high) == (pytest.approx(1 - 12.706, abs=1e-3), pytest.approx(1 + 12.706, abs=1e-3))
    assert t_interval([3.0]) is None
    assert t_interval([200.0, 200.0, 200.0]) == (200.0, 200.0)
    assert t_interval([0.1 + 0.2, 0.3, 0.3]) == pytest.approx((0.3, 0.3), abs=1e-15), "rounding is no spread"


def test_the_interval_and_the_test_say_the_same(rng: np.random.Generator) -> None:
    for n in (3, 5, 7):
        means = rng.normal(size=n).tolist()
        low, high = t_interval(means) or (0, 0)
        for value in rng.normal(scale=2.0, size=40):
            assert (one_sample_p(means, value) < 0.05) == (not low <= value <= high)
        assert one_sample_p(means, low) == pytest.approx(0.05, abs=1e-9)


def test_runs_that_are_all_the_same() -> None:
    assert one_sample_p([200.0] * 3, 200.0) == 1.0
    assert one_sample_p([200.0] * 3, 199.94) == 0.0


def test_permutations_counted_by_hand(rng: np.random.Generator) -> None:
    assert permutation_p([1.0, 2.0], [10.0, 11.0], rng) == pytest.approx(2 / 6)
    assert permutation_p([10.0, 11.0], [1.0, 2.0], rng) == pytest.approx(2 / 6), "two-sided"
    # {1, 5} against {2}: means 3 and 2, gap 1. Other splits: {1, 2} and 5: 3.5; {5, 2} and 1: 2.5.
    assert permutation_p([1.0, 5.0], [2.0], rng) == 1.0
    low, high = [float(k) for k in range(7)], [100.0 + k for k in range(7)]
    assert permutation_p(low, high, rng) == pytest.approx(2 / 3432)


def test_permutations_of_equal_values(rng: np.random.Generator) -> None:
    assert permutation_p([200.0] * 7, [200.0] * 7, rng) == 1.0
    # One of seven differs, on one side: every split has it on some side, with the same gap.
    assert permutation_p([200.0] * 7, [199.0, *[200.0] * 6], rng) == 1.0
    assert permutation_p([0.1] * 3, [0.1] * 3, rng) == 1.0


def test_many_splits_are_drawn(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = rng.normal(size=7).tolist(), rng.normal(loc=1.0, size=7).tolist()
    exact = permutation_p(a, b, rng)
    monkeypatch.setattr(statistics, "EXACT", 3000)
    drawn = permutation_p(a, b, rng)
    assert drawn != exact and drawn == pytest.approx(exact, abs=5 * math.sqrt(exact / 3000))
    assert permutation_p([0.0] * 10, [1.0] * 10, rng) == pytest.approx(1 / 3001), "never 0"


def test_splits_are_drawn_in_parts_that_fit_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of runs on each side took gigabytes at once; the parts are of the same stream."""
    a, b = np.random.default_rng(3).normal(size=(2, 40)).tolist()
    monkeypatch.setattr(statistics, "EXACT", 1000)
    whole = permutation_p(a, b, np.random.default_rng(0))
    monkeypatch.setattr(statistics, "CHUNK", 80 * 7)
    assert permutation_p(a, b, np.random.default_rng(0)) == whole


def test_a_permutation_test_keeps_its_level(rng: np.random.Generator) -> None:
    pairs = (rng.normal(size=(2, 5)).tolist() for _ in range(400))
    p = [permutation_p(a, b, rng) for a, b in pairs]
    assert np.mean(np.array(p) < 0.05) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    assert 0.4 < np.mean(p) < 0.6


def test_holm_by_hand() -> None:
    """0.01 <= 0.05 / 4, 0.015 <= 0.05 / 3, then 0.03 > 0.05 / 2 ends it: 0.005-like luck further on does not count."""
    assert holm([0.03, 0.01, 0.04, 0.015]) == [False, True, False, True]
    assert holm([0.04, 0.04]) == [False, False]
    assert holm([0.04, 0.02]) == [True, True]
    assert holm([0.05]) == [True]
    assert holm([]) == []


def test_pooling_is_over_all_episodes() -> None:
    one, two = [1.0, 2.0, 6.0], [10.0, 12.0]
    runs = Runs((3.0, 11.0), (float(np.std(one)), float(np.std(two))), (3, 2))
    assert runs.mean == pytest.approx(float(Fraction(31, 5)))
    assert runs.std == pytest.approx(float(np.std([*one, *two])))


def test_against_scipy(rng: np.random.Generator) -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    a, b = rng.normal(size=6).tolist(), rng.normal(loc=0.8, size=7).tolist()
    theirs = stats.permutation_test(
        (a, b), lambda x, y, axis: np.abs(np.mean(x, axis=axis) - np.mean(y, axis=axis)), permutation_type="independent",
        vectorized=True, n_resamples=np.inf, alternative="greater",
    )  # fmt: skip
    assert permutation_p(a, b, rng) == pytest.approx(theirs.pvalue)
    assert one_sample_p(a, 0.3) == pytest.approx(stats.ttest_1samp(a, 0.3).pvalue)
    assert t_interval(a) == pytest.approx(tuple(stats.ttest_1samp(a, 0.0).confidence_interval(0.95)))
    for freedom in (1, 2, 5, 10, 31):
        for t in (-2.0, 0.3, 4.0):
            assert t_cdf(t, freedom) == pytest.approx(stats.t.cdf(t, freedom))
