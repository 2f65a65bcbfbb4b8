"""One call of `learn`: what happens around the loop. Of a run, `runs/session.py` does the same."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

from trpo_gail.algorithm import train
from trpo_gail.api.callbacks import BaseCallback, goes_on
from trpo_gail.api.folder import Folder
from trpo_gail.api.logger import tensorboard
from trpo_gail.api.model import Model, caution
from trpo_gail.learner import Learner
from trpo_gail.records import Record
from trpo_gail.runs import opening
from trpo_gail.runs.console import View
from trpo_gail.runs.stuck import Stuck
from trpo_gail.sampling.rollout import GivenUp, never
from trpo_gail.system.stopping import Interrupted, StopRequest


class Session:
    """Callbacks, records, files and signals around the iterations of one `learn`."""

    def __init__(
        self, model: Model, learner: Learner, folder: Folder | None, hooks: BaseCallback, stop: StopRequest
    ) -> None:
        self.model, self.learner, self.folder, self.hooks, self.stop = model, learner, folder, hooks, stop
        self.view: View | None = None
        self._events: Any = None
        self._stuck = Stuck(model.config)

    @contextlib.contextmanager
    def outputs(self, name: str, anew: bool) -> Iterator[None]:
        """Open what the model's records are written to; TensorBoard's `anew`, or where the last ones are."""
        model, workers = self.model, self.model.workers
        if model.tensorboard_log is not None:
            folder = model.tensorboard_log
            self._events = workers.together(lambda: tensorboard(folder, name, anew) if workers.main else None)
        if self.folder is not None:
            self.folder.begin(self.learner, model.config, model._setting, model._dataset)
        try:
            yield
        finally:
            if self._events is not None:
                self._events.close()
            if self.folder is not None:
                self.folder.close()

    def run(self) -> bool:
        """Until the end; whether all steps were taken. Raises Interrupted, on all ranks, on a signal."""
        model, learner = self.model, self.learner
        learner.sampler.give_up = self.stop.overdue
        stopped = None
        try:
            with model.workers.pulse.during("callback"):
                self.hooks.on_start(model)
            if self.view:
                self.view.begin(learner.progress.steps, model.config.expected_steps)
            stopped = train(learner, model.config, model.workers, self._after)
        except GivenUp:
            stopped = self.stop.agreed(model.workers)
        finally:
            learner.sampler.give_up = never
            model._moved()
        if self.folder is not None:
            with model.workers.pulse.during("saving"):
                self.folder.save(learner, model.config, model.spec)
        if stopped is not None and stopped in signal.Signals.__members__:
            raise Interrupted(signal.Signals[stopped])
        return stopped == "steps"

    def _after(self, row: Record) -> str | None:
        """Tell callbacks, logger and files of an iteration; a reason to stop, the same on all ranks."""
        model, progress, workers = self.model, self.learner.progress, self.model.workers
        model._moved()
        record = dict(row)
        try:
            with workers.pulse.during("callback"):
                more = goes_on(self.hooks.after(model, record))
        except BaseException as error:
            # The iteration is done, whatever a callback makes of it. The other ranks may be elsewhere.
            try:
                self._write(row, record | {"wall_s": progress.wall_s, "eval_s": progress.eval_s})
            except Exception as lost:
                error.add_note(f"its row is lost: {lost}")
            raise
        record |= {"wall_s": progress.wall_s, "eval_s": progress.eval_s}
        with workers.pulse.during("saving"):
            workers.together(lambda: self._write(row, record))
            if self.folder is not None:
                self.folder.save_in_time(self.learner, model.config, model.spec)
        if self.view:
            mean = row["return_mean"]
            self.view.update(progress.steps, "" if mean is None else f"return {mean:.1f}")
        for text in (*opening.unresolved(self.learner.sampler), *self._stuck.look(row)):
            caution(workers, text)
        asked = self.stop.agreed(workers)
        refused = workers.max(float(not more)) > 0
        return asked or ("callback" if refused else None)

    def _write(self, row: Record, record: Record) -> None:
        """`row` has the columns of a run folder, `record` whatever callbacks have added."""
        self.model.logger.add(record)
        if self._events is not None:
            self._events.write(record)
        if self.folder is not None:
            self.folder.log(row, record, self.learner.ended)
