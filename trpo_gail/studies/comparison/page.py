"""What the page of a comparison holds: `trpo-gail compare`.

What differs from run to run, seconds and memory, is in the section "Time" alone; its pictures' names begin with `times`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trpo_gail.reports import page
from trpo_gail.reports.page import Cell, Figure, Section, Table, format_number
from trpo_gail.studies.comparison import charts, plots
from trpo_gail.studies.comparison.analysis import ALL, LAST, NEAR, Analysis, Estimate, Row, near
from trpo_gail.studies.comparison.fairness import counted, differing, spread, unequal, updates_per_step
from trpo_gail.studies.comparison.results import Result
from trpo_gail.studies.comparison.tables import TABLES
from trpo_gail.studies.statistics import CURVE_RESAMPLES, RESAMPLES

SCORE = "Scores are 0 at the mean return of uniformly random actions and 1 at that of the demonstrations."
BAND = "Bands are pointwise 95 % intervals."


def write_page(found: Analysis, out: Path) -> Path:
    """Write index.html and its pictures as PNG files; returns the page's path. Raises UserError if it cannot."""
    names = [contestant.name for contestant in found.plan.contestants]
    title = f"Comparison of {' and '.join(names)}" if len(names) > 1 else f"Runs of {names[0]}"
    sections = comparison(found)
    page.write_pictures(out, sections)
    page.write(out / "index.html", title, _lead(found), sections)
    return out / "index.html"


def comparison(found: Analysis) -> list[Section]:
    """All sections, in the order of the questions that a reader has."""
    if not found.scales:
        return [_returns(found), _terms(found), _method(found)]
    several = [_improvements(found), _differences(found)] if len(found.plan.contestants) > 1 else []
    return [
        _scores(found), *([_returns(found)] if found.returns else []), _curves(found), _profiles(found), *several,
        _near(found), _failures(found), _terms(found), _time(found), _method(found),
    ]  # fmt: skip


def _lead(found: Analysis) -> str:
    plan = found.plan
    tasks = ", ".join(f"{task.env} ({task.steps:,} steps)" for task in plan.tasks)
    sentences = [
        f"{_number(len(plan.contestants), 'contestant')} on {tasks}, {_number(len(plan.seeds), 'seed')} each: "
        f"{_number(len(plan.cells()), 'run')}.",
        f"Without a result, and in no number here: {len(found.missing)}." if found.missing else "",
        *(f"Without scores, {said}." for said in found.unscaled),
        *(f"{said}." for said in found.doubtful),
        "All have the same demonstrations, the same number of environment steps to go, and the same evaluations.",
        _updates(found),
        "Terms tells of other departures from equal terms." if any(c.notes for c in plan.contestants) else "",
        _over(found),
    ]
    return " ".join(filter(None, sentences))


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _updates(found: Analysis) -> str:
    """What was counted of the discriminator's updates."""
    if said := unequal(found.plan, found.everything):
        return " ".join(["They are not on equal terms.", *said])
    apart = [spread(rates) for rates in counted(found.plan, found.everything).values() if len(rates) > 1]
    if not apart:
        return ""
    return f"Discriminator updates per step, as counted, are the same for all that have a discriminator, to {max(apart):.1%}."


def _over(found: Analysis) -> str:
    """Which tasks "all tasks" stands for, where that is not all that have scores."""
    left_out = ", ".join(env for env in found.scales if env not in found.shared)
    return f"Numbers over all tasks leave out {left_out}: not every contestant has a result there." if left_out else ""


# ---- results ---------------------------------------------------------------------------------------------------------


