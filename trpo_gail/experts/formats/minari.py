"""Minari's layout: a folder `data` with `main_data.hdf5` and `metadata.json`, or the HDF5 file alone.

`episode_N` are groups of `observations` [T + 1, O], `actions` [T, A], `rewards` [T], `terminations` [T] and
`truncations` [T]. It keeps the last observation of an episode. Where that is not known, what is written repeats the one
before, and says so in an attribute, since Minari's own readers count on it.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import arrays, numbers, structured
from trpo_gail.experts.check import FIELDS
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Provenance
from trpo_gail.experts.files import hdf5, hdf5_writing
from trpo_gail.experts.files.hdf5_writing import put
from trpo_gail.experts.formats import minari_spaces, totals
from trpo_gail.experts.streams import Append, Rows, cut, gathering, row_bytes
from trpo_gail.experts.subsampling import paper_rows
from trpo_gail.system import whole_file

NAME = "Minari"

_MAIN, _METADATA = "main_data.hdf5", "metadata.json"
_REPEATED = "last_observation_repeated"
_FLAGS = ("biuf", "0 or 1 [rows]", (1,))
# What each episode holds, as in `check.FIELDS`.
_FIELDS = {
    "observations": FIELDS["observations"],
    "actions": FIELDS["actions"],
    "rewards": FIELDS["rewards"],
    "terminations": _FLAGS,
    "truncations": _FLAGS,
}
_TOTALS = (
    "total_episodes",
    "total_steps",
)  # attributes of the file in earlier versions, members of metadata.json in later
_LARGEST_METADATA = 16 << 20


def holds(path: Path) -> bool:
    """Whether it is a folder with Minari's file, or a file of its episodes."""
    main = _main(path)
    if main is None:
        return False
    found = _numbers(hdf5.names(main))
    if not found:
        return False
    with hdf5.reading(main) as file:
        first = file.get(f"episode_{found[0]}")
        flags = {"terminations", "truncations"}.intersection(first) if isinstance(first, h5py.Group) else set()
    return len(flags) == 2 or (path.is_dir() and bool(flags))  # a file with one of them is read by episodes.py


def read(path: Path) -> Demonstrations:
    """All episodes in the order of their numbers."""
    plan = _plan(path)
    with hdf5.reading(plan.main) as file:
        return _read(file, plan, slice(0, len(plan.numbers)))


def pieces(path: Path) -> Iterator[Demonstrations]:
    """The same, some episodes at a time."""
    plan = _plan(path)
    with hdf5.reading(plan.main) as file:
        for episodes in cut(plan.sizes):
            yield _read(file, plan, episodes)


def write(path: Path, held: Demonstrations) -> None:
    """Write the folder `path`, with `data` in it. Of the environment, `metadata.json` says what is known.

    Lost: policy, seed, versions and licence. Raises UserError for rows that are subsampled, or that have no rewards.
    """
    with writing(path) as append:
        append(held)


@contextmanager
def writing(path: Path) -> Iterator[Append]:
    """The same of episodes that are appended in pieces."""
    with gathering(path, lambda piece: _written(piece, path)) as gathered:
        yield gathered.append
        try:
            with whole_file.replacing_folder(path) as folder:
                (folder / "data").mkdir()
                _write_into(folder / "data", gathered.columns, gathered.facts.provenance, path)
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def _write_into(folder: Path, columns: Mapping[str, Rows], provenance: Provenance, path: Path) -> None:
    lengths, finals = columns["episode_lengths"][:], columns.get("final_observations")
    ends = np.append(0, np.cumsum(lengths))
    with hdf5_writing.writing(folder / _MAIN, called=path) as file:
        for i, length in enumerate(lengths.tolist()):
            rows = slice(int(ends[i]), int(ends[i + 1]))
            group = file.create_group(f"episode_{i}")
            for name in _FIELDS:
                values = columns[name][rows]
                if name == "observations":
                    last = values[-1:] if finals is None else structured.cast(finals[i : i + 1], values.dtype)
                    values = structured.concatenated([values, last])
                put(group, name, minari_spaces.renamed(values))
            group.attrs["id"], group.attrs["total_steps"] = i, length
            if finals is None:
                group.attrs[_REPEATED] = 1
    text = json.dumps(_metadata(columns, lengths, provenance, path), indent=1)
    whole_file.write(folder / _METADATA, text.encode())


# --- Reading ------------------------------------------------------------------------------------------------------


