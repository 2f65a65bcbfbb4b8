"""A run folder of a model, for the tools that read one: `trpo-gail report`, `evaluate`, `export`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.learner import Learner
from trpo_gail.parallel import Workers
from trpo_gail.records import EVAL_SUCCESS, Record
from trpo_gail.runs import checkpoint
from trpo_gail.runs.interval import SaveInterval
from trpo_gail.runs.run_folder import RunFolder, is_taken, no_run, read_json, session_of
from trpo_gail.runs.setting import Setting
from trpo_gail.runs.training import kept
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.system import whole_file

_EVALUATED = ("eval_return_mean", "eval_return_std", "eval_length_mean")


class Folder:
    """Rank 0 writes it. Each `learn` is a session, which adds to what is there."""

    def __init__(self, path: str | Path, workers: Workers) -> None:
        given = workers.together(lambda: whole_file.named("run_folder", path, "folder"))
        self.named, self._workers = workers.share(str(given)), workers
        self.path = Path(self.named).absolute()
        self._begun = False
        self._open: RunFolder | None = None
        self._sessions: list[dict[str, object]] = []
        self._setting: Setting | None = None
        self._interval: SaveInterval | None = None

    def begin(self, learner: Learner, config: Config, setting: Setting, expert: Demonstrations | None) -> None:
        """A session. A collective. Raises UserError, on all ranks, if the folder is another run's."""
        with self._workers.pulse.during("saving"):
            self._workers.together(
                lambda: self._begin(learner, config, setting, expert) if self._workers.main else None
            )
        self._interval = SaveInterval(config, self._workers)

    def _begin(self, learner: Learner, config: Config, setting: Setting, expert: Demonstrations | None) -> None:
        if not self._begun and is_taken(self.path):
            if said := no_run(self.path):
                raise UserError(f"run_folder: {self.named} {said}: a new folder expected")
            raise UserError(
                f"run_folder: {self.named} exists already: another one begins a run; `trpo-gail train --out {self.named} "
                "--resume` goes on with this one"
            )
        if self._begun and not (self.path / "config.json").is_file():
            raise UserError(
                f"run_folder: {self.named}: deleted or moved since the model's last session, expected where it was; `save` "
                "keeps the model in a file, from which a loaded one goes on without the folder"
            )
        folder = RunFolder.open(self.path) if self._begun else RunFolder.create(self.path)
        try:
            if self._begun:
                self._check_still_ours(learner)
        except BaseException:
            folder.close()
            raise
        self._open = folder
        if self._setting is None:
            self._setting = setting if expert is None else kept(expert, setting, self._open)
        device = self._workers.device(config.device)
        self._sessions.append(session_of(self._workers, device, learner.progress.iteration))
        self._open.write_config("training", config, self._setting, self._sessions)
        self._begun = True

    def _check_still_ours(self, learner: Learner) -> None:
        """Raise UserError if something else has gone on with the run since this model's last session."""
        sessions = read_json(self.path / "config.json", sessions=list)["sessions"]
        last = checkpoint.last_path(self.path)
        ahead = last is not None and last.name > checkpoint.iteration_path(self.path, learner.progress.iteration).name
        if len(sessions) != len(self._sessions) or ahead:
            raise UserError(
                f"run_folder: {self.named}: another process has gone on with this run since the model's last session; "
                f"`trpo-gail train --out {self.named} --resume` goes on from there, and another run_folder from here"
            )

    def log(self, row: Record, record: Record, ended: np.ndarray) -> None:
        """A line of metrics.csv: the iteration's columns, the evaluation's, the seconds; and the episodes that `ended` in the
        iteration, as `Learner` has them. Raises UserError."""
        if self._open is not None:
            self._open.log_episodes(int(row["iteration"] or 0), ended[1:])
            late = (EVAL_SUCCESS,) if EVAL_SUCCESS in record else ()
            names = (*row, *_EVALUATED, *late, "wall_s", "eval_s")
            self._open.log({name: record.get(name) for name in names})

    def save_in_time(self, learner: Learner, config: Config, spec: EnvSpec) -> None:
        """A checkpoint, if it is time for one. A collective."""
        assert self._interval is not None, "a session begins first"
        if self._interval.is_over(learner.progress.iteration):
            self.save(learner, config, spec)
            self._interval.saved()

    def save(self, learner: Learner, config: Config, spec: EnvSpec) -> None:
        """A checkpoint, with the rows on the disk before it. A collective."""
        self._workers.together(lambda: self._open.flush() if self._open else None)
        last = checkpoint.save(self.path, learner, config, spec, self._workers)
        self._workers.pulse.note = f"last checkpoint: {last}"

    def close(self) -> None:
        """Release the lock."""
        if self._open is not None:
            self._open.close()
            self._open = None
