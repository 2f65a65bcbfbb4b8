"""`--config FILE`: a file of flags, or the config.json of a run that is to be repeated."""

from __future__ import annotations

import os
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
from trpo_gail.system.launcher import speaks
from trpo_gail.system.terminal import warn


@dataclass(frozen=True)
class FromFile:
    """The flag of a command whose flags may be in a file."""

    config: str | None = None
    """YAML or JSON file of flags, by their paths, nested or with dots. Flags on the command line win over the file. The
    config.json of a run is such a file, too: its settings take the place of all defaults, so it repeats the run."""


def with_file(cls: type, given: Given) -> Given:
    """The flags of a command line over those of the file that they name. Raises UserError for a mistake in the file."""
    file = given.values.get("config")
    if file is None or "config" not in leaves(cls):
        return given
    if (before := given.replaced.get("config", file)) != file and speaks():
        warn(f"--config {before}: nothing of it is read, since --config {file} comes after it")
    held = flag_file.content(file)
    if {"config", "sessions"} <= held.keys():
        if "preset" in given.values:
            raise UserError(f"{given.typed['preset']}: given, but --config {file} is a run's, and has every setting")
        return Given(given.values, given.typed, _of_run(cls, held, file, "env" in given.values))
    below = flag_file.given(cls, held, file)
    return Given(below.values | given.values, below.typed | given.typed)


def _of_run(cls: type, held: Mapping[str, Any], file: str, other_env: bool) -> dict[str, Any]:
    """The settings of a run, by path. Raises UserError if the run is of another kind than the command makes, or damaged, and
    if no name makes its environment, unless the command names another one."""
    from trpo_gail.runs.run_folder import kind_of

    kind, wanted = kind_of(held, Path(file)), "training" if "adversary" in leaves(cls) else "cloning"
    if kind != wanted:
        raise UserError(f"--config {file}: a run of {kind}, but a run of {wanted} expected")
    tree, section = (Config, "config") if kind == "training" else (CloningConfig, "cloning")
    flat = flatten(from_dict(tree, held.get(section), f"--config {file}"))
    setting = held["setting"] if isinstance(held.get("setting"), dict) else {}
    if setting.get("env_lacks") and not other_env:
        raise UserError(
            f"--config {file}: no name makes the run's environment, which Python gave ({setting['env_lacks']}): an ENV is "
            "needed, an id or a function of a module"
        )
    return flat | {"expert": _demonstrations(flat["expert"], setting, file)} | _files(flat, setting)


def _files(flat: Mapping[str, Any], setting: Mapping[str, Any]) -> dict[str, str]:
    """Other files that a run was made from, where it found them: their names may be relative to another folder."""
    found = {name: setting.get(name) for name in ("reward_file", "init_policy") if flat.get(name) is not None}
    return {name: path for name, path in found.items() if isinstance(path, str) and os.path.exists(path)}


def _demonstrations(named: str | None, setting: Mapping[str, Any], file: str) -> str | None:
    """A run's demonstrations: by the name that they were given, or where the run found them, or its own copy of those that
    came from Python. Warns if what is there has another content than the run's."""
    from trpo_gail.experts.files import hdf5
    from trpo_gail.runs.run_folder import EXPERT

    found = setting["expert"] if isinstance(setting.get("expert"), str) else None
    own = str(Path(file).parent / EXPERT) if found and Path(found).match(EXPERT) else None
    # Path.exists would raise for one in a folder without permission.
    there = [path for path in (named, found, own) if path and os.path.exists(path)]
    recorded = setting.get("expert_sha256")
    if not there or not isinstance(recorded, str):
        return there[0] if there else named or found
    same = next((path for path in there if hdf5.sha256(path) == recorded), None)
    if same is None:
        warn(f"--config {file}: {there[0]} is not the file that the run had: its SHA-256 differs")
    return same or there[0]
