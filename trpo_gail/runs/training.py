"""One run from flags to summary: check everything, then make the folder, train, evaluate, save."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trpo_gail.algorithm import finished, train
from trpo_gail.build import make_learner
from trpo_gail.config.files import from_dict, to_dict
from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import Config
from trpo_gail.envs import vector
from trpo_gail.envs.sources import Source
from trpo_gail.envs.vector import VectorEnv
from trpo_gail.errors import UserError
from trpo_gail.experts import catalogue
from trpo_gail.experts.checks import fit
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import apart, hdf5
from trpo_gail.experts.load import load, read
from trpo_gail.experts.rows import as_rows
from trpo_gail.experts.save import save
from trpo_gail.hangs import LIMIT_S
from trpo_gail.learner import Learner
from trpo_gail.magnitudes import too_large
from trpo_gail.networks.threads import that_pay
from trpo_gail.parallel import Workers
from trpo_gail.records import EVAL_SUCCESS, Record
from trpo_gail.runs import checkpoint, opening, start, tracker
from trpo_gail.runs.console import View
from trpo_gail.runs.evaluate import PERIODIC, Evaluator, final_scores
from trpo_gail.runs.run_folder import (
    EXPERT,
    FORMAT,
    RunFolder,
    default_path,
    inside,
    is_unbegun,
    kind_of,
    provenance,
    read_json,
)
from trpo_gail.runs.setting import Setting
from trpo_gail.runs.start import Start
from trpo_gail.runs.stragglers import Stragglers
from trpo_gail.runs.stuck import Stuck
from trpo_gail.sampling.rollout import GivenUp
from trpo_gail.scores import hardly_differ
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.system import typed
from trpo_gail.system.stopping import StopRequest


def run(
    config: Config,
    out: str | Path | None = None,
    resume: bool = False,
    quiet: bool = False,
    workers: Workers | None = None,
    view: View | None = None,
    *,
    expert: Demonstrations | None = None,
    rank_timeout: float = LIMIT_S,
    track: str | None = None,
) -> dict[str, Any]:
    """As `trpo_gail.train` (api/training.py), whose arguments these are; of `expert`, the demonstrations themselves."""
    workers = workers or Workers.world()
    with workers.watched(rank_timeout):
        return _run(config, out, resume, quiet, workers, view, expert, track)


def _run(
    config: Config,
    out: str | Path | None,
    resume: bool,
    quiet: bool,
    workers: Workers,
    view: View | None,
    expert: Demonstrations | None,
    track: str | None,
) -> dict[str, Any]:
    torch.set_num_threads(1)  # until the size of the networks is known
    named = Path(workers.share(str(out or default_path(config.env, config.seed))))
    path = named.absolute()  # an environment may change the working directory
    resume = workers.share(workers.together(lambda: resume and not is_unbegun(path)))
    given = workers.together(lambda: _given(config, expert, resume, path))
    workers.together(lambda: tracker.check(track) if workers.main else None)
    look_once(config.expert if given is None else None, workers)
    resumed = path if resume else None
    before = workers.share(workers.together(lambda: _resumable(path) if resume and workers.main else None))
    held = sent(demonstrations_file(config, resumed, before), workers) if given is None else given
    setting, expert, env = workers.together(lambda: prepare(config, resumed, workers, held, before=before))
    first, setting = _start(config, setting, env.spec, resumed, workers)
    policy = first.policy if first else None
    learner = make_learner(config, env, expert.transitions() if expert else None, workers, policy)
    torch.set_num_threads(that_pay(learner.policy, workers.threads()))
    folder = None
    # From here on a signal makes a run save and end; before, it ends the program, which leaves nothing behind.
    with (
        StopRequest("ends after this iteration and saves") as stop,
        contextlib.nullcontext(view) if view else View(workers.main, quiet) as view,
    ):
        try:
            folder = workers.together(lambda: _folder(path, resume) if workers.main else None)
            if given is not None:
                setting = workers.share(workers.together(lambda: kept(given, setting, folder)))
            session = _Session(config, setting, expert, env, learner, folder, path, named, workers, view, stop, track)
            return session.run(resume)
        except BaseException:
            if (
                folder and not folder.begun
            ):  # not: if config.json is not there, since the folder may be another's by now
                folder.discard()
            raise
        finally:
            env.close()
            if folder:
                folder.close()


def _given(config: Config, expert: Demonstrations | None, resume: bool, path: Path) -> Demonstrations | None:
    """Demonstrations from Python. Raises UserError if there is a file beside them, or a run that keeps its own."""
    if expert is None:
        return None
    if config.expert is not None:
        raise UserError(
            f"expert: demonstrations are given, and config.expert is the file {config.expert}: one expected"
        )
    if resume:
        raise UserError(f"--resume: {path} keeps the demonstrations that it was made with: expert is not expected")
    return expert


def _start(
    config: Config, setting: Setting, spec: EnvSpec, resumed: Path | None, workers: Workers
) -> tuple[Start | None, Setting]:
    """Rank 0's start from another run's policy, if this run has no checkpoint yet, and the setting that names it. A
    collective."""

    def read() -> tuple[Start | None, Setting]:
        if not (workers.main and config.starts_from_run) or (resumed and checkpoint.last_path(resumed)):
            return None, setting
        found = start.read(config, spec, setting.init_policy, setting.init_policy_sha256)
        return found, dataclasses.replace(setting, init_policy=str(found.path), init_policy_sha256=found.sha256)

    first, made = workers.together(read)
    return first, workers.share(made)


def kept(expert: Demonstrations, setting: Setting, folder: RunFolder | None) -> Setting:
    """Rank 0 keeps a copy in the run folder, which the setting names from then on."""
    if folder is None:
        return setting
    file = folder.path / EXPERT
    file.parent.mkdir(exist_ok=True)
    save(file, expert)
    return dataclasses.replace(setting, expert=str(file), expert_sha256=hdf5.sha256(file))


def saved_config(path: Path) -> Config:
    """The config that a training was made with. Raises UserError if the folder has no config, or is another kind of run's."""
    file = path / "config.json"
    if not file.is_file():
        raise UserError(f"--resume: {path} is not a run folder (it has no config.json){inside(path)}")
    content = read_json(file, config=dict)
    if content.get("pulled"):
        raise UserError(f"--resume: {path} was pulled, and holds a policy alone: --init_policy {path} starts from it")
    if kind_of(content, file) == "cloning":
        raise UserError(f"--resume: {path} is a run of behavioural cloning, which training cannot go on with")
    return from_dict(Config, content["config"], str(file))