def _scores(found: Analysis) -> Section:
    rows: list[list[Cell]] = []
    for row in found.rows:
        scale, returns = found.scales.get(row.env), None
        if row.returns is not None:
            returns = f"{format_number(float(row.returns.mean()))} ± {format_number(float(row.returns.std()))}"
        ends = [scale.expert, scale.random] if scale else [None, None]
        rows.append([_env(row.env), row.contestant, _count(row), returns, *ends, *_estimate(row.iqm)])
    text = (
        f"Each run's score is of its last policy, acting deterministically over {found.plan.final_episodes} whole episodes. "
        f"{SCORE} IQM is the mean of the middle half of the scores."
    )
    header = [
        "task",
        "contestant",
        "runs",
        "return, mean ± std of runs",
        "expert",
        "random",
        "score, IQM",
        "95 % interval",
    ]
    picture = Figure(
        "scores", plots.final_scores(found), "The score of each run, by task and contestant.",
        "A dot per run; the upright bar is the IQM, the broad one its 95 % interval.",
    )  # fmt: skip
    return Section("Scores", text, [Table(header, rows), picture])


def _returns(found: Analysis) -> Section:
    """Of tasks that no score can be given for."""
    rows: list[list[Cell]] = [
        [
            env, name, _count_of(len(mine), len(found.plan.seeds)), format_number(float(np.mean(returns))),
            format_number(float(np.std(returns))), *ends,
        ]
        for name, env, mine, ends in found.bare()
        if (returns := [r.return_mean for r in mine])
    ]  # fmt: skip
    text = (
        "The demonstrations of these tasks return no more than random actions, so there are returns alone: of the last "
        f"policies, over {found.plan.final_episodes} whole episodes each."
    )
    header = ["task", "contestant", "runs", "return, mean", "std of runs", "expert", "random"]
    missing = [] if found.scales else _missing(found)  # else they stand with the failures
    return Section("Returns without scores", text, [Table(header, rows), *missing])


def _env(env: str) -> str:
    return "all tasks" if env == ALL else env


def _count(row: Row) -> str:
    return _count_of(row.runs, row.planned)


def _count_of(runs: int, planned: int) -> str:
    return str(runs) if runs == planned else f"{runs} of {planned}"


def _estimate(estimate: Estimate) -> tuple[str, str]:
    return f"{estimate.value:.3f}", f"{estimate.low:.3f} to {estimate.high:.3f}"


def _curves(found: Analysis) -> Section:
    several = any(curve.env == ALL for curve in found.curves)
    text = (
        f"IQM over runs of the periodic evaluations, {found.plan.eval_episodes} deterministic episodes each, between which "
        f"lines are straight. {BAND} The dotted line below the expert's is at a score of {NEAR}."
        + (" Over all tasks, scores against the part of each task's steps." if several else "")
    )
    picture = Figure(
        "curves", plots.step_curves(found), "Returns against environment steps, by contestant.",
        chart=charts.step_curves(found),
    )  # fmt: skip
    return Section("Return against environment steps", text, [picture])


def _profiles(found: Analysis) -> Section:
    text = "The part of a contestant's runs whose score is above each value."
    if not found.profiles:
        return Section("Performance profiles", f"{text} No task has results of every contestant.")
    picture = Figure(
        "profiles", plots.profiles(found), "The part of runs above each score, by contestant.",
        f"{BAND} Tasks weigh alike. A line that lies above another everywhere is that of the better contestant.",
    )  # fmt: skip
    return Section("Performance profiles", text, [picture])


def _improvements(found: Analysis) -> Section:
    text = (
        "How probably a run of the first contestant has a higher score than one of the second on the same task; a tie counts "
        "half. At 0.5 neither is better. Over all tasks it is their mean."
    )
    rows: list[list[Cell]] = [
        [_env(i.env), f"{i.first} above {i.second}", *_estimate(i.probability)] for i in found.improvements
    ]
    if not rows:
        return Section("Probability of improvement", "No two contestants have results on the same task.")
    picture = Figure("improvement", plots.improvements(found), "Probability of improvement, by pair and task.")
    return Section(
        "Probability of improvement", text, [Table(["task", "pair", "probability", "95 % interval"], rows), picture]
    )


