"""Demonstrations in pieces: the same rows, and the same bytes, as at once."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from repeats import every

from trpo_gail.bench import data as bench_data
from trpo_gail.errors import UserError
from trpo_gail.experts import describe, editing, load, streams
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Provenance
from trpo_gail.experts.files import hdf5_writing
from trpo_gail.experts.outline import outline
from trpo_gail.experts.save import save, writer
from trpo_gail.experts.subsampling import paper_rows

WRITTEN = ["native", "d4rl", "minari", "paper", "stable_baselines"]


def several(seed: int = 0, **changes: Any) -> Demonstrations:
    """Forty episodes of 1 to 9 steps."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 10, 40)
    episode, step = paper_rows(lengths, 1)
    last = step == lengths[episode] - 1
    ended = last & (rng.random(len(step)) < 0.5)
    rewards = rng.normal(size=len(step))
    held = Demonstrations(
        observations=rng.normal(size=(len(step), 3)),
        actions=rng.normal(size=(len(step), 2)).astype(np.float32),
        terminals=ended,
        timeouts=last & ~ended,
        steps=step,
        episode_lengths=lengths,
        rewards=rewards,
        episode_returns=np.bincount(episode, rewards),
        final_observations=rng.normal(size=(40, 3)),
        provenance=Provenance(
            env_id="Toy-v0", action_space={"type": "Box", "shape": [2], "low": [-1, -1], "high": [1, 1]}
        ),
    )
    return replace(held, **changes)


def assert_same(one: Demonstrations, other: Demonstrations) -> None:
    for field in fields(one):
        if field.name not in ("sha256", "whole"):
            a, b = getattr(one, field.name), getattr(other, field.name)
            if isinstance(a, np.ndarray):
                assert a.dtype == b.dtype, field.name
                np.testing.assert_array_equal(a, b, field.name)
            else:
                assert a == b, field.name


