"""Tables in Parquet and Arrow: layouts, LeRobot's real file, hostile files, and a library that crashes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts.files import arrow
from trpo_gail.experts.formats import arrow_tables
from trpo_gail.experts.load import load, read

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
import pyarrow.parquet as pq  # noqa: E402

SHARED = Path(__file__).parents[2].parent / "shared" / "formats" / "lerobot"
STEPS: dict[str, Any] = {
    "obs_0": [0.0, 1.0, 2.0, 3.0],
    "obs_1": [0.5, 1.5, 2.5, 3.5],
    "action": [0, 1, 1, 0],
    "reward": [1.0, 1.0, 2.0, 2.0],
    "done": [False, True, False, True],
}


def parquet(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "x.parquet", **options)
    return folder / "x.parquet"


def feather(folder: Path, columns: dict[str, Any]) -> Path:
    table = pa.table(columns)
    with pa.OSFile(str(folder / "x.arrow"), "wb") as out, pa.ipc.new_file(out, table.schema) as file:
        file.write_table(table)
    return folder / "x.arrow"


@pytest.mark.parametrize("write", [parquet, feather])
def test_a_row_a_step(tmp_path: Path, write: Any) -> None:
    named = write(tmp_path, STEPS).rename(tmp_path / os.fsdecode(b"caf\xe9"))  # which is no UTF-8
    held = load(named)
    assert held.observations.tolist() == [[0, 0.5], [1, 1.5], [2, 2.5], [3, 3.5]] and held.return_mean == 3.0
    assert held.terminals.tolist() == STEPS["done"] and held.format == "a table (Parquet or Arrow)"


def test_lerobots_real_episode() -> None:
    path = SHARED / "episode_000000.parquet"
    if not path.exists():
        pytest.skip("the real files are not beside this checkout")
    held = load(path)
    assert held.observations.shape == held.actions.shape == (479, 26) and held.trajectories == 1


def test_a_row_an_episode(tmp_path: Path) -> None:
    columns = {
        "observations": [[[0.0], [1.0]], [[2.0]]],
        "actions": [[[0.5], [0.25]], [[1.0]]],
        "rewards": [[1.0, 2.0], [4.0]],
        "dones": [[False, True], [False]],
    }
    held = load(parquet(tmp_path, columns))
    assert held.episode_lengths.tolist() == [2, 1] and held.return_mean == 3.5
    assert held.terminals.tolist() == [False, True, False] and held.timeouts.tolist() == [False, False, True]


def test_texts_may_name_the_episodes(tmp_path: Path) -> None:
    held = load(parquet(tmp_path, STEPS | {"episode_id": ["b", "a", "b", "a"], "done": [False, False, True, True]}))
    assert held.observations[:, 0].tolist() == [0, 2, 1, 3] and held.episode_lengths.tolist() == [2, 2]


def test_parts_of_a_struct(tmp_path: Path) -> None:
    observed = [{"camera": [1.0, 2.0], "arm": [0.5]}] * 4
    held = arrow_tables.read(parquet(tmp_path, {"observation": observed, "action": [0, 1, 1, 0]}))
    assert held.observations.dtype.names == ("arm", "camera") and held.observations["camera"].shape == (4, 2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"action": ["left"] * 4}, "column 'action': expected numbers, or lists of one length, of each row"),
        ({"action": [b"1"] * 4}, "column 'action': expected numbers"),
        (
            {"action": None},
            r"no column is called actions: expected columns called obs_0, .*; found obs_0, obs_1, reward",
        ),
        ({"obs_1": [None, 1.0, 1.0, 1.0]}, r"expected finite values, found nan at \[0, 1\]"),
        ({"obs_0": [[1.0], [1.0, 2.0], [1.0], [1.0]]}, "column 'obs_0': expected numbers, or lists of one length"),
        ({"done": [0, 1, 2, 1]}, "dataset 'terminals': expected 0 or 1, found 2"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(parquet(tmp_path, {name: v for name, v in (STEPS | changes).items() if v is not None}))


def test_no_rows(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 1 row, found 0"):
        read(parquet(tmp_path, {"obs": pa.array([], pa.float32()), "action": pa.array([], pa.float32())}))


# --- Hostile files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [{"obs": np.zeros(3_000_000)}, {"nothing": pa.nulls(5_000_000)}])
def test_a_bomb_is_refused(tmp_path: Path, columns: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRPO_GAIL_EXPANSION_MB", "8")
    path = parquet(tmp_path, columns, compression="zstd")
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match=r"takes more than 8 MB in memory \(TRPO_GAIL_EXPANSION_MB allows more\)"):
        read(path)


def test_mutated_files_are_one_line_or_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for path in (parquet(tmp_path, STEPS), feather(tmp_path, STEPS)):
        whole = path.read_bytes()
        for _ in range(8):
            broken = bytearray(whole)
            for at in rng.integers(8, len(broken), 6):
                broken[at] = int(rng.integers(256))
            path.write_bytes(broken[: int(rng.integers(20, len(broken) + 1))] if rng.random() < 0.3 else broken)
            said = _refusal(path)
            assert said is None or (said.startswith(f"{path}: ") and "\n" not in said)


def _refusal(path: Path) -> str | None:
    try:
        read(path)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"on which pyarrow crashes \(signal 11\)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "keeps pyarrow busy without an end"),
        ("raise SystemExit(3)", r"crashes \(exit code 3\)"),
        ('print(\'{"columns": [{"dtype": "<f8", "shape": [9e9], "lists": false}], "rows": 1}\')', "crashes"),
    ],
)
def test_a_library_that_crashes_is_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    (tmp_path / "program.py").write_text(f"{program}\n")
    arrow._end()
    with monkeypatch.context() as patch:
        patch.setattr(arrow, "_PROGRAM", tmp_path / "program.py")
        with pytest.raises(UserError, match=said):
            read(parquet(tmp_path, STEPS))
    assert read(parquet(tmp_path, STEPS)).format.startswith("a table"), "the next file is read"


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path, STEPS)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"x\.parquet: tables of Arrow and Parquet need pyarrow, which is missing; pip"):
        read(path)


def test_a_table_of_a_compression_that_is_not_there_is_not_called_damaged(tmp_path: Path) -> None:
    path = parquet(tmp_path, STEPS, compression="snappy")
    # The codec's number stands behind the column's name.
    by_lzo = path.read_bytes().replace(b"obs_0\x15\x02", b"obs_0\x15\x06")
    assert by_lzo != path.read_bytes()
    path.write_bytes(by_lzo)
    with pytest.raises(
        UserError, match=r"the installed pyarrow cannot read it: While LZO.*anew with compression='none'"
    ):
        read(path)
