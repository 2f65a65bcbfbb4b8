"""`trpo-gail compare`: configurations side by side on equal terms.

    trpo-gail compare --env Hopper-v4 --expert expert_data/Hopper-v4.h5 --generators trpo,ppo --seeds 5 \\
        --steps 1000000 --out results/compare/hopper
    trpo-gail compare report --out results/compare/hopper
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from trpo_gail.commands.parsing import alone, file_errors, parse
from trpo_gail.commands.train import parse_flags
from trpo_gail.config.marks import Commas, OncePerItem
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.system import whole_file
from trpo_gail.system.terminal import warn

if TYPE_CHECKING:
    from trpo_gail.experts.data import Demonstrations
    from trpo_gail.parallel import Workers
    from trpo_gail.studies.comparison.fairness import Entry
    from trpo_gail.studies.comparison.plan import Contestant, Plan, Task

NumberT = TypeVar("NumberT", int, int | None)
Named = tuple[str, tuple[str, ...]]  # (name, flags)
MOST_SEEDS = 10_000  # a larger number is a seed that was taken for one, such as a date
EVALUATIONS = 20  # of a run, if --eval_every is not given
RANDOM_EPISODES = 20  # of each task, before the first run
MOST_STEPS = 20_000  # of these together: more could take minutes


@dataclass(frozen=True)
class _Arguments:
    """Flags of `compare`."""

    env: tuple[str, ...]
    """Environments, each an id, module:Id, or module:name of a class or function that makes one."""
    expert: tuple[str, ...]
    """For each environment, in the same order, a file of demonstrations, or a name of `trpo-gail data list`."""
    out: str
    """Folder of the plan, the results, the tables and the page (index.html)."""
    generators: Annotated[str, Commas()] = ""
    """Contestants that differ in their generators alone, such as trpo,ppo."""
    contestant: Annotated[tuple[str, ...], OncePerItem()] = ()
    """A contestant, "NAME: FLAGS" with flags of `train`, such as "big: --trpo.max_kl 0.02". The flag is given once
    for each."""
    flags: str = ""
    """Flags of `train` for all contestants, such as --flags="--num_envs 8 --gamma 0.99"."""
    task_flags: Annotated[tuple[str, ...], OncePerItem()] = ()
    """Flags of `train` for all contestants on one environment, "ENV: FLAGS". The flag is given once for each
    environment."""
    seeds: tuple[int, ...] = (5,)
    """Number N of seeds, which are 0 to N-1; or, if several numbers are given, the seeds themselves. More seeds than before
    add runs to a comparison."""
    steps: tuple[int, ...] = (1_000_000,)
    """Environment steps of each run: one number for all environments, or one each."""
    trajectories: tuple[int | None, ...] = ()
    """Use the first N trajectories of each file: one number for all environments, or one each. None takes all trajectories;
    so does leaving out the flag."""
    subsample: tuple[int, ...] = (1,)
    """Use every K-th row of each trajectory: one number for all environments, or one each."""
    eval_every: tuple[int, ...] = ()
    """Steps between evaluations: one number for all environments, or one each. Without the flag, it is a twentieth of
    --steps, or one iteration if that is longer."""
    eval_episodes: int = 20
    """Episodes of an evaluation during training."""
    final_episodes: int = 50
    """Episodes of the evaluation at the end, from which scores are computed."""
    runs: str | None = None
    """Folder of the run folders and logs; None makes runs/compare/NAME, with the name of --out."""
    jobs: int | None = None
    """Number of runs at once; None starts as many as the cores have room for. More runs make each one slower, and its times
    noisier."""
    ranks: int = 1
    """Ranks (processes) of each run; mpirun starts a run that has more than one."""


@dataclass(frozen=True)
class _FolderArguments:
    out: str
    """Folder of a comparison."""


FLAGS: dict[str, type] = {
    "compare": _Arguments,
    "compare report": _FolderArguments,
    "compare pack": _FolderArguments,
}


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Run the missing runs, then write tables and page; or only write these."""
    with file_errors():
        if arguments and (found := {"report": _write, "pack": _pack}.get(arguments[0])):
            out = Path(parse(_FolderArguments, arguments[1:], f"compare {arguments[0]}").out)
            return found(out)
        return _compare(parse(_Arguments, arguments, "compare"))


def _compare(given: _Arguments, program: Sequence[str] = ()) -> int:
    """`program` are the words before a run's arguments, as the runner takes them."""
    alone("compare")
    from trpo_gail.experts import catalogue

    given = replace(given, expert=tuple(str(catalogue.located(source)) for source in given.expert))
    plan = _plan(given)
    from trpo_gail.studies.comparison.experiment import ComparisonExperiment
    from trpo_gail.studies.comparison.plan import check_folder, keep
    from trpo_gail.studies.comparison.results import read_all
    from trpo_gail.studies.runner import Runner, busy

    out = whole_file.named("--out", given.out, "folder")
    experts = {env: Path(expert) for env, expert in zip(given.env, given.expert, strict=True)}
    experiment = ComparisonExperiment(plan, experts, out, Path(given.runs or f"runs/compare/{out.resolve().name}"))
    check_folder(plan, out, experiment.runs, busy(experiment.runs))
    runner = Runner(experiment, plan.cells(), given.jobs, given.ranks, program)
    keep(plan, out)  # after whatever could be wrong with it
    if not read_all(out, plan):
        _warn_of_scales(plan, given)
    outcome = runner.run()
    print(outcome)
    if not outcome.stopped and outcome.done:
        _write(out)
    return outcome.exit_code


