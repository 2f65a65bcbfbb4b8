"""What the page of one run or several holds: `trpo-gail report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.records import EVAL_SUCCESS, SUCCESS
from trpo_gail.reports import metric_sections, page, plots, run_charts
from trpo_gail.reports.page import Cell, Figure, Section, Table
from trpo_gail.reports.run_data import RunData, load
from trpo_gail.reports.state_section import States, look_at_states, same_start_section, states_section
from trpo_gail.reports.visits import Visits
from trpo_gail.runs.console import View
from trpo_gail.scores import scaled_score
from trpo_gail.system import whole_file

PHASES = {
    "sample_s": "sampling", "reward_s": "rewards, advantages", "generator_s": "policy", "critic_s": "critic",
    "adversary_s": "adversary",
}  # fmt: skip


def write_report(paths: Sequence[str], out: str | None, pictures: str | None, episodes: int) -> Path:
    """Write the page of some run folders, and its pictures as PNG files to a folder `pictures`; returns its path.

    By default it is report.html within the one run's folder, or here for several. `episodes` are rolled out of each
    run's policy. Raises UserError for what is no run folder, and where the page cannot be written.
    """
    if episodes < 1:
        raise UserError(f"--episodes: {episodes} given, at least 1 expected")
    runs = load(paths)
    path = Path(out) if out else (runs[0].path if len(runs) == 1 else Path()) / "report.html"
    if path.is_dir():
        raise UserError(f"--out {path}: a folder, the HTML file to write expected")
    whole_file.check("--out", path)
    if pictures and Path(pictures).exists() and not Path(pictures).is_dir():
        raise UserError(f"--png {pictures}: a file, a folder expected")
    title = f"{runs[0].env}: {runs[0].label}" if len(runs) == 1 else f"{len(runs)} runs"
    sections = report(runs, episodes)
    page.write(path, title, "", sections)
    if pictures:
        page.write_pictures(Path(pictures), sections)
    return path


def save_learning_curve(path: Path) -> Path | None:
    """Draw a run's learning curve into its folder; None if no episode has ended yet."""
    runs = load([path])
    if not plots.has(runs, plots.RETURNS):
        return None
    picture = Figure("learning_curve", plots.learning_curve(runs, _expert_means(runs, None)), "")
    return page.write_pictures(path, [Section("", parts=[picture])])[0]


def show_learning_curve(path: Path, named: Path, view: View) -> None:
    """Draw it, and say where it is, in the folder `named`; whatever goes wrong is a warning, for the run that it shows is
    done and saved."""
    try:
        picture = save_learning_curve(path)
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        view.warn(f"the learning curve was not drawn: {why} (trpo-gail report {named} draws it, too)")
    else:
        if picture:
            view.line(f"learning curve  {named / picture.name}")


def report(runs: Sequence[RunData], episodes: int) -> list[Section]:
    """All sections of a page, in the order of the questions that a reader has."""
    states = look_at_states(runs, episodes)
    expert = _expert_means(runs, states)
    return [
        _returns(runs, expert, states),
        _learning_curve(runs, expert),
        *_success(runs),
        metric_sections.episodic(runs),
        metric_sections.discriminator(runs),
        metric_sections.policy(runs),
        metric_sections.trust_region(runs),
        *metric_sections.cloning(runs),
        states_section(runs, states),
        same_start_section(runs),
        _time(runs),
        _settings(runs),
    ]


# ---- returns ---------------------------------------------------------------------------------------------------------


def _own_expert(run: RunData, place: int, states: States | None) -> float | None:
    """The mean return of a run's own expert: as the run states it, or from the file."""
    stated: float | None = run.summary.get("expert_return_mean")
    if stated is None and states and (visits := states.experts.get(place)) and visits.returns is not None:
        return float(visits.returns.mean())
    return stated


def _expert_means(runs: Sequence[RunData], states: States | None) -> dict[str, float]:
    """The expert's mean return by environment, if its runs have the same expert. What a summary states counts more than what
    a file holds, of which a run that goes on still may see a part."""
    means: dict[str, float] = {}
    for env in dict.fromkeys(run.env for run in runs):
        places = [place for place, run in enumerate(runs) if run.env == env]
        stated = [runs[place].summary.get("expert_return_mean") for place in places]
        held = [_own_expert(runs[place], place, states) for place in places]
        found = {value for value in stated if value is not None} or {value for value in held if value is not None}
        if len(found) == 1:
            means[env] = float(found.pop())
    return means


