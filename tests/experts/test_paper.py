"""The paper's own layout of demonstrations: what padding hides, by hand; and every way in which a file can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts import describe
from trpo_gail.experts.load import load

LENGTHS = np.array([3, 1, 2], np.int32)


@pytest.fixture
def padded(tmp_path: Path) -> Path:
    """Three trajectories of 3, 1 and 2 steps, padded to 4 with numbers that would be noticed."""
    step = np.arange(4.0) + 10 * np.arange(3.0)[:, None]  # [B, T]: 0 1 2 3, 10 11 12 13, 20 21 22 23
    with h5py.File(tmp_path / "trajs.h5", "w") as file:
        file["obs_B_T_Do"] = np.stack([step, -step], axis=2)
        file["a_B_T_Da"] = step[:, :, None] / 10
        file["r_B_T"] = step
        file["len_B"] = LENGTHS
    return tmp_path / "trajs.h5"


def test_padding_is_removed_and_order_kept(padded: Path) -> None:
    data = load(padded)
    np.testing.assert_array_equal(data.observations[:, 0], [0, 1, 2, 10, 20, 21])
    np.testing.assert_array_equal(data.actions[:, 0], np.array([0, 1, 2, 10, 20, 21]) / 10)
    assert data.observations.dtype == data.actions.dtype == np.float64
    assert data.steps.tolist() == [0, 1, 2, 0, 0, 1] and data.episode_of.tolist() == [0, 0, 0, 1, 2, 2]
    assert data.episode_lengths.tolist() == [3, 1, 2]
    assert data.episode_returns is not None and data.episode_returns.tolist() == [3, 10, 41]
    assert data.return_mean == 18 and data.env_id is None and data.action_view is None


def test_discrete_actions_become_integers(padded: Path) -> None:
    with h5py.File(padded, "a") as file:
        del file["a_B_T_Da"]
        file["a_B_T_Da"] = np.arange(12, dtype=np.int64).reshape(3, 4, 1)
    actions = load(padded).actions
    assert actions.dtype == np.int64 and actions.tolist() == [0, 1, 2, 4, 8, 9]


def test_selection_is_that_of_native_files(padded: Path) -> None:
    data = load(padded, trajectories=2, subsample=2)  # offsets 0 and 1: the second has one step only
    assert data.steps.tolist() == [0, 2] and data.episode_of.tolist() == [0, 0]
    assert data.return_mean == 18, "over all the file's trajectories"
    with pytest.raises(UserError, match=r"trajs\.h5: trajectories: expected 1 to 3, .*, found 5"):
        load(padded, trajectories=5)


def test_info_names_the_layout(padded: Path) -> None:
    lines = dict(describe.info(load(padded)))
    assert lines["format"].startswith("paper") and lines["environment"].startswith("unknown")
    assert lines["transitions"] == "6 rows of 6 steps (subsample 1)"


def edit(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        values = change(file[name][()])
        del file[name]
        if values is not None:
            file[name] = values

    return apply


MALFORMED = {
    "no observations": (edit("obs_B_T_Do", lambda x: None), r"'obs_B_T_Do' is missing, expected \[trajectories, steps"),
    "no actions": (edit("a_B_T_Da", lambda x: None), r"'a_B_T_Da' is missing"),
    "no rewards": (edit("r_B_T", lambda x: None), r"'r_B_T' is missing"),
    "no lengths": (edit("len_B", lambda x: None), r"'len_B' is missing, expected \[trajectories\]"),
    "flat": (edit("obs_B_T_Do", lambda x: x[0]), r"'obs_B_T_Do': expected .*, found shape \[4, 2\]"),
    "short actions": (edit("a_B_T_Da", lambda x: x[:, :3]), r"'a_B_T_Da': expected \[3, 4\] .*, found \[3, 3\]"),
    "few rewards": (edit("r_B_T", lambda x: x[:2]), r"'r_B_T': expected \[3, 4\] .*, found \[2, 4\]"),
    "few lengths": (edit("len_B", lambda x: x[:2]), r"'len_B': expected 3 lengths, found 2"),
    "long": (edit("len_B", lambda x: x + 4), r"'len_B': expected lengths of 1 to 4 steps, found 5 to 7"),
    "nothing": (edit("len_B", lambda x: x * 0), r"'len_B': expected lengths of 1 to 4 steps, found 0 to 0"),
    "NaN": (edit("obs_B_T_Do", lambda x: x * np.nan), r"'obs_B_T_Do': expected finite values, found nan"),
    "integer rows": (
        edit("a_B_T_Da", lambda x: np.ones((3, 4, 2), int)),
        r"'a_B_T_Da': expected 1 integer a step, found 2",
    ),
    "float lengths": (edit("len_B", lambda x: x * 1.0), r"'len_B': expected integers .*, found dtype float64"),
}


@pytest.mark.parametrize(("damage", "message"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_is_one_clear_line(padded: Path, damage: Callable[[h5py.File], None], message: str) -> None:
    with h5py.File(padded, "a") as file:
        damage(file)
    with pytest.raises(UserError, match=rf"trajs\.h5: .*{message}"):
        load(padded)


def test_a_file_without_trajectories(padded: Path) -> None:
    with h5py.File(padded, "a") as file:
        for name in list(file):
            values = file[name][:0]
            del file[name]
            file[name] = values
    with pytest.raises(UserError, match=r"trajs\.h5: dataset 'len_B': expected at least 1 trajectory, found 0"):
        load(padded)
