"""The table of formats: what tells them apart, and one that is added from outside, which is no HDF5."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import trpo_gail
from trpo_gail.cli import main
from trpo_gail.errors import UserError
from trpo_gail.experts.arrays import demonstrations
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import FORMATS
from trpo_gail.experts.load import pieces, read


class JsonLines:
    """A toy format: a line of JSON a step."""

    NAME = "JSON lines"

    def holds(self, path: Path) -> bool:
        with open(path, "rb") as stream:
            return stream.read(9) == b'{"sight":'

    def read(self, path: Path) -> Demonstrations:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        names = {"observations": "sight", "actions": "move", "rewards": "gain", "terminals": "over"}
        return demonstrations({name: [row[key] for row in rows] for name, key in names.items()}, path)


@pytest.fixture
def toy() -> Iterator[None]:
    FORMATS.append(JsonLines())
    yield
    FORMATS.pop()


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """Two episodes of CartPole, of 12 and 8 steps, and the beginning of a third."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = [
        {"sight": rng.normal(size=4).tolist(), "move": int(rng.integers(2)), "gain": 1.0, "over": step in (11, 19)}
        for step in range(24)
    ]
    path = tmp_path / "demos.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_without_its_row_in_the_table_the_file_is_refused(lines: Path) -> None:
    with pytest.raises(UserError, match=r"demos\.jsonl: of no format that is read"):
        trpo_gail.load(lines)


@pytest.mark.usefixtures("toy")
def test_a_format_from_outside_is_loaded(lines: Path) -> None:
    data = trpo_gail.load(lines, trajectories=2, subsample=2)
    assert data.format == "JSON lines" and len(data.sha256) == 64 and data.path == str(lines)
    assert data.episode_lengths.tolist() == [12, 8] and data.return_mean == 10
    assert data.trajectories_held == 3 and not data.unfinished


@pytest.mark.usefixtures("toy")
def test_data_info_describes_it(lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", str(lines)]) == 0
    told = capsys.readouterr()
    assert "JSON lines" in told.out and "float64 [24, 4]" in told.out
    assert "the last episode, of 4 steps, is unfinished" in told.err


@pytest.mark.usefixtures("toy")
def test_training_learns_from_it(lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    flags = "--iterations 1 --timesteps_per_batch 64 --num_envs 2 --eval_every 0 --final_episodes 1 --backend gymnasium"
    assert main(["train", "CartPole-v1", "--expert", str(lines), "--out", str(run), *flags.split()]) == 0
    summary = json.loads((run / "summary.json").read_text())
    assert summary["expert_return_mean"] == 10
    told = capsys.readouterr()
    assert "24 pairs of all 3 trajectories (the last is unfinished), whose return is 10.0" in told.out + told.err
    assert "is unfinished: its rows are learned from, but it counts in no mean return" in told.out + told.err


@pytest.mark.usefixtures("toy")
def test_what_it_makes_is_checked(lines: Path) -> None:
    lines.write_text('{"sight": [NaN], "move": 0, "gain": 1, "over": true}\n')
    with pytest.raises(UserError, match=r"demos\.jsonl: dataset 'observations': expected finite values"):
        trpo_gail.load(lines)


# --- Those of the package -----------------------------------------------------------------------------------------


def test_each_holds_its_own_and_no_other(native: Path, tmp_path: Path) -> None:
    paper, flat, other = tmp_path / "paper.h5", tmp_path / "flat.h5", tmp_path / "other.txt"
    with h5py.File(paper, "w") as file:
        file["obs_B_T_Do"] = 0
    with h5py.File(flat, "w") as file:
        file["observations"] = 0
    other.write_text("observations")
    found = {path: [form.NAME for form in FORMATS if form.holds(path)] for path in (native, paper, flat, other)}
    assert list(found.values()) == [["native"], ["paper (obs_B_T_Do)"], ["D4RL"], []]


def test_files_are_told_apart_by_content(native: Path) -> None:
    path = native.rename(native.with_name("demos.jsonl"))
    assert read(path).format == "native"


def test_names_are_different() -> None:
    assert len({form.NAME for form in FORMATS}) == len(FORMATS)


@pytest.mark.parametrize(
    "error", [TypeError("no len()"), OverflowError("too large"), RecursionError(), ValueError("odd")]
)
def test_whatever_a_reader_raises_is_one_line_of_the_file(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file may hold anything where a reader expects something."""
    path = tmp_path / "x.npz"
    np.savez(path, obs=np.zeros((3, 2)), acs=np.zeros((3, 1)))

    class Odd:
        NAME = "odd"

        def holds(self, path: Path) -> bool:
            return True

        def read(self, path: Path) -> Demonstrations:
            raise error

    monkeypatch.setattr("trpo_gail.experts.formats.FORMATS", (Odd(),))
    for how in (read, lambda p: list(pieces(p))):
        with pytest.raises(UserError, match=rf"x\.npz: taken for odd, but damaged .*{type(error).__name__}"):
            how(path)
