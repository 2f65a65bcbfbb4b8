"""Minari's layout: a folder `data` with `main_data.hdf5` and `metadata.json`, or the HDF5 file alone.

`episode_N` are groups of `observations` [T + 1, O], `actions` [T, A], `rewards` [T], `terminations` [T] and
`truncations` [T]. It keeps the last observation of an episode. Where that is not known, what is written repeats the one
before, and says so in an attribute, since Minari's own readers count on it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import hdf5, numbers
from trpo_gail.experts.check import FIELDS
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Provenance
from trpo_gail.experts.subsampling import paper_rows
from trpo_gail.system import whole_file

NAME = "Minari"

_MAIN, _METADATA = "main_data.hdf5", "metadata.json"
_REPEATED = "last_observation_repeated"
_FLAGS = ("biuf", "0 or 1 [rows]", (1,))
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
        return isinstance(first, h5py.Group) and not {"terminations", "truncations"}.isdisjoint(first)


def read(path: Path) -> Demonstrations:
    """All episodes in the order of their numbers. Observations of several parts are refused."""
    main = _main(path)
    assert main is not None
    with hdf5.reading(main) as file:
        episodes = [_episode(file, main, f"episode_{number}") for number in _numbers(set(file))]
        repeated = any(_REPEATED in file[f"episode_{number}"].attrs for number in _numbers(set(file)))
    lengths = np.array([len(episode["actions"]) for episode in episodes])
    whole = [episode["observations"] for episode in episodes]
    _check_alike(episodes, path)
    joined = {name: np.concatenate([episode[name] for episode in episodes]) for name in episodes[0]}
    actions = joined["actions"]
    if actions.dtype.kind in numbers.INTEGERS and actions.ndim == 2 and actions.shape[1] == 1:
        actions = actions[:, 0]
    last = np.cumsum(lengths) - 1
    unfinished = not (joined["terminations"][-1] or joined["truncations"][-1])
    return Demonstrations(
        observations=np.concatenate([rows[:-1] for rows in whole]),
        actions=actions,
        terminals=_flags(joined["terminations"], path, "terminations"),
        timeouts=_flags(joined["truncations"], path, "truncations"),
        steps=paper_rows(lengths, 1)[1],
        episode_lengths=lengths,
        rewards=joined["rewards"],
        final_observations=None if repeated else np.stack([rows[-1] for rows in whole]),
        unfinished=bool(unfinished and len(last) > 0),
        provenance=_provenance(main.with_name(_METADATA)),
    )


def write(path: Path, held: Demonstrations) -> None:
    """Write the folder `path`, with `data` in it. Of the environment, `metadata.json` says what is known.

    Lost: policy, seed, versions and licence. Raises UserError for rows that are subsampled, or that have no rewards.
    """
    if held.subsample != 1 or held.rewards is None:
        what = "whole episodes, found subsampled ones" if held.subsample != 1 else "rewards, found none"
        raise UserError(f"{path}: Minari's layout holds {what}")
    folder = path / "data"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error
    finals = _finals(held)
    first = np.cumsum(held.episode_lengths) - held.episode_lengths
    with hdf5.writing(folder / _MAIN) as file:
        for i, (start, length) in enumerate(zip(first, held.episode_lengths, strict=True)):
            rows = slice(int(start), int(start + length))
            group = file.create_group(f"episode_{i}")
            last = held.observations[rows][-1:] if finals is None else finals[i : i + 1]
            parts = {
                "observations": np.concatenate([held.observations[rows], last.astype(held.observations.dtype)]),
                "actions": held.actions[rows],
                "rewards": held.rewards[rows],
                "terminations": held.terminals[rows],
                "truncations": held.timeouts[rows] & ~held.terminals[rows],
            }
            for name, values in parts.items():
                group.create_dataset(name, data=values, compression="gzip", shuffle=True)
            group.attrs["id"], group.attrs["total_steps"] = i, int(length)
            if finals is None:
                group.attrs[_REPEATED] = 1
    text = json.dumps(_metadata(held, path), indent=1)
    try:
        whole_file.write(folder / _METADATA, text.encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


# --- Reading ------------------------------------------------------------------------------------------------------


def _main(path: Path) -> Path | None:
    if not path.is_dir():
        return path
    return next((main for main in (path / "data" / _MAIN, path / _MAIN) if main.is_file()), None)


def _numbers(names: set[str]) -> list[int]:
    return sorted(int(name[len("episode_") :]) for name in names if re.fullmatch(r"episode_(0|[1-9]\d{0,9})", name))


def _episode(file: h5py.File, path: Path, name: str) -> dict[str, np.ndarray]:
    observed = file[name].get("observations") if isinstance(file.get(name), h5py.Group) else None
    if isinstance(observed, h5py.Group):
        parts = listed(sorted(observed))
        raise UserError(
            f"{path}: '{name}/observations': expected one array, found a group of {parts}, which is not read"
        )
    wanted = {
        "observations": FIELDS["observations"],
        "actions": FIELDS["actions"],
        "rewards": FIELDS["rewards"],
        "terminations": _FLAGS,
        "truncations": _FLAGS,
    }
    found = {field: hdf5.array(file, path, f"{name}/{field}", *expected) for field, expected in wanted.items()}
    rows = len(found["actions"])
    for field, values in found.items():
        expected_rows = rows + (field == "observations")
        if len(values) != expected_rows or not rows:
            raise UserError(
                f"{path}: dataset '{name}/{field}': expected {max(expected_rows, 1)} rows beside {rows} actions, "
                f"found {len(values)}"
            )
    return found


def _check_alike(episodes: list[dict[str, np.ndarray]], path: Path) -> None:
    for i, episode in enumerate(episodes):
        for field, values in episode.items():
            expected, found = list(episodes[0][field].shape[1:]), list(values.shape[1:])
            if found != expected:
                raise UserError(f"{path}: '{field}' of episode {i}: expected rows of shape {expected}, found {found}")


def _flags(values: np.ndarray, path: Path, name: str) -> np.ndarray:
    if (wrong := (values != 0) & (values != 1)).any():
        raise UserError(f"{path}: dataset '{name}': expected 0 or 1, found {values[np.argmax(wrong)]!s}")
    return values.astype(bool)


def _provenance(path: Path) -> Provenance:
    """What `metadata.json` says of the environment and its spaces, as far as it can be read."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_METADATA:
            return Provenance()
        held = json.loads(path.read_text())
        spec = _parsed(held.get("env_spec"))
        spaces = [_space(_parsed(held.get(name))) for name in ("observation_space", "action_space")]
    except (OSError, ValueError, AttributeError, RecursionError):
        return Provenance()
    env_id, kwargs = spec.get("id"), spec.get("kwargs")
    return Provenance(
        env_id=env_id if isinstance(env_id, str) else None,
        env_kwargs=kwargs if isinstance(kwargs, dict) else {},
        observation_space=spaces[0],
        action_space=spaces[1],
    )