def saved_setting(path: Path) -> Setting:
    """What `auto` became when a run folder was made. Raises UserError if it does not say so."""
    file = path / "config.json"
    return typed.build(Setting, read_json(file, setting=dict)["setting"], file)


def _resumable(path: Path) -> Setting:
    """The setting of a run to resume. Raises UserError if its environment cannot be made without the Python code."""
    setting = saved_setting(path)
    if setting.env_lacks:
        raise UserError(
            f"--resume: no name makes the environment of {path}, which Python gave ({setting.env_lacks}): go on there, or "
            "begin a run with an id or a function of a module"
        )
    return setting


def check_resume(saved: Config, given: Config, path: Path) -> None:
    """Only --steps and --iterations may differ from the run's own, and only grow; the expert's file may have been moved,
    the run to a machine with another --device, and the environment's id to another module.

    Raises UserError otherwise.
    """
    before, now = flatten(saved), flatten(given)
    del now["device"]
    if None not in (saved.expert, given.expert):
        del now["expert"]  # `prepare` compares what the files hold
    for name, value in now.items():
        if name == "steps" or (name == "iterations" and None not in (value, before[name])):
            if value < before[name]:
                raise UserError(f"--resume: --{name} {value} given, but {path} has {before[name]}: it may only grow")
        elif value != before[name] and not (name == "env" and checkpoint.same_task(value, before[name])):
            flag = "ENV" if name == "env" else f"--{name}"
            raise UserError(f"--resume: {flag} {value} given, but {path} was made with {before[name]}")


def look_once(path: str | None, workers: Workers) -> None:
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
    lacking = workers.gather(source is not None and not catalogue.located(source).exists())
    if lacking[0] or not any(lacking):
        return None
    held = workers.share(workers.together(lambda: read(str(source)) if workers.main else None))
    return held if workers.main or lacking[workers.rank] else None