def _write(out: Path) -> int:
    """Tables and page of what is there. Another runner may have added seeds, and write, too, since both have ended."""
    from trpo_gail.studies import store
    from trpo_gail.studies.comparison.plan import load

    load(out)  # or it says what the folder is
    with store.alone(out):
        _write_all(load(out), out)
    return 0


def _write_all(plan: Plan, out: Path) -> None:
    from trpo_gail.studies.comparison.analysis import analyse
    from trpo_gail.studies.comparison.fairness import unequal
    from trpo_gail.studies.comparison.page import write_page
    from trpo_gail.studies.comparison.results import read_all
    from trpo_gail.studies.comparison.tables import write_tables

    if not (results := read_all(out, plan)):
        raise UserError(f"--out {out}: no run of the comparison has a result")
    found = analyse(plan, results)
    for said in (*found.unscaled, *found.doubtful, *unequal(plan, found.everything)):
        print(said, file=sys.stderr)
    write_tables(found, out)
    print(write_page(found, out))


def _pack(out: Path) -> int:
    from trpo_gail.studies import store
    from trpo_gail.studies.comparison.plan import load
    from trpo_gail.studies.comparison.results import read_all

    print(store.pack(out, [result.cell.name for result in read_all(out, load(out))]))
    return 0


# ---- from flags to a plan --------------------------------------------------------------------------------------------


def _plan(given: _Arguments) -> Plan:
    """The plan of the comparison. Raises UserError for each of its mistakes."""
    from trpo_gail.studies.comparison.fairness import check_lengths
    from trpo_gail.studies.comparison.plan import Plan, check_names

    if not given.env:
        raise UserError("--env: none given, at least 1 expected")
    if len(given.expert) != len(given.env):
        raise UserError(f"--expert: {len(given.expert)} given, one for each of {len(given.env)} environments expected")
    named = _named(given)
    check_names([name for name, _ in named], given.env)
    for flag, least in (("eval_episodes", 1), ("final_episodes", 1), ("ranks", 1)):
        if getattr(given, flag) < least:
            raise UserError(f"--{flag}: {getattr(given, flag)} given, at least {least} expected")
    common = tuple(_words("--flags", given.flags))
    contestants = _contestants(given, common, named)
    tasks = _tasks(given, max(contestant.iteration_steps for contestant in contestants), common, named)
    check_lengths(contestants, tasks, given.ranks)
    return Plan(contestants, tasks, _seeds(given.seeds), common, given.eval_episodes, given.final_episodes, given.ranks)


def _named(given: _Arguments) -> list[Named]:
    """Names and flags of the contestants."""
    generators = [name.strip() for name in given.generators.split(",") if name.strip()]
    return [(name, ("--generator", name)) for name in generators] + [
        _split("--contestant", "NAME", text, ":") for text in given.contestant
    ]


def _split(flag: str, what: str, text: str, colon: str) -> Named:
    """Both parts of "NAME: FLAGS"."""
    name, found, flags = text.partition(colon)
    if not found:
        raise UserError(f'{flag}: {text!r} given, "{what}: FLAGS" expected')
    return name.strip(), tuple(_words(f"{flag} {name.strip()}", flags))


