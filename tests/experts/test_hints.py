"""Messages that say what to do with numbers that are written in another way than expected."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

import trpo_gail
from trpo_gail.errors import UserError
from trpo_gail.experts import rows
from trpo_gail.experts.checks import fit
from trpo_gail.experts.load import read
from trpo_gail.spaces.spec import EnvSpec

ROWS: dict[str, Any] = {"observations": np.arange(8.0).reshape(4, 2) + 0.5, "actions": np.array([0, 1, 1, 0])}
TEXTS = ["False", "False", "False", "True"]


def npz(path: Path, flags: Any) -> Path:
    np.savez(path / "x.npz", **ROWS, dones=np.array(flags))
    return path / "x.npz"


def pickled(path: Path, flags: Any) -> Path:
    (path / "x.pkl").write_bytes(pickle.dumps(ROWS | {"dones": flags}))
    return path / "x.pkl"


def lines(path: Path, flags: Any) -> Path:
    held = ROWS | {"dones": np.array(flags, object)}
    steps = [
        {name: values[i].tolist() if name != "dones" else flags[i] for name, values in held.items()} for i in range(4)
    ]
    (path / "x.jsonl").write_text("\n".join(map(json.dumps, steps)))
    return path / "x.jsonl"


def hdf5(path: Path, flags: Any) -> Path:
    with h5py.File(path / "x.h5", "w") as file:
        for name, values in ROWS.items():
            file[f"demo_0/{name}"] = values
        file["demo_0/dones"] = np.array(flags, "S5")
    return path / "x.h5"


def parquet(path: Path, flags: Any) -> Path:
    pyarrow, tables = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    held = {name: values.tolist() for name, values in ROWS.items()} | {"dones": flags}
    tables.write_table(pyarrow.table(held), path / "x.parquet")
    return path / "x.parquet"


@pytest.mark.parametrize("write", [npz, pickled, lines, hdf5, parquet])
def test_texts_are_no_flags(write: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.\w+: .*: write (numbers or )?booleans"):
        read(write(tmp_path, TEXTS))


def test_texts_are_no_flags_from_python() -> None:
    with pytest.raises(
        UserError, match="'terminals': expected numbers, found texts such as 'False': write numbers or booleans"
    ):
        trpo_gail.Demonstrations.from_arrays(*ROWS.values(), terminals=TEXTS)
    episode = {"obs": ROWS["observations"], "acts": ROWS["actions"], "terminal": "True"}
    with pytest.raises(UserError, match="found dtype <U4: write booleans, or 0 and 1, in each row"):
        trpo_gail.Demonstrations.from_trajectories([episode])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([0, 0, 0, 255], "found 255 in row 3: write 0 and 1 in place of 0 and 255"),
        ([-1, -1, -1, 1], "found -1 in row 0: write 0 and 1 in place of -1 and 1"),
        ([np.nan, np.nan, np.nan, 1], "found nan in row 0: write 0 where a flag is empty"),
        ([0, 2, 3, 1], "found 2 in row 1$"),
    ],
)
def test_other_numbers_for_flags(flags: list[float], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"expected 0 or 1, {said}"):
        read(npz(tmp_path, flags))


def test_nulls_are_no_flags(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found dtype object: write booleans, or 0 and 1, in each row; texts and nulls"):
        read(lines(tmp_path, [None, None, None, True]))


# --- Beside an environment ----------------------------------------------------------------------------------------


def checked(observations: np.ndarray, actions: np.ndarray, space: Box, labels: int = 3) -> None:
    held = trpo_gail.Demonstrations.from_arrays(observations, actions, episode_ends=[len(actions)])
    spec = EnvSpec("Toy-v0", "gymnasium", {}, space, Discrete(labels))
    fit.check(rows.as_rows(replace(held, path="x.npz"), spec), spec)


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        (np.eye(3)[[0, 2, 1]], r"\[3, 3\]: one-hot codes, of which the labels are numpy.argmax\(actions, axis=1\)"),
        (np.eye(3, dtype=int)[[0, 2, 1]], "one-hot codes"),
        (np.array([1, 3, 2]), "found 1 to 3: if they begin at 1, subtract 1"),
        (np.array([0, 3, 2]), "found 0 to 3$"),
        (np.ones((3, 3)), r"found float64 \[3, 3\]$"),
    ],
)
def test_labels_that_are_written_in_another_way(actions: np.ndarray, said: str) -> None:
    with pytest.raises(UserError, match=f"x.npz: dataset 'actions': expected integers from 0 to 2 .*{said}"):
        checked(np.zeros((3, 2)), actions, Box(-1, 1, (2,)))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((3, 12, 14), r"found \[3, 12, 14\]: its channels come first, numpy.moveaxis\(images, 1, -1\) moves them"),
        ((12, 12, 3), r"found \[12, 12, 3\]$"),
    ],
)
def test_channels_elsewhere(shape: tuple[int, ...], said: str) -> None:
    space = Box(0, 255, (12, 14, 3), np.uint8)
    said = rf"expected rows of shape \[12, 14, 3\] as the environment 'Toy-v0' has, {said}"
    with pytest.raises(UserError, match=said):
        checked(np.zeros((3, *shape), np.uint8), np.array([0, 1, 2]), space)
    if "first" in said:
        checked(np.moveaxis(np.zeros((3, *shape), np.uint8), 1, -1), np.array([0, 1, 2]), space)
        with pytest.raises(UserError, match=r"channels come last, numpy.moveaxis\(images, -1, 1\)"):
            checked(np.zeros((3, 12, 14, 3), np.uint8), np.array([0, 1, 2]), Box(0, 255, (3, 12, 14), np.uint8))


@pytest.mark.parametrize(
    ("most", "said"), [(1.0, "numbers from 0 to 1: multiply them by 255"), (2.5, "numbers from 0 to 2.5$")]
)
def test_pixels_of_another_scale(most: float, said: str) -> None:
    images = np.linspace(0, most, 3 * 12 * 14 * 3).reshape(3, 12, 14, 3)
    with pytest.raises(UserError, match=f"expected whole numbers from 0 to 255 as the environment has, found {said}"):
        checked(images, np.array([0, 1, 2]), Box(0, 255, (12, 14, 3), np.uint8))


# --- Files that are nearly read -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [{"rewards": (4, 6)}, {"terminals": (4, 6)}, {"dones": (4, 6)}, {"lengths": (4,)}],
    ids=lambda more: next(iter(more)),
)
def test_batches_in_hdf5_are_named(more: dict[str, tuple[int, ...]], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, shape in ({"observations": (4, 6, 3), "actions": (4, 6, 2)} | more).items():
            file[name] = np.zeros(shape)
    with pytest.raises(UserError, match=r"actions \[4, 6, 2\] are \[episodes, steps, ...\], which is read from .npz"):
        read(tmp_path / "x.h5")


def test_images_and_rows_of_two_dimensions_in_hdf5_are_no_batch(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, shape in {
            "observations": (4, 6, 3),
            "actions": (4, 6),
            "rewards": (4, 1),
            "terminals": (4, 1),
        }.items():
            file[name] = np.zeros(shape)
    assert len(read(tmp_path / "x.h5").observations) == 4


def test_members_in_capitals_are_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name in ("Actions", "Observations"):
            file[f"demo_0/{name}"] = np.zeros((5, 2))
    with pytest.raises(UserError, match=r"called otherwise than observations .*: found Actions, Observations$"):
        read(tmp_path / "x.h5")


def test_an_episode_of_aloha_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "episode_0.hdf5", "w") as file:
        for name in ("observations/qpos", "observations/qvel", "action"):
            file[name] = np.zeros((5, 2))
    said = "an episode whose observations are the group 'observations' of qpos, qvel, as in ALOHA's files"
    for path in (tmp_path, tmp_path / "episode_0.hdf5"):
        with pytest.raises(UserError, match=said):
            read(path)


def test_a_pointer_in_place_of_a_table_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "meta").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "meta" / "info.json").write_text("{}")
    (tmp_path / "data" / "a.parquet").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UserError, match=r"a\.parquet: not a table .* but a Git LFS pointer to one; git lfs pull"):
        read(tmp_path)
    (tmp_path / "data" / "a.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.parquet: an empty file"):
        read(tmp_path)


def test_lines_of_json_may_be_empty_and_may_not_be_remarks(tmp_path: Path) -> None:
    steps = [json.dumps({"obs": [0.5, i], "action": 0.5, "done": i == 2}) for i in range(3)]
    (tmp_path / "x.jsonl").write_text("\n\n".join(["", *steps, ""]))
    assert read(tmp_path / "x.jsonl").episode_lengths.tolist() == [3]
    (tmp_path / "x.jsonl").write_text("\n".join(['{"env": "x", "created": "2024"}', *steps]))
    with pytest.raises(
        UserError, match="value 0: no observations and no actions, but env, created: leave this line out"
    ):
        read(tmp_path / "x.jsonl")


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *given: False)
    with pytest.raises(UserError, match="a folder that may not be read: permission denied"):
        read(tmp_path)