def content(path: Path) -> list[bytes]:
    return [file.read_bytes() for file in ([path] if path.is_file() else sorted(path.rglob("*.*"))) if file.is_file()]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few episodes, and columns that wait in files."""
    monkeypatch.setattr(streams, "PIECE", 500)
    monkeypatch.setattr(streams, "SLICE", 100)
    monkeypatch.setattr(streams, "_IN_MEMORY", 1000)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_in_pieces_is_the_file(tmp_path: Path, name: str) -> None:
    source, at_once, again = (tmp_path / folder / "a" for folder in ("source", "at once", "again"))
    for path in (source, at_once, again):
        path.parent.mkdir()
    with writer(name)(source) as append:
        append(several())
    whole, pieces = load.read(source), list(load.pieces(source))
    assert len(pieces) > 10, "it is read at once"
    assert_same(editing.joined(pieces), whole)
    for path, held in ((at_once, [whole]), (again, pieces)):
        with writer(name)(path) as append:
            for piece in held:
                append(piece)
    assert content(again) == content(at_once)
    left = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.glob("*/*"))
    assert left == ["again/a", "at once/a", "source/a"], "something else is left"


def test_a_group_for_each_episode(tmp_path: Path) -> None:
    path = tmp_path / "demos.h5"
    with h5py.File(path, "w") as file:
        for i in range(30):
            group = file.create_group(f"data/demo_{i}")
            group["obs/joint"] = np.arange(3.0 * i, 3.0 * i + 9).reshape(3, 3)
            group["obs/gripper"] = np.arange(3, dtype=np.float32 if i < 20 else np.float64)
            group["actions"], group["dones"] = np.ones((3, 1)), [0, 0, i % 2]
    pieces = list(load.pieces(path))
    assert len(pieces) > 3
    assert_same(editing.joined(pieces), load.read(path))
    with h5py.File(path, "a") as file:
        del file["data/demo_7/dones"]
    with pytest.raises(UserError, match="demo_7"):
        list(load.pieces(path))


@pytest.mark.parametrize("padded", [0, 8, 30], ids="{} are padded".format)
@pytest.mark.parametrize(("filled", "more"), every(3, [(False, 0), (False, 1), (True, 0), (True, 1)]))
def test_padding_is_judged_of_all_episodes(padded: int, filled: bool, more: int, tmp_path: Path) -> None:
    """One that goes on behind its last flag, with rows that are no zeros, tells that none is padding."""
    path, rng = tmp_path / "demos.h5", np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for i in range(30):
            used = np.arange(20) < (12 if i < padded else 20)
            group = file.create_group(f"demo_{i}")
            group["actions"], group["dones"] = rng.normal(size=(20, 2)) * used[:, None], np.arange(20) == used.sum() - 1
            group["obs"] = rng.normal(size=(20 + more, 2)) * np.r_[used, np.full(more, used[-1])][:, None]
        if filled:
            del file["demo_29/dones"]
            file["demo_29/dones"] = np.arange(20) == 5
    pieces, whole = list(load.pieces(path)), load.read(path)
    assert len(pieces) > 3
    assert whole.episode_lengths.tolist() == [20 if filled or i >= padded else 12 for i in range(30)]
    assert_same(editing.joined(pieces), whole)
    padding = [note for note in whole.notes if "padding" in note]
    assert len(padding) == (padded > 0 and not filled)
    assert all([note for note in piece.notes if "padding" in note] == padding for piece in pieces)


def test_axes_and_time_limits_are_judged_of_all_episodes(tmp_path: Path) -> None:
    path, walk = tmp_path / "demos.h5", np.cumsum(np.random.default_rng(0).normal(size=(61, 4, 3)), axis=0)
    for limit in (None, 40):
        with h5py.File(path, "w") as file:
            for i in range(60):
                file[f"demo_{i}/obs"], file[f"demo_{i}/actions"] = walk[i], np.ones((4, 1))
                file[f"demo_{i}/truncated"] = (np.arange(4) == 3) & (i == limit)
        pieces, whole = list(load.pieces(path)), load.read(path)
        assert len(pieces) > 3 and len(whole.notes) == (2 if limit is None else 1)
        assert all(set(piece.notes) == set(whole.notes) for piece in pieces)
    with h5py.File(path, "a") as file:
        for i in range(60):
            file[f"demo_{i}/next_obs"] = walk[i + 1]
    for work in (load.read, lambda path: list(load.pieces(path))):
        with pytest.raises(UserError, match="next observations are those of the next row of the first axis"):
            work(path)


def test_an_unfinished_episode_is_the_last_piece_s(tmp_path: Path) -> None:
    held = several()
    ends = {name: getattr(held, name).copy() for name in ("terminals", "timeouts")}
    for values in ends.values():
        values[-1] = False
    held = replace(held, **ends, unfinished=True, final_observations=None)
    for name in ("native", "d4rl", "minari"):
        with writer(name)(path := tmp_path / name) as append:
            append(held)
        pieces = list(load.pieces(path))
        assert [piece.unfinished for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert_same(editing.joined(pieces), load.read(path))


def test_ends_that_only_next_observations_show(tmp_path: Path) -> None:
    held = several(timeouts=np.zeros(len(several().steps), bool))
    with h5py.File(tmp_path / "d.h5", "w") as file:
        for name in ("observations", "actions", "rewards", "terminals"):
            file[name] = getattr(held, name)
        file["next_observations"] = held.transitions().next_observations
    whole = load.read(tmp_path / "d.h5")
    assert "without a flag" in whole.notes[0]
    assert_same(editing.joined(load.pieces(tmp_path / "d.h5")), whole)


def test_what_is_malformed_is_found_where_it_is(tmp_path: Path) -> None:
    rewards = several().rewards
    assert rewards is not None
    save(path := tmp_path / "a.h5", several())
    with h5py.File(path, "a") as file:
        file["rewards"][150] = np.nan
    for work in (load.read, lambda path: list(load.pieces(path))):
        with pytest.raises(UserError, match=r"'rewards': expected finite values, found nan at \[150\]"):
            work(path)
    save(path, several())
    with h5py.File(path, "a") as file:
        file["steps"][150] = 77
    for work in (load.read, lambda path: list(load.pieces(path))):
        with pytest.raises(UserError, match=r"'steps': expected \d in row 150, found 77"):
            work(path)
    with h5py.File(path, "a") as file:
        file["episode_lengths"][3] = 0
    with pytest.raises(UserError, match="'episode_lengths': expected 1 or more, found 0"):
        list(load.pieces(path))


def test_the_outline_of_pieces_is_that_of_the_whole(tmp_path: Path) -> None:
    save(path := tmp_path / "a.h5", several())
    lines, whole = dict(describe.info(outline(load.pieces(path)))), dict(describe.info(load.read(path)))
    assert {**lines, "sha256": ""} == {**whole, "sha256": ""}
    assert "% of coordinates outside the bounds -1 to 1" in lines["actions"]


def test_select_and_merge_in_pieces(tmp_path: Path) -> None:
    save(path := tmp_path / "a.h5", several())
    whole = load.read(path)
    kept = editing.joined(editing.selected(load.pieces(path), (0.0, None), (2, 8), [*range(3, 40)]))
    wanted = [i for i in editing.matching(whole, (0.0, None), (2, 8)).tolist() if i >= 3]
    assert_same(kept, editing.pick(whole, wanted))
    with pytest.raises(UserError, match="from 0 to 39, found 40"):
        list(editing.selected(load.pieces(path), episodes=[1, 40]))
    with pytest.raises(UserError, match="none of its 40 episodes"):
        list(editing.selected(load.pieces(path), lengths=(100, None)))
    narrow = several(1, observations=several(1).observations.astype(np.float32), rewards=None)
    save(other := tmp_path / "b.h5", narrow)
    both = editing.joined(editing.merged([lambda: load.pieces(other), lambda: load.pieces(path)]))
    assert both.trajectories == 80 and both.rewards is None and both.observations.dtype == np.float64
    with pytest.raises(UserError, match="name this file last"):
        list(editing.merged([lambda: iter([replace(whole, unfinished=True)]), lambda: load.pieces(path)]))


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("before")
    for name in WRITTEN[:2] + WRITTEN[3:]:
        with contextlib.suppress(UserError), writer(name)(tmp_path / "a.h5") as append:
            append(several())
            raise UserError("half way")
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]
    assert (tmp_path / "a.h5").read_text() == "before"


@pytest.mark.parametrize("name", ["minari", "datasets_folder"])
def test_a_folder_is_written_whole_or_not_at_all(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        path.write_bytes(content)

    monkeypatch.setattr("trpo_gail.system.whole_file.write", full)
    with pytest.raises(UserError, match="mine: cannot be written: No space left on device"):
        save(tmp_path / "mine", several(), name)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("stays")
    save(tmp_path / "mine", several(), name)
    assert load.read(tmp_path / "mine").trajectories == several().trajectories
    assert (tmp_path / "mine" / "note.txt").read_text() == "stays" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("most", [4 << 20, 100])
def test_a_full_disk_is_an_error_and_no_crash(most: int, tmp_path: Path) -> None:
    """The HDF5 library itself crashes if a write fails."""
    program = (
        "import resource, sys\nimport numpy as np\nfrom trpo_gail.errors import UserError\n"
        "from trpo_gail.experts.files import hdf5_writing\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, resource.RLIM_INFINITY))\n"
        "try:\n    with hdf5_writing.writing(sys.argv[1]) as file:\n"
        "        hdf5_writing.put(file, 'x', np.random.default_rng(0).normal(size=(1000, 1000)))\n"
        "except UserError as error:\n    print(error)\n"
    )
    path = tmp_path / "x.h5"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{path}: cannot be written: File too large\n" and not list(tmp_path.iterdir())


def test_records_are_a_group(tmp_path: Path) -> None:
    dtype = np.dtype([("image", "u1", (2, 2)), ("inner", [("a", "f4"), ("b", "i8", (3,))])])
    values = np.zeros(100, dtype)
    values["inner"]["b"] = np.arange(300).reshape(100, 3)
    with hdf5_writing.writing(tmp_path / "x.h5") as file:
        hdf5_writing.put(file, "x", values)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["x/image"].shape == (100, 2, 2) and (file["x/inner/b"][()] == values["inner"]["b"]).all()


@pytest.mark.long
def test_a_large_file_is_converted_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """154 MB of numbers, which gzip makes small."""
    monkeypatch.undo()
    rows = 60_000
    piece = several(
        observations=np.zeros((rows, 80)),
        actions=np.zeros((rows, 2), np.float32),
        terminals=np.zeros(rows, bool),
        timeouts=np.arange(rows) % 1000 == 999,
        steps=np.arange(rows) % 1000,
        episode_lengths=np.full(60, 1000),
        rewards=None,
        episode_returns=None,
        final_observations=None,
    )
    with writer("native")(source := tmp_path / "source.h5") as append:
        for _ in range(4):
            append(piece)
    monkeypatch.setenv("TRPO_GAIL_EXPANSION_MB", "1000")
    assert bench_data.converted(source, tmp_path / "out.h5", "d4rl")[0] < 250
