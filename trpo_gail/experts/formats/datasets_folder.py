"""Folders of HuggingFace's `datasets`, as the library `imitation` writes them: Arrow streams beside `state.json`.

Columns `obs` (T + 1 observations), `acts`, `infos`, `terminal` and `rews`, a row an episode. A folder with a row a step
is read as a table. `infos` are pickled texts, and are left alone. What `imitation` has no place for stands in
`trpo_gail.json`, which it does not look at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import structured, trajectories
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import PART, TERMINAL, Provenance
from trpo_gail.experts.files import arrow
from trpo_gail.experts.formats import arrow_tables
from trpo_gail.system import whole_file

NAME = "a folder of HuggingFace datasets (imitation)"

_STATE, _INFO, _DICT, _OURS = "state.json", "dataset_info.json", "dataset_dict.json", "trpo_gail.json"
_DATA = "data-00000-of-00001.arrow"
_LARGEST_JSON = 16 << 20
_IMITATIONS = {"obs", "acts", "terminal"}  # columns of its folders
_ELEMENTS = 1 << 24  # of a batch, whose lists count in 32 bits
_KINDS: dict[str, type | tuple[type, ...]] = {
    "env_kwargs": dict, "observation_space": dict, "action_space": dict, "versions": dict, "deterministic": bool, "seed": int,
}  # fmt: skip


def holds(path: Path) -> bool:
    """Whether it is a folder with the state of a dataset, or of several."""
    return path.is_dir() and any((path / name).is_file() for name in (_STATE, _DICT))


def read(path: Path) -> Demonstrations:
    """All episodes. Raises UserError for a folder of several parts, and for one whose rows are chosen by another file."""
    folder = _only_part(path)
    table = arrow.read(_files(folder, path), path)
    ours = _json(folder / _OURS)
    held = arrow_tables.of_table(table, path, _known(ours))
    theirs = not ours and table.columns.keys() >= _IMITATIONS and held.trajectories == table.rows
    if theirs or ours.get("says_ends") is False:
        held = _of_unknown_kind(held, theirs)
    if ours.get("last_observation_repeated") is True:
        held = replace(held, final_observations=None)
    if ours.get("unfinished") is True and not held.terminals[-1]:
        timeouts = held.timeouts.copy()
        timeouts[-1] = False
        held = replace(held, timeouts=timeouts, unfinished=True)
    return replace(held, notes=(*held.notes, *_left_out(table)))


def write(path: Path, held: Demonstrations) -> None:
    """Write the folder `path`, which `imitation.data.serialize.load` opens.

    An end whose kind is unknown is terminal, as imitation says of all ends. If what followed an episode's last action is
    not known, the last observation stands there again, and `trpo_gail.json` says so. Raises UserError for rows that are
    subsampled, and for observations of several parts, which `imitation` cannot save.
    """
    if not held.has_actions:
        raise UserError(f"{path}: imitation's layout holds actions, found none")
    if held.subsample != 1 or structured.is_structured(held.observations):
        what = "whole episodes, found subsampled ones" if held.subsample != 1 else "one array, found several parts"
        raise UserError(f"{path}: imitation's layout holds {what}")
    arrow.require(path)
    content = _stream(held)
    fingerprint = hashlib.sha256(content).hexdigest()[:16]
    state: dict[str, Any] = {
        "_data_files": [{"filename": _DATA}],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    info = {"citation": "", "description": "", "homepage": "", "license": held.provenance.licence or ""}
    facts = {name: value for name, value in vars(held.provenance).items() if value not in (None, {})}
    ours = facts | {
        "last_observation_repeated": held.last_observations is None,
        "says_ends": held.says_ends,
        "unfinished": bool(held.unfinished),
    }
    texts = {_INFO: info, _OURS: ours, _STATE: state}
    try:
        with whole_file.replacing_folder(path) as folder:
            whole_file.write(folder / _DATA, content)
            for name, value in texts.items():
                whole_file.write(folder / name, json.dumps(value, indent=2, sort_keys=True).encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


# --- Reading ------------------------------------------------------------------------------------------------------


def _of_unknown_kind(held: Demonstrations, theirs: bool) -> Demonstrations:
    """As imitation means `terminal`, and so do we where the ends are unknown; but once we wrote then that none is."""
    if theirs or held.terminals.any():
        return trajectories.of_unknown_kind(held)
    return replace(held, timeouts=np.zeros_like(held.timeouts), says_ends=False)


def _only_part(path: Path) -> Path:
    """The folder itself, or the only one of its parts."""
    if (path / _STATE).is_file():
        return path
    inside = [member.name for member in sorted(path.iterdir()) if (member / _STATE).is_file()]
    if len(inside) != 1:
        raise UserError(f"{path}: expected a folder of one dataset, found the parts {listed(inside)}; name one of them")
    return path / inside[0]


def _files(folder: Path, path: Path) -> list[Path]:
    """The streams of a dataset in order."""
    state = _json(folder / _STATE)
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise UserError(f"{path}: its rows are chosen by a file of indices; expected one saved after flatten_indices()")
    stated = state.get("_data_files")
    entries = stated if isinstance(stated, list) else []
    names: list[Any] = [entry.get("filename") for entry in entries if isinstance(entry, dict)]
    names = names or [file.name for file in sorted(folder.glob("*.arrow"))]
    if not names:
        raise UserError(f"{path}: expected files *.arrow, found none of them")
    for name in names:
        if not isinstance(name, str) or name != Path(name).name or not (folder / name).is_file():
            raise UserError(f"{path}: {_STATE} names the file {name!r:.60}, expected one that is in the folder")
    return [folder / name for name in names]


def _json(path: Path) -> dict[str, Any]:
    """An object; empty if there is none that can be read."""
    try:
        if path.stat().st_size > _LARGEST_JSON:
            return {}
        found = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _known(ours: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of `Provenance` that are of the kind that they should be."""
    names = [field.name for field in fields(Provenance)]
    return {name: ours[name] for name in names if isinstance(ours.get(name), _KINDS.get(name, str))}


