"""Folders of HuggingFace's datasets: what imitation writes and reads, and what is refused."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import PART, UNSAID, Ends
from trpo_gail.experts.formats import datasets_folder
from trpo_gail.experts.load import load, read

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")


@pytest.fixture
def folder(tmp_path: Path, demonstrations: Demonstrations) -> Path:
    datasets_folder.write(tmp_path / "expert", demonstrations)
    return tmp_path / "expert"


def folder_of(path: Path, columns: dict[str, Any], batch: int = 100) -> Path:
    """A dataset as the library itself saves it."""
    path.mkdir()
    table = pa.table(columns)
    with pa.OSFile(str(path / "data.arrow"), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table, max_chunksize=batch)
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    (path / "dataset_info.json").write_text("{}")
    return path


TWO: dict[str, Any] = {
    "obs": [[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], [[6.0, 7.0], [8.0, 9.0]]],
    "acts": [[1, 0], [1]],
    "infos": [["{}", "{}"], ["{}"]],
    "terminal": [True, False],
    "rews": [[1.0, 2.0], [5.0]],
}


def same(one: Demonstrations, other: Demonstrations) -> None:
    for name in ("observations", "actions", "rewards", "terminals", "timeouts", "steps", "final_observations"):
        left, right = getattr(one, name), getattr(other, name)
        assert (left is None) == (right is None), name
        assert left is None or (left.dtype == right.dtype and np.array_equal(left, right)), name


def test_a_round_trip_keeps_every_bit_and_where_it_comes_from(folder: Path, demonstrations: Demonstrations) -> None:
    held = read(folder)
    same(held, demonstrations)
    assert held.provenance == demonstrations.provenance and held.ends == demonstrations.ends
    assert held.format == "a folder of HuggingFace datasets (imitation)" and len(held.sha256) == 64 and not held.notes


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int64"])
def test_every_dtype_of_observations(tmp_path: Path, demonstrations: Demonstrations, dtype: str) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (9, 3, 2, 1)).astype(dtype)
    given = replace(demonstrations, observations=images, final_observations=images[:3], actions=np.arange(9) % 2)
    datasets_folder.write(tmp_path / "x", given)
    same(read(tmp_path / "x"), given)


def test_an_unfinished_episode_stays_one(tmp_path: Path, demonstrations: Demonstrations) -> None:
    given = replace(demonstrations, timeouts=demonstrations.timeouts & (np.arange(9) < 8), unfinished=True)
    datasets_folder.write(tmp_path / "x", given)
    held = read(tmp_path / "x")
    assert held.unfinished and not held.timeouts[-1] and held.ends == given.ends


def test_ends_that_are_not_known_stay_so(tmp_path: Path, demonstrations: Demonstrations) -> None:
    unknown = np.zeros(9, bool)
    datasets_folder.write(tmp_path / "x", replace(demonstrations, terminals=unknown, timeouts=unknown, says_ends=False))
    held = read(tmp_path / "x")
    assert held.ends is None and not held.timeouts.any()


def test_parts_among_episodes_of_an_unknown_end_stay_so(tmp_path: Path, demonstrations: Demonstrations) -> None:
    rows = np.arange(9)
    given = replace(demonstrations, terminals=np.zeros(9, bool), timeouts=rows == 4, says_ends=False)
    datasets_folder.write(tmp_path / "x", given)
    held = read(tmp_path / "x")
    assert held.ends is None and held.endings.tolist() == given.endings.tolist() == [UNSAID, PART, UNSAID]
    datasets_folder.write(tmp_path / "y", replace(given, unfinished=True))
    held = read(tmp_path / "y")
    assert held.unfinished and held.ends is None and held.endings.tolist() == [UNSAID, PART, UNSAID]


def test_unknown_ends_that_were_written_as_time_limits(tmp_path: Path, demonstrations: Demonstrations) -> None:
    """As we once wrote them: none is terminal, and none is a part."""
    folder_of(tmp_path / "x", TWO | {"terminal": [False, False]})
    (tmp_path / "x" / "trpo_gail.json").write_text('{"says_ends": false}')
    held = read(tmp_path / "x")
    assert held.ends is None and held.endings.tolist() == [UNSAID, UNSAID] and not held.notes


def test_many_batches(tmp_path: Path, demonstrations: Demonstrations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets_folder, "_ELEMENTS", 4)
    datasets_folder.write(tmp_path / "x", demonstrations)
    same(read(tmp_path / "x"), demonstrations)


@pytest.mark.parametrize("batch", [1, 100])
def test_what_imitation_saves(tmp_path: Path, batch: int) -> None:
    held = load(folder_of(tmp_path / "x", TWO, batch))
    assert held.observations.tolist() == [[0, 1], [2, 3], [6, 7]] and held.actions.tolist() == [1, 0, 1]
    assert held.final_observations is not None and held.final_observations.tolist() == [[4, 5], [8, 9]]
    assert held.ends is None and not held.terminals.any()  # it says terminal of time limits, too
    assert held.endings.tolist() == [UNSAID, PART] and held.timeouts.tolist() == [False, False, True]
    assert held.return_mean == 4.0


def test_rewards_may_be_missing_and_actions_vectors(tmp_path: Path) -> None:
    columns = {name: values for name, values in TWO.items() if name != "rews"} | {"acts": [[[0.5], [0.25]], [[1.0]]]}
    held = load(folder_of(tmp_path / "x", columns))
    assert held.return_mean is None and held.actions.tolist() == [[0.5], [0.25], [1.0]]


def test_a_row_a_step(tmp_path: Path) -> None:
    columns = {"observation": [[0.0, 1.0], [2.0, 3.0]], "action": [1, 0], "done": [False, True], "image": [b"1", b"2"]}
    held = load(folder_of(tmp_path / "x", columns))
    assert held.observations.shape == (2, 2) and held.terminals.tolist() == [False, True]
    assert held.notes == ("columns that are not read: image",)
    columns = {"obs": columns["observation"], "acts": columns["action"], "terminal": columns["done"]}
    assert load(folder_of(tmp_path / "y", columns)).ends == Ends(1, 0, 0)  # not imitation's, which has a row an episode


def test_a_folder_of_one_part(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    folder_of(tmp_path / "all" / "train", TWO)
    assert load(tmp_path / "all").trajectories == 2
    folder_of(tmp_path / "all" / "test", TWO)
    with pytest.raises(UserError, match="found the parts test, train; name one of them"):
        load(tmp_path / "all")


def state(**values: Any) -> Callable[[Path], object]:
    return lambda path: (path / "state.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (state(_data_files=[{"filename": "../x.arrow"}]), r"state\.json names the file '\.\./x\.arrow', expected one"),
        (state(_data_files=[{"filename": 3}]), r"state\.json names the file 3"),
        (state(_indices_data_files=[{"filename": "i"}]), "chosen by a file of indices"),
        (lambda path: (path / "data-00000-of-00001.arrow").unlink(), "names the file 'data-00000-of-00001.arrow'"),
        (lambda path: (path / "data-00000-of-00001.arrow").write_bytes(b"\xff" * 40), "damaged or truncated table"),
        (lambda path: (path / "data-00000-of-00001.arrow").write_bytes(b""), r"\.arrow: an empty file"),
    ],
)
def test_what_is_wrong_with_a_folder(folder: Path, change: Callable[[Path], object], said: str) -> None:
    change(folder)
    with pytest.raises(UserError, match=said):
        read(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"env_id": 3, "env_kwargs": [], "seed": "x", "versions": null}'])
def test_what_else_stands_beside_it_is_no_matter(folder: Path, text: str) -> None:
    (folder / "trpo_gail.json").write_text(text)
    assert read(folder).env_id is None
    (folder / "state.json").write_text("[" * 100_000)
    assert read(folder).trajectories == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"acts": [[1], [1]]}, "column 'obs': expected numbers, or lists of one length"),
        ({"acts": [["a", "b"], ["c"]]}, "column 'acts': expected numbers, or lists of one length"),
        (
            {"obs": [[[0.0], [2.0, 3.0], [4.0]], [[6.0], [8.0]]]},
            "column 'obs': expected numbers, or lists of one length",
        ),
        ({"obs": [[[0.0, None], [2.0, 3.0], [4.0, 5.0]], [[6.0, 7.0], [8.0, 9.0]]]}, "finite values, found nan"),
        ({"rews": [[1.0], [5.0]]}, "expected 2 rewards as actions, found 1"),
    ],
)
def test_what_is_wrong_with_the_columns(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(folder_of(tmp_path / "x", TWO | changes))


@pytest.mark.parametrize(("changes", "said"), [({"subsample": 2}, "subsampled"), ({"observations": None}, "parts")])
def test_what_cannot_be_written(
    tmp_path: Path, demonstrations: Demonstrations, changes: dict[str, Any], said: str
) -> None:
    if changes.get("observations", 0) is None:
        changes = {"observations": np.zeros(9, [("a", "f4"), ("b", "f4")])}
    with pytest.raises(UserError, match=said):
        datasets_folder.write(tmp_path / "x", replace(demonstrations, **changes))
    assert not (tmp_path / "x").exists()


def test_imitation_itself_opens_it_and_is_read(folder: Path, tmp_path: Path, demonstrations: Demonstrations) -> None:
    pytest.importorskip("datasets", reason="datasets is not installed")
    pytest.importorskip("imitation", reason="imitation is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from imitation.data import serialize

        opened = serialize.load_with_rewards(folder)
        assert [len(one) for one in opened] == [3, 2, 4] and [one.terminal for one in opened] == [False, True, False]
        assert np.array_equal(np.concatenate([one.obs[:-1] for one in opened]), demonstrations.observations)
        assert np.array_equal(np.concatenate([one.acts for one in opened]), demonstrations.actions)
        serialize.save(tmp_path / "theirs", list(opened))
    held = read(tmp_path / "theirs")
    assert np.array_equal(held.observations, demonstrations.observations)
    assert held.ends is None and held.endings.tolist() == [PART, UNSAID, PART]
