"""Stable-Baselines' .npz: real files, variants, what is refused, and a round trip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts.formats import stable_baselines
from trpo_gail.experts.load import load, read

SHARED = Path(__file__).parents[2].parent / "shared" / "formats" / "stable-baselines"
TWO: dict[str, Any] = {
    "obs": np.arange(10, dtype=np.float32).reshape(5, 2),
    "actions": np.array([[0.5], [0.25], [-1.0], [0.0], [1.0]]),
    "rewards": np.array([1.0, 2.0, 3.0, 4.0, 5.0]),
    "episode_returns": np.array([6.0, 9.0]),
    "episode_starts": np.array([True, False, False, True, False]),
}


def file_of(folder: Path, **changes: Any) -> Path:
    path = folder / "expert.npz"
    np.savez(path, **{name: values for name, values in (TWO | changes).items() if values is not None})
    return path


@pytest.mark.parametrize(("name", "mean"), [("cartpole", 495.27), ("pendulum", -149.87)])
def test_real_files(name: str, mean: float) -> None:
    path = SHARED / f"expert_{name}.npz"
    if not path.exists():
        pytest.skip("the real files are not beside this checkout")
    held = load(path)
    assert held.trajectories == 100 and held.return_mean == pytest.approx(mean, abs=0.005)
    assert held.format == "Stable-Baselines" and (held.actions.ndim == 1) == (name == "cartpole")


def test_a_real_file_with_an_array_of_objects() -> None:
    path = SHARED.parent / "opolo" / "swimmer_clock_object_array.npz"
    if not path.exists():
        pytest.skip("the real files are not beside this checkout")
    held = load(path)
    assert held.episode_lengths.tolist() == [1000] and held.return_mean == pytest.approx(257.3675, abs=0.001)


def test_an_array_of_objects_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "trapped",)

    starts = TWO["episode_starts"].astype(object)
    starts[0] = Trap()
    with pytest.raises(UserError, match=r"'episode_starts': expected .*, found dtype object"):
        read(file_of(tmp_path, episode_starts=starts))
    assert not (tmp_path / "trapped").exists()


def test_episodes_begin_at_their_starts(tmp_path: Path) -> None:
    held = read(file_of(tmp_path))
    assert held.episode_lengths.tolist() == [3, 2] and held.steps.tolist() == [0, 1, 2, 0, 1]
    assert held.episode_returns is not None and held.episode_returns.tolist() == [6.0, 9.0]
    assert held.ends is None and held.actions.shape == (5, 1) and not held.notes
    following = held.transitions().next_observations
    assert following[0].tolist() == [2.0, 3.0] and np.isnan(following[[2, 4]]).all()


def test_of_some_trajectories_every_transition_is_kept_with_its_return(tmp_path: Path) -> None:
    """The last transition of the last of them, too; returns are counted by episodes."""
    one, both = (load(file_of(tmp_path), trajectories=n) for n in (1, 2))
    assert one.rewards is not None and one.rewards.tolist() == [1.0, 2.0, 3.0]
    assert one.episode_returns is not None and one.episode_returns.tolist() == [6.0]
    assert len(both.observations) == 5 and both.trajectories == 2 and one.trajectories == 1
    assert (one.return_mean, both.return_mean) == (7.5, 7.5), "the scale of scores is that of the whole file"


@pytest.mark.parametrize(
    "changes",
    [
        {"rewards": TWO["rewards"][:, None]},
        {"episode_starts": TWO["episode_starts"][:, None].astype(float)},
        {"episode_returns": None},
        {"next_obs": TWO["obs"]},
        {"episode_starts": TWO["episode_starts"].astype(object)},
        {name: TWO[name].astype(object) for name in ("obs", "actions", "rewards", "episode_starts")},
    ],
)
def test_variants_are_the_same(tmp_path: Path, changes: dict[str, Any]) -> None:
    held = read(file_of(tmp_path, **changes))
    assert held.episode_lengths.tolist() == [3, 2] and held.return_mean == 7.5


def test_integers_are_labels(tmp_path: Path) -> None:
    held = read(file_of(tmp_path, actions=np.array([[0], [1], [2], [1], [0]], np.int32)))
    assert held.actions.tolist() == [0, 1, 2, 1, 0] and held.actions.dtype == np.int64


def test_rewards_may_be_missing(tmp_path: Path) -> None:
    assert read(file_of(tmp_path, rewards=None)).return_mean is None


def test_stated_returns_that_contradict_the_rewards_are_noted(tmp_path: Path) -> None:
    (note,) = read(file_of(tmp_path, episode_returns=np.array([6.0, 90.0]))).notes
    assert note == "'episode_returns' says 90 of episode 1, its rewards sum to 9"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"actions": None}, r"array 'actions' is missing, expected \[rows, action size\]"),
        ({"actions": np.zeros((4, 1))}, r"array 'actions': expected 5"),
        ({"episode_starts": np.zeros(5, bool)}, r"array 'episode_starts': expected True in row 0, found False"),
        ({"obs": np.array([[1, None]] * 5, object)}, r"array 'obs': expected numbers .*, found dtype object"),
        ({"obs": np.full((5, 2), np.nan)}, r"observations"),
        (
            {"obs": np.array([[f"images/{n}.jpg"] for n in range(5)])},
            r"array 'obs': expected numbers .*, found dtype <U12",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(file_of(tmp_path, **changes))


def test_a_damaged_archive_is_one_line(tmp_path: Path) -> None:
    path = file_of(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[60:120] = bytes(60)
    path.write_bytes(whole)
    with pytest.raises(UserError, match=r"expert\.npz"):
        read(path)


def test_a_claim_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, **{**TWO, "obs": np.zeros((300_000, 2), np.float64)})
    monkeypatch.setenv("TRPO_GAIL_EXPANSION_MB", "1")
    with pytest.raises(UserError, match=r"array 'obs': 13 MB unpacked, expected at most 1 MB"):
        read(path)


@pytest.mark.parametrize("actions", [TWO["actions"], np.array([[0], [1], [2], [1], [0]])])
def test_a_round_trip_keeps_every_bit(tmp_path: Path, actions: np.ndarray) -> None:
    held = read(file_of(tmp_path, actions=actions))
    stable_baselines.write(tmp_path / "again.npz", held)
    again = read(tmp_path / "again.npz")
    for name in ("observations", "actions", "rewards", "steps", "episode_lengths"):
        one, other = getattr(held, name), getattr(again, name)
        assert one.dtype == other.dtype and np.array_equal(one, other), name
