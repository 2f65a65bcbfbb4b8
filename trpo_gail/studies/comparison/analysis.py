"""From results to numbers: scores, curves, and when the expert was reached.

A score is 0 at the random policy's return and 1 at the expert's. G points of a curve, R runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from trpo_gail.scores import hardly_differ, scaled_score
from trpo_gail.studies.comparison.plan import Cell, Plan, Task
from trpo_gail.studies.comparison.results import Result
from trpo_gail.studies.statistics import (
    Strata,
    difference_interval,
    holm,
    improvement_interval,
    iqm_curve,
    iqm_interval,
    permutation_p,
    profile,
    profile_interval,
)

ALL = "all"  # instead of an environment: over all that every contestant has results for
NEAR = 0.95  # the score that counts as the expert's
LAST = 3  # evaluations that must be there for a run to have held it
POINTS = 61  # of curves and profiles
LOWEST, HIGHEST = -0.5, 1.5  # a profile looks at scores within, at most


@dataclass(frozen=True)
class Scale:
    """Returns of a task's expert and of random actions."""

    expert: float
    random: float

    def score(self, value: float) -> float:
        found = scaled_score(value, self.expert, self.random)
        assert found is not None  # `analyse` makes no scale that means nothing
        return found

    def value(self, score: np.ndarray) -> np.ndarray:
        return self.random + score * (self.expert - self.random)


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """A contestant on a task, or on all."""

    contestant: str
    env: str
    runs: int
    planned: int
    scores: np.ndarray  # [R], of all tasks in a row
    returns: np.ndarray | None  # [R], means of a run's episodes; None over tasks
    iqm: Estimate
    reached: int  # runs that came to the expert's 95 %
    held: int  # runs whose last evaluations were all there
    steps_to_near: float | None  # median over runs; None if half of them or more never came there
    seconds_to_near: float | None


@dataclass(frozen=True)
class Curve:
    """IQM of scores, point by point."""

    contestant: str
    env: str
    x: np.ndarray  # [G], steps, or parts of a task's steps over all tasks, or seconds
    score: np.ndarray  # [G]
    low: np.ndarray  # [G]
    high: np.ndarray  # [G]


@dataclass(frozen=True)
class Improvement:
    """How probably a run of the first scores more than one of the second."""

    first: str
    second: str
    env: str
    probability: Estimate


@dataclass(frozen=True)
class Difference:
    """By how much a contestant's mean score is above that of the first contestant."""

    contestant: str
    env: str
    score: Estimate
    p: float | None  # of a permutation test; None over tasks
    certain: bool | None  # whether it stays significant among all of the task (Holm)


@dataclass(frozen=True)
class Profile:
    """The part of a contestant's runs above each score."""

    contestant: str
    thresholds: np.ndarray  # [G], scores
    part: np.ndarray  # [G]
    low: np.ndarray  # [G]
    high: np.ndarray  # [G]


@dataclass(frozen=True)
class Analysis:
    """All numbers of a comparison."""

    plan: Plan
    results: tuple[Result, ...]
    scales: Mapping[str, Scale]  # by environment
    rows: tuple[Row, ...]
    curves: tuple[Curve, ...]  # against steps
    time_curves: tuple[Curve, ...]  # against seconds of training
    profiles: tuple[Profile, ...]
    improvements: tuple[Improvement, ...]
    differences: tuple[Difference, ...]
    missing: tuple[Cell, ...]  # without a result
    unscaled: tuple[str, ...] = ()  # a sentence on each task that is left out, since its scores would mean nothing
    returns: tuple[Result, ...] = ()  # of these tasks

    def of(self, contestant: str, env: str) -> list[Result]:
        return [r for r in self.results if (r.contestant, r.env) == (contestant, env)]

    @property
    def doubtful(self) -> list[str]:
        """A sentence on each task whose expert returns hardly more than random actions."""
        return [
            f"{env}: its demonstrations return {scale.expert:g} and random actions {scale.random:g}, which hardly differ, so "
            "that its scores say little"
            for env, scale in self.scales.items()
            if hardly_differ(scale.expert, scale.random, 0.0, 1)
        ]

    @property
    def everything(self) -> tuple[Result, ...]:
        """Results of all tasks, those without scores last."""
        return (*self.results, *self.returns)

    def bare(self) -> Iterator[tuple[str, str, list[Result], tuple[float, float]]]:
        """Each task that is left out, its contestants with their results, and what expert and random actions return."""
        for env in dict.fromkeys(result.env for result in self.returns):
            ends = _ends(self.plan.task(env), self.returns)
            for contestant in self.plan.contestants:
                if mine := [r for r in self.returns if (r.contestant, r.env) == (contestant.name, env)]:
                    yield contestant.name, env, mine, ends

    @property
    def shared(self) -> list[str]:
        """Tasks that every contestant has results for: over others, whoever failed the hardest would come off best."""
        names = [contestant.name for contestant in self.plan.contestants]
        return [task.env for task in self.plan.tasks if all(self.of(name, task.env) for name in names)]


