"""The paper's scale, and when it is too short to say anything: by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trpo_gail.scores import hardly_differ, rank_correlation, scaled_score


def test_the_scale_by_hand() -> None:
    assert [scaled_score(value, 30.0, 10.0) for value in (10.0, 30.0, 20.0, 50.0)] == [0.0, 1.0, 0.5, 2.0]
    assert scaled_score(1.0, None, 0.0) is scaled_score(None, 1.0, 0.0) is scaled_score(1.0, 5.0, 5.0) is None


@pytest.mark.parametrize(
    ("expert", "random", "std", "episodes", "hardly"),
    [
        # Two standard errors of a mean of 26 returns with a population's standard deviation of 5: 2 * 5 / sqrt(25) = 2.
        (12.0, 10.0, 5.0, 26, True),
        (12.1, 10.0, 5.0, 26, False),
        (7.9, 10.0, 5.0, 26, False),
        (8.1, 10.0, 5.0, 26, True),
        # 1 % of the larger, where nothing varies; of either sign.
        (1000.0, 990.0, 0.0, 50, True),
        (1000.0, 989.0, 0.0, 50, False),
        (-200.0, -199.0, 0.0, 50, True),
        (0.9, -0.4, 0.0, 50, False),
        (0.0, 0.0, 0.0, 50, True),
        # One episode has no spread to judge by.
        (200.0, 20.0, 0.0, 1, False),
    ],
)
def test_a_short_scale_by_hand(expert: float, random: float, std: float, episodes: int, hardly: bool) -> None:
    assert hardly_differ(expert, random, std, episodes) is hardly


def test_without_a_scale_nothing_is_said() -> None:
    assert not hardly_differ(None, 1.0, 9.0, 50) and not hardly_differ(1.0, None, 9.0, 50)


def test_chance_alone_is_said_to_hardly_differ_about_19_times_in_20() -> None:
    """An expert that is known to return 0, and random policies that return 0, too, but for their noise."""
    import numpy as np

    draws = np.random.default_rng(0).standard_normal((2000, 50))
    said = np.mean([hardly_differ(0.0, float(row.mean()), float(row.std()), 50) for row in draws])
    assert abs(said - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1.0, 2.0, 3.0], [10.0, 20.0, 1000.0], 1.0),
        ([1.0, 2.0, 3.0], [3.0, 2.0, -100.0], -1.0),
        ([1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 4.0, 3.0], 1 - 6 * 4 / (4 * 15)),  # 1 - 6 sum d^2 / (n (n^2 - 1))
        ([1.0, 1.0, 2.0], [5.0, 6.0, 7.0], math.sqrt(3) / 2),  # ranks 1.5, 1.5, 3 and 1, 2, 3
        ([1.0, 1.0], [1.0, 2.0], None),
        ([1.0], [1.0], None),
        ([], [], None),
    ],
)
def test_the_rank_correlation_by_hand(a: list[float], b: list[float], expected: float | None) -> None:
    found = rank_correlation(np.array(a), np.array(b))
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-15))