def prepare(
    config: Config,
    resumed: Path | None,
    workers: Workers,
    given: Demonstrations | None = None,
    envs: Source | None = None,
    before: Setting | None = None,
) -> tuple[Setting, Demonstrations | None, VectorEnv]:
    """Check files, environment and numbers; everything that can be the user's mistake, before any folder is made.

    `given` are demonstrations in place of a file, `envs` makes environments in place of an id. `before` is the setting of
    the resumed run, where the caller knows it: another host's folder cannot be read.
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
    expert, source = None, demonstrations_file(config, resumed, before) if given is None else given
    if source is None and config.imitates:
        raise UserError(f"--expert: a file of demonstrations is needed ({_where(config.env)})")
    if source is not None:  # who does not imitate is only compared with it
        expert = load(source, config.trajectories, config.subsample)
        if recorded and expert.sha256 != recorded["expert_sha256"]:
            raise UserError(
                f"--resume: {source} is no longer the file that {resumed} was made with (its SHA-256 differs)"
            )
        if config.fixed_horizon:
            _refuse_other_lengths(expert)
    wanted = config.backend if envs is None else "gymnasium"
    backend = recorded["backend"] if recorded else vector.resolve_backend(config.env, wanted)
    env = _environments(config, backend, workers, envs)
    if expert is not None:
        expert = _acted(as_rows(expert, env.spec), config, env.spec)
    if config.init_policy == start.CLONE:
        start.check_demonstrations(expert)
    setting = Setting(**recorded) if recorded else _setting(config, expert, env, backend)
    if envs is not None and not recorded:
        setting = dataclasses.replace(setting, env_lacks=envs.reference.lacks)
    if expert is not None:
        expert = _in_units(expert, env.spec, config.dtype)
    return setting, expert, env.viewed(setting.actions)


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
        raise UserError(
            f"{expert.path}: holds no actions, at which this run would look: expected a file with actions, or --adversary "
            "gail with --discriminator.inputs state next_state"
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


def demonstrations_of(folder: Path, config: Config, spec: EnvSpec, moved: str | None = None) -> Demonstrations:
    """What a run imitates, as its adversary saw it, without the environment. `moved` is where the file is now.

    Raises UserError if the file is gone, or is another than the run was made with.
    """
    recorded = saved_setting(folder)
    source = catalogue.located(moved) if moved else demonstrations_file(config, folder, recorded)
    assert source is not None, "a run that imitates has demonstrations"
    if not Path(source).exists():
        raise UserError(
            f"{source}: no such file, the demonstrations of {folder} expected (--expert says where they are)"
        )
    expert = load(source, config.trajectories, config.subsample)
    if expert.sha256 != recorded.expert_sha256:
        raise UserError(f"{source}: not the file that {folder} was made with (its SHA-256 differs)")
    return in_rows(expert, config, spec)


def in_rows(expert: Demonstrations, config: Config, spec: EnvSpec) -> Demonstrations:
    """Demonstrations as the learner of an environment takes them, with actions in the policy's units. Raises UserError."""
    return _in_units(_acted(as_rows(expert, spec), config, spec), spec, config.dtype)


def _refuse_other_lengths(expert: Demonstrations) -> None:
    lengths = expert.episode_lengths[: expert.finished]
    if len(found := np.unique(lengths)) > 1:
        raise UserError(
            f"--fixed_horizon: {expert.path} has episodes of {found[0]} to {found[-1]} steps, expected the same length of all"
        )


def demonstrations_file(config: Config, resumed: Path | None, recorded: Setting | None) -> str | Path | None:
    """The file of demonstrations: the one that is named, or else the one that the run was made with."""
    before = recorded.expert if recorded else None
    if config.expert is not None and (before is None or catalogue.located(config.expert).exists()):
        return catalogue.located(config.expert)
    if before is None or Path(before).exists() or resumed is None:
        return before
    return resumed / EXPERT if Path(before).match(EXPERT) else before  # the run folder was moved


def _environments(config: Config, backend: vector.Backend, workers: Workers, source: Source | None = None) -> VectorEnv:
    """This rank's environments, tried for a step. Raises UserError."""
    by_steps = config.sampling == "steps"

    def make(number: int) -> VectorEnv:
        settings = config.env_settings
        return vector.make(config.env, number, backend, threads=workers.threads(), source=source, **settings)

    mine = len(workers.block(config.num_envs))
    env = make(mine)
    vector.try_out(env, early_reset=by_steps)
    if not by_steps:  # its episodes are under way, and whoever wants whole ones may refuse to be reset now
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
    fit.check(expert, env.spec, config.dtype)
    actions, reason = fit.action_view(expert, env.spec.executed_space, override)
    return Setting(backend, actions, reason, str(Path(expert.path).absolute()), expert.sha256)


