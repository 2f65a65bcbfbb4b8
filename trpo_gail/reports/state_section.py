"""The part of a report about states: each run's policy rolled out, beside the demonstrations that it learned from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from trpo_gail.errors import RunError, UserError
from trpo_gail.reports import visit_plots
from trpo_gail.reports.page import Cell, Figure, Section, Table
from trpo_gail.reports.run_data import RunData
from trpo_gail.reports.same_start import pairs
from trpo_gail.reports.visits import Visits, distance, of_expert, of_learner
from trpo_gail.system.terminal import warn

MOST_DIMENSIONS = 24  # drawn
TITLE = "States visited, expert and learner"
SAME_START = "Expert and learner from the same start"


@dataclass
class States:
    """What could be had, by the run's place, and what could not be, with why."""

    experts: dict[int, Visits] = field(default_factory=dict)
    learners: dict[int, Visits] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def look_at_states(runs: Sequence[RunData], episodes: int) -> States:
    """Read each run's demonstrations and roll out `episodes` of its policy; what fails is noted, not raised."""
    states = States()
    read: dict[str, Visits] = {}  # several runs learn from one file
    for place, run in enumerate(runs):
        expert, key = None, str(run.setting.get("expert_sha256") or run.path)
        try:
            expert = read.get(key) or of_expert(run)
            states.experts[place] = read[key] = expert
        except UserError as error:
            states.missing.append(f"{run.label}: no expert to compare with, for {error}.")
        try:
            states.learners[place] = of_learner(run, episodes, expert is None or expert.stochastic)
        except (UserError, RunError) as error:
            states.missing.append(f"{run.label}: no episodes of its policy, for {error}.")
            warn(states.missing[-1])
    return states


def states_section(runs: Sequence[RunData], states: States) -> Section:
    """A picture for each environment and expert, and how far apart the sides are."""
    groups: dict[tuple[str, int, int | None], list[int]] = {}
    for place, learner in states.learners.items():
        expert, size = (
            states.experts.get(place),
            learner.rows.shape[1],
        )  # arguments of an environment may change the size
        groups.setdefault((runs[place].env, size, None if expert is None else id(expert)), []).append(place)
    parts: list[Table | Figure] = []
    drawn: list[str] = []
    for (env, *_), places in groups.items():
        drawn.append(env)
        parts.append(_picture(runs, states, places, drawn.count(env)))
        parts += _actions(runs, states, places, drawn.count(env))
    rows = [row for place in states.learners if (row := _row(runs[place], states, place))]
    if rows:
        header = ["run", "episodes", "mean length", "actions", "mean distance", "greatest distance", "in observation"]
        caption = "Distance: total variation between the histograms of a dimension, 0 alike, 1 nothing in common."
        parts.append(Table(header, rows, caption))
    text = (
        "Episodes of the last policy, rolled out for this page, and all rows of the file of demonstrations, not only "
        "those that the learner was given. Actions are sampled, unless the file says that its expert's were not."
    )
    return Section(TITLE, "\n\n".join([text, *states.missing]), parts)


def _picture(runs: Sequence[RunData], states: States, places: Sequence[int], number: int) -> Figure:
    expert = states.experts.get(places[0])
    learners = {place: (runs[place].label, states.learners[place]) for place in places}
    env, size = runs[places[0]].env, learners[places[0]][1].rows.shape[1]
    name = _name("states", env, number)
    if size == 2:
        alt = f"{env}: trajectories of the expert and of the learned policies"
        caption = (
            f"{env}: up to {visit_plots.MOST_PATHS} trajectories of each side; a dot where one of the learner's begins."
        )
        return Figure.drawn(name, lambda: visit_plots.trajectories(expert, learners), alt, caption)
    shown, caption = np.arange(size), f"{env}: share of the steps in which an observation has a value."
    if size > MOST_DIMENSIONS:
        shown, rule = _most_telling(expert, [visits for _, visits in learners.values()])
        caption += f" {len(shown)} of its {size} dimensions, {rule}."
    dimensions = [int(dimension) for dimension in shown]
    alt = f"{env}: state-visitation histograms of the expert and of the learned policies"
    return Figure.drawn(name, lambda: visit_plots.histograms(expert, learners, dimensions), alt, caption)


def _name(what: str, env: str, number: int) -> str:
    """Of a PNG file; `number`: of the picture among those of this environment."""
    return f"{what}_{re.sub(r'[^A-Za-z0-9]+', '_', env)}" + (f"_{number}" if number > 1 else "")


def _actions(runs: Sequence[RunData], states: States, places: Sequence[int], number: int) -> list[Figure]:
    """None if nobody's are known, or if the file has them in another shape."""
    expert = states.experts.get(places[0])
    learners = {place: (runs[place].label, states.learners[place]) for place in places}
    sides = [visits.actions for _, visits in learners.values()] + ([] if expert is None else [expert.actions])
    known = [acted for acted in sides if acted is not None]
    if (
        learners[places[0]][1].actions is None
        or len({(acted.shape[1], acted.dtype.kind == "f") for acted in known}) != 1
    ):
        return []
    env, size = runs[places[0]].env, known[0].shape[1]
    caption = f"{env}: share of the steps in which an action has a value, in the environment's units."
    if size > visit_plots.MOST_ACTIONS:
        caption += f" The first {visit_plots.MOST_ACTIONS} of its {size} dimensions."
    alt = f"{env}: histograms of the actions of the expert and of the learned policies"
    draw = partial(visit_plots.action_histograms, expert, learners)
    return [Figure.drawn(_name("actions", env, number), draw, alt, caption)]


def same_start_section(runs: Sequence[RunData]) -> Section:
    """A picture for each run; what could not be had is said."""
    parts, missing = list[Table | Figure](), list[str]()
    for place, run in enumerate(runs):
        try:
            found = pairs(run)
        except (UserError, RunError) as error:
            missing.append(f"{run.label}: nothing to show, for {error}.")
            continue
        name = "same_start" + (f"_{place + 1}" if len(runs) > 1 else "")
        alt = f"{run.label}: episodes of the expert and of the learner from the same starts"
        caption = (
            f"{run.label}. Above each: the returns, and whether the episode was a success, if it is known. The learner's "
            "actions are the likeliest ones."
        )
        parts.append(Figure.drawn(name, partial(visit_plots.same_starts, found, place), alt, caption))
    text = "The first episodes of the demonstrations, and what the last policy makes of the same starts."
    return Section(SAME_START, "\n\n".join([text, *missing]), parts)


def _most_telling(expert: Visits | None, learners: Sequence[Visits]) -> tuple[np.ndarray, str]:
    """Which dimensions to show, in order, and by what rule."""
    if expert is None:
        return np.arange(MOST_DIMENSIONS), "the first"
    apart = np.mean([distance(expert.rows, learner.rows) for learner in learners], axis=0)
    return np.sort(np.argsort(-apart)[:MOST_DIMENSIONS]), "those in which the sides differ most"


def _row(run: RunData, states: States, place: int) -> list[Cell]:
    learner, expert = states.learners[place], states.experts.get(place)
    lengths = [len(episode) for episode in learner.episodes]
    row: list[Cell] = [
        run.label, len(lengths), float(np.mean(lengths)), "sampled" if learner.stochastic else "deterministic",
    ]  # fmt: skip
    if expert is None:
        return [*row, None, None, None]
    apart = distance(expert.rows, learner.rows)
    return [*row, float(apart.mean()), float(apart.max()), int(apart.argmax())]
