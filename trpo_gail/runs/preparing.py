"""What a run needs, checked before any folder is made: demonstrations, environments, and what `auto` becomes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import CloningConfig, Config
from trpo_gail.envs import vector
from trpo_gail.envs.sources import Source
from trpo_gail.envs.vector import VectorEnv
from trpo_gail.errors import UserError
from trpo_gail.experts import catalogue
from trpo_gail.experts.checks import fit
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import apart
from trpo_gail.experts.load import load, read
from trpo_gail.experts.rows import as_rows
from trpo_gail.magnitudes import too_large
from trpo_gail.parallel import Workers
from trpo_gail.runs import start
from trpo_gail.runs.resuming import saved_setting
from trpo_gail.runs.run_folder import (
    EXPERT,
)
from trpo_gail.runs.setting import Setting
from trpo_gail.spaces import alike
from trpo_gail.spaces.spec import EnvSpec

# Where files are, what computes, and what a simulator needs, such as a port. What files and environments are is compared by
# itself.
EACH_RANKS_OWN = {"device", "env", "env_kwargs", "expert", "reward_file"}


def prepare(
    config: Config,
    resumed: Path | None,
    workers: Workers,
    given: Demonstrations | None = None,
    envs: Source | None = None,
    before: Setting | None = None,
    named: Collection[str] = (),
    plays: bool = True,
) -> tuple[Setting, Demonstrations | None, VectorEnv]:
    """Check files, environment and numbers; everything that can be the user's mistake, before any folder is made.

    `given` are demonstrations in place of a file, `envs` makes environments in place of an id. `before` is the setting of
    the resumed run, where the caller knows it: another host's folder cannot be read. `named` are those fields of the config
    whose files were named now; the run's own names may be relative to another folder. `plays` is False if the
    caller asks for the environment's spec alone, and closes it.
    """
    if workers.size > config.num_envs:
        raise UserError(
            f"--num_envs: {config.num_envs} environments for {workers.size} ranks: every rank needs one, "
            "so give more environments or start fewer ranks"
        )
    workers.device(config.device)
    if resumed and before is None:
        before = saved_setting(resumed)
    recorded = dataclasses.asdict(before) if before else None
    expert, source = None, demonstrations_file(config, resumed, before, "expert" in named) if given is None else given
    if source is None and config.imitates:
        raise UserError(f"--expert: a file of demonstrations is needed ({_where(config.env)})")
    if resumed and isinstance(source, str | Path):
        _require(source, resumed, "expert" in named)
    if source is not None:  # who does not imitate is only compared with it
        expert = load(source, config.trajectories, config.subsample)
        if recorded and expert.sha256 != recorded["expert_sha256"]:
            raise UserError(
                f"--resume: {Path(expert.path).absolute()} is not the file that {resumed} was made with (its SHA-256 differs)"
            )
        if config.fixed_horizon:
            _refuse_other_lengths(expert)
    wanted = config.backend if envs is None else "gymnasium"
    backend = recorded["backend"] if recorded else vector.resolve_backend(config.env, wanted)
    env = _environments(config, backend, workers, envs, plays)
    if expert is not None:
        expert = _acted(as_rows(expert, env.spec), config, env.spec)
        fit.check(expert, env.spec, config.dtype)
    if config.init_policy == start.CLONE:
        start.check_demonstrations(expert)
    setting = Setting(**recorded) if recorded else _setting(config, expert, env, backend)
    if expert is not None and "expert" in named:
        setting = dataclasses.replace(setting, expert=str(Path(expert.path).absolute()))
    setting = dataclasses.replace(setting, reward_file=reward_file(config, before, "reward_file" in named))
    if envs is not None and not recorded:
        setting = dataclasses.replace(setting, env_lacks=envs.reference.lacks)
    if expert is not None:
        expert = _in_units(expert, env.spec, config.dtype)
    return setting, expert, env.viewed(setting.actions)


def prepare_alike(
    config: Config, workers: Workers, given: Demonstrations | None, envs: Source | None, plays: bool = True
) -> tuple[Setting, Demonstrations | None, VectorEnv]:
    """`prepare` on all ranks, whose environments state one time limit: that of the longest, if they were given one by one
    and differ. A collective. Raises UserError on all ranks, also if their environments differ otherwise."""

    def prepared() -> tuple[Setting, Demonstrations | None, VectorEnv]:
        return prepare(config, None, workers, given, envs, plays=plays)

    workers.together(lambda: same_settings(config, workers))
    setting, expert, env = workers.together(prepared)
    if envs is not None and envs.limits is not None:
        limits = workers.gather(env.spec.max_episode_steps)
        if len(set(limits)) > 1:
            env.close()
            envs.limits = limits  # before the demonstrations are judged by it
            setting, expert, env = workers.together(prepared)
    workers.together(lambda: same_environment(env.spec, workers))
    return setting, expert, env


def in_rows(expert: Demonstrations, config: Config, spec: EnvSpec) -> Demonstrations:
    """Demonstrations as the learner of an environment takes them, with actions in the policy's units. Raises UserError."""
    return _in_units(_acted(as_rows(expert, spec), config, spec), spec, config.dtype)


