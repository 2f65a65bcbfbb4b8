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
FILE = "track.json"  # in the run's folder: its id, under which a resume goes on, and the last iteration that was sent


def check(library: str | None) -> None:
    """Raise UserError if the tracker is not installed."""
    found = find_spec(library) if library is not None else None
    if library is not None and (found is None or found.origin is None):  # no origin: a folder of runs by this name
        raise UserError(f"--track {library}: {absent(library)}")


class Tracker:
    """One session of a run in a tracker."""

    def __init__(self, library: str, folder: Path, config: Mapping[str, Any], logged: int) -> None:
        """`logged`: the last iteration that earlier sessions have logged; what they had tracked is not sent again. A session
        that did not close its tracker, since it was killed, had tracked all of it."""
        self._library, self._folder, self._given_up = library, folder, False
        self._module: Any = None
        self.about = ""
        self._identity, self._sent = _known(folder / FILE, logged)
        self._attempt(lambda: self._begin(config))

    def write(self, row: Mapping[str, float | int | None]) -> None:
        """A row's values at its number of steps."""
        if (row["iteration"] or 0) > self._sent:
            shown = {name: value for name, value in row.items() if name != "steps" and not BELOW.fullmatch(name)}
            self._log(shown, row.get("steps"))
            if not self._given_up:
                self._sent = int(row["iteration"] or 0)

    def conclude(self, summary: Mapping[str, Any]) -> None:
        """The returns and scores of a run's summary."""
        found = {f"final_{name}": summary[name] for name in summary if "return" in name or "score" in name}
        self._log(found, summary["steps"])

    def close(self) -> None:
        """Nothing is written after."""
        if self._module is not None:
            self._attempt(self._finish)
        self._attempt(self._keep_sent)

    def _attempt(self, action: Callable[[], None]) -> None:
        """Until something goes wrong for the first time."""
        if self._given_up:
            return
        try:
            action()
        except Exception as error:
            self._given_up = True
            with contextlib.suppress(OSError):
                self._keep_sent()
            warn(f"{self._folder}: {self._library} no longer tracks the run, which goes on without: {error}")

    def _begin(self, config: Mapping[str, Any]) -> None:
        identity = self._identity
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
        self._keep({"id": identity})
        self.about = f"tracked by {self._library} as {name} in the project {project}"

    def _log(self, values: Mapping[str, Any], step: Any) -> None:
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
        self._attempt(lambda: self._module.log(numbers, step=int(step)))

    def _keep_sent(self) -> None:
        self._keep({"id": self._identity, "sent": self._sent})

    def _keep(self, content: dict[str, Any]) -> None:
        whole_file.write(self._folder / FILE, json.dumps(content).encode() + b"\n")

    def _finish(self) -> None:
        with _without_banners():
            self._module.finish()


def _known(file: Path, logged: int) -> tuple[str, int]:
    """The run's id, a new one if it has none or if nobody can read it; and the last iteration that was sent."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        found = json.loads(file.read_bytes())
        sent = found.get("sent", logged)
        if isinstance(found["id"], str) and found["id"].isalnum() and isinstance(sent, int):
            return found["id"], min(sent, logged)
    return uuid.uuid4().hex[:8], 0


@contextlib.contextmanager
def _without_banners() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()):
        yield
