"""From results to numbers, by hand: random actions return 0, the expert 100, so that a score is a hundredth of a return."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from trpo_gail.config.tree import Config
from trpo_gail.studies.comparison import page as comparison_page
from trpo_gail.studies.comparison.analysis import ALL, Analysis, analyse
from trpo_gail.studies.comparison.fairness import Entry, contestants
from trpo_gail.studies.comparison.plan import Plan, Task
from trpo_gail.studies.comparison.results import Result
from trpo_gail.studies.statistics import permutation_p

ENVS = ("easy", "hard", "other")


def result(contestant: str, env: str, seed: int, value: float) -> Result:
    """A run whose two evaluations and last policy all return `value`."""
    return Result(
        setup="", contestant=contestant, env=env, seed=seed, returns=[value], return_mean=value,
        expert_return_mean=100.0, random_return_mean=0.0, iterations=10, steps=10 * 2048,
        curve={"steps": [5000, 10000], "return_mean": [value, value], "wall_s": [1.0, 2.0]}, wall_s=2.0, eval_s=0.1,
        env_steps_per_s=1000.0, ranks=1, peak_memory_mb=None, command=[], commit=None, python="3", versions={},
    )  # fmt: skip


def plan(*envs: str, expert: float = 100.0) -> Plan:
    both = contestants(Config("x"), [Entry("a", (), Config("x")), Entry("b", (), Config("x"))])
    tasks = tuple(Task(env, "f.h5", "0" * 64, expert, None, 1, 10000, 5000) for env in envs)
    return Plan(both, tasks, (0, 1), (), 1, 1, 1)


def found(values: dict[tuple[str, str], float], *envs: str) -> Analysis:
    """Two seeds of each contestant and task that has a value."""
    return analyse(plan(*envs), [result(*key, seed, value) for key, value in values.items() for seed in (0, 1)])


def test_over_all_tasks_only_those_count_that_every_contestant_has_results_for() -> None:
    """`b` has failed on the hard task, where `a` scores 0.1: on the tasks of both `a` is better."""
    values = {("a", "easy"): 90.0, ("b", "easy"): 80.0, ("a", "hard"): 10.0, ("a", "other"): 70.0, ("b", "other"): 50.0}
    analysis = found(values, *ENVS)
    assert analysis.shared == ["easy", "other"]
    rows = {(row.contestant, row.env): row for row in analysis.rows}
    assert {name: rows[name, ALL].iqm.value for name in "ab"} == {"a": 0.8, "b": 0.65}
    assert (rows["a", ALL].runs, rows["a", ALL].planned) == (4, 4)
    assert rows["a", "hard"].iqm.value == 0.1 and ("b", "hard") not in rows
    curves = {(curve.contestant, curve.env): curve for curve in analysis.curves}
    assert curves["a", ALL].score.tolist() == [0.8] * 61 and ("a", "hard") in curves
    parts = {profile.contestant: profile.part[profile.thresholds < 0.6][-1] for profile in analysis.profiles}
    assert parts == {"a": 1.0, "b": 0.5}
    assert {(i.env, i.probability.value) for i in analysis.improvements} == {("easy", 1), ("other", 1), (ALL, 1)}
    assert "Numbers over all tasks leave out hard: not every" in comparison_page._lead(analysis)


def test_differences_from_the_first() -> None:
    """By hand: `b` is 0.5 below in every run of the easy task, of whose 6 splits of 2 and 2 runs 2 are as far apart."""
    values = {
        ("a", "easy"): (80.0, 90.0),
        ("b", "easy"): (30.0, 40.0),
        ("a", "other"): (70.0, 70.0),
        ("b", "other"): (70.0, 70.0),
    }
    runs = [result(*key, seed, value) for key, both in values.items() for seed, value in enumerate(both)]
    easy, other, both = analyse(plan("easy", "other"), runs).differences
    assert (easy.contestant, easy.env, easy.score.value) == ("b", "easy", pytest.approx(-0.5))
    assert easy.p == pytest.approx(1 / 3) and easy.certain is False
    assert (easy.score.low, easy.score.high) == (pytest.approx(-0.6), pytest.approx(-0.4))
    assert (other.score.value, other.p) == (0.0, 1.0)
    assert (both.env, both.p, both.certain) == (ALL, None, None) and both.score.value == pytest.approx(-0.25)


@pytest.mark.parametrize(
    ("returns", "reached", "held"),
    [
        ([0.0, 96.0, 95.0, 97.0], True, True),
        ([96.0, 96.0, 94.9, 97.0], True, False),
        ([0.0, 96.0], True, False),
        ([96.0, 96.0], True, False),  # too few
        ([90.0, 90.0, 90.0], False, False),
    ],
)
def test_a_bar_is_held_by_the_last_three_evaluations(returns: list[float], reached: bool, held: bool) -> None:
    run = result("a", "easy", 0, 0.0)
    count = len(returns)
    curve: dict[str, list[float]] = {
        "steps": list(range(1, count + 1)),
        "return_mean": returns,
        "wall_s": [1.0] * count,
    }
    [row] = analyse(plan("easy"), [dataclasses.replace(run, curve=curve)]).rows
    assert (row.reached, row.held) == (reached, held)


def test_one_task_that_all_have_is_not_all_tasks() -> None:
    analysis = found({("a", "easy"): 90.0, ("b", "easy"): 80.0, ("a", "hard"): 10.0}, "easy", "hard")
    assert ALL not in {row.env for row in analysis.rows} | {i.env for i in analysis.improvements}
    assert len(analysis.profiles) == 2


def test_contestants_without_a_task_in_common_have_no_profiles() -> None:
    analysis = found({("a", "easy"): 90.0, ("b", "hard"): 10.0}, "easy", "hard")
    assert analysis.shared == [] == [*analysis.profiles] == [*analysis.improvements]
    assert "No task has results of every contestant." in comparison_page._profiles(analysis).text


@pytest.mark.parametrize("expert", [0.0, -5.0])
def test_demonstrations_no_better_than_random_actions_give_no_scale(expert: float) -> None:
    alone = [result("a", "easy", 0, 50.0)]
    bare = analyse(plan("easy", expert=expert), alone)
    assert bare.unscaled[0].startswith(f"easy: its demonstrations return {expert:g} and random actions 0,")
    assert (bare.scales, bare.rows, bare.results) == ({}, (), ()) and list(bare.everything) == alone
    assert list(bare.bare()) == [("a", "easy", alone, (expert, 0.0))]


def test_the_least_p_of_a_few_runs_is_what_the_page_says() -> None:
    """Its table may have it, to four digits: it must not be below what the text calls the least."""
    told = comparison_page._differences(found({("a", "easy"): 99.0, ("b", "easy"): 98.0}, "easy")).text
    assert "five runs each can give is 2/252 = 0.0079, that of three 2/20 = 0.1." in told
    for runs, least, shown in ((5, 2 / 252, 0.0079), (3, 2 / 20, 0.1)):
        p = permutation_p([0.0] * runs, [float(k) for k in range(1, runs + 1)], np.random.default_rng(0))
        assert p == pytest.approx(least) and p >= shown


def test_the_page_says_what_is_so() -> None:
    values = {("a", "easy"): 99.0, ("b", "easy"): 98.0}
    whole, part = found(values, "easy"), analyse(plan("easy"), [result("a", "easy", 0, 99.0)])
    lead, failures = comparison_page._lead(whole), comparison_page._failures(whole)
    assert "Without a result" not in lead and "departures" not in lead and failures.parts == []
    assert "are the same for all that have a discriminator, to 0.0%." in lead
    assert failures.text == "None: every run came to 95 % of the expert."
    missing = comparison_page._failures(part)
    assert missing.text == "None: every run that has a result came to 95 % of the expert."
    assert [table.rows for table in missing.parts] == [[["easy", "b", "0"], ["easy", "a", "1"], ["easy", "b", "1"]]]
    noted = [dataclasses.replace(contestant, notes=("x",)) for contestant in whole.plan.contestants]
    departing = dataclasses.replace(whole, plan=dataclasses.replace(whole.plan, contestants=tuple(noted)))
    assert "Terms tells of other departures from equal terms." in comparison_page._lead(departing)