def _folder(path: Path, resume: bool) -> RunFolder:
    return RunFolder.open(path) if resume else RunFolder.create(path)


@dataclass
class _Session:
    """A run under way: what happens around the algorithm."""

    config: Config
    setting: Setting
    expert: Demonstrations | None
    env: VectorEnv
    learner: Learner
    folder: RunFolder | None  # rank 0's
    path: Path
    named: Path  # the same, as it is printed
    workers: Workers
    view: View
    stop: StopRequest
    track: str | None = None

    def run(self, resume: bool) -> dict[str, Any]:
        self.evaluator = Evaluator(self.config, self.env.spec, self.workers)
        self._stragglers = Stragglers(self.workers.host_of, self.path if self.folder else None)
        self.evaluator.give_up, self.learner.sampler.give_up = self.stop.asked, self.stop.overdue
        self._begin(resume)
        self._saved_at = time.monotonic()
        self._saved_iteration: int | None = self.learner.progress.iteration  # None: what is saved lacks what came after
        self._row_saved = self._unfinished is not None  # in the last checkpoint, for it is not logged yet
        self._stuck = Stuck(self.config)
        self._note()
        try:
            stopped = self._train()
            if self._saved_iteration != self.learner.progress.iteration:
                self._save()
            with self.workers.pulse.during("summary"):
                return self._finish(stopped)
        except BaseException as error:
            self._note()
            error.add_note(self.workers.pulse.note)
            raise

    def _note(self) -> None:
        """Name the last checkpoint, for errors; in a folder that was moved away it is the one that was saved last."""
        if not (self.path / "config.json").exists():
            return
        last = checkpoint.last_path(self.path)
        name = last and self.named / last.relative_to(self.path)
        self.workers.pulse.note = f"last checkpoint: {name}" if last else "no checkpoint yet"

    def _train(self) -> str:
        """Until the end, or until a signal that may have come before the first iteration; what it was."""
        try:
            if self.config.init_policy and self.learner.progress.iteration == 0:
                self._start()
            self.view.begin(self.learner.progress.steps, self.config.expected_steps)
            stopped = self.stop.agreed(self.workers)
            if self._unfinished and not stopped:
                stopped = self._after(self._unfinished)
            return stopped or train(self.learner, self.config, self.workers, self._ended)
        except GivenUp:
            return self._stopped()

    def _start(self) -> None:
        """Begin with the policy of --init_policy: put it into a checkpoint, and evaluate it. A collective. Raises GivenUp
        on a signal; then a resume does what is left."""
        if self._anew:
            if self.config.init_policy == start.CLONE:
                self._clone()
            self._save()  # from here on the run needs nothing but its own folder
        if 0 < self.config.eval_every <= self.config.steps and self.learner.progress.best_return is None:
            self._evaluate()

    def _clone(self) -> None:
        assert self.expert is not None
        steps = self.config.cloning.iterations
        self.view.line(f"cloning {len(self.expert.actions):,} pairs first, by {steps:,} steps of Adam")

        def give_up() -> bool:
            self.workers.pulse.moves += 1  # only rank 0 learns, and the others wait
            return self.stop.asked()

        with self.workers.pulse.during("cloning"):
            first, best = start.clone(self.config, self.learner.policy, self.expert, give_up, self.workers)
        self.view.line(
            f"validation score {first['validation_score']:.4g} after the first step, {best['validation_score']:.4g} at "
            f"best, after {int(best['iteration']):,}"
        )

    def _stopped(self) -> str:
        """The signal on which something was given up. A collective."""
        name = self.stop.agreed(self.workers)
        assert name is not None, "nobody asked for it"
        return name

    def _begin(self, resume: bool) -> None:
        last, damaged = self.workers.share(
            self.workers.together(
                lambda: checkpoint.last_good(self.path) if resume and self.workers.main else (None, [])
            )
        )
        for path in damaged:
            self.view.warn(f"{path} is damaged: it is set aside, and training goes on from {last}")
        self._anew = last is None
        self._unfinished: Record | None = None
        if last:
            # One rank reads it: other hosts may lack the file, or have an older one of this name.
            content = self.workers.share(
                self.workers.together(lambda: checkpoint.read(last) if self.workers.main else None)
            )
            self._unfinished = self.workers.together(lambda: checkpoint.restore(last, self.learner, content))
        else:
            if resume:
                self.view.warn(f"{self.path}: no checkpoint was saved yet, so training begins anew")
            self.learner.progress.next_eval = self.config.eval_every
        self.workers.together(self._begin_folder)
        self.view.line(f"run folder {self.named}" + (f", resumed at {last.name}" if last else ""))
        self.view.line(opening.setting_line(self.config, self.setting, self.workers))
        if done := finished(self.learner.progress, self.config):
            reached = self.learner.progress.steps if done == "steps" else self.learner.progress.iteration
            self.view.line(f"done already, with {reached:,} {done}: a larger --{done} goes on; this evaluates again")
        if self.setting.init_policy:
            self.view.line(f"first policy: that of {self.setting.init_policy}")
        for line in opening.expert_lines(self.config, self.env.spec, self.expert):
            self.view.line(line)
        for warning in opening.cautions(self.config, self.env.spec, self.expert, self.config.env):
            self.view.warn(warning)

    def _begin_folder(self) -> None:
        """Rank 0: record this session, and cut what a run that died wrote after its last checkpoint."""
        if not self.folder:
            return
        here = provenance(self.workers.size, self.workers.threads(), self.workers.hosts)
        file = self.path / "config.json"
        sessions = read_json(file, sessions=list)["sessions"] if file.exists() else []
        device = str(self.workers.device(self.config.device))
        content = {
            "format": FORMAT,
            "kind": "training",
            "config": to_dict(self.config),
            "setting": dataclasses.asdict(self.setting),
            "sessions": [*sessions, here | {"device": device, "from_iteration": self.learner.progress.iteration}],
        }
        self.folder.write_json("config.json", content)
        for closing in ("summary.json", "learning_curve.png"):  # the run goes on, so that they are no longer true
            self.folder.remove(closing)
        if self.track and (about := self.folder.track(self.track, to_dict(self.config))):
            self.view.line(about)
        done = self.learner.progress.iteration - (self._unfinished is not None)
        self.folder.cut(done, self.learner.progress.iteration)
        self._stragglers.begin(done)

    def _ended(self, row: Record) -> str | None:
        """After an iteration of this session: keep its episodes, before a checkpoint counts it as done."""
        if self.folder:
            self.folder.log_episodes(self.learner.progress.iteration, self.learner.ended[1:])
        return self._after(row)

    def _after(self, row: Record) -> str | None:
        """Evaluate, log and save where it is time; a reason to stop, if any rank was asked to. `row` is what is known of
        the iteration; if an earlier session left it unfinished, it may have been evaluated already."""
        progress = self.learner.progress
        returns: Record = {name: row.get(name) for name in ("eval_return_mean", "eval_return_std", "eval_length_mean")}
        if self.config.eval_every and progress.steps >= progress.next_eval:
            self._save(row)  # an evaluation may take long, or fail, or be given up: then a resume makes it
            returns = self._evaluate()
        self._log(row | returns | {"wall_s": progress.wall_s, "eval_s": progress.eval_s})
        if self._row_saved:
            self._saved_iteration = None
        self.view.update(progress.steps, f"return {row['return_mean']:.1f}" if row["return_mean"] is not None else "")
        for warning in (*self._stuck.look(row), *self._slow()):
            self.view.warn(warning)
        if self._save_is_due():
            self._save()
        return self.stop.agreed(self.workers)

    def _slow(self) -> Iterator[str]:
        """Warnings of a rank for which the others wait. A collective."""
        if self.workers.size > 1:
            seconds = self.workers.gather(self.workers.pulse.take_seconds())
            yield from self._stragglers.look(self.learner.progress.iteration, seconds)

    def _evaluate(self) -> Record:
        """Numbers for the iteration's row. Raises GivenUp on a signal, and the evaluation stays to be done."""
        progress, start = self.learner.progress, time.perf_counter()
        with self.workers.pulse.during("evaluation"):
            episodes = self.evaluator.run(self.learner.policy.actor(), self.config.eval_episodes, PERIODIC)
        progress.eval_s += time.perf_counter() - start
        progress.eval_steps += int(episodes.lengths.sum())
        progress.next_eval = (progress.steps // self.config.eval_every + 1) * self.config.eval_every
        mean, std = float(episodes.returns.mean()), float(episodes.returns.std())
        share = episodes.success_rate
        said = "" if share is None else f"   success {share:6.1%}"
        self.view.line(
            f"{progress.steps:>12,} steps   return {mean:10.2f} ± {std:.2f}{said}   {progress.wall_s:8.1f} s"
        )
        if progress.best_return is None or mean > progress.best_return:
            progress.best_return = mean
            checkpoint.save_best(self.path, self.learner, self.config, self.env.spec, self.workers)
        length = float(episodes.lengths.mean())
        found: Record = {"eval_return_mean": mean, "eval_return_std": std, "eval_length_mean": length}
        return found if share is None else found | {EVAL_SUCCESS: share}

    def _save_is_due(self) -> bool:
        every, unit = self.config.save_interval
        if unit == "iterations":
            return self.learner.progress.iteration % int(every) == 0
        return self.workers.share(time.monotonic() - self._saved_at >= 60.0 * every)

    def _save(self, unfinished: Record | None = None) -> None:
        """`unfinished`: the row of the iteration, if it is not logged yet."""
        with self.workers.pulse.during("saving"):
            self.workers.together(lambda: self.folder.check_there() if self.folder else None)
            last = checkpoint.save(self.path, self.learner, self.config, self.env.spec, self.workers, unfinished)
        self.workers.pulse.note = f"last checkpoint: {self.named / last.relative_to(self.path)}"
        self._saved_iteration, self._row_saved = self.learner.progress.iteration, unfinished is not None
        if unfinished is None:
            self._saved_at = time.monotonic()

    def _log(self, row: Record) -> None:
        """Raises UserError if the row cannot be written; it is in a checkpoint then, if there is room for one."""
        try:
            self.workers.together(lambda: self.folder.log(row) if self.folder else None)
        except UserError:
            with contextlib.suppress(UserError):  # of the same full disk
                self._save(row)
            raise

    def _finish(self, stopped: str) -> dict[str, Any]:
        """Last evaluation, unless a signal asked for haste; summary and learning curve."""
        cfg, progress, done = self.config, self.learner.progress, stopped in ("steps", "iterations")
        expert = self.expert.return_mean if self.expert else None
        actor = self.learner.policy.actor()
        self.env.close()  # some environments allow one instance at a time
        try:
            scores = final_scores(self.evaluator, actor, cfg.final_episodes if done else 0, expert)
        except GivenUp:
            stopped, scores = self._stopped(), final_scores(self.evaluator, actor, 0, expert)
        summary = {
            "env": cfg.env,
            "seed": cfg.seed,
            "ranks": self.workers.size,
            "iterations": progress.iteration,
            "steps": progress.steps,
            "idle_rows": progress.idle_rows,
            "wall_s": progress.wall_s,
            "env_steps_per_s": progress.steps / progress.wall_s if progress.wall_s else None,
            "eval_steps": progress.eval_steps,
            "eval_s": progress.eval_s,
            "best_return": progress.best_return,
            "stopped": stopped,
            "expert_env": self.expert.env_id if self.expert else None,
            **scores,
        }
        self.workers.together(lambda: self._write_summary(summary))
        return summary

    def _write_summary(self, summary: dict[str, Any]) -> None:
        if not self.folder:
            return
        self.folder.conclude(summary)
        for line in (*closing_lines(summary), *self._stragglers.lines()):
            self.view.line(line)
        from trpo_gail.reports.run_report import show_learning_curve

        show_learning_curve(self.path, self.named, self.view)


def closing_lines(summary: dict[str, Any]) -> list[str]:
    """The lines that are printed at the end."""
    done = summary["stopped"] in ("steps", "iterations")
    if done and not summary["episodes"]:
        return ["saved, and not evaluated (--final_episodes 0)"]
    if summary["return_mean"] is None:
        return [f"stopped by {summary['stopped']} at {summary['steps']:,} steps, saved; --resume goes on"]

    def number(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.2f}"

    lines = [
        f"learned return  {number(summary['return_mean'])} ± {number(summary['return_std'])} "
        f"(deterministic, {summary['episodes']} episodes)",
        f"expert return   {number(summary['expert_return_mean'])}",
        f"random return   {number(summary['random_return_mean'])}",
        f"scaled score    {number(summary['scaled_score'])} (0 random, 1 expert)",
    ]
    if (share := summary.get("success_rate")) is not None:
        lines.insert(1, f"success rate    {share:.1%} (random {summary['random_success_rate'] or 0.0:.1%})")
    spread = summary["random_return_std"], summary["episodes"]
    if hardly_differ(summary["expert_return_mean"], summary["random_return_mean"], *spread):
        lines.append("                expert and random return hardly differ, so that the score says little")
    return lines
