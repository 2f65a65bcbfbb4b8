"""The formats of demonstrations that are read: one module and one row of the table each."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import (
    array_files,
    arrow_tables,
    baselines,
    csv_tables,
    d4rl,
    datasets_folder,
    episodes,
    imitation,
    json_lines,
    lerobot,
    marked_rows,
    minari,
    native,
    paper,
    pickles,
    stable_baselines,
    tianshou,
    torch_buffers,
    transitions,
)


class Format(Protocol):
    """A module, or an object, that reads one kind of file."""

    @property
    def NAME(self) -> str:
        """How the format is called in messages."""
        ...

    def holds(self, path: Path) -> bool:
        """Whether a file or a folder, complete or not, is of this format. It looks at the content, and need read only a
        little of it."""
        ...

    def read(self, path: Path) -> Demonstrations:
        """All that the file holds, which `check.checked` looks at afterwards. Raises UserError if it is malformed."""
        ...


# The first that holds a file reads it. Whoever adds a format from outside appends it.
FORMATS: list[Format] = [
    native,
    paper,
    d4rl,
    minari,
    tianshou,
    episodes,
    stable_baselines,
    imitation,
    baselines,
    array_files,  # batches of episodes have names as transitions have
    marked_rows,
    transitions,
    pickles,
    torch_buffers,
    datasets_folder,
    lerobot,
    arrow_tables,
    json_lines,
    csv_tables,
]


def holding(path: Path) -> Format | None:
    """The format that reads a file or folder; None if no format holds it."""
    return next((form for form in FORMATS if form.holds(path)), None)
