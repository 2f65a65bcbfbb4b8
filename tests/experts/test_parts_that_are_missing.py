"""Files of which a part has been lost: an episode without actions, fewer episodes than the file states."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts import outline
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import minari
from trpo_gail.experts.load import pieces, read


def groups(path: Path, prefix: str = "", total: int | None = None) -> Path:
    with h5py.File(path / "x.h5", "w") as file:
        for i in range(3):
            for name, size in (("obs", 2), ("actions", 1)):
                file[f"{prefix}demo_{i}/{name}"] = np.full((5, size), 0.5 + i)
        if total is not None:
            file["data"].attrs["total"] = total
    return path / "x.h5"


@pytest.mark.parametrize("prefix", ["", "data/"])
@pytest.mark.parametrize("name", ["Actions", "torques", None])
def test_an_episode_without_actions_is_refused(prefix: str, name: str | None, tmp_path: Path) -> None:
    path = groups(tmp_path, prefix)
    with h5py.File(path, "a") as file:
        if name is not None:
            file[f"{prefix}demo_1/{name}"] = file[f"{prefix}demo_1/actions"][:]
        del file[f"{prefix}demo_1/actions"]
    has = {"Actions": "Actions, obs", "torques": "obs, torques", None: "obs"}[name]
    with pytest.raises(
        UserError, match=rf"x\.h5: '{prefix}demo_1' has no actions, expected one of actions,.*; it has {has}$"
    ):
        read(path)
    with pytest.raises(UserError, match="demo_1' has no actions"):
        list(pieces(path))


def test_groups_that_are_no_episodes_are_left_alone(tmp_path: Path) -> None:
    path = groups(tmp_path, "data/")
    with h5py.File(path, "a") as file:
        file["data/normalisation/obs"] = np.zeros(2)
        file["mask/train"] = np.zeros(2)
    assert read(path).episode_lengths.tolist() == [5, 5, 5]


@pytest.mark.parametrize(
    ("total", "said"), [(15, ()), (20, ("'data' states 20 steps, found 15 steps: is something missing?",))]
)
def test_robomimics_total(total: int, said: tuple[str, ...], tmp_path: Path) -> None:
    path = groups(tmp_path, "data/", total)
    assert read(path).notes == said and outline.outline(pieces(path)).notes == said


@pytest.mark.parametrize("where", ["file", "metadata"])
def test_minaris_totals(where: str, demonstrations: Demonstrations, tmp_path: Path) -> None:
    minari.write(tmp_path / "x", replace(demonstrations, final_observations=None))
    main = tmp_path / "x" / "data" / "main_data.hdf5"
    assert read(tmp_path / "x").notes == ()
    with h5py.File(main, "a") as file:
        steps = int(sum(len(file[f"episode_{i}/actions"]) for i in (0, 2)))
        every = steps + len(file["episode_1/actions"])
        del file["episode_1"]
        if where == "file":
            file.attrs["total_episodes"], file.attrs["total_steps"] = np.int64(3), np.int64(every)
            main.with_name("metadata.json").unlink()
    said = (f"it states 3 episodes and {every} steps, found 2 episodes and {steps} steps: is something missing?",)
    assert read(tmp_path / "x").notes == said and outline.outline(pieces(tmp_path / "x")).notes == said


@pytest.mark.parametrize(
    "stated", [{"total_episodes": 3, "total_frames": 6}, {"total_episodes": 3}, {"total_episodes": "3"}]
)
def test_lerobots_totals(stated: dict[str, Any], tmp_path: Path) -> None:
    pyarrow, tables = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "meta").mkdir()
    (tmp_path / "data" / "chunk-000").mkdir(parents=True)
    (tmp_path / "meta" / "info.json").write_text(json.dumps(stated))
    for i in range(3):
        rows = {"observation.state": [[0.5, 0.1 * i]] * 2, "action": [[0.5]] * 2, "episode_index": [i] * 2}
        tables.write_table(pyarrow.table(rows), tmp_path / "data" / "chunk-000" / f"episode_00000{i}.parquet")
    assert read(tmp_path).notes == ()
    (tmp_path / "data" / "chunk-000" / "episode_000001.parquet").unlink()
    more = (" and 6 steps", " and 4 steps") if "total_frames" in stated else ("", "")
    note = f"meta/info.json states 3 episodes{more[0]}, found 2 episodes{more[1]}: is something missing?"
    assert read(tmp_path).notes == (() if stated["total_episodes"] == "3" else (note,))
