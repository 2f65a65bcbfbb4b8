"""Good files for `fuzz_data.py` to break: a function for each layout, whether or not this package writes it.

`MAKERS` has those that other programs write; a new reader gets a row. What the package writes itself is found in
`formats.FORMATS`. A maker is given a path that does not exist, demonstrations, and a random generator.
"""

from __future__ import annotations

import csv
import io
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trpo_gail.experts.data import Demonstrations

Rng = np.random.Generator
Maker = Callable[[Path, Demonstrations, Rng], None]


def good(rng: Rng) -> Demonstrations:
    """A few short episodes, of a random kind."""
    lengths = rng.integers(1, 9, rng.integers(1, 6))
    rows, size = int(lengths.sum()), int(rng.integers(1, 5))
    steps = np.arange(rows) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    last = np.zeros(rows, bool)
    last[np.cumsum(lengths) - 1] = True
    ended = last & (rng.random(rows) < 0.5)
    dtype = rng.choice(["float32", "float64"])
    actions = rng.integers(0, 3, rows) if rng.random() < 0.5 else rng.normal(size=(rows, 2)).astype(dtype)
    rewards = rng.normal(size=rows).astype(dtype)
    return Demonstrations(
        observations=rng.normal(size=(rows, size)).astype(dtype),
        actions=actions,
        terminals=ended,
        timeouts=last & ~ended,
        steps=steps,
        episode_lengths=lengths,
        rewards=rewards,
        episode_returns=np.add.reduceat(rewards, np.cumsum(lengths) - lengths, dtype=np.float64),
        final_observations=rng.normal(size=(len(lengths), size)).astype(dtype) if rng.random() < 0.5 else None,
    )


def episodes(held: Demonstrations) -> Iterator[dict[str, np.ndarray]]:
    """Arrays of each episode, by names that many libraries use."""
    end = 0
    for length in held.episode_lengths.tolist():
        rows = slice(end, end + length)
        end += length
        observations = held.observations[rows]
        yield {
            "observations": observations,
            "actions": held.actions[rows],
            "rewards": np.asarray(held.rewards)[rows],
            "next_observations": np.concatenate([observations[1:], observations[-1:]]),
            "terminals": held.terminals[rows],
        }


def _steps(held: Demonstrations) -> list[dict[str, Any]]:
    return [
        {name.rstrip("s"): values[i] for name, values in episode.items()}
        for episode in episodes(held)
        for i in range(len(episode["rewards"]))
    ]


def _columns(held: Demonstrations, names: str) -> dict[str, np.ndarray]:
    """Flat arrays by other names, which stand in this order: observations, actions, rewards, ends, next observations."""
    following = np.roll(held.observations, -1, axis=0)
    values = (held.observations, held.actions, np.asarray(held.rewards), held.terminals | held.timeouts, following)
    return dict(zip(names.split(), values, strict=True))


# --- HDF5 ---------------------------------------------------------------------------------------------------------


def robomimic(path: Path, held: Demonstrations, rng: Rng) -> None:
    """A group for each episode, with observations of two parts or one."""
    parts = rng.random() < 0.5
    with h5py.File(path, "w") as file:
        for i, episode in enumerate(episodes(held)):
            group = file.create_group(f"data/demo_{i}")
            group["actions"], group["dones"] = episode["actions"], episode["terminals"]
            group["rewards"] = episode["rewards"]
            if parts:
                group["obs/a"], group["obs/b"] = episode["observations"], np.arange(len(episode["rewards"]))
            else:
                group["obs"] = episode["observations"]
        file["data"].attrs["env_args"] = json.dumps({"env_name": "Lift"})


def numbered(path: Path, held: Demonstrations, rng: Rng) -> None:
    """`states_N` and `actions_N`."""
    with h5py.File(path, "w") as file:
        for i, episode in enumerate(episodes(held)):
            file[f"states_{i}"], file[f"actions_{i}"] = episode["observations"], episode["actions"]


