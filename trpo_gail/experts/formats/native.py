"""The native layout: flat HDF5, a superset of D4RL's; `docs/expert_data.md` describes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts.check import FIELDS
from trpo_gail.experts.data import ROWS, Demonstrations
from trpo_gail.experts.files import hdf5, hdf5_writing
from trpo_gail.experts.files.hdf5_writing import put
from trpo_gail.experts.formats import attributes
from trpo_gail.experts.streams import Append, Rows, cut_rows, gathering, row_bytes

FORMAT, FORMAT_VERSION = "trpo_gail expert data", 2
NAME = "native"
UNKNOWN = "unknown"  # what the attribute `ends` says if nobody knows how episodes end

_OPTIONAL = ("actions", "rewards", "episode_returns", "episode_endings", "next_observations", "final_observations")
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
    "episode_endings",
)


def holds(path: Path) -> bool:
    """Whether it numbers the steps of its episodes, or has both flags and the lengths, as no other layout does."""
    names = hdf5.names(path)
    return "steps" in names or {"episode_lengths", "terminals", "timeouts"} <= names


def read(path: Path) -> Demonstrations:
    """All that the file holds. Raises UserError for what is missing or of another kind than it should be."""
    with hdf5.reading(path) as file:
        return _read(_columns(file, path), _facts(file, path), slice(None), slice(None))


def pieces(path: Path) -> Iterator[Demonstrations]:
    """The same, some episodes at a time. A subsampled file is one piece: which rows it keeps depends on all episodes."""
    with hdf5.reading(path) as file:
        facts, columns = _facts(file, path), _columns(file, path)
        lengths, rows = columns["episode_lengths"][:], columns["observations"].shape[0]
        alike = all(c.shape[0] == (rows if name in ROWS else len(lengths)) for name, c in columns.items())
        whole = facts["subsample"] > 1 or not alike or lengths.min(initial=1) < 1 or sum(lengths.tolist()) != rows
        if whole:  # malformed, perhaps: whoever checks it says how
            yield _read(columns, facts, slice(None), slice(None))
            return
        size = row_bytes(column for name, column in columns.items() if name in ROWS)
        for episodes, kept in cut_rows(lengths, size):
            last = episodes.stop == len(lengths)
            yield _read(columns, facts | {"unfinished": facts["unfinished"] and last}, episodes, kept)


def _columns(file: h5py.File, path: Path) -> dict[str, Rows]:
    return {
        name: (hdf5.columns if name.endswith("observations") else hdf5.column)(file, path, name, *expected)
        for name, expected in FIELDS.items()
        if name in file or name not in _OPTIONAL
    }


def _facts(file: h5py.File, path: Path) -> dict[str, Any]:
    """What the attributes say."""
    version = attributes.integer(file, path, "format_version", f"{FORMAT_VERSION} or less") or FORMAT_VERSION
    if version > FORMAT_VERSION:
        raise UserError(f"{path}: attribute 'format_version': expected {FORMAT_VERSION} or less, found {version}")
    subsample = attributes.integer(file, path, "subsample", "an integer of at least 1")
    if subsample is not None and subsample < 1:
        raise UserError(f"{path}: attribute 'subsample': expected an integer of at least 1, found {subsample}")
    return {
        "subsample": subsample or 1,
        "unfinished": bool(attributes.integer(file, path, "unfinished", "0 or 1")),
        "says_ends": hdf5.text_attribute(file, path, "ends") != UNKNOWN,
        "provenance": attributes.read_provenance(file, path),
    }


def _read(columns: dict[str, Rows], facts: dict[str, Any], episodes: slice, rows: slice) -> Demonstrations:
    held: dict[str, Any] = {name: column[rows if name in ROWS else episodes] for name, column in columns.items()}
    held.setdefault("actions", np.zeros((len(held["observations"]), 0), np.float32))
    return Demonstrations(**held, **facts)


def write(path: Path, held: Demonstrations) -> None:
    """Write a file, gzip-compressed, dtypes as given. The same content gives the same bytes.

    Without last observations it is of version 1, which earlier releases read.
    """
    with writing(path) as append:
        append(held)


def _held(piece: Demonstrations) -> dict[str, np.ndarray | None]:
    held = {name: getattr(piece, name) for name in _WRITTEN}
    return held if piece.has_actions else held | {"actions": None}


@contextmanager
def writing(path: Path) -> Iterator[Append]:
    """The same of episodes that are appended in pieces."""
    with gathering(path, _held) as gathered:
        yield gathered.append
        facts, columns = gathered.facts, gathered.columns
        with hdf5_writing.writing(path) as file:
            for name in columns:  # in the order of _WRITTEN
                put(file, name, columns[name], compression_opts=9)
            file.attrs["format"] = FORMAT
            file.attrs["format_version"] = FORMAT_VERSION if "final_observations" in columns else 1
            file.attrs["subsample"] = facts.subsample
            if facts.unfinished:
                file.attrs["unfinished"] = 1
            if not facts.says_ends:
                file.attrs["ends"] = UNKNOWN
            returns = columns["episode_returns"][:] if "episode_returns" in columns else np.zeros(0)
            if len(finished := returns[: len(returns) - facts.unfinished]):
                file.attrs["return_mean"] = float(finished.mean())
                file.attrs["return_std"] = float(finished.std())
            attributes.write_provenance(file, facts.provenance)
