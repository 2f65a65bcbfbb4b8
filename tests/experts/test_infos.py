"""Time limits that `info` says, and what TorchRL keeps under `next`, in every kind of file."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import trpo_gail
from trpo_gail.experts.load import load, pieces
from trpo_gail.experts.outline import outline

N = 12  # rows of three episodes, of which the second one ends at a time limit
DONE, LIMIT = np.zeros(N, bool), np.zeros(N, bool)
DONE[[3, 8, 11]], LIMIT[8] = True, True
ROWS: dict[str, Any] = {
    "observation": np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32),
    "action": np.arange(N) % 2,
    "reward": np.arange(N, dtype=np.float32),
}
NAME = "TimeLimit.truncated"
NAMED: dict[str, Any] = {NAME: LIMIT}
INFOS = [{NAME: True} if limit else {"other": 1} for limit in LIMIT]


def steps(**more: Any) -> list[dict[str, Any]]:
    return [{name: values[i] for name, values in (ROWS | more).items()} for i in range(N)]


def plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def npz(path: Path) -> None:
    with open(path, "wb") as stream:
        np.savez(stream, **ROWS, done=DONE, **NAMED)


def csv(path: Path) -> None:
    lines = [f"obs_0,obs_1,obs_2,action,reward,done,{NAME}"]
    for i in range(N):
        row = [*ROWS["observation"][i], ROWS["action"][i], ROWS["reward"][i], int(DONE[i]), int(LIMIT[i]) or ""]
        lines.append(",".join(map(str, row)))  # empty where `info` has no such name
    path.write_text("\n".join(lines))


def pickled_rows(path: Path) -> None:
    path.write_bytes(pickle.dumps(ROWS | {"dones": DONE, "infos": np.array(INFOS, object)}))


def pickled_steps(path: Path) -> None:
    path.write_bytes(pickle.dumps(steps(done=DONE, info=INFOS)))


def pickled_episodes(path: Path) -> None:
    cut = np.array_split(np.arange(N), [4, 9])
    given = ROWS | {"done": DONE}
    path.write_bytes(
        pickle.dumps([{n: v[i] for n, v in given.items()} | {"env_infos": [INFOS[k] for k in i]} for i in cut])
    )


def json_steps(path: Path) -> None:
    lines = [{name: plain(value) for name, value in step.items()} for step in steps(done=DONE, info=INFOS)]
    path.write_text("\n".join(map(json.dumps, lines)))


def rllib(path: Path) -> None:
    cut = np.array_split(np.arange(N), [4, 9])
    names = {"obs": ROWS["observation"], "actions": ROWS["action"], "rewards": ROWS["reward"], "dones": DONE}
    lines = [
        {"type": "SampleBatch", "infos": [INFOS[k] for k in rows]} | {n: plain(v[rows]) for n, v in names.items()}
        for rows in cut
    ]
    path.write_text("\n".join(map(json.dumps, lines)))


def flat_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name, values in (ROWS | {"done": DONE, f"infos/{NAME}": LIMIT}).items():
            file[name] = values


def hdf5_of_episodes(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for i, rows in enumerate(np.array_split(np.arange(N), [4, 9])):
            for name, values in (ROWS | {"done": DONE, NAME: LIMIT}).items():
                file[f"episode_{i}/{name}"] = values[rows]


def npz_with_infos(path: Path) -> None:
    with open(path, "wb") as stream:
        np.savez(stream, **ROWS, done=DONE, infos=np.array(INFOS, object))


def lists_in_a_pickled_info(path: Path) -> None:
    path.write_bytes(pickle.dumps(ROWS | {"done": DONE, "infos": {NAME: LIMIT.tolist()}}))


def lists_in_an_info_of_json(path: Path) -> None:
    rows = {name: plain(values) for name, values in (ROWS | {"done": DONE}).items()}
    path.write_text(json.dumps(rows | {"infos": {NAME: plain(LIMIT)}}))


def some_pickled_steps(path: Path) -> None:
    path.write_bytes(
        pickle.dumps([step | ({NAME: bool(LIMIT[i])} if DONE[i] else {}) for i, step in enumerate(steps(done=DONE))])
    )


def some_steps_of_json(path: Path) -> None:
    lines = [
        {name: plain(value) for name, value in step.items()} | ({f"info/{NAME}": bool(LIMIT[i])} if DONE[i] else {})
        for i, step in enumerate(steps(done=DONE))
    ]
    path.write_text("\n".join(map(json.dumps, lines)))


def nothing_but_nan(path: Path) -> None:
    infos = [{NAME: True if limit else float("nan")} for limit in LIMIT]
    path.write_bytes(pickle.dumps(steps(done=DONE, info=infos)))


@pytest.mark.parametrize(
    "write",
    [
        npz_with_infos,
        lists_in_a_pickled_info,
        lists_in_an_info_of_json,
        some_pickled_steps,
        some_steps_of_json,
        nothing_but_nan,
    ],
)
def test_time_limits_however_they_are_written(write: Callable[[Path], None], tmp_path: Path) -> None:
    test_time_limits(write, tmp_path)


@pytest.mark.parametrize("kind", ["rows", "steps", "npz"])
def test_an_info_that_is_used_again_keeps_its_flag(kind: str, tmp_path: Path) -> None:
    stale = np.array([{NAME: True} if i in (8, 9, 10) else {} for i in range(N)], object)
    path = tmp_path / "file"
    if kind == "npz":
        with open(path, "wb") as stream:
            np.savez(stream, **ROWS, done=DONE, infos=stale)
    else:
        given = ROWS | {"done": DONE, "infos": stale}
        path.write_bytes(pickle.dumps(given if kind == "rows" else steps(done=DONE, info=stale)))
    held = load(path)
    assert held.episode_lengths.tolist() == [4, 5, 3]
    assert np.flatnonzero(held.timeouts).tolist() == [8] and np.flatnonzero(held.terminals).tolist() == [3, 11]


@pytest.mark.parametrize("never", [[False] * N, np.zeros(0)])
def test_a_list_in_info_that_is_never_set(never: Any, tmp_path: Path) -> None:
    (path := tmp_path / "file").write_bytes(pickle.dumps(ROWS | {"done": DONE, "infos": {NAME: never}}))
    held = load(path)
    assert np.array_equal(held.terminals, DONE) and held.episode_lengths.tolist() == [4, 5, 3]


def as_pickled_episodes(path: Path, cut: list[np.ndarray], infos: list[Any]) -> None:
    given = [{n: plain(v[rows]) for n, v in ROWS.items()} | {"infos": [infos[k] for k in rows]} for rows in cut]
    path.write_bytes(pickle.dumps(given))


def as_json_episodes(path: Path, cut: list[np.ndarray], infos: list[Any]) -> None:
    given = [{n: plain(v[rows]) for n, v in ROWS.items()} | {"infos": [infos[k] for k in rows]} for rows in cut]
    path.write_text("\n".join(map(json.dumps, given)))


def as_pickled_rows(path: Path, cut: list[np.ndarray], infos: list[Any]) -> None:
    path.write_bytes(pickle.dumps(ROWS | {"infos": infos, "episode_lengths": [len(rows) for rows in cut]}))


def as_pickled_steps(path: Path, cut: list[np.ndarray], infos: list[Any]) -> None:
    path.write_bytes(pickle.dumps(steps(info=infos, episode=np.repeat(np.arange(len(cut)), [*map(len, cut)]))))


def as_npz(path: Path, cut: list[np.ndarray], infos: list[Any]) -> None:
    with open(path, "wb") as stream:
        np.savez(stream, **ROWS, infos=np.array(infos, object), lengths=np.array([*map(len, cut)]))


@pytest.mark.parametrize("write", [as_pickled_episodes, as_json_episodes, as_pickled_rows, as_pickled_steps, as_npz])
def test_limits_that_are_never_set_say_how_episodes_end(write: Callable[..., None], tmp_path: Path) -> None:
    cut = np.array_split(np.arange(N), [4, 9])
    write(tmp_path / "said", cut, [{NAME: False}] * N)
    held = load(tmp_path / "said")
    assert np.flatnonzero(held.terminals).tolist() == [3, 8, 11] and not held.timeouts.any()
    assert len(held.notes) == 1 and "taken for terminations" in held.notes[0]
    write(tmp_path / "unsaid", cut, [{}] * N)
    unsaid = load(tmp_path / "unsaid")
    assert unsaid.episode_lengths.tolist() == [4, 5, 3] and not unsaid.says_ends


@pytest.mark.parametrize("dump", [pickle.dumps, lambda value: json.dumps(value).encode()])
def test_the_first_info_may_be_of_the_reset(dump: Callable[[Any], bytes], tmp_path: Path) -> None:
    cut = np.array_split(np.arange(N), [4, 9])
    given = [{n: plain(v[rows]) for n, v in (ROWS | {"done": DONE}).items()} for rows in cut]
    infos = [{"infos": [{}, *(INFOS[k] for k in rows)]} for rows in cut]
    (path := tmp_path / "file").write_bytes(dump([a | b for a, b in zip(given, infos, strict=True)]))
    held = load(path)
    assert np.flatnonzero(held.timeouts).tolist() == [8] and np.flatnonzero(held.terminals).tolist() == [3, 11]


def test_texts_in_a_column_out_of_info_are_left_out(tmp_path: Path) -> None:
    lines = [f"obs_0,action,reward,done,{NAME}"]
    lines += [f"{i},0.5,1,{int(DONE[i])},{'True' if LIMIT[i] else 'None'}" for i in range(N)]
    (path := tmp_path / "a.csv").write_text("\n".join(lines))
    assert load(path).episode_lengths.tolist() == [4, 5, 3]


@pytest.mark.parametrize(
    "write",
    [npz, csv, pickled_rows, pickled_steps, pickled_episodes, json_steps, rllib, flat_hdf5, hdf5_of_episodes],
)
def test_time_limits(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(path := tmp_path / "file")
    held = load(path)
    assert np.flatnonzero(held.terminals).tolist() == [3, 11]
    assert np.flatnonzero(held.timeouts).tolist() == [8]
    assert held.episode_lengths.tolist() == [4, 5, 3]


def test_flags_of_terminations_that_are_set_at_time_limits_too(tmp_path: Path) -> None:
    np.savez(path := tmp_path / "file.npz", **ROWS, terminals=DONE, **NAMED)
    assert np.flatnonzero(load(path).terminals).tolist() == [3, 11]


def test_flags_of_its_own_count_before_info(tmp_path: Path) -> None:
    flags = {"terminated": DONE & ~LIMIT, "truncated": LIMIT}
    wrong = [{NAME: True}] * N
    (path := tmp_path / "file").write_bytes(pickle.dumps(ROWS | flags | {"infos": wrong}))
    held = load(path)
    assert np.array_equal(held.timeouts, LIMIT) and np.array_equal(held.terminals, DONE & ~LIMIT)


def test_episodes_in_memory() -> None:
    cut = np.array_split(np.arange(N), [4, 9])
    given = [{n: v[rows] for n, v in (ROWS | {"dones": DONE}).items()} for rows in cut]
    with_infos = [one | {"infos": [INFOS[k] for k in rows]} for one, rows in zip(given, cut, strict=True)]
    held = trpo_gail.Demonstrations.from_trajectories(with_infos)
    assert np.flatnonzero(held.terminals).tolist() == [3, 11] and np.flatnonzero(held.timeouts).tolist() == [8]


# --- TorchRL ------------------------------------------------------------------------------------------------------

NEVER = np.zeros((N, 1), bool)
FOLLOWING = np.random.default_rng(1).normal(size=(N, 3)).astype(np.float32)
FOLLOWING[:-1][~DONE[:-1]] = ROWS["observation"][1:][~DONE[:-1]]
TREE = {name: ROWS[name] for name in ("observation", "action")} | {
    "done": NEVER,
    "next": {
        "observation": FOLLOWING,
        "reward": ROWS["reward"][:, None],
        "done": DONE[:, None],
        "terminated": (DONE & ~LIMIT)[:, None],
        "truncated": LIMIT[:, None],
    },
}


def next_in_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name, values in TREE.items():
            for inner, held in values.items() if isinstance(values, dict) else [(None, values)]:
                file[name if inner is None else f"{name}/{inner}"] = held


def next_in_torch(path: Path) -> None:
    tensors = {name: torch.from_numpy(v) for name, v in TREE.items() if not isinstance(v, dict)}
    torch.save(tensors | {"next": {name: torch.from_numpy(v) for name, v in TREE["next"].items()}}, path)


def next_in_json(path: Path) -> None:
    lines = [
        {name: plain(TREE[name][i]) for name in ("observation", "action")}
        | {"next": {name: plain(v[i] if v.shape[1] > 1 else v[i, 0]) for name, v in TREE["next"].items()}}
        for i in range(N)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))


@pytest.mark.parametrize("write", [next_in_hdf5, next_in_torch, next_in_json])
def test_what_a_step_led_to(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(path := tmp_path / "file")
    held = load(path)
    assert np.flatnonzero(held.terminals).tolist() == [3, 11] and np.flatnonzero(held.timeouts).tolist() == [8]
    assert held.rewards is not None and np.array_equal(held.rewards, ROWS["reward"])
    assert held.next_observations is not None and np.allclose(held.next_observations, FOLLOWING)


def test_an_end_that_is_flagged_both_ways_counts_once(tmp_path: Path) -> None:
    """d3rlpy's `episode_terminals` are set at terminations, too."""
    with h5py.File(path := tmp_path / "x.h5", "w") as file:
        file["observations"], file["actions"] = ROWS["observation"], ROWS["action"]
        file["terminals"], file["episode_terminals"] = DONE & ~LIMIT, DONE
    found = outline(pieces(path))
    assert (found.terminals, found.timeouts) == (2, 1)


@pytest.mark.parametrize("cut", [0, 1])
def test_of_episodes_as_lists_of_steps_one_may_end_otherwise(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    episodes: list[list[dict[str, Any]]] = []
    for episode in range(2):
        rows: list[dict[str, Any]] = [
            {"obs": np.array([t, 2.0]), "action": np.array([0.1]), "reward": 1.0, "done": t == 3, "info": {}}
            for t in range(4)
        ]
        if episode == cut:
            rows[-1]["info"] = {"TimeLimit.truncated": True}
        episodes.append(rows)
    path.write_bytes(pickle.dumps(episodes))
    held = load(path)
    last = [3, 7]
    assert np.flatnonzero(held.timeouts).tolist() == [last[cut]]
    assert np.flatnonzero(held.terminals).tolist() == [last[1 - cut]]
