"""A folder or file with a group for each episode: Minari's, robomimic's, Isaac Lab's, and others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts import describe, editing, structured, trajectories
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import d4rl, minari, paper
from trpo_gail.experts.formats import native as native_format
from trpo_gail.experts.load import load, pieces, read

FINAL = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
ROWS = ("observations", "actions", "rewards", "terminals", "timeouts", "steps", "episode_lengths")


def same(a: Demonstrations, b: Demonstrations, names: tuple[str, ...] = ROWS) -> None:
    for name in names:
        x, y = getattr(a, name), getattr(b, name)
        assert x.dtype == y.dtype and np.array_equal(x, y), name


# --- Last observations --------------------------------------------------------------------------------------------


def test_every_transition_has_its_successor(tmp_path: Path, demonstrations: Demonstrations) -> None:
    native_format.write(tmp_path / "x.h5", replace(demonstrations, final_observations=FINAL))
    held = read(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        assert file.attrs["format_version"] == 2
    after = held.transitions().next_observations
    assert np.array_equal(after[[2, 4, 8]], FINAL) and np.array_equal(after[:2], held.observations[1:3])
    kept = load(tmp_path / "x.h5", 2, 2).transitions()
    assert np.isfinite(kept.next_observations).all()


def test_without_them_it_is_version_1(native: Path) -> None:
    with h5py.File(native) as file:
        assert file.attrs["format_version"] == 1
    assert np.isnan(read(native).transitions().next_observations[2]).all()


def test_as_many_as_episodes(demonstrations: Demonstrations) -> None:
    with pytest.raises(
        UserError,
        match=r"'final_observations': expected 3 rows of float32 \[2\], one an episode, found 2 of float32 \[2\]",
    ):
        load(replace(demonstrations, final_observations=FINAL[:2]))


# --- Written and read again ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("final", [None, FINAL], ids=["version 1", "version 2"])
def test_minari(tmp_path: Path, demonstrations: Demonstrations, final: np.ndarray | None) -> None:
    minari.write(tmp_path / "x-v0", replace(demonstrations, final_observations=final))
    for path in (tmp_path / "x-v0", tmp_path / "x-v0" / "data", tmp_path / "x-v0" / "data" / "main_data.hdf5"):
        held = read(path)
        same(held, demonstrations)
        assert held.format == "Minari" and held.env_id == "Toy-v0" and len(held.sha256) == 64
        assert (held.final_observations is None) == (final is None)
        if final is not None:
            np.testing.assert_array_equal(held.final_observations, final)


def test_images_that_are_kept_as_jpeg_are_refused(tmp_path: Path, demonstrations: Demonstrations) -> None:
    """JPEG loses what an environment's images have; ours are written without it."""
    minari.write(tmp_path / "x", demonstrations)
    assert json.loads((tmp_path / "x" / "data" / "metadata.json").read_text())["jpeg_encoding"] is False
    with h5py.File(tmp_path / "x" / "data" / "main_data.hdf5", "r+") as file:
        del file["episode_1/observations"]
        kept = file.create_dataset("episode_1/observations", (3,), h5py.vlen_dtype(np.uint8))
        kept[0] = np.frombuffer(b"\xff\xd8\xff", np.uint8)
    with pytest.raises(UserError, match=r"'episode_1': images are kept as JPEG, .* jpeg_encoding=False"):
        read(tmp_path / "x")


def test_minaris_layout(tmp_path: Path, demonstrations: Demonstrations) -> None:
    minari.write(tmp_path / "x", demonstrations)
    with h5py.File(tmp_path / "x" / "data" / "main_data.hdf5") as file:
        assert file["episode_2/observations"].shape == (5, 2) and file["episode_2"].attrs["total_steps"] == 4
    metadata = json.loads((tmp_path / "x" / "data" / "metadata.json").read_text())
    assert (metadata["total_episodes"], metadata["total_steps"], metadata["dataset_id"]) == (3, 9, "x-v0")
    assert json.loads(metadata["action_space"])["type"] == "Box"


def test_d4rl_and_the_papers(tmp_path: Path, demonstrations: Demonstrations) -> None:
    for form, names in ((d4rl, ROWS), (paper, ("observations", "actions", "rewards", "steps", "episode_lengths"))):
        form.write(tmp_path / "x.h5", demonstrations)
        held = read(tmp_path / "x.h5")
        assert held.format == form.NAME
        same(held, demonstrations, names)