def structured(path: Path, held: Demonstrations, rng: Rng) -> None:
    """The native layout with observations of parts."""
    with h5py.File(path, "w") as file:
        for name in ("actions", "rewards", "terminals", "timeouts", "steps", "episode_lengths"):
            file[name] = getattr(held, name)
        file["observations/position"] = held.observations
        file["observations/inner/image"] = np.zeros((len(held.steps), 2, 2, 3), np.uint8)


def tianshou_hdf5(path: Path, held: Demonstrations, rng: Rng) -> None:
    """A buffer."""
    with h5py.File(path, "w") as file:
        for name, values in _columns(held, "obs act rew done obs_next").items():
            file[name] = values
        file["terminated"], file["truncated"] = held.terminals, held.timeouts


# --- NumPy --------------------------------------------------------------------------------------------------------


def baselines(path: Path, held: Demonstrations, rng: Rng) -> None:
    """openai/baselines: padded trajectories, or ragged ones, which are objects."""
    parts = list(episodes(held))
    longest = int(held.episode_lengths.max())

    def padded(name: str) -> np.ndarray:
        whole = np.zeros((len(parts), longest, *parts[0][name].shape[1:]))
        for i, part in enumerate(parts):
            whole[i, : len(part[name])] = part[name]
        return whole

    def ragged(name: str) -> np.ndarray:
        whole = np.empty(len(parts), object)
        for i, part in enumerate(parts):
            whole[i] = part[name]
        return whole

    array = padded if rng.random() < 0.5 else ragged
    returns = np.array([part["rewards"].sum() for part in parts])
    _save(path, {"obs": array("observations"), "acs": array("actions"), "rews": array("rewards"), "ep_rets": returns})


def imitation(path: Path, held: Demonstrations, rng: Rng) -> None:
    """Flat, `indices`, and an observation more than actions in each trajectory."""
    parts = list(episodes(held))
    obs = np.concatenate([np.concatenate([part["observations"], part["next_observations"][-1:]]) for part in parts])
    arrays = {"obs": obs, "acts": held.actions, "indices": np.cumsum(held.episode_lengths)[:-1]}
    more = {"terminal": np.array([part["terminals"][-1] for part in parts]), "rews": held.rewards}
    infos = np.array([{} for _ in held.steps], object) if rng.random() < 0.5 else np.zeros(0)
    _save(path, arrays | more | {"infos": infos})


def plain_npz(path: Path, held: Demonstrations, rng: Rng) -> None:
    """Flat arrays by several names."""
    names = [
        "states actions rewards dones next_states",
        "observations actions rewards terminals next_observations",
        "obs acts rews done next_obs",
    ]
    arrays = _columns(held, names[rng.integers(len(names))])
    if rng.random() < 0.3:
        arrays = {name: values for i, (name, values) in enumerate(arrays.items()) if i in (0, 1, 4)}
    _save(path, arrays)


def batched(path: Path, held: Demonstrations, rng: Rng) -> None:
    """Trajectories (B, T, O)."""
    shape = (int(rng.integers(1, 5)), int(rng.integers(1, 9)))
    arrays = {"obs": rng.normal(size=(*shape, 3)), "actions": rng.normal(size=(*shape, 2))}
    if rng.random() < 0.3:
        _npy(path, np.concatenate(list(arrays.values()), axis=2))
    else:
        _save(path, arrays)


def objects(path: Path, held: Demonstrations, rng: Rng) -> None:
    """An array of one object, as `np.save` makes it of a dictionary or a list."""
    one = np.empty((), object)
    one[()] = list(episodes(held)) if rng.random() < 0.5 else _columns(held, "obs acts rews done next_obs")
    _npy(path, one)


def _npy(path: Path, values: np.ndarray) -> None:
    with open(path, "wb") as stream:
        np.save(stream, values)


def _save(path: Path, arrays: dict[str, Any]) -> None:
    with open(path, "wb") as stream:
        np.savez(stream, **arrays)