def _returns(runs: Sequence[RunData], expert: Mapping[str, float], states: States) -> Section:
    header = [
        "run", "environment", "learns by", "seed", "demonstrations", "steps", "learned", "±", "expert", "random",
        "scaled", "ended by",
    ]  # fmt: skip
    rows = []
    for place, run in enumerate(runs):
        own = _own_expert(run, place, states)
        rows.append(_returns_row(run, expert.get(run.env) if own is None else own))
    if any(_success_rate(run) is not None for run in runs):
        header.insert(8, "successes, %")
        for row, run in zip(rows, runs, strict=True):
            share = _success_rate(run)
            row.insert(8, None if share is None else 100 * share)
    text = (
        "Learned: the deterministic policy's mean return ± standard deviation over episodes of the last evaluation. "
        "Scaled: 0 is the random policy's return, 1 the expert's."
    )
    unfinished = [run.label for run in runs if run.summary.get("return_mean") is None]
    if unfinished:
        text += (
            f"\n\nWithout a last evaluation (stopped early, or going on still): {', '.join(unfinished)}. "
            "Their return is that of the last periodic evaluation."
        )
    learned = {place: r for place, run in enumerate(runs) if len(r := _episodes_of(run, states.learners.get(place)))}
    demonstrated = {
        runs[place].env: visits.returns
        for place, visits in states.experts.items()
        if visits.returns is not None and runs[place].env in expert  # else which of several?
    }
    parts: list[Table | Figure] = [Table(header, rows)]
    if learned:
        parts.append(
            Figure.drawn(
                "episodes",
                lambda: plots.episode_returns(runs, learned, demonstrated),
                "returns of single episodes, the expert's and the learned policies'",
                "A dot per episode, a bar at the mean. The last evaluation's, or for a run without one "
                "those rolled out for this page.",
            )
        )
    return Section("Returns", text, parts)


def _episodes_of(run: RunData, visits: Visits | None) -> np.ndarray:
    """Returns of the last evaluation's episodes, or else of those rolled out; none where there are neither."""
    if run.summary.get("returns"):
        return np.array(run.summary["returns"], np.float64)
    return np.zeros(0) if visits is None or visits.returns is None else visits.returns


def _returns_row(run: RunData, expert: float | None) -> list[Cell]:
    summary = run.summary
    mean, std = summary.get("return_mean"), summary.get("return_std")
    if mean is None:
        mean, std = run.last("eval_return_mean"), run.last("eval_return_std")
    random, steps = summary.get("random_return_mean"), summary.get("steps", run.last("steps"))
    scaled = scaled_score(mean, expert, random)
    return [
        run.label, run.env, _method(run), run.config.get("seed"), _demonstrations(run),
        None if steps is None else int(steps), mean, std, expert, random,
        None if scaled is None else round(scaled, 3), summary.get("stopped"),
    ]  # fmt: skip


def _success_rate(run: RunData) -> float | None:
    """Share of the successes in the last evaluation, or else in the last periodic one."""
    share = run.summary.get(SUCCESS)
    return share if share is not None or run.summary.get("return_mean") is not None else run.last(EVAL_SUCCESS)


def _method(run: RunData) -> str:
    if run.cloned:
        return "behavioural cloning"
    if run.generator == "none":
        return "nothing (--generator none)"
    return f"{run.generator.upper()}, {run.config.get('adversary', 'gail')}"


def _demonstrations(run: RunData) -> str | None:
    if not run.config.get("expert"):
        return None
    trajectories, every = run.config.get("trajectories"), run.config.get("subsample", 1)
    kept = "all" if trajectories is None else f"{trajectories}"
    return f"{kept} trajectories" + (f", one row in {every}" if every > 1 else "")


def _learning_curve(runs: Sequence[RunData], expert: Mapping[str, float]) -> Section:
    if not plots.has(runs, plots.RETURNS):
        return Section("Learning curve", metric_sections.NOT_RECORDED)
    caption = (
        "Thick: periodic evaluations of the deterministic policy, with a band of one standard deviation over their "
        "episodes. Thin: episodes of training, with sampled actions, at the step at which their batch began: at 0 they "
        "are the first policy's. If none had ended in the first batch, a grey dot there is the random policy's "
        "return. Lines have gaps where nothing was measured."
    )
    picture = Figure.drawn(
        "learning_curve",
        lambda: plots.learning_curve(runs, expert),
        "returns against steps",
        caption,
        run_charts.learning_curve(runs, expert),
    )
    return Section("Learning curve", "", [picture])


