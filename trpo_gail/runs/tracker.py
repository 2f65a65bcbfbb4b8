"""A run's rows for a tracker: wandb, or trackio, which has the same calls. What goes wrong with it ends no run.

The numbers stay on this machine unless the user's environment says otherwise (WANDB_MODE, TRACKIO_SPACE_ID).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from trpo_gail.errors import UserError, absent
from trpo_gail.runs.events import BELOW
from trpo_gail.system import whole_file
from trpo_gail.system.terminal import warn

Library = Literal["wandb", "trackio"]
PROJECT = "trpo_gail"
FILE = "track.json"  # the run's id, in its folder: a resume goes on under it


def check(library: str | None) -> None:
    """Raise UserError if the tracker is not installed."""
    found = find_spec(library) if library is not None else None
    if library is not None and (found is None or found.origin is None):  # no origin: a folder of runs by this name
        raise UserError(f"--track {library}: {absent(library)}")


class Tracker:
    """One session of a run in a tracker."""

    def __init__(self, library: str, folder: Path, config: Mapping[str, Any], logged: int) -> None:
        """`logged`: the last iteration that earlier sessions have logged; what they had tracked is not sent again."""
        self._library, self._folder, self._given_up = library, folder, False
        self._module: Any = None
        self.about = ""
        self._sent = logged if (folder / FILE).exists() else 0
        self._attempt(lambda: self._begin(config))

    def write(self, row: Mapping[str, float | int | None]) -> None:
        """A row's values at its number of steps."""
        if (row["iteration"] or 0) > self._sent:
            shown = {name: value for name, value in row.items() if name != "steps" and not BELOW.fullmatch(name)}
            self._log(shown, row.get("steps"))

    def conclude(self, summary: Mapping[str, Any]) -> None:
        """The returns and scores of a run's summary."""
        found = {f"final_{name}": summary[name] for name in summary if "return" in name or "score" in name}
        self._log(found, summary["steps"])

    def close(self) -> None:
        """Nothing is written after."""
        if self._module is not None:
            self._attempt(self._finish)

    def _attempt(self, action: Callable[[], None]) -> None:
        """Until something goes wrong for the first time."""
        if self._given_up:
            return
        try:
            action()
        except Exception as error:
            self._given_up = True
            warn(f"{self._folder}: {self._library} no longer tracks the run, which goes on without: {error}")

    def _begin(self, config: Mapping[str, Any]) -> None:
        identity = _identity(self._folder)
        project, own = PROJECT, {}
        if self._library == "wandb":
            project = os.environ.get("WANDB_PROJECT", PROJECT)
            own = {
                "id": identity,
                "dir": str(self._folder),
                "mode": os.environ.get("WANDB_MODE", "offline"),
                "settings": {"silent": True, "console": "off"},  # stdout is ours
            }
        name = f"{self._folder.name}-{identity}"
        module = import_module(self._library)
        with _without_banners():
            module.init(project=project, name=name, config=dict(config), resume="allow", **own)
        self._module = module
        self.about = f"tracked by {self._library} as {name} in the project {project}"

    def _log(self, values: Mapping[str, Any], step: Any) -> None:
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
        self._attempt(lambda: self._module.log(numbers, step=int(step)))

    def _finish(self) -> None:
        with _without_banners():
            self._module.finish()


def _identity(folder: Path) -> str:
    """The run's id; a new one if it has none, or if nobody can read it."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads((folder / FILE).read_bytes())["id"]
        if isinstance(found, str) and found.isalnum():
            return found
    made = uuid.uuid4().hex[:8]
    whole_file.write(folder / FILE, json.dumps({"id": made}).encode() + b"\n")
    return made


@contextlib.contextmanager
def _without_banners() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()):
        yield
