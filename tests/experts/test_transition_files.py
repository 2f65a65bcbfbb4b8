"""Transitions in .npz and flat HDF5: names of many kinds, and where episodes end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts.load import read

STATES = np.array([[0.0, 1], [1, 1], [2, 1], [10, 1], [11, 1]])
AFTER = np.array([[1.0, 1], [2, 1], [3, 1], [11, 1], [12, 1]])
ENDS = np.array([0, 0, 1, 0, 1])
PLAIN: dict[str, Any] = {"states": STATES, "actions": np.zeros((5, 1)), "next_states": AFTER}
LAYOUTS: dict[str, dict[str, Any]] = {
    "three arrays": PLAIN,
    "dones": {**PLAIN, "dones": ENDS[:, None].astype(float)},
    "not_done": {**PLAIN, "not_done": 1.0 - ENDS},
    "flags alone": {"obs": STATES, "acts": np.zeros((5, 1)), "rews": np.ones((5, 1)), "dones": ENDS},
    "singular": {"state": STATES, "action": np.zeros((5, 1)), "reward": np.ones(5), "next_state": AFTER, "done": ENDS},
}


@pytest.mark.parametrize("hdf5", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(tmp_path: Path, layout: dict[str, Any], hdf5: bool) -> None:
    path = tmp_path / "demos"
    if hdf5:
        with h5py.File(path, "w") as file:
            for name, values in layout.items():
                file[name] = values
    else:
        with open(path, "wb") as stream:
            np.savez(stream, **layout)
    held = read(path)
    assert held.format == ("transitions" if hdf5 else "NumPy arrays (.npz or .npy)")
    assert held.episode_lengths.tolist() == [3, 2]
    np.testing.assert_array_equal(held.observations, STATES)
    if held.rewards is not None:
        assert held.episode_returns is not None and held.episode_returns.tolist() == [3, 2]
    if held.next_observations is not None:
        np.testing.assert_array_equal(held.transitions().next_observations, AFTER)
    assert held.says_ends == (len(layout) > 3) and not held.unfinished


def test_breaks_are_noted(tmp_path: Path) -> None:
    np.savez(tmp_path / "demos.npz", **PLAIN)
    held = read(tmp_path / "demos.npz")
    assert held.ends is None and held.notes == (
        "1 episode ends without a flag: the next observation is not the next row's; taken for time limits",
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"actions": np.zeros((4, 1))}, "'actions': expected 5 rows"),
        ({"states": np.float64(2)}, "expected"),
        ({"states": np.array(["a"] * 5)}, "'observations': expected numbers .*, found dtype <U1"),
        ({"states": np.array([["a" * 9]] * 5, object)}, "observations: expected numbers, found texts"),
        ({"states": np.array([[None]] * 5, object)}, "'observations': expected numbers .*, found dtype object"),
        ({"dones": np.array([0, 1, 2, 0, 0])}, "'terminals': expected 0 or 1, found 2 in row 2"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    np.savez(tmp_path / "demos.npz", **{**PLAIN, **changes})
    with pytest.raises(UserError, match=said) as caught:
        read(tmp_path / "demos.npz")
    assert "\n" not in str(caught.value)