def demonstrations_of(folder: Path, config: Config, spec: EnvSpec, moved: str | None = None) -> Demonstrations:
    """What a run imitates, as its adversary saw it, without the environment. `moved` is where the file is now.

    Raises UserError if the file is gone, or is another than the run was made with.
    """
    recorded = saved_setting(folder)
    source = catalogue.located(moved) if moved else demonstrations_file(config, folder, recorded)
    assert source is not None, "a run that imitates has demonstrations"
    _require(source, folder, moved is not None)
    expert = load(source, config.trajectories, config.subsample)
    if expert.sha256 != recorded.expert_sha256:
        raise UserError(f"{Path(source).absolute()}: not the file that {folder} was made with (its SHA-256 differs)")
    return in_rows(expert, config, spec)


def _require(source: str | Path, folder: Path, named: bool) -> None:
    """Raise UserError if a run's demonstrations are gone, or elsewhere; `named` by --expert or not."""
    if not Path(source).exists():
        flag, advice = ("--expert ", "") if named else ("", " (--expert says where they are)")
        raise UserError(f"{flag}{source}: no such file, the demonstrations of {folder} expected{advice}")


def located(config: Config, setting: Setting) -> Config:
    """The config with the file of its reward where it is now, to make a learner; what is saved is the config itself."""
    return dataclasses.replace(config, reward_file=setting.reward_file) if setting.reward_file else config


def look_once(path: str | Path | None, workers: Workers) -> None:
    """One rank of each host looks at the structure of an HDF5 file in a process apart, and tells the others."""
    if path is not None and workers.size > 1:
        file = catalogue.located(path)
        with workers.pulse.within_limits():
            found = apart.looked(file) if workers.local_rank == 0 else None
        apart.tell(workers.gather(found))


def sent(source: str | Path | None, workers: Workers) -> Demonstrations | None:
    """What a file of demonstrations holds, from rank 0 to ranks whose host lacks the file. None if rank 0's host lacks it,
    too, and on a rank that is to read it itself. A collective. Raises UserError if rank 0 cannot read it.
    """
    lacking = workers.gather(source is not None and not os.path.exists(catalogue.located(source)))
    if lacking[0] or not any(lacking):
        return None
    held = workers.share(workers.together(lambda: read(str(source)) if workers.main else None))
    return held if workers.main or lacking[workers.rank] else None


def same_everywhere(expert: Demonstrations | None, workers: Workers) -> None:
    """Raise UserError, on all ranks, if one has other demonstrations than rank 0. A collective."""
    read_by = workers.gather(expert.sha256 if expert else "")
    others = [rank for rank, found in enumerate(read_by) if found != read_by[0]]
    if others and expert is not None:
        there, here = workers.host_of[others[0]], workers.host_of[0]
        raise UserError(
            f"{expert.path}: rank {others[0]} on {there} has other demonstrations than rank 0 on {here}, by their SHA-256: "
            "expected the same on all ranks (rank 0 sends a file to hosts that lack it)"
        )


def same_settings(config: Config | CloningConfig, workers: Workers) -> None:
    """Raise UserError if this rank was given other settings than rank 0, as by another copy of a file of flags: each would
    learn by its own, in silence. A collective."""
    own = {name: str(value) for name, value in flatten(config).items() if name not in EACH_RANKS_OWN}
    for name, value in workers.share(own).items():
        if own.get(name) != value:
            ranks = [f"rank {rank} on {workers.host_of[rank]}" for rank in (workers.rank, 0)]
            raise UserError(
                f"--{name}: {own.get(name)} on {ranks[0]}, {value} on {ranks[1]}; expected the same on all ranks, of which "
                "each reads its own flags and files of flags"
            )


def same_environment(spec: EnvSpec, workers: Workers) -> None:
    """Raise UserError if this rank's environment is another one than rank 0's, as far as their specs say: hosts may have
    other versions of it. A collective."""
    if found := alike.difference(spec, workers.share(dataclasses.replace(spec, kwargs={}))):
        what, here, there = found
        ranks = [f"rank {rank} on {workers.host_of[rank]}" for rank in (workers.rank, 0)]
        raise UserError(
            f"environment {spec.id!r}: {ranks[0]} has {what} than {ranks[1]}: {here}, there {there}; expected the same on "
            f"all ranks{', as --max_episode_steps makes it' if 'time limit' in what else ''}"
        )


