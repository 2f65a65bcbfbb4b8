"""`trpo-gail bench` as a user calls it, on the smallest tasks."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trpo_gail import Demonstrations
from trpo_gail.bench import tables
from trpo_gail.bench.data import CONVERSIONS, LEAST, bench_data
from trpo_gail.cli import main
from trpo_gail.commands.bench import FLAGS, _config
from trpo_gail.experts.own import load

TINY = ["--flags", "--num_envs 2 --timesteps_per_batch 64 --d_step 1 --vf_iters 1 --backend gymnasium"]
ABOUT = {"bench", "env", "preset", "num_envs", "timesteps_per_batch", "demonstrations", "date", "cores", "versions"}


def written(tmp_path: Path, *words: str) -> dict[str, Any]:
    """What a subcommand writes into its two files."""
    files = tmp_path / "found.json", tmp_path / "found.png"
    assert main(["bench", *words, "--json", str(files[0]), "--png", str(files[1])]) == 0
    assert files[1].read_bytes().startswith(b"\x89PNG")
    found: dict[str, Any] = json.loads(files[0].read_text())
    return found


@pytest.mark.long
@pytest.mark.slow
def test_throughput(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = written(tmp_path, "throughput", "CartPole-v0", "--seconds", "0.05", "--repeats", "1", *TINY)
    assert found.keys() >= ABOUT | {"repeats", "seconds", "ranks"}
    assert found["num_envs"] == 2 and found["timesteps_per_batch"] == 64
    (one,) = found["ranks"]
    assert one["ratio"] == pytest.approx(one["training_steps_s"] / one["raw_steps_s"])
    assert sum(phase["share"] for phase in one["phases"].values()) == pytest.approx(1.0)
    assert all(phase["share"] > 0 for phase in one["phases"].values())
    assert one["limit"] in one["phases"]
    assert f"ratio {one['ratio']:.3f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("lengths", "every", "subsample"),
    [((30, 25), 1, 20), ((500, 3, 500, 500, 3), 1, 20), ((3, 2), 1, 1), ((90, 90), 10, 1)],
)
def test_a_file_with_little_in_it_is_taken_as_it_is(
    lengths: tuple[int, ...], every: int, subsample: int, tmp_path: Path
) -> None:
    file, rows = tmp_path / "few.h5", np.zeros((sum(lengths), 4), np.float32)
    ends = np.isin(np.arange(len(rows)) + 1, np.cumsum(lengths))
    made = Demonstrations.from_arrays(rows, np.zeros(len(rows), np.int64), terminals=ends)
    load(made, subsample=every).save(file)
    config = _config("CartPole-v1", str(file), "default", "")
    assert (config.trajectories, config.subsample) == (min(4, len(lengths)), subsample)
    assert len(load(str(file), config.trajectories, config.subsample).actions)


@pytest.mark.long
@pytest.mark.slow
def test_memory_without_a_file_of_demonstrations(tmp_path: Path) -> None:
    found = written(tmp_path, "memory", "MountainCarContinuous-v0", "--iterations", "1", *TINY)
    assert found["demonstrations"] == "random actions"
    (row,) = found["rows"]
    assert 50 < row["at_start_mib"] <= row["peak_mib"] == row["peak_mib_by_rank"][0] < 2000
    assert 0 < row["rows"] <= row["timesteps_per_batch"] == 64


@pytest.mark.long
@pytest.mark.slow
def test_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = written(tmp_path, "start", "--ranks", "1", "--repeats", "1")
    help_, training = found["rows"]
    assert (help_["what"], training["what"], training["ranks"]) == ("--help", "first iteration", 1)
    assert 0 < help_["seconds"] < training["seconds"] == training["all"][0] and found.keys() >= ABOUT
    assert "first iteration" in capsys.readouterr().out


@pytest.mark.slow
def test_update(tmp_path: Path) -> None:
    found = written(tmp_path, "update", "--batches", "32", "--widths", "4", "--repeats", "1")
    assert {row["part"] for row in found["parts"]} >= {"Fisher product", "TRPO update", "critic pass"}


@pytest.mark.long
@pytest.mark.slow
def test_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trpo_gail.bench.data.CONVERSIONS", CONVERSIONS[:2])
    found = bench_data(1e-6, 1, str(tmp_path), episodes=1)
    assert list(tables.lines(found))
    assert found["loading"]["rows"] == 1000 and found["loading"]["bytes"] > 80_000
    assert found["loading"]["ratio"] == pytest.approx(found["loading"]["h5py_s"] / found["loading"]["load_s"])
    for row, (source, to) in zip(found["conversions"], CONVERSIONS[:2], strict=True):
        assert (row["from"], row["to"]) == (source, to) and row["seconds"] > 0 and row["peak_mib"] > 10
        told = (
            row["seconds"] - row["start_s"] > LEAST * row["start_s"]
        )  # so short a conversion has no rate, or hardly one
        assert (row["ratio"] is not None) == (row["megabytes_s"] is not None) == told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["throughput", "--ranks", "0"], "--ranks: 0 given, different numbers from 1 on expected"),
        (["throughput", "--expert", "no_such.h5"], "no_such.h5: no such file"),
        (["throughput", "--seconds", "0"], "--seconds: 0 given, more than 0 expected"),
        (["throughput", "--flags", "--no_such 3"], "--flags '--no_such 3'"),
        (["throughput", "--flags", "'"], "--flags"),
        (["throughput", "--json", "no/such/file.json"], "no/such/file.json: the folder no/such does not exist"),
        (["memory", "--png", "no/such/file.png"], "no/such/file.png: the folder no/such does not exist"),
        (["throughput", "--seconds", "nan"], "--seconds: nan is not a finite number"),
        (["throughput", "--json", "."], "--json .: a folder, expected the name of a file"),
        (["throughput", "--json", "x", "--png", "x"], "--json, --png: x given for both"),
        (["throughput", "--flags", "--steps 5"], "--steps has no effect here"),
        (["update", "--flags", "--device cuda"], "--device has no effect here"),
        (["throughput", "--flags", "--eval-every 5"], "--eval_every has no effect here"),
        (["throughput", "--flags=--no_quiet"], "--quiet has no effect here"),
        (
            ["update", "--widths", "1000000000000"],
            "--batches, --widths, --observations, --actions: 2048, 1000000000000",
        ),
        (["memory", "--batches", "64", "1"], "--batches: 64 1 given, different numbers from 16 on expected"),
        (["scaling", "--batches", "64", "64"], "--batches: 64 64 given, different numbers"),
        (["data", "--gigabytes", "inf"], "--gigabytes: inf is not a finite number"),
        (["data", "--gigabytes", "1e9"], "--gigabytes: 1e+09 given, which needs 7e+09 GB in the folder"),
        (["thruput"], "bench: 'thruput' is no subcommand: did you mean 'throughput'?"),
        (["update", "--widths", "8", "8"], "--widths: 8 8 given, different numbers expected"),
        (
            ["update", "--flags", "--hidden_size_adversary 7"],
            "--discriminator.hidden_size_adversary has no effect here",
        ),
        (["update", "--flags", "--timesteps_per_batch 99"], "--timesteps_per_batch has no effect here"),
        (["memory", "--batches", "64", "--flags=--timesteps_per_batch 99"], "--timesteps_per_batch has no effect here"),
        (["update", "--flags", "--dtype float64"], "--flags: --dtype float64 given, whose work is not counted here"),
        (["data", "--folder", "/dev/null"], "--folder: /dev/null: Not a directory"),
        (["start", "--ranks", "0"], "--ranks: 0 given, different numbers from 1 on expected"),
        (["start", "--repeats", "0"], "--repeats: 0 given, at least 1 expected"),
        (["memory", "--iterations", "0"], "--iterations: 0 given, at least 1 expected"),
        pytest.param(["memory", "NoSuchTask-v0"], "NoSuchTask", marks=pytest.mark.long),
        (["scaling", "--ranks", "1"], "--ranks: 1 given, a number above 1 expected"),
        (["update", "--widths", "0"], "--widths: 0 given, at least 1 expected"),
        (["data", "--gigabytes", "0"], "--gigabytes: 0 given, more than 0 expected"),
        (["data", "--folder", "no/such"], "--folder: no/such: No such file or directory"),
        (["--repeats", "0"], "--repeats: 0 given, at least 1 expected"),
    ],
)
def test_a_users_mistake_is_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words]) == 2
    err = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("bench: ")]
    assert len(err) == 1 and says in err[0]


@pytest.mark.parametrize("name", FLAGS)
def test_each_has_a_page_of_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: trpo-gail {name}") and "--json" in out


def test_no_temporary_folder_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("tempfile._get_default_tempdir", lambda: tempfile.mkdtemp(dir="/proc/none"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("trpo_gail.bench.start.help_", lambda: 1.0)
    assert main(["bench", "start", "--repeats", "1"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("trpo-gail: /proc/none/")
