"""LeRobot's folders, and folders of Parquet files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts.load import load, read

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
import pyarrow.parquet as pq  # noqa: E402

VIDEO = {"observation.images.top": {"dtype": "video", "shape": [3, 96, 96]}}
FEATURES: dict[str, Any] = {"observation.state": {"dtype": "float32", "shape": [2]}, "action": {"dtype": "float32"}}


def episode(number: int, steps: int, **more: Any) -> dict[str, Any]:
    return {
        "observation.state": pa.array([[float(number), float(i)] for i in range(steps)], pa.list_(pa.float32(), 2)),
        "action": pa.array([[0.5]] * steps, pa.list_(pa.float32(), 1)),
        "timestamp": pa.array([i / 50 for i in range(steps)], pa.float32()),
        "frame_index": list(range(steps)),
        "episode_index": [number] * steps,
        "index": list(range(steps)),
        "task_index": [0] * steps,
        **more,
    }


def folder(path: Path, episodes: list[dict[str, Any]], features: Any = None) -> Path:
    (path / "meta").mkdir(parents=True)
    (path / "data" / "chunk-000").mkdir(parents=True)
    (path / "meta" / "info.json").write_text(
        json.dumps({"fps": 50, "features": FEATURES if features is None else features})
    )
    for i, columns in enumerate(episodes):
        pq.write_table(pa.table(columns), path / "data" / "chunk-000" / f"episode_{i:06d}.parquet")
    return path


def test_episodes(tmp_path: Path) -> None:
    held = load(folder(tmp_path / "x", [episode(0, 3), episode(1, 2)], FEATURES | VIDEO))
    assert held.format == "LeRobot" and held.episode_lengths.tolist() == [3, 2] and held.ends is None
    assert held.observations[:, 0].tolist() == [0, 0, 0, 1, 1] and held.actions.shape == (5, 1)
    assert held.notes == ("images that are not read: observation.images.top",)


def test_rewards_and_ends(tmp_path: Path) -> None:
    more = {"next.reward": [1.0, 2.0], "next.done": [False, True], "next.success": [False, True]}
    held = load(folder(tmp_path / "x", [episode(0, 2, **more)]))
    assert held.return_mean == 3.0 and held.terminals.tolist() == [False, True]


def test_two_vectors_are_parts(tmp_path: Path) -> None:
    more = {"observation.environment_state": [[1.0], [2.0]]}
    held = load(folder(tmp_path / "x", [episode(0, 2, **more)]))
    assert held.observations.dtype.names == ("environment_state", "state")


def test_a_file_of_many_episodes(tmp_path: Path) -> None:
    both = {
        name: pa.concat_arrays([pa.array(values), pa.array(episode(1, 2)[name])])
        for name, values in episode(0, 3).items()
    }
    held = load(folder(tmp_path / "x", [both]))
    assert held.episode_lengths.tolist() == [3, 2]


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({"action": {}, **VIDEO}, "found the observations observation.images.top, which are not read"),
        ({"action": {}}, "found no observations"),
    ],
)
def test_without_a_vector(tmp_path: Path, features: Any, said: str) -> None:
    with pytest.raises(UserError, match=f"expected a vector such as observation.state, {said}"):
        read(folder(tmp_path / "x", [episode(0, 2)], features))


def test_facts_that_are_damaged_are_no_matter(tmp_path: Path) -> None:
    path = folder(tmp_path / "x", [episode(0, 2)])
    for text in ("{", "[]", '{"features": 3}', '{"features": {"observation.state": 3, "action": null}}'):
        (path / "meta" / "info.json").write_text(text)
        assert read(path).trajectories == 1


def test_a_folder_of_parquet_files(tmp_path: Path) -> None:
    for i in range(2):
        pq.write_table(pa.table(episode(i, 2)), tmp_path / f"train-{i}.parquet")
    held = load(tmp_path)
    assert held.episode_lengths.tolist() == [2, 2] and held.notes[0].startswith("2 files in the order of their names")


def test_files_of_other_columns(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"damaged|finite|expected"):
        read(folder(tmp_path / "x", [episode(0, 2), {"action": [["x"]]}]))
