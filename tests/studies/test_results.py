"""The checks that results of all studies have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

from trpo_gail.errors import UserError
from trpo_gail.studies.results import check_returns, harvesting, measured

SUMMARY = {
    "returns": [1.0, 2.0000001], "return_mean": 1.5, "expert_return_mean": None, "random_return_mean": 0.5, "iterations": 3,
    "ranks": 1, "wall_s": 1.23456, "env_steps_per_s": None,
}  # fmt: skip
SESSIONS = [{"commit": c, "python": p, "versions": {}} for c, p in (("abc", "3.11"), (None, "3.11"), ("def", "3.12"))]


def test_numbers_are_rounded_and_sessions_summed_up() -> None:
    found = measured(SUMMARY, SESSIONS, 123.456)
    assert (found["returns"], found["wall_s"], found["peak_memory_mb"]) == ([1.0, 2.0], 1.235, 123.5)
    assert (found["steps"], found["eval_s"], found["env_steps_per_s"]) == (None, None, None)
    assert (found["commit"], found["python"]) == ("abc, def", "3.12")
    assert measured(SUMMARY, SESSIONS[1:2], None)["commit"] is None


@pytest.mark.parametrize(
    ("summary", "sessions", "says"),
    [
        ({}, SESSIONS, "run: summary.json, config.json or metrics.csv lacks the field 'return_mean'"),
        (SUMMARY, [], "run: a field of summary.json or config.json is of the wrong kind"),
        (SUMMARY | {"returns": 1}, SESSIONS, "run: a field of summary.json or config.json is of the wrong kind"),
    ],
)
def test_what_a_run_lacks_is_a_users_error(summary: dict, sessions: list, says: str) -> None:
    with pytest.raises(UserError, match=says), harvesting(Path("run")):
        measured(summary, sessions, None)


@pytest.mark.parametrize(
    ("returns", "mean", "says"),
    [
        ([], 0.0, "f: field 'returns': a list of finite numbers of at most 1e.100 expected"),
        ([1.0, float("nan")], 1.0, "f: field 'returns': a list of finite numbers of at most 1e.100 expected"),
        ([1e101], 1e101, "f: field 'returns': a list of finite numbers of at most 1e.100 expected"),
        ([1.0, 2.0], 1.6, "f: field 'return_mean': 1.6 found, 1.5 expected, the mean of 'returns'"),
        ([1.0], float("inf"), "f: field 'return_mean': inf found, 1 expected"),
    ],
)
def test_returns_and_their_mean_agree(returns: list[float], mean: float, says: str) -> None:
    check_returns([1.0, 2.0], 1.5 + 1e-6, "f")
    with pytest.raises(UserError, match=f"^{says}"):
        check_returns(returns, mean, "f")
