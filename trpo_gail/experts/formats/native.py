"""The native layout: flat HDF5, a superset of D4RL's; `expert_data/README.md` states it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError
from trpo_gail.experts import hdf5
from trpo_gail.experts.check import FIELDS
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import attributes

FORMAT, FORMAT_VERSION = "trpo_gail expert data", 2
NAME = "native"

_OPTIONAL = ("rewards", "episode_returns", "next_observations", "final_observations")
# In the order in which they are written, on which the bytes of a file depend.
_WRITTEN = (
    "observations",
    "next_observations",
    "actions",
    "rewards",
    "terminals",
    "timeouts",
    "steps",
    "episode_returns",
    "episode_lengths",
    "final_observations",
)


def holds(path: Path) -> bool:
    """Whether it numbers the steps of its episodes or states their lengths, as no other layout does."""
    return bool({"steps", "episode_lengths"} & hdf5.names(path))


def read(path: Path) -> Demonstrations:
    """All that the file holds. Raises UserError for what is missing or of another kind than it should be."""
    with hdf5.reading(path) as file:
        version = attributes.integer(file, path, "format_version", f"{FORMAT_VERSION} or less") or FORMAT_VERSION
        if version > FORMAT_VERSION:
            raise UserError(f"{path}: attribute 'format_version': expected {FORMAT_VERSION} or less, found {version}")
        subsample = attributes.integer(file, path, "subsample", "an integer of at least 1")
        if subsample is not None and subsample < 1:
            raise UserError(f"{path}: attribute 'subsample': expected an integer of at least 1, found {subsample}")
        found: dict[str, Any] = {
            name: hdf5.array(file, path, name, *expected)
            for name, expected in FIELDS.items()
            if name in file or name not in _OPTIONAL
        }
        return Demonstrations(
            **found,
            subsample=subsample or 1,
            unfinished=bool(attributes.integer(file, path, "unfinished", "0 or 1")),
            provenance=attributes.read_provenance(file, path),
        )


def write(path: Path, held: Demonstrations) -> None:
    """Write a file, gzip-compressed, dtypes as given. The same content gives the same bytes.

    Without last observations it is of version 1, which earlier releases read.
    """
    with hdf5.writing(path) as file:
        for name in _WRITTEN:
            if (values := getattr(held, name)) is not None:
                file.create_dataset(name, data=values, compression="gzip", compression_opts=9, shuffle=True)
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = 1 if held.final_observations is None else FORMAT_VERSION
        file.attrs["subsample"] = held.subsample
        if held.unfinished:
            file.attrs["unfinished"] = 1
        if (returns := held.finished_returns) is not None:
            file.attrs["return_mean"] = float(returns.mean())
            file.attrs["return_std"] = float(returns.std())
        attributes.write_provenance(file, held.provenance)
