"""openai/baselines' .npz: padded, ragged and even episodes, and returns that contradict the rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts.load import read

OBS = [np.arange(1.0, 7).reshape(3, 2), np.arange(10.0, 14).reshape(2, 2)]
ACS = [np.full((3, 1), 0.5), np.full((2, 1), -0.5)]
REWS = [np.array([1.0, 2, 3]), np.array([0.0, 4])]


def objects(parts: list[np.ndarray]) -> np.ndarray:
    made = np.empty(len(parts), object)
    made[:] = parts
    return made


def padded(parts: list[np.ndarray]) -> np.ndarray:
    made = np.zeros((2, 3, *parts[0].shape[1:]))
    for row, part in zip(made, parts, strict=True):
        row[: len(part)] = part
    return made


def written(folder: Path, form: Any, **changes: Any) -> Path:
    arrays = {"obs": form(OBS), "acs": form(ACS), "rews": form(REWS), "ep_rets": np.array([6.0, 4.0])} | changes
    np.savez(folder / "expert.npz", **{name: values for name, values in arrays.items() if values is not None})
    return folder / "expert.npz"


@pytest.mark.parametrize("form", [objects, padded])
def test_episodes_of_several_lengths(tmp_path: Path, form: Any) -> None:
    held = read(written(tmp_path, form))
    assert held.format == "openai/baselines" and held.episode_lengths.tolist() == [3, 2]
    np.testing.assert_array_equal(held.observations, np.concatenate(OBS))
    assert held.actions.shape == (5, 1) and held.ends is None
    assert held.episode_returns is not None and held.episode_returns.tolist() == [6, 4]
    padding = ("1 rows at the ends of episodes, zero throughout, are taken for padding",)
    assert held.notes == (padding if form is padded else ())


def test_episodes_of_one_length(tmp_path: Path) -> None:
    even = {"obs": np.ones((2, 4, 3)), "acs": np.ones((2, 4), np.int64), "rews": np.ones((2, 4)), "ep_rets": None}
    held = read(written(tmp_path, objects, **even))
    assert held.episode_lengths.tolist() == [4, 4] and held.actions.shape == (8,) and held.return_mean == 4
    held = read(written(tmp_path, objects, **{n: v if v is None else objects(list(v)) for n, v in even.items()}))
    assert held.episode_lengths.tolist() == [4, 4] and not held.notes


def test_rows_without_episodes_are_one(tmp_path: Path) -> None:
    flat = {"obs": np.ones((5, 3)), "acs": np.ones((5, 1)), "rews": np.ones(5), "ep_rets": None}
    held = read(written(tmp_path, objects, **flat))
    assert held.episode_lengths.tolist() == [5]
    assert held.notes == ("where its episodes end is not said: all rows are taken for one episode",)


def test_returns(tmp_path: Path) -> None:
    held = read(written(tmp_path, objects, ep_rets=np.array([6.0, -4.0])))
    assert held.notes == ("'ep_rets' says -4 of episode 1, its rewards sum to 4",) and held.return_mean == 5
    assert read(written(tmp_path, objects, rews=None)).return_mean == 5
    assert read(written(tmp_path, objects, rews=None, ep_rets=np.zeros(7))).return_mean is None
    assert read(written(tmp_path, objects, ep_rets=objects(REWS))).return_mean == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"acs": objects(ACS[:1])}, "observations: expected 1 episodes as of actions, found 2"),
        ({"obs": objects([OBS[0], None])}, "array 'obs'"),  # type: ignore[list-item]
        ({"obs": objects([OBS[0], "x" * 100])}, "array 'obs': expected numbers, found texts"),  # type: ignore[list-item]
        ({"obs": np.float64(3)}, "array 'obs': expected rows, found one value"),
        ({"obs": objects([OBS[0], OBS[1][:, :1]])}, r"expected observations of .*\[2\]"),
        ({"rews": objects([REWS[0], REWS[0]])}, "'episode 1': expected 2 rewards as actions, found 3"),
        ({"obs": np.zeros((2, 0, 3)), "acs": np.zeros((2, 0, 1)), "rews": None}, "expected at least 1 step, found 0"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        read(written(tmp_path, objects, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [{"rews": np.float64(1.0)}, {"rews": np.zeros((1, 3, 4))}, {"obs": np.float64(1.0)}, {"rews": np.zeros(7)}],
)
def test_arrays_of_absurd_shapes_are_one_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    arrays = {"obs": np.ones((1, 3, 2)), "acs": np.ones((1, 3, 1)), "rews": np.ones((1, 3)), "ep_rets": np.array([7.0])}
    np.savez(tmp_path / "x.npz", **(arrays | changes))
    with pytest.raises(UserError, match=r"x\.npz"):
        read(tmp_path / "x.npz")
