"""What a model has learned in numbers: the records of its iterations, kept, printed and handed on."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from trpo_gail.errors import UserError, listed
from trpo_gail.parallel import Workers
from trpo_gail.records import Record
from trpo_gail.runs.events import Events
from trpo_gail.system import whole_file

Sink = Callable[[Record], object]

# What a printed line shows of a record, if it has it: (name, words, format).
_SHOWN = (
    ("steps", "steps", ",.0f"),
    ("return_mean", "return", ".2f"),
    ("eval_return_mean", "evaluated", ".2f"),
    ("success_rate", "success", ".1%"),
    ("eval_success_rate", "evaluated", ".1%"),
    ("reward_mean", "reward", ".4g"),
    ("kl", "KL", ".4g"),
    ("entropy", "entropy", ".4g"),
    ("d_accuracy_learner", "D right on learner", ".2f"),
    ("d_accuracy_expert", "on expert", ".2f"),
    ("validation_score", "validation score", ".4g"),
)


class Logger:
    """Records of iterations, the same on every rank; names are those of `metrics.csv`."""

    def __init__(self, workers: Workers) -> None:
        self.records: list[Record] = []  # of this process, since the model was made or loaded
        self._workers = workers
        self._sinks: list[Sink] = []
        self._every = 0  # iterations between printed lines; 0 prints nothing

    @property
    def name_to_value(self) -> Record:
        """The last record; empty before the first."""
        return self.records[-1] if self.records else {}

    def column(self, name: str) -> list[float | None]:
        """One number of all records; None where a record lacks it. Raises UserError for a name that no record has."""
        known = dict.fromkeys(key for record in self.records for key in record)
        if known and name not in known and name not in {shown for shown, *_ in _SHOWN}:  # which some records lack
            near = get_close_matches(str(name), known, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            columns = listed(sorted(known), len(known))
            raise UserError(f"logger.column: {name!r:.60} given, expected one of {columns}{meant}")
        return [record.get(name) for record in self.records]

    def add_sink(self, sink: Sink) -> None:
        """Hand a copy of each record on to a function, on the first rank: a tracker, a file, a plot. Raises UserError for
        what is no function."""
        if not callable(sink):
            raise UserError(f"logger.add_sink: {sink!r:.60} given, a function of a record expected")
        self._sinks.append(sink)

    def print_every(self, iterations: int) -> None:
        """Print a line every `iterations` records; 0 prints nothing."""
        self._every = iterations

    def add(self, record: Record) -> None:
        """Keep a record, print and hand it on."""
        self.records.append(record)
        if not self._workers.main:
            return
        if self._every and len(self.records) % self._every == 0:
            print(line(record), flush=True)
        for sink in self._sinks:
            sink(dict(record))


def line(record: Record) -> str:
    """A record in one line."""
    iteration = f"iteration {record['iteration']:.0f}"
    shown = [(words, record.get(name), form) for name, words, form in _SHOWN]
    return "   ".join([iteration, *(f"{words} {value:{form}}" for words, value, form in shown if value is not None)])


def tensorboard(folder: str | Path, name: str, anew: bool) -> Events:
    """Events in a new folder NAME_1, NAME_2, ... as Stable-Baselines numbers them; if not `anew`, in the last one."""
    number = 1
    where = whole_file.named("tensorboard_log", folder, "folder")
    while (path := where / f"{name}_{number}").exists():
        number += 1
    if not anew and number > 1:
        return Events(where / f"{name}_{number - 1}")
    path.mkdir(parents=True)
    return Events(path)