def _left_out(table: arrow.Table) -> tuple[str, ...]:
    others = [name for name in table.skipped if name != "infos"]
    return (f"columns that are not read: {listed(others)}",) if others else ()


# --- Writing ------------------------------------------------------------------------------------------------------


def _stream(held: Demonstrations) -> bytes:
    """A table in Arrow's stream of batches."""
    import pyarrow as pa

    out = pa.BufferOutputStream()
    batches = _batches(held)
    first = next(batches)
    with pa.ipc.new_stream(out, first.schema) as stream:
        stream.write_batch(first)
        for batch in batches:
            stream.write_batch(batch)
    return bytes(out.getvalue())


def _batches(held: Demonstrations) -> Iterator[Any]:
    """Record batches of some episodes each."""
    each = max(1, int(np.prod(held.observations.shape[1:])), int(np.prod(held.actions.shape[1:])))
    size = (held.episode_lengths + 1) * each
    group = np.cumsum(size) // _ELEMENTS
    for number in np.unique(group):
        episodes = np.flatnonzero(group == number)
        yield _batch(held, int(episodes[0]), int(episodes[-1]) + 1)


def _batch(held: Demonstrations, begin: int, end: int) -> Any:
    import pyarrow as pa

    lengths = held.episode_lengths[begin:end]
    start = int(held.episode_lengths[:begin].sum())
    rows = slice(start, start + int(lengths.sum()))
    last = np.cumsum(lengths) - 1
    finals = held.last_observations
    final = held.observations[rows][last] if finals is None else finals[begin:end]
    observed = np.insert(held.observations[rows], last + 1, final.astype(held.observations.dtype), axis=0)
    made = {
        "obs": _lists(observed, lengths + 1),
        "acts": _lists(held.actions[rows], lengths),
        "infos": pa.ListArray.from_arrays(_offsets(lengths), pa.array(["{}"] * int(lengths.sum()), pa.string())),
        "terminal": pa.array(_terminal(held)[begin:end]),
    }
    if held.rewards is not None:
        rewards = held.rewards[rows]
        made["rews"] = _lists(rewards if rewards.dtype.kind == "f" else rewards.astype(np.float64), lengths)
    return pa.RecordBatch.from_pydict(made)


def _terminal(held: Demonstrations) -> np.ndarray:
    """[E] bool, false of a part of an episode; where the kind of the ends is unknown, true of all others."""
    if held.says_ends:
        return held.endings == TERMINAL
    whole = held.endings != PART
    whole[held.finished :] = False
    return whole


def _lists(values: np.ndarray, lengths: np.ndarray) -> Any:
    """Lists of these lengths, within which the other dimensions of the values are lists."""
    import pyarrow as pa

    made = pa.array(np.ascontiguousarray(values).reshape(-1))
    for axis in range(values.ndim - 1, 0, -1):
        count = int(np.prod(values.shape[:axis]))
        made = pa.ListArray.from_arrays(_offsets(np.full(count, values.shape[axis])), made)
    return pa.ListArray.from_arrays(_offsets(lengths), made)


def _offsets(lengths: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(np.r_[0, np.cumsum(lengths)].astype(np.int32))
