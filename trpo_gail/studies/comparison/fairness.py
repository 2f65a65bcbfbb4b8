"""Equal terms: what all contestants must have in common, checked; the discriminator's updates, scaled to each one's batch
beforehand and counted afterwards."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from trpo_gail.config import choices
from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.studies.comparison.plan import Contestant, Plan, Task, iteration_steps
from trpo_gail.studies.comparison.results import Result

OWNED = (  # the comparison's own flags, or the seed's
    "env", "expert", "trajectories", "subsample", "steps", "seed", "eval_every", "eval_episodes", "final_episodes", "out",
    "resume", "quiet", "config",
)  # fmt: skip
CONTESTANTS = (  # what makes a contestant, and its iterations
    "generator", "preset", "adversary", "sampling", "timesteps_per_batch", "num_envs", "g_step", "d_step", "iterations",
)  # fmt: skip
# The environment, what it sees, and what counts as a batch.
SAME = ("env_kwargs", "max_episode_steps", "backend", "actions", "sampling")
WIDTHS = (
    "policy.hidden_sizes", "critic.hidden_sizes", "discriminator.hidden_size_adversary", "discriminator.hidden_sizes",
)  # fmt: skip
NETWORKS = (*WIDTHS,  # and how they begin, and what they are given
    "action_scaling", "policy.init_log_std", "policy.output_scale", "policy.normalise_observations",
    "policy.observation_clip",
    "critic.time_input", "critic.normalise_observations", "critic.observation_clip", "discriminator.normalise",
    "discriminator.normalise_decay", "discriminator.input_clip", "discriminator.activation", "normalise_from_expert",
)  # fmt: skip
OF_GENERATORS = choices.owned(choices.GENERATORS)
ROUNDING = 0.05  # of the discriminator's updates per step: more is refused beforehand, and noted afterwards


@dataclass(frozen=True)
class Entry:
    """A contestant as it was named, and the settings that its flags come to, after the common ones."""

    name: str
    flags: tuple[str, ...]
    config: Config


def flag_names(words: Iterable[str]) -> set[str]:
    """Of "--a.b 3 --c=4 --no_e": a.b, c and e."""
    names = (word.partition("=")[0][2:].replace("-", "_") for word in words if word.startswith("--"))
    return {name.removeprefix("no_") for name in names}


def check_flags(source: str, words: Sequence[str]) -> None:
    """Raise UserError for a flag that is not a contestant's to set; `source` names it."""
    for name in OWNED:
        if name in flag_names(words):
            raise UserError(f"{source}: --{name} is the same for all, and no flag of a contestant")


def task_settings(where: str, pairs: Sequence[tuple[Config, Config]]) -> dict[str, object]:
    """The settings that a task's flags come to. `pairs` are each contestant's without and with these flags.

    Raises UserError if they change what makes an iteration or a contestant, or do not leave all contestants alike.
    """
    before, after = zip(*(map(flatten, pair) for pair in pairs), strict=True)
    changed = [name for name in after[0] if any(b[name] != a[name] for b, a in zip(before, after, strict=True))]
    for name in changed:
        if name in CONTESTANTS:
            raise UserError(f"{where}: --{name} is for all tasks; --flags or --contestant expected")
        if len(values := list(dict.fromkeys(str(flat[name]) for flat in after))) > 1:
            raise UserError(f"{where}: --{name} would be {' and '.join(values)}, the same for all contestants expected")
    return dict(json.loads(json.dumps({name: after[0][name] for name in changed})))


def contestants(base: Config, entries: Sequence[Entry]) -> tuple[Contestant, ...]:
    """The contestants on equal terms with `base`, the settings that the common flags alone come to.

    Raises UserError if they are not: another environment, an early end, networks that differ although no flag of the
    contestant says so, or another number of discriminator updates per environment step, although it names no d_step.
    """
    return tuple(_contestant(base, entry) for entry in entries)


def _contestant(base: Config, entry: Entry) -> Contestant:
    where, config = f"--contestant {entry.name}", entry.config
    flat, common = flatten(config), flatten(base)
    for name in SAME:
        if flat[name] != common[name]:
            raise UserError(f"{where}: --{name} {flat[name]} given, {common[name]} as for all expected")
    if config.iterations is not None:
        raise UserError(f"{where}: --iterations {config.iterations} would end it early; --iterations None expected")
    notes = list(_networks(where, entry, flat, common))
    d_step, note = _updates(where, base, entry)
    settings = {name: value for name, value in flat.items() if name not in (*OWNED, "save_every", "iterations")}
    read = partial(choices.reads, choices.GENERATORS, config.generator)
    settings = {n: v for n, v in settings.items() if not choices.covers(OF_GENERATORS, n) or read(n)} | {
        "d_step": d_step
    }
    return Contestant(entry.name, entry.flags, json.loads(json.dumps(settings)), (*notes, *note))


