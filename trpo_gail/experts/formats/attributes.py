"""Attributes of an HDF5 file of demonstrations that say where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from trpo_gail.errors import UserError, shortened, spelled
from trpo_gail.experts.facts import Provenance
from trpo_gail.experts.files import hdf5


def read_provenance(file: h5py.Group, path: str | Path) -> Provenance:
    """Where a file says that it comes from. Raises UserError for attributes of another kind than they should be."""
    texts = {
        name: hdf5.text_attribute(file, path, name)
        for name in ("env_id", "policy", "policy_sha256", "backend", "licence", "attribution", "action_view")
    }
    objects = {
        name: hdf5.json_attribute(file, path, name)
        for name in ("env_kwargs", "observation_space", "action_space", "versions")
    }
    for name, value in objects.items():
        if value is not None and not isinstance(value, dict):
            raise UserError(f"{path}: attribute '{name}': expected a JSON object, found {value!r:.60}")
    view = texts.pop("action_view")
    if view not in (None, "raw", "executed"):
        raise UserError(f"{path}: attribute 'action_view': expected 'raw' or 'executed', found {view!r}")
    deterministic = hdf5.attribute(file, path, "deterministic")
    if not isinstance(deterministic, (bool, np.bool_, int, np.integer, type(None))):
        found = shortened(repr(deterministic), 60)
        raise UserError(f"{path}: attribute 'deterministic': expected a boolean, found {found}")
    return Provenance(
        **texts,
        env_kwargs=objects["env_kwargs"] or {},
        observation_space=objects["observation_space"],
        action_space=objects["action_space"],
        versions=objects["versions"] or {},
        action_view=view,  # type: ignore[arg-type]
        deterministic=None if deterministic is None else bool(deterministic),
        seed=integer(file, path, "seed", "an integer"),
    )


def integer(file: h5py.Group, path: str | Path, name: str, expected: str) -> int | None:
    """An attribute that is one integer; None if absent. `expected` says what it should be."""
    value = hdf5.attribute(file, path, name)
    if value is not None and not isinstance(value, (int, np.integer)):
        raise UserError(f"{path}: attribute '{name}': expected {expected}, found {shortened(repr(value), 60)}")
    return None if value is None else int(value)


def write_provenance(file: h5py.Group, provenance: Provenance) -> None:
    """What is known, as attributes; mappings as JSON."""
    for name, value in vars(provenance).items():
        if isinstance(value, Mapping):
            file.attrs[name] = json.dumps(dict(value), sort_keys=True)
        elif value is not None:
            file.attrs[name] = spelled(value) if isinstance(value, str) else value
