"""Files that say of each end whether a time limit has cut the episode, and nothing else."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import trpo_gail
from trpo_gail.experts import trajectories
from trpo_gail.experts.facts import LIMIT, TERMINAL
from trpo_gail.experts.load import load, read

CUT = [False, True, False]


def episodes(scalar: bool) -> list[dict[str, Any]]:
    return [
        {
            "observations": np.array([[0.0, i], [1.0, i]]),
            "actions": np.array([[0.1], [0.2]]),
            "rewards": np.ones(2),
            "truncated": np.bool_(cut) if scalar else np.array([False, cut]),
        }
        for i, cut in enumerate(CUT)
    ]


def lines(path: Path, held: list[dict[str, Any]]) -> Path:
    given = [{name: values.tolist() for name, values in episode.items()} for episode in held]
    (path / "x.jsonl").write_text("\n".join(map(json.dumps, given)))
    return path / "x.jsonl"


def pickled(path: Path, held: list[dict[str, Any]]) -> Path:
    (path / "x.pkl").write_bytes(pickle.dumps(held))
    return path / "x.pkl"


def groups(path: Path, held: list[dict[str, Any]]) -> Path:
    with h5py.File(path / "x.h5", "w") as file:
        for i, episode in enumerate(held):
            for name, values in episode.items():
                file[f"demo_{i}/{name}"] = values
    return path / "x.h5"


def folder(path: Path, held: list[dict[str, Any]]) -> Path:
    for i, episode in enumerate(held):
        np.savez(path / f"{i}.npz", **episode)
    return path


def table(path: Path, held: list[dict[str, Any]]) -> Path:
    rows = [f"{i},{t},0.5,{int(episode['truncated'][t])}" for i, episode in enumerate(held) for t in range(2)]
    (path / "x.csv").write_text("\n".join(["episode,obs_0,action_0,truncated", *rows]))
    return path / "x.csv"


@pytest.mark.parametrize(
    ("write", "scalar"),
    [*((write, True) for write in (lines, pickled, groups)), *((w, False) for w in (lines, pickled, groups, table))],
)
def test_what_no_time_limit_has_cut_is_terminal(write: Any, scalar: bool, tmp_path: Path) -> None:
    held = read(write(tmp_path, episodes(scalar)))
    assert held.endings.tolist() == [TERMINAL, LIMIT, TERMINAL] and held.says_ends and held.notes == ()


def test_files_of_an_episode_each(tmp_path: Path) -> None:
    assert load(folder(tmp_path, episodes(True))).endings.tolist() == [TERMINAL, LIMIT, TERMINAL]


def test_files_of_an_episode_each_whose_flags_are_a_row_each(tmp_path: Path) -> None:
    held = load(folder(tmp_path, episodes(False)))
    assert held.endings.tolist() == [TERMINAL, LIMIT, TERMINAL]
    assert held.notes[1:] == (
        "2 of 3 files have flags of time limits alone, and none at the end: taken for terminations",
    )
    assert read(tmp_path / "0.npz").notes == (trajectories.NO_LIMIT,) and read(tmp_path / "1.npz").notes == ()


def test_flags_that_are_never_set_are_noted() -> None:
    given = [episode | {"truncated": False} for episode in episodes(True)]
    held = trpo_gail.Demonstrations.from_trajectories(given)
    assert held.endings.tolist() == [TERMINAL] * 3 and held.notes == ()
    held = trpo_gail.Demonstrations.from_trajectories([episode | {"truncated": [False] * 2} for episode in given])
    assert held.endings.tolist() == [TERMINAL] * 3
    assert held.notes == (
        "the file has flags of time limits alone, and none is set at an end: all ends are taken for terminations",
    )


@pytest.mark.parametrize("marks", [{"step": np.tile(np.arange(4), 3)}, {"next": True}], ids=["step", "next"])
def test_ends_that_only_the_rows_show(marks: dict[str, Any], tmp_path: Path) -> None:
    seen = np.arange(24.0).reshape(12, 2)
    following = seen + 2
    following[3::4] += 50
    rows: dict[str, Any] = {"next_obs": following} if "next" in marks else marks
    limits = np.arange(12) == 7
    np.savez(tmp_path / "x.npz", obs=seen, actions=np.arange(12) % 2, truncated=limits, **rows)
    held = read(tmp_path / "x.npz")
    assert held.endings.tolist()[:2] == [TERMINAL, LIMIT] and any("taken for terminations" in n for n in held.notes)
    np.savez(tmp_path / "x.npz", obs=seen, actions=np.arange(12) % 2, dones=limits, **rows)
    assert read(tmp_path / "x.npz").endings.tolist()[:2] == [LIMIT, TERMINAL]
