"""Columns of flags that mark the first or the last row of an episode, in every kind of file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from writers import hdf5, lines, npz, parquet, pickled

from trpo_gail.experts.facts import LIMIT, TERMINAL, UNSAID
from trpo_gail.experts.load import read

LENGTHS = [5, 3, 6]
N = sum(LENGTHS)
STEP = np.concatenate([np.arange(n) for n in LENGTHS])
FIRST, LAST = STEP == 0, np.r_[STEP[1:] == 0, True]
ROWS: dict[str, Any] = {
    "observations": np.arange(2.0 * N).reshape(N, 2) + 0.5,
    "actions": np.arange(N) % 2,
    "rewards": np.ones(N),
}


def csv(path: Path, rows: dict[str, Any]) -> Path:
    columns = {f"obs_{i}": rows["observations"][:, i] for i in range(2)}
    columns |= {name: values for name, values in rows.items() if name != "observations"}
    lines = [",".join(columns), *(",".join(str(v[i]) for v in columns.values()) for i in range(len(rows["actions"])))]
    (path / "x.csv").write_text("\n".join(lines) + "\n")
    return path / "x.csv"


@pytest.mark.parametrize("write", [csv, npz, pickled, lines, hdf5, parquet])
@pytest.mark.parametrize(
    "marks",
    [{name: FIRST} for name in ("episode_starts", "episode_start", "traj_start", "reset")]
    + [{name: LAST} for name in ("episode_ends", "episode_end", "last")],
    ids=lambda marks: next(iter(marks)),
)
def test_flags_of_first_and_last_rows(write: Any, marks: dict[str, Any], tmp_path: Path) -> None:
    if write is hdf5 and not next(iter(marks)).startswith(("episode", "traj")):
        pytest.skip("flat HDF5 is told by its names")
    held = read(write(tmp_path, ROWS | marks))
    assert held.episode_lengths.tolist() == LENGTHS and held.endings.tolist() == [UNSAID] * 3 and held.notes == ()
    if write is not hdf5:
        held = read(write(tmp_path, ROWS | marks | {"terminated": LAST & (np.arange(N) < 8)}))
        assert held.endings.tolist() == [TERMINAL, TERMINAL, LIMIT]


@pytest.mark.parametrize("write", [csv, npz, pickled, lines, hdf5, parquet])
def test_d3rlpys_ends_of_episodes(write: Any, tmp_path: Path) -> None:
    flags = {"terminals": LAST & (np.arange(N) < 8), "episode_terminals": LAST}
    held = read(write(tmp_path, ROWS | {name: values.astype(float) for name, values in flags.items()}))
    assert held.episode_lengths.tolist() == LENGTHS and held.endings.tolist() == [TERMINAL, TERMINAL, LIMIT]


@pytest.mark.parametrize("write", [csv, npz, lines, pickled])
@pytest.mark.parametrize("name", ["last", "reset", "resets"])
def test_other_columns_of_such_names_say_nothing(write: Any, name: str, tmp_path: Path) -> None:
    for values in (np.arange(N) * 0.5, np.zeros(N, int), LAST & ~LAST):
        held = read(write(tmp_path, ROWS | {name: values, "done": LAST}))
        assert held.episode_lengths.tolist() == LENGTHS


@pytest.mark.parametrize("write", [csv, npz, lines, pickled, parquet])
@pytest.mark.parametrize("name", ["last", "reset"])
def test_flags_of_such_names_that_are_of_something_else_are_left_out(write: Any, name: str, tmp_path: Path) -> None:
    """As the last action, or a button."""
    values = np.random.default_rng(1).integers(0, 2, N)
    values[0], values[4:6] = 1, 0  # none at the first end
    held = read(write(tmp_path, ROWS | {name: values, "done": LAST}))
    assert held.episode_lengths.tolist() == LENGTHS and held.endings.tolist() == [TERMINAL] * 3
    assert held.notes == (f"'{name}' is left out: the flags of ends are in other rows",)


@pytest.mark.parametrize("write", [csv, npz, lines, pickled, parquet])
@pytest.mark.parametrize("marks", [{"last": LAST}, {"reset": FIRST}], ids=["last", "reset"])
@pytest.mark.parametrize(
    "done",
    [LAST & (np.arange(N) > 8), (STEP == 1) | LAST, (STEP > 1) & (np.arange(N) < 8)],
    ids=["some", "passing", "staying"],
)
def test_flags_of_last_rows_count_beside_flags_of_ends(
    write: Any, marks: Any, done: np.ndarray, tmp_path: Path
) -> None:
    held = read(write(tmp_path, ROWS | marks | {"done": done}))
    assert held.episode_lengths.tolist() == LENGTHS and not any("left out: the" in note for note in held.notes)


def test_arrays_of_such_names_may_be_anything(tmp_path: Path) -> None:
    for value in (np.array({"a": 1}, object), np.zeros((3, 2)), np.array("x"), np.array(["x", "y"])):
        assert read(npz(tmp_path, ROWS | {"last": value, "done": LAST})).episode_lengths.tolist() == LENGTHS
    for other in ([[1], [2, 3]], {"a": 1}, "text", [{}, {}]):
        assert read(pickled(tmp_path, ROWS | {"reset": other, "done": LAST})).episode_lengths.tolist() == LENGTHS
    steps = [{"obs": [0.5, i], "action": 0.5, "done": i == 2} | ({"reset": None} if i else {}) for i in range(3)]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, steps)))
    assert read(tmp_path / "x.jsonl").episode_lengths.tolist() == [3]


# --- One observation more than actions ----------------------------------------------------------------------------


@pytest.mark.parametrize("write", [npz, pickled])
def test_flags_of_several_episodes_count_though_an_observation_is_more(write: Any, tmp_path: Path) -> None:
    rows = ROWS | {"observations": np.arange(2.0 * N + 2).reshape(N + 1, 2)}
    held = read(write(tmp_path, rows | {"dones": LAST}))
    assert held.episode_lengths.tolist() == LENGTHS and len(held.observations) == N
    assert held.notes == ("flags end several episodes, so that the one observation more than actions is left out",)
    for one in (np.arange(N) == N - 1, np.arange(N) > 7, np.arange(N) == 7):  # an end, a success that stays, or passes
        held = read(write(tmp_path, rows | {"dones": one}))
        assert held.episode_lengths.tolist() == [N] and held.final_observations is not None