def analyse(plan: Plan, results: Sequence[Result]) -> Analysis:
    """Everything, from the results there are; of tasks whose scale means nothing only returns."""
    scales, unscaled = {}, []
    for task in plan.tasks:
        if any(r.env == task.env for r in results):
            scale = Scale(*_ends(task, results))
            if said := meaningless(task.env, scale.expert, scale.random):
                unscaled.append(said)
            else:
                scales[task.env] = scale
    have = {result.cell for result in results}
    bare = Analysis(
        plan, tuple(result for result in results if result.env in scales), scales, (), (), (), (), (), (),
        tuple(cell for cell in plan.cells() if cell not in have), tuple(unscaled),
        tuple(result for result in results if result.env not in scales),
    )  # fmt: skip
    return Analysis(
        plan, bare.results, scales, tuple(_rows(bare)), tuple(_step_curves(bare)), tuple(_time_curves(bare)),
        tuple(_profiles(bare)), tuple(_improvements(bare)), tuple(_differences(bare)), bare.missing, bare.unscaled,
        bare.returns,
    )  # fmt: skip


def _ends(task: Task, results: Sequence[Result]) -> tuple[float, float]:
    """The demonstrations' mean return, and that of random actions over all runs."""
    return task.expert_return_mean, float(np.mean([r.random_return_mean for r in results if r.env == task.env]))


def meaningless(env: str, expert: float, random: float) -> str | None:
    """Why a task's scores would mean nothing; None if they mean something."""
    if scaled_score(0.0, expert, random) is not None and expert > random:
        return None
    return (
        f"{env}: its demonstrations return {expert:g} and random actions {random:g}, of which no scale can be made; "
        "demonstrations that return more expected"
    )


def scores(found: Analysis, contestant: str, env: str) -> np.ndarray:
    """[R], of the last policies."""
    return np.array([found.scales[env].score(r.return_mean) for r in found.of(contestant, env)])


def near(result: Result, scale: Scale) -> int | None:
    """Index of the first periodic evaluation at 95 % of the expert or above."""
    scored = [scale.score(value) for value in result.curve["return_mean"]]
    return next((k for k, score in enumerate(scored) if score >= NEAR), None)


def to_near(result: Result, scale: Scale, column: str) -> float | None:
    """Steps, or wall_s, until that evaluation; None if the run never came there."""
    k = near(result, scale)
    return None if k is None else result.curve[column][k]


def held(result: Result, scale: Scale) -> bool:
    """Whether the last evaluations are all there, and at 95 % of the expert or above."""
    last = result.curve["return_mean"][-LAST:]
    return len(last) == LAST and all(scale.score(value) >= NEAR for value in last)


def _groups(found: Analysis) -> dict[str, list[str]]:
    """Tasks by what numbers are of: each one with a result, then all together where that is more than one."""
    shared = found.shared
    return {env: [env] for env in found.scales} | ({ALL: shared} if len(shared) > 1 else {})


def _strata(found: Analysis, contestant: str, envs: Sequence[str]) -> Strata:
    return [scores(found, contestant, env) for env in envs]


def _rows(found: Analysis) -> list[Row]:
    """Per task, then over all."""
    return [
        _row(found, contestant.name, env, envs)
        for env, envs in _groups(found).items()
        for contestant in found.plan.contestants
        if found.of(contestant.name, envs[0])
    ]


def _row(found: Analysis, contestant: str, env: str, envs: Sequence[str]) -> Row:
    strata = _strata(found, contestant, envs)
    value, ends = iqm_interval(strata)
    mine = [(r, found.scales[r.env]) for e in envs for r in found.of(contestant, e)]
    steps, seconds = ([to_near(r, scale, column) for r, scale in mine] for column in ("steps", "wall_s"))
    single = env != ALL  # steps and seconds of different tasks have no common median
    return Row(
        contestant, env, len(mine), len(found.plan.seeds) * len(envs),
        np.concatenate(strata), np.array([r.return_mean for r, _ in mine]) if single else None,
        Estimate(value, *ends), sum(value is not None for value in steps), sum(held(r, scale) for r, scale in mine),
        _median(steps) if single else None, _median(seconds) if single else None,
    )  # fmt: skip


def _median(values: Sequence[float | None]) -> float | None:
    """Runs that never came there count as later than all others."""
    middle = float(np.median([np.inf if value is None else value for value in values]))
    return middle if np.isfinite(middle) else None


# ---- curves ----------------------------------------------------------------------------------------------------------