def _differences(found: Analysis) -> Section:
    first = found.plan.contestants[0].name
    text = (
        f"The mean score of a contestant minus that of {first}, with its 95 % interval: over tasks, the mean of their "
        "differences. p is of a two-sided permutation test on the runs of a task. The last column says whether it is "
        "significant at 5 % after Holm's correction for all contestants on the task. The least p that five runs each can "
        "give is 2/252 = 0.0079, that of three 2/20 = 0.1."
    )
    rows: list[list[Cell]] = [
        [_env(d.env), d.contestant, *_estimate(d.score), d.p, {None: None, True: "yes", False: "no"}[d.certain]]
        for d in found.differences
    ]
    header = ["task", "contestant", f"score above {first}", "95 % interval", "p", "significant"]
    return Section(f"Differences from {first}", text, [Table(header, rows)] if rows else [])


def _near(found: Analysis) -> Section:
    text = (
        f"The first periodic evaluation with a score of at least {NEAR}. The median is over the runs with a result. Runs "
        "that never came there count as later than all others; a dash means that the median is one of them. A run has held "
        f"it if its last {LAST} evaluations all have that score; one of fewer evaluations has not."
    )
    rows: list[list[Cell]] = [
        [
            row.env,
            row.contestant,
            f"{row.reached} of {row.runs}",
            _steps(row.steps_to_near),
            f"{row.held} of {row.runs}",
        ]
        for row in found.rows
        if row.env != ALL
    ]
    header = ["task", "contestant", "runs that came there", "steps, median", "runs that held it"]
    return Section("Steps to 95 % of the expert", text, [Table(header, rows)])


def _steps(value: float | None) -> int | None:
    return None if value is None else round(value)


def _failures(found: Analysis) -> Section:
    rows: list[list[Cell]] = []
    for r in found.results:
        scale = found.scales[r.env]
        if near(r, scale) is None:
            best = max(scale.score(value) for value in r.curve["return_mean"])
            score = scale.score(r.return_mean)
            rows.append([r.env, r.contestant, str(r.seed), f"best evaluation {best:.3f}, last policy {score:.3f}"])
    which = "that has a result " if found.missing else ""
    text = (
        "Runs that never came to 95 % of the expert." if rows else f"None: every run {which}came to 95 % of the expert."
    )
    tables = [Table(["task", "contestant", "seed", "score"], rows)] if rows else []
    return Section("Failures", text, [*tables, *_missing(found)])


def _missing(found: Analysis) -> list[Table]:
    """The runs without a result, if there are any."""
    rows: list[list[Cell]] = [[cell.env, cell.contestant, str(cell.seed)] for cell in found.missing]
    why = "Without a result: failed, not run yet, or still under way."
    return [Table(["task", "contestant", "seed"], rows, why)] if rows else []


# ---- terms -----------------------------------------------------------------------------------------------------------


def _terms(found: Analysis) -> Section:
    plan = found.plan
    notes = [f"{c.name}: {note}" for c in plan.contestants for note in c.notes]
    seeds = ", ".join(map(str, plan.seeds))
    text = "\n\n".join(
        [
            f"Flags of all: {' '.join(plan.flags) or 'none'}. Ranks of each run: {plan.ranks}. Seeds: {seeds}.",
            *(notes or ["Networks are the same for all."]),
        ]
    )
    return Section("Terms", text, [_contestants(found), _tasks(found), _settings(found)])


def _contestants(found: Analysis) -> Table:
    rows: list[list[Cell]] = []
    for c in found.plan.contestants:
        mine = [r for r in found.everything if r.contestant == c.name]
        rates = [1000 * rate for r in mine if (rate := updates_per_step(found.plan, r)) is not None]
        rows.append(
            [
                c.name, " ".join(c.flags) or "none", c.iteration_steps, c.config["d_step"], _range(rates, 4),
                _range([r.steps / found.plan.task(r.env).steps for r in mine], 4),
            ]
        )  # fmt: skip
    header = ["contestant", "flags", "steps per iteration", "discriminator updates per iteration"]
    return Table([*header, "updates per 1000 steps, counted", "steps taken, of those planned"], rows)