def demonstrations_file(
    config: Config, resumed: Path | None, recorded: Setting | None, named: bool = False
) -> str | Path | None:
    """The file of demonstrations: the one that is `named` now, or else the one that the run was made with.

    The run's own name of it comes last: in another folder it may mean another file.
    """
    own = None if config.expert is None else catalogue.located(config.expert)
    before = recorded.expert if recorded else None
    if before is None or (named and own is not None):
        return own
    copy = resumed / EXPERT if resumed else None  # the run folder may have been moved
    return next((path for path in (before, copy, own) if path and os.path.exists(path)), before)


def reward_file(config: Config, recorded: Setting | None, named: bool = False) -> str | None:
    """Likewise the file of --reward_file, by its full name: an environment may change the working directory."""
    if config.reward_file is None:
        return None
    own, before = str(Path(config.reward_file).absolute()), recorded.reward_file if recorded else None
    if before is None or named:
        return own
    return next((path for path in (before, own) if os.path.exists(path)), before)


def _where(env: str) -> str:
    """Where demonstrations of an environment are."""
    if env in catalogue.bundled():
        return f"--expert {env} takes episodes that come with the package"
    return "docs/expert_data.md says of which formats"


def _acted(expert: Demonstrations, config: Config, spec: EnvSpec) -> Demonstrations:
    """Demonstrations whose actions, if they hold none, are zeros at which no part of the run looks. Raises UserError if one
    would look."""
    if expert.has_actions:
        return expert
    if config.sees_actions:
        by_states = ", or --adversary gail with --discriminator.inputs state next_state"
        instead = "" if config.init_policy == start.CLONE else by_states
        raise UserError(
            f"{expert.path}: holds no actions, at which this run would look: expected a file with actions{instead}"
        )
    zeros = spec.executed.zeros(len(expert.observations))
    origin = dataclasses.replace(expert.provenance, action_view="raw")
    return dataclasses.replace(expert, actions=zeros, provenance=origin)


def _in_units(expert: Demonstrations, spec: EnvSpec, dtype: str) -> Demonstrations:
    """Demonstrations whose actions are in the policy's units. Raises UserError if they become too large."""
    if spec.action_scaling is None:
        return expert
    units = spec.action_scaling.normalised(expert.actions)
    if (value := too_large(units, dtype)) is not None:
        raise UserError(
            f"{expert.path}: dataset 'actions': {value:g} in units of the environment's bounds, too large for "
            f"{dtype}; --no_action_scaling leaves actions as they are"
        )
    return dataclasses.replace(expert, actions=units)


def _refuse_other_lengths(expert: Demonstrations) -> None:
    lengths = expert.episode_lengths[: expert.finished]
    if len(found := np.unique(lengths)) > 1:
        raise UserError(
            f"--fixed_horizon: {expert.path} has episodes of {found[0]} to {found[-1]} steps, expected the same length of all"
        )


def _environments(
    config: Config, backend: vector.Backend, workers: Workers, source: Source | None, plays: bool
) -> VectorEnv:
    """This rank's environments, tried for a step. Raises UserError."""
    by_steps = config.sampling == "steps"
    block = workers.block(config.num_envs)
    mine = len(block)

    def make(number: int) -> VectorEnv:
        more: dict[str, Any] = {"threads": workers.threads(), "source": source, "first": block.start}
        return vector.make(config.env, number, backend, **more, **config.env_settings)

    env = make(mine)
    vector.try_out(env, plays and by_steps, by_name=source is None or source.reference.lacks is None)
    if plays and not by_steps:  # its episodes are under way, and whoever wants whole ones may refuse to be reset now
        env.close()
        env = make(mine)
    if mine == 1 and 0 < config.eval_every <= config.steps:
        try:
            make(1).close()
        except UserError as error:
            raise UserError(
                f"{error}: beside the training's environment there can be no other for the periodic evaluations; "
                "--eval_every 0 evaluates at the end, when that one is closed"
            ) from error
    return env


def _setting(config: Config, expert: Demonstrations | None, env: VectorEnv, backend: vector.Backend) -> Setting:
    override = None if config.actions == "auto" else config.actions
    if env.spec.actions.bounds is None:
        override = "raw"  # there is nothing to clip to
    if expert is None:
        # A policy trained on the environment's reward is an expert to be: raw, as the paper's were.
        return Setting(backend, override or "raw", "without demonstrations", None, None)
    actions, reason = fit.action_view(expert, env.spec.executed_space, override)
    return Setting(backend, actions, reason, str(Path(expert.path).absolute()), expert.sha256)
