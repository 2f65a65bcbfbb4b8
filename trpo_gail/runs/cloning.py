"""A run of behavioural cloning from flags to summary; its folder is like a training run's, for the tools that read one."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trpo_gail import cloning
from trpo_gail.build import make_policy
from trpo_gail.config.tree import CloningConfig, Config
from trpo_gail.envs import vector
from trpo_gail.errors import UserError
from trpo_gail.experts import describe
from trpo_gail.experts.checks import cautions
from trpo_gail.experts.data import Demonstrations
from trpo_gail.networks.placing import share
from trpo_gail.parallel import Workers
from trpo_gail.records import Stats
from trpo_gail.runs import checkpoint, start
from trpo_gail.runs.closing import closing_lines
from trpo_gail.runs.console import View
from trpo_gail.runs.evaluate import Evaluator, final_scores
from trpo_gail.runs.preparing import prepare, same_environment, same_settings, sent
from trpo_gail.runs.run_folder import RunFolder, default_path, is_taken, no_run, session_of
from trpo_gail.runs.setting import Setting
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.system import whole_file


def clone(
    config: CloningConfig, out: str | None, quiet: bool, workers: Workers, view: View | None = None
) -> dict[str, Any]:
    """Clone the expert, evaluate, save; returns the summary. Raises UserError, on all ranks, for the user's mistakes.

    Rank 0 alone learns, since there is little to share; all ranks evaluate. A run takes a minute at most and cannot be
    resumed: Ctrl-C or an error before the policy is saved leaves no folder, and a signal that ends the process at once
    leaves a folder without a summary. `view` is one that is open already; without it, one is made, by `quiet`.
    """
    with workers.watched():
        return _run(config, out, quiet, workers, view)


def _run(config: CloningConfig, out: str | None, quiet: bool, workers: Workers, view: View | None) -> dict[str, Any]:
    torch.set_num_threads(1)  # the products are small
    workers.together(lambda: same_settings(config, workers))
    given = workers.share(default_path(config.env, config.seed) if out is None else out)
    named = whole_file.named("--out", given, "folder")
    path = named.absolute()  # an environment may change the working directory
    held = sent(config.expert, workers)
    expert, run = workers.together(lambda: _prepare(config, None if out is None else path, workers, held))
    workers.together(lambda: same_environment(run.spec, workers))
    folder = workers.together(lambda: RunFolder.create(path, numbered=out is None) if workers.main else None)
    path = workers.share(folder.path if folder else None) or path  # the default name may be another by now
    named = named.with_name(path.name) if out is None else named
    with contextlib.nullcontext(view) if view else View(workers.main, quiet) as view:
        try:
            return _clone(run, expert, folder, named, workers, view)
        except BaseException as error:
            if last := checkpoint.last_path(path):  # what failed came after
                error.add_note(f"last checkpoint: {named / last.relative_to(path)}")
            elif folder:
                folder.discard()
            raise
        finally:
            if folder:
                folder.close()


@dataclass(frozen=True)
class _Run:
    config: CloningConfig
    run_config: Config
    setting: Setting
    spec: EnvSpec


def _prepare(
    config: CloningConfig, path: Path | None, workers: Workers, held: Demonstrations | None
) -> tuple[Demonstrations, _Run]:
    """Check everything that can be the user's mistake, before any folder is made at `path`, if the user gave one."""
    if path and is_taken(path):
        raise UserError(f"--out {path}: {no_run(path) or 'exists already, a run'}; a new folder expected")
    run_config = dataclasses.replace(config.run_config(), num_envs=workers.size)
    learning = dataclasses.replace(run_config, eval_every=0, init_policy=start.CLONE)  # what is done with the pairs
    setting, expert, env = prepare(learning, None, workers, held, plays=False)
    env.close()
    assert expert is not None
    return expert, _Run(config, run_config, setting, env.spec)


def _clone(
    run: _Run, expert: Demonstrations, folder: RunFolder | None, named: Path, workers: Workers, view: View
) -> dict[str, Any]:
    """`named` is the folder as the user called it."""
    config, policy = run.config, make_policy(run.run_config, run.spec)
    workers.together(lambda: _write_config(run, folder, workers) if folder else None)
    if folder:
        view.line(f"run folder {named}")
    view.line(f"behavioural cloning of {describe.selection(expert)}")
    for warning in vector.cautions(run.spec):
        view.warn(warning)
    own = cautions.of_first_policy(expert, run.spec, run.run_config.policy.init_log_std)
    for warning in (*cautions.of_run(expert, config.env, None, run.run_config.env_arguments), *own):
        view.warn(warning)
    view.begin(0, config.iterations, "iterations")
    start = time.perf_counter()

    def learn() -> Stats | None:
        if not folder:
            return None

        def log(row: Stats) -> None:
            folder.log(row | {"wall_s": time.perf_counter() - start})
            view.update(int(row["iteration"]), f"validation score {row['validation_score']:.4g}")

        best = cloning.clone(policy, expert.observations, expert.actions, config, log, each=workers.pulse.move)
        iteration = int(best["iteration"])
        path = checkpoint.iteration_path(folder.path, iteration)
        checkpoint.save_policy(path, policy, iteration, run.run_config, run.spec)
        return best

    with workers.pulse.during("cloning"):
        best = workers.share(workers.together(learn))
    assert best is not None
    wall_s = time.perf_counter() - start
    view.line(f"best validation score {best['validation_score']:.4g}, after {int(best['iteration']):,} steps")
    share(workers, policy)
    evaluator = Evaluator(run.run_config, run.spec, workers)
    with workers.pulse.during("evaluation"):
        scores = final_scores(evaluator, policy.actor(), config.final_episodes, expert.return_mean)
    summary = {
        "env": config.env,
        "seed": config.seed,
        "ranks": workers.size,
        "iterations": config.iterations,
        "steps": 0,  # of the environment
        "idle_rows": 0,
        "wall_s": wall_s,
        "env_steps_per_s": None,
        "eval_steps": 0,
        "eval_s": 0.0,
        "best_return": None,
        "stopped": "iterations",
        "best_iteration": int(best["iteration"]),
        "validation_score": best["validation_score"],
        "expert_env": expert.env_id,
        **scores,
    }
    workers.together(lambda: folder.write_json("summary.json", summary) if folder else None)
    for line in closing_lines(summary):
        view.line(line)
    return summary


def _write_config(run: _Run, folder: RunFolder, workers: Workers) -> None:
    session = session_of(workers, "cpu", 0) | {"threads": 1}
    folder.write_config("cloning", run.run_config, run.setting, [session], cloning=dataclasses.asdict(run.config))