def _interpolated(found: Analysis, result: Result, column: str, x: np.ndarray) -> np.ndarray:
    """Scores [G] between a run's evaluations, linearly; before the first and after the last as there."""
    scale = found.scales[result.env]
    return np.interp(x, result.curve[column], [scale.score(value) for value in result.curve["return_mean"]])


def _step_curves(found: Analysis) -> list[Curve]:
    """Where all runs have been evaluated; over several tasks against the part of each one's steps."""
    ends = {env: _common_steps([r for r in found.results if r.env == env]) for env in found.scales}
    grids = {env: np.linspace(*ends[env], POINTS) for env in found.scales}
    curves = [
        Curve(contestant.name, env, grids[env], *iqm_curve([_matrix(found, contestant.name, env, grids[env])]))
        for env in found.scales
        for contestant in found.plan.contestants
        if found.of(contestant.name, env)
    ]
    if shared := _groups(found).get(ALL):
        steps = {env: found.plan.task(env).steps for env in shared}
        first = max(ends[env][0] / steps[env] for env in shared)
        last = min(ends[env][1] / steps[env] for env in shared)
        parts = np.linspace(first, last, POINTS)
        for contestant in found.plan.contestants:
            strata = [_matrix(found, contestant.name, env, parts * steps[env]) for env in shared]
            curves.append(Curve(contestant.name, ALL, parts, *iqm_curve(strata)))
    return curves


def _matrix(found: Analysis, contestant: str, env: str, x: np.ndarray) -> np.ndarray:
    """[R, G]"""
    return np.array([_interpolated(found, r, "steps", x) for r in found.of(contestant, env)])


def _common_steps(results: Sequence[Result]) -> tuple[float, float]:
    """From the latest first evaluation to the earliest last one."""
    first, last = max(r.curve["steps"][0] for r in results), min(r.curve["steps"][-1] for r in results)
    return (first, last) if first < last else (last, last)


def _time_curves(found: Analysis) -> list[Curve]:
    """From a contestant's latest first evaluation to its latest last one: a run that has ended keeps its policy."""
    curves = []
    for env in found.scales:
        for contestant in found.plan.contestants:
            if mine := found.of(contestant.name, env):
                seconds = [r.curve["wall_s"] for r in mine]
                x = np.linspace(max(s[0] for s in seconds), max(s[-1] for s in seconds), POINTS)
                matrix = np.array([_interpolated(found, r, "wall_s", x) for r in mine])
                curves.append(Curve(contestant.name, env, x, *iqm_curve([matrix])))
    return curves


# ---- over all tasks --------------------------------------------------------------------------------------------------


def _profiles(found: Analysis) -> list[Profile]:
    if not found.shared:
        return []
    everything = np.concatenate([scores(found, c.name, env) for c in found.plan.contestants for env in found.shared])
    low = max(LOWEST, min(0.0, np.floor(10 * everything.min()) / 10))
    high = min(HIGHEST, max(1.0, np.ceil(10 * everything.max()) / 10) + 0.1)
    thresholds = np.linspace(low, high, POINTS)
    made: list[Profile] = []
    for contestant in found.plan.contestants:
        strata = _strata(found, contestant.name, found.shared)
        ends = profile_interval(strata, thresholds)
        made.append(Profile(contestant.name, thresholds, profile(strata, thresholds), *ends))
    return made


def _improvements(found: Analysis) -> list[Improvement]:
    """Each pair of contestants, per task that both have results for, then over all."""
    made = []
    for a, b in combinations((c.name for c in found.plan.contestants), 2):
        for env, envs in _groups(found).items():
            if found.of(a, envs[0]) and found.of(b, envs[0]):
                value, ends = improvement_interval(_strata(found, a, envs), _strata(found, b, envs))
                made.append(Improvement(a, b, env, Estimate(value, *ends)))
    return made


def _differences(found: Analysis) -> list[Difference]:
    """Each contestant from the first one, per task that both have results for, then over all."""
    first, *others = (c.name for c in found.plan.contestants)
    return [one for env, envs in _groups(found).items() for one in _from_first(found, first, others, env, envs)]


def _from_first(
    found: Analysis, first: str, others: Sequence[str], env: str, envs: Sequence[str]
) -> Iterator[Difference]:
    have = [name for name in others if found.of(name, envs[0]) and found.of(first, envs[0])]
    base, rng = _strata(found, first, envs), np.random.default_rng(0)
    strata = {name: _strata(found, name, envs) for name in have}
    p = {} if env == ALL else {name: permutation_p(strata[name][0].tolist(), base[0].tolist(), rng) for name in have}
    certain = dict(zip(p, holm(list(p.values())), strict=True))
    for name in have:
        value, ends = difference_interval(strata[name], base)
        yield Difference(name, env, Estimate(value, *ends), p.get(name), certain.get(name))