def _success(runs: Sequence[RunData]) -> list[Section]:
    """Only where it is known of some run's episodes."""
    if not plots.has(runs, plots.SUCCESSES):
        return []
    rules = sorted({rule for run in runs if (rule := run.config.get("success"))})
    text = (
        "The share of episodes that were a success: as their environment says at the last step"
        f"{', or by the rule ' + ', '.join(rules) if rules else ''}. Thick: periodic evaluations of the deterministic "
        "policy. Thin: episodes of training, with sampled actions, at the step at which their batch began."
    )
    alt, chart = "share of successes against steps", run_charts.success_curve(runs)
    picture = Figure.drawn("success", lambda: plots.success_curve(runs), alt, chart=chart)
    return [Section("Success", text, [picture])]


# ---- time, settings --------------------------------------------------------------------------------------------------


def _time(runs: Sequence[RunData]) -> Section:
    timed = {run.label: times for run in runs if (times := _phases(run))}
    names = list(dict.fromkeys(name for times in timed.values() for name in times))
    rows: list[list[Cell]] = []
    for run in runs:
        wall, steps, times = run.last("wall_s"), run.last("steps"), timed.get(run.label, {})
        seconds = sum(s for name, s in times.items() if name != "evaluation") or wall  # cloning takes no steps
        rate = steps / seconds if steps and seconds else None
        rows.append([run.label, *(times.get(name) for name in names), wall, rate])
    header = ["run", *(f"{name}, s" for name in names), "training, s", "steps per second"]
    text = (
        "Seconds of rank 0. Training leaves evaluations out, and so do steps per second, which are the environment's."
    )
    parts: list[Table | Figure] = [Table(header, rows)]
    if timed:
        bars = list(timed), list(timed.values())
        picture = Figure.drawn("time", lambda: plots.phases(*bars), "share of each phase in the time of a run")
        parts.insert(0, picture)
    return Section("Time", text, parts)


def _phases(run: RunData) -> dict[str, float]:
    """Seconds by phase, over all iterations. `wall_s` and `eval_s` count up, the others are an iteration's own."""
    names = [
        name for name in (run.rows[0] if run.rows else {}) if name.endswith("_s") and name not in ("wall_s", "eval_s")
    ]
    times = {PHASES.get(name, name.removesuffix("_s")): float(run.column(name)[1].sum()) for name in names}
    evaluation = run.last("eval_s")
    return times | ({"evaluation": evaluation} if evaluation else {})


def _settings(runs: Sequence[RunData]) -> Section:
    default = flatten(Config(""))
    always = ("env", "expert", "trajectories", "subsample", "steps", "seed")
    names = list(dict.fromkeys(name for run in runs for name in run.config))
    rows: list[list[Cell]] = []
    for name in names:
        values = [page.words(run.config[name]) if name in run.config else None for run in runs]
        usual = {None, page.words(default.get(name))}  # an old run may lack what is the default
        if name in always or set(values) - usual:
            rows.append([name, *values])
    return Section(
        "Settings",
        "What differs from the defaults, or between the runs; each run's config.json has the rest.",
        [
            Table(["setting", *(run.label for run in runs)], rows),
            Table(
                ["run", "begun", "sessions", "ranks", "threads", "device", "commit"], [_session(run) for run in runs]
            ),
            Table(["run", "command"], [[run.label, " ".join(_last(run).get("command", []))] for run in runs]),
            Table(["run", "versions"], [[run.label, _versions(run)] for run in runs]),
        ],
    )


def _last(run: RunData) -> Mapping[str, Any]:
    return run.sessions[-1] if run.sessions else {}


def _session(run: RunData) -> list[Cell]:
    begun = run.sessions[0].get("time") if run.sessions else None
    facts = [_last(run).get(name) for name in ("ranks", "threads", "device", "commit")]
    return [run.label, begun, len(run.sessions), *facts]


def _versions(run: RunData) -> str:
    return ", ".join(f"{name} {version}" for name, version in _last(run).get("versions", {}).items())