def _networks(where: str, entry: Entry, flat: Mapping[str, object], common: Mapping[str, object]) -> Iterable[str]:
    """A note on each setting of the networks that differs. Widths may do so by the contestant's own flag alone."""
    given = flag_names(entry.flags)
    for name in NETWORKS:
        if flat[name] == common[name]:
            continue
        if name in WIDTHS and not any(name == flag or name.endswith(f".{flag}") for flag in given):
            raise UserError(
                f"{where}: --{name} is {_sizes(flat[name])} by its preset, {_sizes(common[name])} for all expected; "
                f"give --{name} if it is to differ, or for all by --flags"
            )
        yield f"--{name} is {_sizes(flat[name])}; by the flags of all, {_sizes(common[name])}."


def _sizes(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _updates(where: str, base: Config, entry: Entry) -> tuple[int, tuple[str, ...]]:
    """Discriminator updates per iteration, so that they are as many per step as the common flags have; a note where not."""
    config, steps, common = entry.config, iteration_steps(flatten(entry.config)), iteration_steps(flatten(base))
    if not _steps_often(config.adversary):
        how = f"is fitted once per iteration of {steps} steps" if config.imitates else "is fitted to nothing"
        return config.d_step, (f"--adversary {config.adversary} {how}.",)
    exact = base.d_step / common * steps
    own = "d_step" in flag_names(entry.flags)
    d_step = config.d_step if own else max(1, round(exact))
    off = d_step / exact - 1.0
    if abs(off) > ROUNDING and not own:
        raise UserError(
            f"{where}: {d_step} discriminator updates per {steps} steps are {off:+.0%} from the common "
            f"{base.d_step} per {common}; another --timesteps_per_batch expected, or a --d_step of its own"
        )
    notes = []
    if abs(off) > 1e-9:
        why = f"by its own --d_step {d_step}" if own else f"{exact:.4g} per iteration were rounded to {d_step}"
        notes.append(f"Its discriminator updates per step are {off:+.1%} from the common number: {why}.")
    if config.sampling == "episodes" and steps != common:
        notes.append(
            f"Its batches are of whole episodes, so that an iteration has more than {steps} steps, by what nobody knows "
            "beforehand; the updates that were counted tell."
        )
    return d_step, tuple(notes)


def _steps_often(adversary: str) -> bool:
    """Whether an adversary takes `d_step` updates an iteration."""
    return choices.reads(choices.ADVERSARIES, adversary, "d_step")


def check_lengths(made: Sequence[Contestant], tasks: Iterable[Task], ranks: int) -> None:
    """Raise UserError if an iteration is longer than a whole run, or than the steps between evaluations, of which its
    contestant would then have fewer than others; or where there are too few environments."""
    for contestant in made:
        for task in tasks:
            for flag, steps in (("steps", task.steps), ("eval_every", task.eval_every)):
                if contestant.iteration_steps > steps:
                    raise UserError(
                        f"--{flag}: {steps} given for {task.env}, but one iteration of {contestant.name} has "
                        f"{contestant.iteration_steps}"
                    )
        if contestant.config["num_envs"] < ranks:
            raise UserError(
                f"--ranks: {ranks} given, but {contestant.name} has {contestant.config['num_envs']} environments"
            )


def differing(made: Sequence[Contestant]) -> dict[str, list[object]]:
    """Settings that are not the same for all, by path: a value each; None if a contestant has no such setting."""
    names = list(dict.fromkeys(name for contestant in made for name in contestant.config))
    values = {name: [contestant.config.get(name) for contestant in made] for name in names}
    return {name: found for name, found in values.items() if any(value != found[0] for value in found)}


# ---- afterwards ------------------------------------------------------------------------------------------------------


def updates_per_step(plan: Plan, result: Result) -> float | None:
    """A run's discriminator updates per environment step, as it came; None if there is no discriminator, and if nobody
    counted how often it rested."""
    config = plan.contestant(result.contestant).config
    if result.d_updates is not None:
        return result.d_updates / result.steps
    rests = config.get("discriminator.rest_above") is not None
    return (
        config["d_step"] * result.iterations / result.steps if _steps_often(config["adversary"]) and not rests else None
    )


def counted(plan: Plan, results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """The same by task and contestant, means over runs."""
    rates: dict[str, dict[str, list[float]]] = {}
    for result in results:
        if (rate := updates_per_step(plan, result)) is not None:
            rates.setdefault(result.env, {}).setdefault(result.contestant, []).append(rate)
    return {env: {name: sum(r) / len(r) for name, r in by_name.items()} for env, by_name in rates.items()}


def spread(rates: Mapping[str, float]) -> float:
    """By how much the highest of a task's rates exceeds the lowest: 0.05 for 5 %."""
    lowest, highest = min(rates.values()), max(rates.values())
    return highest / lowest - 1.0 if lowest else math.inf if highest else 0.0


def unequal(plan: Plan, results: Sequence[Result]) -> list[str]:
    """A sentence on each task where these rates are further apart than rounding would explain."""
    return [
        f"{env}: unequal discriminator updates per 1000 steps, "
        + ", ".join(f"{1000 * rate:.4g} of {name}" for name, rate in rates.items())
        + "."
        for env, rates in counted(plan, results).items()
        if spread(rates) > ROUNDING
    ]
