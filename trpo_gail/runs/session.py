"""A run under way: what happens around the algorithm, from its first line to its summary."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trpo_gail.algorithm import finished, train
from trpo_gail.config.files import to_dict
from trpo_gail.config.tree import Config
from trpo_gail.envs.vector import VectorEnv
from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.learner import Learner
from trpo_gail.parallel import Workers
from trpo_gail.records import EVAL_SUCCESS, Record
from trpo_gail.runs import checkpoint, opening, start
from trpo_gail.runs.closing import closing_lines
from trpo_gail.runs.console import View
from trpo_gail.runs.evaluate import PERIODIC, Evaluator, final_scores
from trpo_gail.runs.interval import SaveInterval
from trpo_gail.runs.resuming import last_of_run
from trpo_gail.runs.run_folder import RunFolder, read_json, session_of
from trpo_gail.runs.setting import Setting
from trpo_gail.runs.stragglers import Stragglers
from trpo_gail.runs.stuck import Stuck
from trpo_gail.sampling.rollout import GivenUp
from trpo_gail.system.memory import give_back_at_times
from trpo_gail.system.stopping import StopRequest


@dataclass
class Session:
    """Begins or resumes the folder; trains, evaluates, logs and saves; ends with the summary."""

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
        self._interval = SaveInterval(self.config, self.workers)
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

        with self.workers.pulse.during("cloning"):
            first, best = start.clone(self.config, self.learner, self.expert, self.stop.asked, self.workers)
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
            self.workers.together(lambda: last_of_run(self.path) if resume and self.workers.main else (None, []))
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
        with self.workers.pulse.during("saving"):
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
        for warning in opening.strayed(self.learner.sampler):
            self.view.warn(warning)
        if self.workers.main:
            for warning in opening.cautions(
                self.config, self.env, self.expert, self.config.env, resumed=not self._anew
            ):
                self.view.warn(warning)

    def _begin_folder(self) -> None:
        """Rank 0: record this session, and cut what a run that died wrote after its last checkpoint."""
        if not self.folder:
            return
        file = self.path / "config.json"
        sessions = read_json(file, sessions=list)["sessions"] if file.exists() else []
        device = self.workers.device(self.config.device)
        sessions.append(session_of(self.workers, device, self.learner.progress.iteration))
        self.folder.write_config("training", self.config, self.setting, sessions)
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
            with self.workers.pulse.during("saving"):  # on a busy disk it takes its time, signal or not
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
        for warning in (*opening.unresolved(self.learner.sampler), *self._stuck.look(row), *self._slow()):
            self.view.warn(warning)
        if self._interval.is_over(progress.iteration):
            self._save()
        give_back_at_times()
        return self.stop.agreed(self.workers)

    def _slow(self) -> Iterator[str]:
        """Warnings of a rank for which the others wait. A collective."""
        if self.workers.size > 1:
            seconds = self.workers.gather(self.workers.pulse.take_seconds())
            with self.workers.pulse.during("saving"):
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

    def _save(self, unfinished: Record | None = None) -> None:
        """`unfinished`: the row of the iteration, if it is not logged yet."""
        with self.workers.pulse.during("saving"):
            self.workers.together(lambda: self._before_saving(unfinished is not None))
            last = checkpoint.save(self.path, self.learner, self.config, self.env.spec, self.workers, unfinished)
        self.workers.pulse.note = f"last checkpoint: {self.named / last.relative_to(self.path)}"
        self._saved_iteration, self._row_saved = self.learner.progress.iteration, unfinished is not None
        if unfinished is None:
            self._interval.saved()

    def _before_saving(self, within: bool) -> None:
        """Rank 0: the rows that the checkpoint counts as done are on the disk before it is. Raises UserError and OSError, but
        `within` an iteration not for the rows: perhaps they are why it saves."""
        if self.folder:
            self.folder.check_there()
            with contextlib.suppress(OSError) if within else contextlib.nullcontext():
                self.folder.flush()

    def _log(self, row: Record) -> None:
        """Raises UserError if the row cannot be written; it is in a checkpoint then, if there is room for one."""
        try:
            with self.workers.pulse.during("saving"):
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
            "env_steps_per_s": progress.steps_per_s,
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
        saved = checkpoint.last_path(self.path) is not None
        for line in (*closing_lines(summary, saved), *self._stragglers.lines()):
            self.view.line(line)
        from trpo_gail.reports.run_report import show_learning_curve

        show_learning_curve(self.path, self.named, self.view)