def _parsed(value: Any) -> dict[str, Any]:
    """An object that is kept as JSON in a text, or as it is; empty if it is neither."""
    found = json.loads(value) if isinstance(value, str) else value
    return found if isinstance(found, dict) else {}


def _space(stated: dict[str, Any]) -> dict[str, Any] | None:
    """As `spaces.as_json` writes a space: flat bounds, null if infinite."""
    if stated.get("type") == "Discrete":
        return {"type": "Discrete", "n": stated.get("n")}
    if stated.get("type") != "Box":
        return None
    flat = {name: np.asarray(stated.get(name), np.float64).reshape(-1) for name in ("low", "high")}
    bounds = {name: [float(v) if np.isfinite(v) else None for v in values] for name, values in flat.items()}
    return {"type": "Box", "shape": stated.get("shape"), "dtype": stated.get("dtype")} | bounds


# --- Writing ------------------------------------------------------------------------------------------------------


def _finals(held: Demonstrations) -> np.ndarray | None:
    """[E, O], the observations after the last actions; None if one is not known."""
    if held.final_observations is not None:
        return held.final_observations
    if held.next_observations is not None:
        return held.next_observations[np.cumsum(held.episode_lengths) - 1]
    return None


def _metadata(held: Demonstrations, path: Path) -> dict[str, Any]:
    facts = held.provenance
    found: dict[str, Any] = {
        "total_episodes": held.trajectories,
        "total_steps": int(held.episode_lengths.sum()),
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "observation_space": json.dumps(_stated_space(held.observations, facts.observation_space)),
        "action_space": json.dumps(_stated_space(held.actions, facts.action_space)),
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
        spec = gymnasium.spec(env_id)
        spec.kwargs = spec.kwargs | kwargs
        stated: dict[str, Any] = json.loads(spec.to_json())
        return stated
    except Exception:  # an environment that is not registered here, or that cannot be kept as JSON
        return {"id": env_id, "entry_point": "unknown:Unknown", "kwargs": kwargs, "additional_wrappers": []}


def _stated_space(values: np.ndarray, known: Any) -> dict[str, Any]:
    """As Minari keeps a space; an unknown one is a box without bounds, or as many choices as there are."""
    if values.ndim == 1:
        n = int((known or {}).get("n") or values.max() + 1)
        return {"type": "Discrete", "dtype": "int64", "start": 0, "n": n}
    shape, dtype = list(values.shape[1:]), str(values.dtype)
    bounds = {"low": np.full(shape, -np.inf), "high": np.full(shape, np.inf)}
    for name, sign in (("low", -1), ("high", 1)):
        stated = (known or {}).get(name)
        if isinstance(stated, list) and len(stated) == values[0].size:
            bounds[name] = np.array([sign * np.inf if v is None else v for v in stated], np.float64).reshape(shape)
    return {"type": "Box", "dtype": dtype, "shape": shape} | {name: value.tolist() for name, value in bounds.items()}
