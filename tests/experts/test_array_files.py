"""NumPy's arrays: flat ones, batches of episodes, bare ones whose columns a file names, and hostile files."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts.load import load, read

SHARED = Path(__file__).parents[2].parent / "shared" / "formats" / "npy" / "mountaincar_app.npy"
RNG = np.random.default_rng(0)
FLAT: dict[str, Any] = {"obs": np.arange(10.0).reshape(5, 2), "actions": np.array([0, 1, 1, 0, 1])}
BATCH: dict[str, Any] = {
    "states": np.arange(24, dtype=np.float32).reshape(2, 4, 3),
    "actions": np.full((2, 4, 1), 0.5, np.float32),
    "rewards": np.ones((2, 4), np.float32),
}


def npz(folder: Path, arrays: dict[str, Any]) -> Path:
    np.savez(folder / "x.npz", **{name: values for name, values in arrays.items() if values is not None})
    return folder / "x.npz"


def npy(folder: Path, values: np.ndarray, names: str | None = None) -> Path:
    np.save(folder / "x.npy", values)
    if names is not None:
        (folder / "x.npy.columns").write_text(names)
    return folder / "x.npy"


# --- Flat arrays --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marks", "lengths"),
    [
        ({"episode_ends": [2, 5]}, [2, 3]),
        ({"ends": [2]}, [2, 3]),
        ({"episode_ends": np.array([0, 1, 0, 0, 1], bool)}, [2, 3]),
        ({"lengths": [1, 4]}, [1, 4]),
        ({"traj_lengths": np.array([1.0, 4.0])}, [1, 4]),
        ({"starts": [0, 3]}, [3, 2]),
        ({"episode_starts": np.array([1, 0, 0, 1, 0])}, [3, 2]),
        ({"episode": [7, 7, 3, 3, 3]}, [2, 3]),
        ({"timesteps": [0, 1, 2, 3, 0]}, [4, 1]),
        ({"dones": np.array([0, 1, 0, 0, 1], bool)}, [2, 3]),
        ({}, [5]),
    ],
)
def test_what_tells_episodes_apart(tmp_path: Path, marks: dict[str, Any], lengths: list[int]) -> None:
    held = load(npz(tmp_path, FLAT | marks))
    assert held.episode_lengths.tolist() == lengths and held.actions.tolist() == [0, 1, 1, 0, 1]
    assert held.unfinished == (not marks or marks == {"ends": [2]})  # rows follow behind the last end
    assert bool(held.notes) == (not marks)


def test_one_observation_more_than_actions_is_one_episode(tmp_path: Path) -> None:
    held = load(npz(tmp_path, {"observations": np.arange(8.0).reshape(4, 2), "actions": np.zeros((3, 1))}))
    assert held.trajectories == 1 and held.final_observations is not None and held.final_observations[0, 0] == 6


def test_columns_with_numbers_are_not_misspelt(tmp_path: Path) -> None:
    held = load(npz(tmp_path, {"obs0": np.zeros(3), "Obs1": np.ones(3), "action0": np.zeros(3), "rew": np.ones(3)}))
    assert held.observations.tolist() == [[0, 1]] * 3 and held.rewards is not None


def test_a_folder_of_arrays(tmp_path: Path) -> None:
    for name, values in (FLAT | {"episode_ends": np.array([2, 5])}).items():
        np.save(tmp_path / f"{name}.npy", values)
    held = load(tmp_path)
    assert held.episode_lengths.tolist() == [2, 3] and held.format == "NumPy arrays (.npz or .npy)"


def test_records_name_their_columns(tmp_path: Path) -> None:
    values = np.zeros(3, [("obs", "f4", (2,)), ("action", "i8"), ("done", "?")])
    values["done"][1] = True
    held = load(npy(tmp_path, values))
    assert held.observations.shape == (3, 2) and held.episode_lengths.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"lengths": [2, 2]},
            "the lengths of episodes: expected 1 or more that add up to 5 rows, found 2, 2, in all 4",
        ),
        ({"lengths": [-1, 6]}, "expected 1 or more that add up to 5 rows, found -1, 6"),
        ({"lengths": [10**18, 1]}, "expected 1 or more that add up to 5 rows"),
        ({"lengths": [[2, 3]]}, r"lengths: expected whole numbers \[episodes\], found int64 \[1, 2\]"),
        ({"lengths": [2.5, 2.5]}, r"lengths: expected whole numbers"),
        ({"lengths": ["a"]}, r"lengths: expected whole numbers"),
        ({"episode_ends": [7]}, "expected 1 or more that add up to 5 rows"),
        ({"ends": [1, 4]}, "ends: expected the number of the row behind .*, 5 at the end, found 4"),
        ({"starts": [1, 3]}, "starts: expected the first episode to start at row 0, found 1"),
        ({"obs": np.zeros((3, 2))}, "expected 5 rows as of actions, found 3"),
        ({"actions": np.array(3)}, r"x\.npz: "),
        ({"actions": np.array(["a"] * 5)}, r"x\.npz: "),
        ({"rewards": np.zeros(4)}, "rewards: expected 5 rows as of actions, found 4"),
        ({"episode": np.array([[1]] * 4)}, "episode: expected 5 rows as of actions, found 4"),
        ({"Rewrds": np.zeros(5)}, "'rewrds': unexpected here, did you mean rewards"),
        ({"obs": np.array([[None, 1]] * 5)}, "expected numbers .*, found dtype object"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(npz(tmp_path, FLAT | changes))


# --- Batches ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rewards": np.ones((2, 4, 1))},
        {"actions": np.full((2, 4), 0.5)},
        {"dones": np.array([[0, 0, 0, 1]] * 2)},
    ],
)
def test_batches_of_episodes(tmp_path: Path, changes: dict[str, Any]) -> None:
    held = load(npz(tmp_path, BATCH | changes))
    assert held.episode_lengths.tolist() == [4, 4] and held.actions.shape == (8, 1) and held.return_mean == 4
    assert np.array_equal(held.observations, BATCH["states"].reshape(8, 3)) and (held.ends is None) == (
        "dones" not in changes
    )


def test_labels_and_one_observation_more(tmp_path: Path) -> None:
    held = load(npz(tmp_path, {"observations": np.zeros((2, 5, 3)), "actions": np.ones((2, 4), int)}))
    assert held.actions.tolist() == [1] * 8 and held.final_observations is not None


def test_padding(tmp_path: Path) -> None:
    actions = BATCH["actions"].copy()
    actions[1, 2:] = np.nan
    for changes in ({"actions": actions}, {"lengths": [4, 2]}):
        held = load(npz(tmp_path, BATCH | changes))
        assert held.episode_lengths.tolist() == [4, 2]


def test_flags_within_a_sequence(tmp_path: Path) -> None:
    held = load(npz(tmp_path, BATCH | {"dones": np.array([[0, 1, 0, 0], [0, 0, 0, 1]])}))
    assert held.episode_lengths.tolist() == [2, 2, 4] and held.terminals.sum() == 2 and held.timeouts.tolist()[3]
    assert held.notes == ("flags end episodes within the 2 sequences; the ends of these are taken for time limits",)


def test_arrays_of_objects_are_read_and_run_nothing(tmp_path: Path) -> None:
    ragged = {"obs": np.empty(2, object), "actions": np.empty(2, object)}
    for i, steps in enumerate((3, 2)):
        ragged["obs"][i], ragged["actions"][i] = np.full((steps, 2), float(i)), np.full((steps, 1), 0.5)
    assert load(npz(tmp_path, ragged)).episode_lengths.tolist() == [3, 2]


def test_images_are_no_batch(tmp_path: Path) -> None:
    held = load(
        npz(tmp_path, {"obs": np.zeros((5, 4, 4), np.uint8), "actions": np.ones((5, 4)), "rewards": np.ones(5)})
    )
    assert held.observations.shape == (5, 4, 4) and held.trajectories == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rewards": np.ones((2, 5))}, "rewards: expected 2 rows|rewards"),
        ({"lengths": [4, 5]}, "episode 1: expected a length from 1 to 4, found 5"),
        ({"lengths": [4]}, "lengths: expected 2 of 1 to 4, found 4"),
        ({"actions": np.full((2, 4, 1), np.nan)}, "episode 0: expected a length from 1 to 4, found 0"),
        (
            {"next_obs": np.ones((2, 3, 3))},
            r"next_observations: expected \[2, 4, ...\] as of actions, found \[2, 3, 3\]",
        ),
    ],
)
def test_what_is_wrong_with_a_batch(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(npz(tmp_path, BATCH | changes))


# --- Bare arrays --------------------------------------------------------------------------------------------------


def test_the_real_array(tmp_path: Path) -> None:
    if not SHARED.exists():
        pytest.skip("the real files are not beside this checkout")
    path = tmp_path / SHARED.name
    path.write_bytes(SHARED.read_bytes())
    said = r"one array \[20, 100, 4\] of 4 columns, which nothing names: write their names into mountaincar_app\.npy\.columns"
    with pytest.raises(UserError, match=said):
        load(path)
    path.with_name(path.name + ".columns").write_text("obs*2 label reward")
    held = load(path)
    assert (
        held.episode_lengths.tolist() == [100] * 20
        and held.observations.shape == (2000, 2)
        and held.return_mean == -100
    )
    assert held.actions.dtype == np.int64 and set(held.actions.tolist()) <= {0, 1, 2} and held.ends is None


def test_rows_of_columns(tmp_path: Path) -> None:
    values = np.array([[0, 1, 0.5, 1, 0], [2, 3, 0.5, 1, 1], [4, 5, 0.5, 1, 0]])
    held = load(npy(tmp_path, values, "obs*2 action reward done"))
    assert held.episode_lengths.tolist() == [2, 1] and held.actions.tolist() == [[0.5]] * 3 and held.unfinished


@pytest.mark.parametrize(
    ("values", "names", "said"),
    [
        (np.zeros(3), None, r"expected numbers \[rows, columns\] or .*, found float64 \[3\]"),
        (np.array([["a", "b"]]), None, r"expected numbers \[rows, columns\]"),
        (np.zeros((3, 4)), "obs*3 reward", "no column is called actions"),
        (np.full((3, 4), 0.5), "obs*3 label", "label: expected whole numbers, found others"),
        (np.zeros((0, 4)), "obs*3 action", "expected at least 1 row"),
        (np.zeros((2, 0, 4)), "obs*3 action", r"x\.npy: "),
    ],
)
def test_what_is_wrong_with_an_array(tmp_path: Path, values: np.ndarray, names: str | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(npy(tmp_path, values, names))


# --- Hostile files ------------------------------------------------------------------------------------------------


def claiming(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(64)


@pytest.mark.parametrize(
    "shape", ["(1000000000000, 4)", "(3, 4)", "(-1, 4)", "(10**9,)", "'x'", "(1000000, 1000000, 1000000)"]
)
def test_a_claim_is_refused(tmp_path: Path, shape: str) -> None:
    (tmp_path / "x.npy").write_bytes(claiming(shape))
    (tmp_path / "x.npy.columns").write_text("obs*3 action")
    with pytest.raises(UserError):
        read(tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("obs.npy", claiming(shape))
        archive.writestr("actions.npy", claiming("(2, 4)"))
    with pytest.raises(UserError, match=r"x\.npz: "):
        read(tmp_path / "x.npz")


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "x.npz", obs=np.zeros((300_000, 2)), actions=np.zeros((300_000, 1)))
    monkeypatch.setenv("TRPO_GAIL_EXPANSION_MB", "1")
    with pytest.raises(UserError, match="13 MB unpacked, expected at most 1 MB"):
        read(tmp_path / "x.npz")


def test_mutated_files_are_one_line_or_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stream = io.BytesIO()
    np.savez(stream, **FLAT, episode_ends=[2, 5])
    for whole in (stream.getvalue(), claiming("(2, 4)")):
        for _ in range(300):
            broken = bytearray(whole)
            for at in rng.integers(0, len(broken), 3):
                broken[at] = int(rng.integers(256))
            (tmp_path / "x").write_bytes(broken)
            (tmp_path / "x.columns").write_text("obs*3 action")
            try:
                read(tmp_path / "x")
            except UserError as error:
                assert str(error).startswith(str(tmp_path)), error  # noqa: PT017


def test_an_archive_with_a_password_is_not_called_damaged(tmp_path: Path) -> None:
    path = npz(tmp_path, FLAT)
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(mark, content):
            content[found.start() + flags] |= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="encrypted, expected an archive without a password"):
        load(path)
