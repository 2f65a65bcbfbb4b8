"""`--config FILE`: a file of flags, or the config.json of a run that is to be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trpo_gail.config import flag_file
from trpo_gail.config.files import from_dict
from trpo_gail.config.leaves import flatten, leaves
from trpo_gail.config.reading import Given
from trpo_gail.config.tree import CloningConfig, Config
from trpo_gail.errors import UserError


@dataclass(frozen=True)
class FromFile:
    """The flag of a command whose flags may be in a file."""

    config: str | None = None
    """YAML or JSON file of flags by their paths, nested or dotted; flags of the command line win over it. Or the
    config.json of a run, whose settings take the place of all defaults: it repeats the run."""


def with_file(cls: type, given: Given) -> Given:
    """The flags of a command line over those of the file that they name. Raises UserError for a mistake in the file."""
    file = given.values.get("config")
    if file is None or "config" not in leaves(cls):
        return given
    held = flag_file.content(file)
    if {"config", "sessions"} <= held.keys():
        if "preset" in given.values:
            raise UserError(f"{given.typed['preset']}: given, but --config {file} is a run's, and has every setting")
        return Given(given.values, given.typed, _of_run(cls, held, file))
    below = flag_file.given(cls, held, file)
    return Given(below.values | given.values, below.typed | given.typed)


def _of_run(cls: type, held: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The settings of a run, by path. Raises UserError if the run is of another kind than the command makes, or damaged."""
    from trpo_gail.runs.run_folder import kind_of

    kind, wanted = kind_of(held, Path(file)), "training" if "adversary" in leaves(cls) else "cloning"
    if kind != wanted:
        raise UserError(f"--config {file}: a run of {kind}, but a run of {wanted} expected")
    tree, section = (Config, "config") if kind == "training" else (CloningConfig, "cloning")
    flat = flatten(from_dict(tree, held.get(section), f"--config {file}"))
    setting = held.get("setting")
    found = setting.get("expert") if isinstance(setting, dict) else None
    return flat | {"expert": _demonstrations(flat["expert"], found, Path(file).parent)}


def _demonstrations(named: str | None, found: Any, folder: Path) -> str | None:
    """A run's demonstrations: by the name that they were given, or where the run found them, or its own copy of those that
    came from Python."""
    from trpo_gail.runs.run_folder import EXPERT

    found = found if isinstance(found, str) else None
    own = str(folder / EXPERT) if found and Path(found).match(EXPERT) else None
    return next((path for path in (named, found, own) if path and Path(path).exists()), named or found)