def test_breaks_that_no_flag_marks(tmp_path: Path, demonstrations: Demonstrations) -> None:
    d4rl.write(tmp_path / "x.h5", replace(demonstrations, final_observations=-FINAL))
    with h5py.File(tmp_path / "x.h5", "a") as file:
        file["timeouts"][2] = False
    held = read(tmp_path / "x.h5")
    same(held, demonstrations)
    assert "1 episode ends without a flag" in dict(describe.info(held))["note"]


# --- Of others ----------------------------------------------------------------------------------------------------


def test_robomimic(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_group("data").attrs["env_args"] = json.dumps({"env_name": "Lift"})
        for i in (10, 9, 0):
            group = file.create_group(f"data/demo_{i}")
            group["actions"], group["rewards"] = np.full((2, 1), i / 1.0), np.zeros(2)
            group["dones"] = np.array([0, i == 9])
            group["obs/b"], group["obs/a"] = np.ones((2, 2)), np.zeros((2, 1))
        file["mask/train"] = np.array([b"demo_0"])
    held = read(tmp_path / "x.h5")
    assert held.actions[::2, 0].tolist() == [0, 9, 10] and held.observations.dtype.names == ("a", "b")
    assert held.observations["b"].tolist() == [[1, 1]] * 6
    assert held.terminals.tolist() == [False] * 3 + [True] + [False] * 2 and held.env_id == "Lift"


def test_names_of_others(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for i in (2, 10):
            file[f"states_{i}"], file[f"actions_{i}"] = np.full((4, 2), float(i)), np.zeros((3, 1))
    with h5py.File(tmp_path / "y.h5", "w") as file:
        for i in (2, 10):
            file[f"demo_{i}/observation"], file[f"demo_{i}/action"] = np.full((3, 2), float(i)), np.zeros((3, 1))
    for name in "xy":
        held = read(tmp_path / f"{name}.h5")
        assert held.episode_lengths.tolist() == [3, 3] and held.observations[[0, 3], 0].tolist() == [2, 10]
        assert held.rewards is None and (held.final_observations is not None) == (name == "x")


def test_parts_of_several_dtypes_in_pieces(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for i, dtype in enumerate(("f4", "f8", "f2")):
            file[f"data/demo_{i}/obs/a"] = np.full((3, 2), 1.5, dtype)
            file[f"data/demo_{i}/obs/b"] = np.arange(3, dtype="i1")
            file[f"data/demo_{i}/actions"] = np.zeros((3, 1))
    for held in (read(tmp_path / "x.h5"), editing.joined(list(pieces(tmp_path / "x.h5")))):
        assert held.observations.dtype["a"].base == np.float64
        assert held.observations["a"].tolist() == [[1.5, 1.5]] * 9 and held.observations["b"].tolist() == [0, 1, 2] * 3


def test_promoted_dtypes() -> None:
    one, other = np.dtype([("a", "f4", (2,)), ("b", "i1")]), np.dtype([("a", "f8", (2,)), ("b", "i8")])
    assert structured.promoted(one, other) == other and structured.promoted(np.dtype("f4"), np.dtype("f8")) == "f8"
    for wrong in (np.dtype([("a", "f4", (3,)), ("b", "i1")]), np.dtype([("a", "f4", (2,))]), np.dtype("f4")):
        with pytest.raises(TypeError, match="parts of several names or shapes"):
            structured.promoted(one, wrong)


# --- One group of rows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["flags", "meta", "beside"])
def test_the_only_group_holds_rows_of_several_episodes(tmp_path: Path, end: str) -> None:
    seen, acted = np.arange(24.0).reshape(12, 2), np.arange(12) % 2
    with h5py.File(path := tmp_path / "x.h5", "w") as file:
        file["data/obs"], file["data/action"] = seen, acted
        if end == "flags":
            file["data/terminated"] = np.isin(np.arange(12), [4, 11])
        else:
            file["meta/episode_ends" if end == "meta" else "data/episode_ends"] = np.array([5, 12])
    held = read(path)
    assert held.episode_lengths.tolist() == [5, 7]
    assert np.array_equal(held.observations, seen) and np.array_equal(held.actions, acted)
    assert held.says_ends == (end == "flags")
    assert [part.episode_lengths.tolist() for part in pieces(path)] == [[5, 7]]


@pytest.mark.parametrize(
    "marks",
    [
        {"episode_starts": np.array([0, 5])},
        {"episode_starts": np.isin(np.arange(12), [0, 5])},
        {"episode_ends": np.isin(np.arange(12), [4, 11])},
        {"episode_lengths": np.array([5, 7])},
        {"episode": np.repeat([3, 4], [5, 7])},
    ],
)
def test_whatever_marks_the_episodes_of_the_only_group(tmp_path: Path, marks: dict[str, np.ndarray]) -> None:
    with h5py.File(path := tmp_path / "x.h5", "w") as file:
        file["data/obs"], file["data/action"] = np.arange(24.0).reshape(12, 2), np.arange(12) % 2
        for name, values in marks.items():
            file[f"data/{name}"] = values
    assert read(path).episode_lengths.tolist() == [5, 7]


def test_flags_of_several_episodes_beside_one_observation_more(tmp_path: Path) -> None:
    with h5py.File(path := tmp_path / "x.h5", "w") as file:
        file["data/obs"], file["data/action"] = np.arange(26.0).reshape(13, 2), np.arange(12) % 2
        file["data/terminated"] = np.isin(np.arange(12), [4, 11])
    held = read(path)
    assert held.episode_lengths.tolist() == [5, 7] and len(held.observations) == 12
    assert held.notes == (trajectories.ONE_MORE,)


def test_one_episode_in_a_group_stays_one(tmp_path: Path) -> None:
    with h5py.File(path := tmp_path / "x.h5", "w") as file:
        file["demo/obs"], file["demo/actions"] = np.zeros((6, 2)) + np.arange(6.0)[:, None], np.zeros((6, 1))
        file["demo/dones"] = np.arange(6) >= 4  # a success stays set
    assert read(path).episode_lengths.tolist() == [6]


def test_minaris_arrow_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "data" / "0").mkdir(parents=True)
    (tmp_path / "data" / "0" / "x.arrow").write_bytes(b"ARROW1")
    (tmp_path / "data" / "metadata.json").write_text('{"data_format": "arrow"}')
    for path in (tmp_path, tmp_path / "data"):
        with pytest.raises(UserError, match="Minari's layout with data_format 'arrow', expected 'hdf5'"):
            read(path)


def several_groups(path: Path, *groups: str) -> Path:
    with h5py.File(path, "w") as file:
        for group in groups:
            file[f"{group}/obs"], file[f"{group}/actions"] = np.arange(6.0).reshape(3, 2), np.full((3, 1), 0.5)
    return path


def test_several_groups_of_episodes_are_refused(tmp_path: Path) -> None:
    """Of `train` and `test`, the second one alone was learned from."""
    path = several_groups(tmp_path / "x.h5", "train/demo_0", "train/demo_1", "test/demo_0")
    said = r"x\.h5: several groups hold episodes: test/ 1, train/ 2; expected one of them: write each"
    with pytest.raises(UserError, match=said):
        read(path)
    with pytest.raises(UserError, match=said):
        list(pieces(path))
    assert read(several_groups(tmp_path / "y.h5", "train/demo_0", "train/demo_1")).trajectories == 2


def test_a_group_of_rows_that_nothing_tells_apart_says_so(tmp_path: Path) -> None:
    path = several_groups(tmp_path / "x.h5", "data")
    assert read(path).notes == (trajectories.NO_ENDS,)
    with h5py.File(path, "r+") as file:
        file["episode_ends"] = np.array([1, 3])
    assert read(path).episode_lengths.tolist() == [1, 2] and read(path).notes == ()
    with h5py.File(path, "r+") as file:
        del file["episode_ends"]
        file["data/next_obs"] = np.array([[2.0, 3.0], [9.0, 9.0], [6.0, 7.0]])
    assert read(path).episode_lengths.tolist() == [2, 1]


def test_minaris_names_with_one_of_its_flags(tmp_path: Path) -> None:
    path = several_groups(tmp_path / "x.h5", "episode_0", "episode_1")
    with h5py.File(path, "r+") as file:
        for i in range(2):
            file[f"episode_{i}/dones"], file[f"episode_{i}/truncations"] = np.arange(3) == 2, np.arange(3) == 2 * i
    held = read(path)
    assert np.flatnonzero(held.terminals).tolist() == [2] and np.flatnonzero(held.timeouts).tolist() == [5]