def _main(path: Path) -> Path | None:
    if not path.is_dir():
        return path
    return next((main for main in (path / "data" / _MAIN, path / _MAIN) if main.is_file()), None)


def _numbers(names: set[str]) -> list[int]:
    return sorted(int(name[len("episode_") :]) for name in names if re.fullmatch(r"episode_(0|[1-9]\d{0,9})", name))


@dataclass(frozen=True)
class _Plan:
    """What is known of the episodes before their numbers are read."""

    main: Path
    numbers: list[int]  # [E]
    sizes: np.ndarray  # [E] bytes
    dtypes: dict[str, np.dtype]  # of the fields of all episodes
    repeated: bool  # whether last observations are not known
    notes: tuple[str, ...]  # of all episodes


def _plan(path: Path) -> _Plan:
    """Raises UserError for episodes that are malformed, or of other shapes than the first."""
    main = _main(path)
    assert main is not None
    with hdf5.reading(main) as file:
        numbers_ = _numbers(set(hdf5.members(file)))
        first = _columns(file, main, f"episode_{numbers_[0]}")
        dtypes, sizes, repeated = {field: column.dtype for field, column in first.items()}, [], False
        lengths: list[int] = []
        for i, number in enumerate(numbers_):
            columns = _columns(file, main, f"episode_{number}")
            for field, column in columns.items():
                expected, found = _shapes(first[field]), _shapes(column)
                if found != expected:
                    raise UserError(f"{path}: '{field}' of episode {i}: expected rows of {expected}, found {found}")
                if dtypes[field] != column.dtype:
                    dtypes[field] = structured.promoted(dtypes[field], column.dtype)
            lengths.append(columns["actions"].shape[0])
            sizes.append(lengths[-1] * row_bytes(columns.values()))
            repeated |= _REPEATED in file[f"episode_{number}"].attrs
        stated = {name: file.attrs.get(name) for name in _TOTALS if name in file.attrs}
    stated |= {name: value for name, value in _stated(main.with_name(_METADATA)).items() if name in _TOTALS}
    notes = totals.differ("it", stated.get("total_episodes"), stated.get("total_steps"), lengths)
    return _Plan(main, numbers_, np.array(sizes), dtypes, repeated, tuple(notes))


def _columns(file: h5py.File, path: Path, name: str) -> dict[str, Rows]:
    """The fields of an episode, of as many rows as they should have."""
    _refuse_jpeg(file.get(f"{name}/observations"), path, name)
    found: dict[str, Rows] = {
        field: (hdf5.columns if field == "observations" else hdf5.column)(file, path, f"{name}/{field}", *expected)
        for field, expected in _FIELDS.items()
    }
    rows = found["actions"].shape[0]
    for field, column in found.items():
        expected_rows = rows + (field == "observations")
        if column.shape[0] != expected_rows or not rows:
            raise UserError(
                f"{path}: dataset '{name}/{field}': expected {max(expected_rows, 1)} rows beside {rows} actions, "
                f"found {column.shape[0]}"
            )
    return found


def _shapes(column: Rows) -> str:
    """Of a row and its parts, in words."""
    return re.sub(r"\w+ (?=\[)", "", structured.row(column[0:0]))


def _refuse_jpeg(found: Any, path: Path, name: str) -> None:
    """Raise UserError for images that are kept as JPEG: a discriminator would tell its traces from true images."""
    if isinstance(found, h5py.Group):
        for member in found:
            _refuse_jpeg(found.get(member), path, f"{name}/{member}")
    elif isinstance(found, h5py.Dataset) and h5py.check_vlen_dtype(found.dtype) is not None:
        raise UserError(
            f"{path}: '{name}': images are kept as JPEG, whose traces an environment's images lack: write the dataset "
            "again with jpeg_encoding=False"
        )