def _words(source: str, text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UserError(f"{source}: {text!r}: {error}") from error
    from trpo_gail.studies.comparison.fairness import check_flags

    check_flags(source, words)
    return words


def _contestants(given: _Arguments, common: tuple[str, ...], named: Sequence[Named]) -> tuple[Contestant, ...]:
    from trpo_gail.studies.comparison.fairness import Entry, contestants

    base = _settings("--flags", given, common)
    entries: list[Entry] = [
        Entry(name, flags, _settings(f"--contestant {name}", given, (*common, *flags))) for name, flags in named
    ]
    return contestants(base, entries)


def _settings(source: str, given: _Arguments, flags: Sequence[str], task: int = 0) -> Config:
    """The config that flags give, as `train` would read them."""
    try:
        return parse_flags([given.env[task], "--expert", given.expert[task], *flags]).config
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def _task_flags(
    given: _Arguments, common: tuple[str, ...], named: Sequence[Named]
) -> Iterator[tuple[tuple[str, ...], dict[str, object]]]:
    """Each environment's own flags, and the config that they give."""
    from trpo_gail.studies.comparison.fairness import task_settings

    flags: dict[str, tuple[str, ...]] = {}
    for env, words in (_split("--task_flags", "ENV", text, ": ") for text in given.task_flags):
        if env in flags:
            raise UserError(f"--task_flags: {env!r} given twice, all flags of a task in one expected")
        if env not in given.env:
            raise UserError(f"--task_flags: {env!r} given, one of {', '.join(given.env)} expected")
        flags[env] = words
    for k, env in enumerate(given.env):
        words, where = flags.get(env, ()), f"--task_flags {env}"
        pairs = [
            (_settings(where, given, (*common, *own), k), _settings(where, given, (*common, *own, *words), k))
            for _, own in named
        ]
        yield words, task_settings(where, pairs)


def _tasks(given: _Arguments, longest: int, common: tuple[str, ...], named: Sequence[Named]) -> tuple[Task, ...]:
    """Environments with their demonstrations, which are read once here, so that their errors come before the first run.
    `longest` is the number of steps of the longest iteration."""
    from trpo_gail.experts.load import load
    from trpo_gail.studies.comparison.plan import Task

    count = len(given.env)
    steps, subsample = _each("--steps", given.steps, count), _each("--subsample", given.subsample, count)
    trajectories = _each("--trajectories", given.trajectories, count) if given.trajectories else [None] * count
    every = (
        _each("--eval_every", given.eval_every, count)
        if given.eval_every
        else [min(n, max(longest, n // EVALUATIONS)) for n in steps]
    )
    own = _task_flags(given, common, named)
    tasks = []
    for k, (env, file, flags) in enumerate(zip(given.env, given.expert, own, strict=True)):
        data = load(file, trajectories[k], subsample[k])
        mean = data.return_mean if data.given_return_mean is None else data.given_return_mean
        if mean is None:
            raise UserError(
                f"--expert: {file} holds no rewards of a finished episode, so the expert's return and the scores are unknown"
            )
        if every[k] > steps[k]:
            raise UserError(f"--eval_every: {every[k]} given, at most --steps {steps[k]} expected")
        expert = Path(file).name, data.sha256, mean
        _check_fits(data, env, given, (*common, *named[0][1], *flags[0]), k)
        tasks.append(Task(env, *expert, trajectories[k], subsample[k], steps[k], every[k], *flags))
    return tuple(tasks)


def _check_fits(data: Demonstrations, env: str, given: _Arguments, flags: tuple[str, ...], task: int) -> None:
    """Raise UserError if the environment cannot be made, or if demonstrations do not fit it: every run of it would fail."""
    from trpo_gail.envs import vector
    from trpo_gail.experts.checks import fit
    from trpo_gail.experts.rows import as_rows

    config = _settings(f"--env {env}", given, flags, task)
    spec = vector.spec_of(env, config.backend, **config.env_settings)
    fit.check(as_rows(data, spec), spec, config.dtype)


def _warn_of_scales(plan: Plan, given: _Arguments) -> None:
    """Warn of tasks of which no score can be made, since their demonstrations return no more than random actions; the runs
    would show it no sooner than at their ends."""
    from trpo_gail.envs import vector
    from trpo_gail.parallel import Workers
    from trpo_gail.runs.evaluate import Evaluator
    from trpo_gail.studies.comparison.analysis import meaningless

    first = plan.contestants[0].flags
    for k, task in enumerate(plan.tasks):
        config = _settings(f"--env {task.env}", given, (*plan.flags, *first, *task.flags), k)
        spec = vector.spec_of(task.env, config.backend, **config.env_settings)
        if spec.max_episode_steps is None or RANDOM_EPISODES * spec.max_episode_steps > MOST_STEPS:
            continue
        random = float(Evaluator(config, spec, Workers()).random(RANDOM_EPISODES).returns.mean())
        if said := meaningless(task.env, task.expert_return_mean, random):
            warn(f"{said}; as it is, the task will have returns and no scores")


def _each(flag: str, values: Sequence[NumberT], count: int) -> list[NumberT]:
    """One value per environment."""
    if len(values) not in (1, count):
        raise UserError(f"{flag}: {len(values)} given, 1 or one for each of {count} environments expected")
    if (least := min((value for value in values if value is not None), default=1)) < 1:
        raise UserError(f"{flag}: {least} given, at least 1 expected")
    return list(values) * (count if len(values) == 1 else 1)


def _seeds(values: Sequence[int]) -> tuple[int, ...]:
    if len(values) == 1:
        if values[0] < 1:
            raise UserError(f"--seeds: {values[0]} given, at least 1 expected")
        if values[0] > MOST_SEEDS:
            raise UserError(
                f"--seeds: {values[0]} given, at most {MOST_SEEDS} expected: one number alone is the number of seeds, which "
                "are 0, 1 and so on; several are the seeds themselves"
            )
        return tuple(range(values[0]))
    if not values or min(values) < 0 or len(set(values)) < len(values):
        raise UserError(f"--seeds: {' '.join(map(str, values)) or 'none'} given, different numbers from 0 on expected")
    return tuple(values)