# --- Pickles and torch --------------------------------------------------------------------------------------------


def pickled(path: Path, held: Demonstrations, rng: Rng) -> None:
    """Lists of dictionaries, of steps, or one dictionary, in any protocol."""
    kinds: list[Any] = [
        list(episodes(held)),
        _steps(held),
        _columns(held, "observations actions rewards terminals next_observations"),
        {f"traj_{i}": episode for i, episode in enumerate(episodes(held))},
        [tuple(step.values()) for step in _steps(held)],
        {"data": {"env": [{**episode, "infos": {"x": [1, None, "y"]}} for episode in episodes(held)]}},
    ]
    path.write_bytes(pickle.dumps(kinds[rng.integers(len(kinds))], int(rng.integers(0, 6))))


def torch_file(path: Path, held: Demonstrations, rng: Rng) -> None:
    """Kostrikov's trajectories, a buffer's columns, or steps; by either of torch's layouts."""
    import torch

    def tensors(arrays: dict[str, Any]) -> dict[str, Any]:
        return {name: torch.as_tensor(np.ascontiguousarray(values)) for name, values in arrays.items()}

    lengths = torch.as_tensor(held.episode_lengths)
    longest = int(held.episode_lengths.max())
    states = torch.zeros(len(lengths), longest, held.observations.shape[1])
    kinds: list[Any] = [
        {
            "states": states,
            "actions": torch.zeros(len(lengths), longest, 2),
            "rewards": states[..., 0],
            "lengths": lengths,
        },
        tensors(_columns(held, "state action reward done next_state")),
        [tensors(step) for step in _steps(held)],
    ]
    new = bool(rng.random() < 0.7)
    torch.save(kinds[rng.integers(len(kinds))], path, _use_new_zipfile_serialization=new)


# --- Text and tables ----------------------------------------------------------------------------------------------


def csv_file(path: Path, held: Demonstrations, rng: Rng) -> None:
    """Named columns, or numbers alone."""
    actions = held.actions.reshape(len(held.steps), -1)
    rows = np.column_stack([held.observations, actions, np.asarray(held.rewards), held.terminals | held.timeouts])
    names = [f"obs_{i}" for i in range(held.observations.shape[1])] + [f"action_{i}" for i in range(actions.shape[1])]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=str(rng.choice([",", ";", "\t", " "])))
    if rng.random() < 0.7:
        writer.writerow([*names, "reward", "done"])
    writer.writerows(rows.tolist())
    path.write_text(text.getvalue())


def json_lines(path: Path, held: Demonstrations, rng: Rng) -> None:
    """RLlib's batches, or a line a step."""
    if rng.random() < 0.5:
        lines = [{"type": "SampleBatch", **_lists(_columns(held, "obs actions rewards dones new_obs"))}]
        lines[0]["eps_id"] = np.repeat(np.arange(len(held.episode_lengths)), held.episode_lengths).tolist()
    else:
        lines = [_lists(step) for step in _steps(held)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _lists(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(values).tolist() for name, values in arrays.items()}


def parquet(path: Path, held: Demonstrations, rng: Rng) -> None:
    """A row a step, as of LeRobot, or a row an episode."""
    import pyarrow
    import pyarrow.parquet

    if rng.random() < 0.5:
        rows = [_lists(episode) for episode in episodes(held)]
        table = pyarrow.Table.from_pylist(rows)
    else:
        columns = _lists(_columns(held, "observation.state action next.reward next.done next.state"))
        numbers = np.repeat(np.arange(len(held.episode_lengths)), held.episode_lengths)
        table = pyarrow.table(columns | {"episode_index": numbers, "frame_index": held.steps})
    if rng.random() < 0.7:
        pyarrow.parquet.write_table(table, path)
    else:
        with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)


MAKERS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        robomimic, numbered, structured, tianshou_hdf5, baselines, imitation, plain_npz, batched, objects, pickled,
        torch_file, csv_file, json_lines, parquet,
    )
}  # fmt: skip