def _read(file: h5py.File, plan: _Plan, some: slice) -> Demonstrations:
    """These episodes, one after the other."""
    names = [f"episode_{number}" for number in plan.numbers[some]]
    episodes = [{f: c[:] for f, c in _columns(file, plan.main, name).items()} for name in names]
    whole = [minari_spaces.restored(episode.pop("observations")) for episode in episodes]
    joined = {
        field: np.concatenate([episode[field] for episode in episodes]).astype(plan.dtypes[field], copy=False)
        for field in episodes[0]
    }
    actions = joined["actions"]
    if actions.dtype.kind in numbers.INTEGERS and actions.ndim == 2 and actions.shape[1] == 1:
        actions = actions[:, 0]
    lengths = np.array([len(episode["actions"]) for episode in episodes])
    of_all = minari_spaces.restored(np.zeros(0, plan.dtypes["observations"])).dtype
    unfinished = some.stop == len(plan.numbers) and not (joined["terminations"][-1] or joined["truncations"][-1])
    return Demonstrations(
        observations=structured.cast(structured.concatenated([rows[:-1] for rows in whole]), of_all),
        actions=actions,
        terminals=arrays.flags(joined["terminations"], len(actions), f"{plan.main}: dataset 'terminations'"),
        timeouts=arrays.flags(joined["truncations"], len(actions), f"{plan.main}: dataset 'truncations'"),
        steps=paper_rows(lengths, 1)[1],
        episode_lengths=lengths,
        rewards=joined["rewards"],
        final_observations=None
        if plan.repeated
        else structured.cast(structured.concatenated([rows[-1:] for rows in whole]), of_all),
        unfinished=bool(unfinished),
        provenance=_provenance(plan.main.with_name(_METADATA)),
        notes=plan.notes,
    )


def _provenance(path: Path) -> Provenance:
    """What `metadata.json` says of the environment and its spaces, as far as it can be read."""
    held = _stated(path)
    try:
        spec = _parsed(held.get("env_spec"))
        spaces = [minari_spaces.read(_parsed(held.get(name))) for name in ("observation_space", "action_space")]
    except (ValueError, AttributeError, RecursionError):
        return Provenance()
    env_id, kwargs = spec.get("id"), spec.get("kwargs")
    return Provenance(
        env_id=env_id if isinstance(env_id, str) else None,
        env_kwargs=kwargs if isinstance(kwargs, dict) else {},
        observation_space=spaces[0],
        action_space=spaces[1],
    )


def _stated(path: Path) -> dict[str, Any]:
    """What `metadata.json` holds; empty if it cannot be read."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_METADATA:
            return {}
        held = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def _parsed(value: Any) -> dict[str, Any]:
    """An object that is kept as JSON in a text, or as it is; empty if it is neither."""
    found = json.loads(value) if isinstance(value, str) else value
    return found if isinstance(found, dict) else {}


# --- Writing ------------------------------------------------------------------------------------------------------


def _written(held: Demonstrations, path: Path) -> dict[str, np.ndarray | None]:
    """Rows of episodes, and what there is one of an episode."""
    if held.subsample != 1 or held.rewards is None:
        what = "whole episodes, found subsampled ones" if held.subsample != 1 else "rewards, found none"
        raise UserError(f"{path}: Minari's layout holds {what}")
    return {
        "observations": held.observations,
        "actions": held.actions,
        "rewards": held.rewards,
        "terminations": held.terminals,
        "truncations": _cut_off(held),
        "episode_lengths": held.episode_lengths,
        "final_observations": held.last_observations,
    }


def _cut_off(held: Demonstrations) -> np.ndarray:
    """Ends by a time limit [N], which those of an unknown kind are said to be: the layout knows no others."""
    last = np.cumsum(held.episode_lengths)[: held.finished] - 1
    found = held.timeouts.copy()
    found[last] = True
    return found & ~held.terminals


def _metadata(columns: Mapping[str, Rows], lengths: np.ndarray, facts: Provenance, path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {
        "total_episodes": len(lengths),
        "total_steps": int(lengths.sum()),
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "observation_space": json.dumps(minari_spaces.state(columns["observations"], facts.observation_space)),
        "action_space": json.dumps(minari_spaces.state(columns["actions"], facts.action_space)),
        "dataset_id": f"{re.sub('[^A-Za-z0-9_-]', '-', path.name) or 'expert'}-v0".replace("-v0-v0", "-v0"),
        "minari_version": "0.5.4",
    }
    if facts.env_id:
        found["env_spec"] = json.dumps(_spec(facts.env_id, dict(facts.env_kwargs)))
    return found


def _spec(env_id: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """As Gymnasium keeps an environment's specification; its own registry knows the rest."""
    import gymnasium

    try:
        spec = copy.deepcopy(gymnasium.spec(env_id))
        spec.kwargs = spec.kwargs | kwargs
        stated: dict[str, Any] = json.loads(spec.to_json())
        return stated
    except Exception:  # an environment that is not registered here, or that cannot be kept as JSON
        return {"id": env_id, "entry_point": "unknown:Unknown", "kwargs": kwargs, "additional_wrappers": []}