def _range(values: Sequence[float], digits: int) -> str | None:
    """The least and the greatest, or one where they look alike."""
    ends = [f"{value:.{digits}g}" for value in (min(values), max(values))] if values else []
    return " to ".join(dict.fromkeys(ends)) or None


def _tasks(found: Analysis) -> Table:
    rows: list[list[Cell]] = [
        [
            t.env,
            t.expert,
            t.expert_sha256[:12],
            t.trajectories or "all",
            t.subsample,
            t.steps,
            t.eval_every,
            " ".join(t.flags) or "none",
        ]
        for t in found.plan.tasks
    ]
    header = [
        "task",
        "demonstrations",
        "SHA-256",
        "trajectories",
        "every k-th row",
        "steps",
        "steps between evaluations",
        "flags of its own",
    ]
    return Table(header, rows)


def _settings(found: Analysis) -> Table:
    names = [contestant.name for contestant in found.plan.contestants]
    rows: list[list[Cell]] = [
        [name, *(None if value is None else page.words(value) for value in values)]
        for name, values in differing(found.plan.contestants).items()
    ]
    return Table(["setting", *names], rows, "Settings that are not the same for all; plan.json has the others.")


# ---- time ------------------------------------------------------------------------------------------------------------


def _time(found: Analysis) -> Section:
    text = (
        "Seconds are of training alone, as the clock on the wall has them; evaluations are left out. Whatever else "
        "the machines did meanwhile, such as other runs, is in these numbers, and they are noisier than their intervals say. "
        "Curves end with the last run of a contestant; a run that has ended keeps its score."
    )
    rows: list[list[Cell]] = []
    for row in found.rows:
        if row.env != ALL:
            mine = found.of(row.contestant, row.env)
            rows.append(
                [
                    row.env, row.contestant, _mean([r.wall_s for r in mine]), _mean([r.env_steps_per_s for r in mine]),
                    row.seconds_to_near, _mean([r.eval_s for r in mine]),
                    max((r.peak_memory_mb for r in mine if r.peak_memory_mb is not None), default=None),
                ]
            )  # fmt: skip
    header = [
        "task", "contestant", "training, s", "environment steps per s", "s to 95 % of the expert, median",
        "evaluations, s", "peak memory, MB",
    ]  # fmt: skip
    picture = Figure(
        "times_curves", plots.time_curves(found), "Returns against seconds, by contestant.", BAND,
        chart=charts.time_curves(found),
    )  # fmt: skip
    return Section("Time", text, [picture, Table(header, rows, "Means over runs, unless something else is said.")])


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


# ---- method ----------------------------------------------------------------------------------------------------------


def _method(found: Analysis) -> Section:
    text = (
        f"Intervals are percentile bootstraps: within each task as many runs as there are, are drawn with replacement, "
        f"{RESAMPLES:,} times (curves: {CURVE_RESAMPLES:,}). They say how much the numbers would vary with other seeds, "
        "not with other tasks or demonstrations; from few seeds they are too narrow, and from one a point. The statistics "
        "are those of Agarwal et al. (2021), Deep reinforcement learning at the edge of the statistical precipice.\n\n"
        f"The numbers are in {', '.join(f'{name}.csv' for name in TABLES)}, each run's in cells.jsonl or cells/."
    )
    return Section("Method", text, [Table(["runs", "commit", "Python", "versions"], _versions(found.everything))])


def _versions(results: Sequence[Result]) -> list[list[Cell]]:
    """What made the runs: a line per set of versions."""
    counts: dict[tuple[str, ...], int] = {}
    for r in results:
        made = (r.commit or "–", r.python, ", ".join(f"{name} {version}" for name, version in r.versions.items()))
        counts[made] = counts.get(made, 0) + 1
    return [[count, *made] for made, count in counts.items()]
