"""One run from flags to summary: check everything, then make the folder, train, evaluate, save."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from trpo_gail.build import make_learner
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import hdf5
from trpo_gail.experts.save import save
from trpo_gail.hangs import LIMIT_S
from trpo_gail.networks.threads import that_pay
from trpo_gail.parallel import Workers
from trpo_gail.runs import checkpoint, start, tracker
from trpo_gail.runs.console import View
from trpo_gail.runs.preparing import (
    demonstrations_file,
    located,
    look_once,
    prepare,
    same_environment,
    same_everywhere,
    same_settings,
    sent,
)
from trpo_gail.runs.resuming import renamed, resumable
from trpo_gail.runs.run_folder import (
    EXPERT,
    RunFolder,
    default_path,
    is_unbegun,
)
from trpo_gail.runs.session import Session
from trpo_gail.runs.setting import Setting
from trpo_gail.runs.start import Start
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.system import whole_file
from trpo_gail.system.memory import share_one_heap
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
    named: Collection[str] = (),
) -> dict[str, Any]:
    """As `trpo_gail.train` (api/training.py), whose arguments these are; of `expert`, the demonstrations themselves. `named`
    are the fields of the config that flags of this session gave."""
    share_one_heap()
    workers = workers or Workers.world()
    with workers.watched(rank_timeout):
        return _run(config, out, resume, quiet, workers, view, expert, track, named)


def _run(
    config: Config,
    out: str | Path | None,
    resume: bool,
    quiet: bool,
    workers: Workers,
    view: View | None,
    expert: Demonstrations | None,
    track: str | None,
    named_now: Collection[str],
) -> dict[str, Any]:
    workers.pulse.note = "no checkpoint yet"
    torch.set_num_threads(1)  # until the size of the networks is known
    workers.together(lambda: same_settings(config, workers))
    given_out = workers.share(default_path(config.env, config.seed) if out is None else out)
    named = whole_file.named("--out", given_out, "folder")
    path = named.absolute()  # an environment may change the working directory
    resume = workers.share(workers.together(lambda: resume and not is_unbegun(path)))
    given = workers.together(lambda: _given(config, expert, resume, path))
    workers.together(lambda: tracker.check(track) if workers.main else None)
    resumed = path if resume else None
    before = workers.share(workers.together(lambda: resumable(path) if resume and workers.main else None))
    files = workers.share(workers.together(lambda: renamed(path, config) if resume and workers.main else set[str]()))
    files |= set(named_now)
    source = demonstrations_file(config, resumed, before, "expert" in files) if given is None else None
    look_once(source, workers)
    held = sent(source, workers) if given is None else given
    setting, expert, env = workers.together(lambda: prepare(config, resumed, workers, held, before=before, named=files))
    workers.together(lambda: same_everywhere(expert, workers))
    workers.together(lambda: same_environment(env.spec, workers))
    first, setting = _start(config, setting, env.spec, resumed, workers)
    policy = first.policy if first else None
    learner = make_learner(located(config, setting), env, expert.transitions() if expert else None, workers, policy)
    torch.set_num_threads(that_pay(learner.policy, workers.threads()))
    folder = None
    # From here on a signal makes a run save and end; before, it ends the program, which leaves nothing behind.
    with (
        StopRequest("ends after this iteration and saves") as stop,
        contextlib.nullcontext(view) if view else View(workers.main, quiet) as view,
    ):
        try:
            folder = workers.together(lambda: _folder(path, resume, out is None) if workers.main else None)
            path = workers.share(folder.path if folder else None) or path  # the default name may be another by now
            named = named.with_name(path.name) if out is None else named
            if given is not None:
                setting = workers.share(workers.together(lambda: kept(given, setting, folder)))
            session = Session(config, setting, expert, env, learner, folder, path, named, workers, view, stop, track)
            return session.run(resume)
        except BaseException:
            if (
                folder and not folder.begun
            ):  # not: if config.json is not there, since the folder may be another's by now
                folder.discard()
            raise
        finally:
            with workers.pulse.during("saving"):  # a tracker may upload for a while, signal or not
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
    whole_file.make_folder(file.parent)
    save(file, expert)
    return dataclasses.replace(setting, expert=str(file), expert_sha256=hdf5.sha256(file))


def _folder(path: Path, resume: bool, by_default: bool) -> RunFolder:
    return RunFolder.open(path) if resume else RunFolder.create(path, numbered=by_default)
