"""Tianshou's replay buffers: HDF5 as `save_hdf5` writes it, and their pickles.

The group `_meta` has `obs`, `act`, `rew`, `done`, and, if they are known, `terminated`, `truncated` and `obs_next`. The
attributes `_index` (`_insertion_idx` since version 1) and `_size` say where the next row goes, and how many there are. A
buffer of several environments has the rows of each in a span of its own; the last episode of a span may be cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import arrays, infos, trajectories
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import hdf5, unpickling
from trpo_gail.experts.files.unpickling import Record
from trpo_gail.experts.formats import attributes, transitions

NAME = "Tianshou"

_META = "_meta"
_LIMIT = f"info/{trajectories.TIME_LIMIT}"
_FIELDS = ("obs", "act", "rew", "terminated", "truncated", "done", _LIMIT, "obs_next")
_INDEX, _INDEX_OF_1 = "_index", "_insertion_idx"  # before version 1, and since
_STATED = (_INDEX, _INDEX_OF_1, "_size", "maxsize")
_MOST_SPANS = 100_000


def holds(path: Path) -> bool:
    """Whether it is HDF5 with the group of a buffer."""
    return _META in hdf5.names(path)


def read(path: Path) -> Demonstrations:
    """All rows, from the oldest to the newest."""
    with hdf5.reading(path) as file:
        group = file[_META]
        if not isinstance(group, h5py.Group):
            raise UserError(f"{path}: '{_META}': expected a group, found a dataset")
        found = {}
        for name in _FIELDS:
            if name in group:
                flags = name in ("terminated", "truncated", "done", _LIMIT)
                expected = ("biuf", "[rows]", (1, 2)) if flags else ("biuf", "[rows, ...]", (1, 2, 3, 4))
                found[name] = hdf5.rows(file, path, f"{_META}/{name}", *expected)
        said = {name: attributes.integer(file, path, name, "a whole number") for name in _STATED}
        stated = {name: value for name, value in said.items() if value is not None}
        parts = _parts_of(file, path)
    return _of_rows(found, stated, parts, path)


def is_buffer(record: Record) -> bool:
    """Whether a record is a buffer's."""
    return isinstance(unpickling.attributes(record).get(_META), Record)


def of_record(record: Record, path: str | Path) -> Demonstrations:
    """Of a buffer's pickle."""
    held = unpickling.attributes(record)
    return _of_rows(_batch(held[_META]), held, _of_buffers(held.get("buffers")), path)


def _batch(value: Any) -> Any:
    """A mapping of a batch, whose observations may be a batch themselves."""
    return {str(k): _batch(v) for k, v in unpickling.attributes(value).items()} if isinstance(value, Record) else value


# --- Order --------------------------------------------------------------------------------------------------------


def _of_rows(
    found: Mapping[str, Any], stated: Mapping[str, Any], parts: list[Mapping[str, Any]], path: str | Path
) -> Demonstrations:
    found = infos.with_limits([found])[0]
    named = {name: values for name, values in trajectories.named(found).items() if _is_known(values)}
    if "actions" not in named or "observations" not in named:
        raise UserError(f"{path}: a buffer of Tianshou: expected rows of obs and act, found none")
    held = {name: _array(values, name, path) for name, values in named.items()}
    spans = _spans(parts or [stated], min(len(values) for values in held.values()), path)
    order = np.concatenate([np.arange(0), *spans])
    held = {name: values[order] for name, values in held.items()}
    notes = _cut_ends(held, [len(span) for span in spans])
    return transitions.demonstrations(held, path, notes=notes)


def _is_known(values: Any) -> bool:
    """An empty batch stands for what is not known."""
    return values is not None and not (isinstance(values, Mapping) and not values)


def _array(values: Any, name: str, path: str | Path) -> np.ndarray:
    found = arrays.array(values, f"{path}: {name}")
    if not found.ndim:
        raise UserError(f"{path}: {name}: expected rows, found one value")
    return found


def _spans(parts: list[Mapping[str, Any]], rows: int, path: str | Path) -> list[np.ndarray]:
    """The rows of each environment, from the oldest to the newest; where the buffer is full, the oldest is at its index."""
    spans, first = [], 0
    for part in parts:
        size = _whole(part, "_size", rows, path)
        most = _whole(part, "maxsize", rows, path)
        index = _whole(part, _INDEX_OF_1 if _INDEX_OF_1 in part else _INDEX, 0, path)
        if size > most or first + size > rows or index > most:
            raise UserError(f"{path}: '_size': expected at most {min(most, rows - first)} rows, found {size}")
        turn = index % size if size and size == most else 0
        spans.append(first + np.r_[turn:size, 0:turn])
        first += most
    return [span.astype(np.int64) for span in spans if len(span)]


def _whole(part: Mapping[str, Any], name: str, otherwise: int, path: str | Path) -> int:
    value = part.get(name, otherwise)
    if not isinstance(value, (int, np.integer)) or not 0 <= int(value) < 1 << 40:
        raise UserError(f"{path}: '{name}': expected a whole number of at least 0, found {value!r:.40}")
    return int(value)


def _cut_ends(held: dict[str, np.ndarray], lengths: list[int]) -> tuple[str, ...]:
    """Mark the last row of each environment but the last, which may go on, as a time limit."""
    rows, ends = len(held["actions"]), np.cumsum(lengths)[:-1] - 1
    said = [name for name in ("terminals", "timeouts") if name in held and held[name].size == rows]
    if not len(ends) or not said:
        return ()
    flags = {name: held[name].reshape(rows) != 0 for name in said}
    cut = ends[~np.any(list(flags.values()), axis=0)[ends]]
    held["timeouts"] = flags.get("timeouts", np.zeros(rows, bool))
    held["timeouts"][cut] = True
    count = "1 episode goes" if len(cut) == 1 else f"{len(cut)} episodes go"
    return (f"{count} on behind the last row in the buffer; taken for time limits",) if len(cut) else ()


# --- Buffers of several environments ------------------------------------------------------------------------------


def _parts_of(file: h5py.File, path: Path) -> list[Mapping[str, Any]]:
    """What an HDF5 file keeps of the buffers of each environment, which is a pickle."""
    if file.get("buffers", getclass=True) is not h5py.Dataset:
        return []
    content = hdf5.array(file, path, "buffers", "iu", "bytes [size]", (1,))
    return _of_buffers(unpickling.loads(content.astype(np.uint8).tobytes(), f"{path}: 'buffers'"))


def _of_buffers(value: Any) -> list[Mapping[str, Any]]:
    """Attributes of the buffers of several environments; none of a buffer of one."""
    found = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(found, list) or len(found) > _MOST_SPANS:
        return []
    return [unpickling.attributes(part) for part in found]
