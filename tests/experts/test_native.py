"""Native demonstration files: round trip, selection, and all that can be wrong with one."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts import describe
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.load import load, read
from trpo_gail.experts.save import save
from trpo_gail.experts.subsampling import paper_rows


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_written_is_read(tmp_path: Path, demonstrations: Demonstrations, dtype: str) -> None:
    written = replace(demonstrations, observations=demonstrations.observations.astype(dtype))
    save(tmp_path / "x.h5", written)
    held = read(tmp_path / "x.h5")
    assert held.provenance == written.provenance
    assert held.subsample == 1 and held.next_observations is None
    assert held.observations.dtype == dtype
    for name, values in vars(written).items():
        if isinstance(values, np.ndarray):
            np.testing.assert_array_equal(getattr(held, name), values, err_msg=name)


def test_a_name_that_is_no_text_is_spelled_out(tmp_path: Path, demonstrations: Demonstrations) -> None:
    """Of a policy's folder, for example: in Latin-1, where names are UTF-8."""
    origin = replace(demonstrations.provenance, policy="caf\udce9")
    save(tmp_path / "x.h5", replace(demonstrations, provenance=origin))
    assert load(tmp_path / "x.h5").provenance.policy == r"caf\udce9"


def test_the_same_content_gives_the_same_bytes(tmp_path: Path, demonstrations: Demonstrations) -> None:
    for name in ("a.h5", "b.h5"):
        save(tmp_path / name, demonstrations)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "b.h5"], "a temporary file is left"


def test_all_trajectories_are_loaded_by_default(native: Path) -> None:
    data = load(native)
    assert data.trajectories == 3 and data.subsample == 1 and len(data.observations) == 9
    assert data.episode_of.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert data.episode_lengths.tolist() == [3, 2, 4]
    assert data.return_mean == 3.0 and data.return_std == pytest.approx(np.std([3, 2, 4]))
    assert (data.env_id, data.env_kwargs, data.action_view) == ("Toy-v0", {"gravity": 2}, "raw")
    assert data.path == str(native) and len(data.sha256) == 64
    assert np.flatnonzero(data.terminals).tolist() == [4] and np.flatnonzero(data.timeouts).tolist() == [2, 8]


def test_the_first_n_trajectories_keep_the_mean_of_all(native: Path) -> None:
    data = load(native, trajectories=2)
    assert data.observations[:, 0].tolist() == [0, 1, 2, 10, 11]
    assert data.episode_returns is not None and data.episode_returns.tolist() == [3, 2]
    assert data.return_mean == 3.0, "over all the file's episodes, not only those kept"


def test_what_is_selected_is_told_beside_what_the_file_holds(native: Path) -> None:
    told = [describe.selection(load(native, n)) for n in (1, 2, 3)]
    assert told == [
        "3 pairs of the first of 3 trajectories, whose return is 3.0 (all 3: 3.0)",
        "5 pairs of the first 2 of 3 trajectories, whose return is 2.5 (all 3: 3.0)",
        "9 pairs of all 3 trajectories, whose return is 3.0",
    ]
    unknown = replace(read(native), episode_returns=None).select(2)
    assert describe.selection(unknown) == "5 pairs of the first 2 of 3 trajectories"


def test_subsampling_keeps_rows_from_the_offsets(native: Path) -> None:
    # k = 2: offsets 0, 1, 1.
    data = load(native, subsample=2)
    assert data.observations[:, 0].tolist() == [0, 2, 11, 21, 23]
    assert data.steps.tolist() == [0, 2, 1, 1, 3] and data.episode_of.tolist() == [0, 0, 1, 2, 2]
    assert data.rewards is not None and len(data.rewards) == len(data.actions) == 5
    assert data.episode_lengths.tolist() == [3, 2, 4], "of the whole episodes"


def subsampled(held: Demonstrations, k: int) -> Demonstrations:
    episode, step = paper_rows(held.episode_lengths, k)
    rows = (np.cumsum(held.episode_lengths) - held.episode_lengths)[episode] + step
    kept = {name: getattr(held, name)[rows] for name in ("observations", "actions", "terminals", "timeouts", "rewards")}
    return replace(held, **kept, steps=step, subsample=k)


def test_a_file_may_hold_subsampled_rows(tmp_path: Path, demonstrations: Demonstrations, native: Path) -> None:
    path = tmp_path / "sub.h5"
    save(path, subsampled(demonstrations, 2))
    for n in (1, 2, 3):
        stored, now = load(path, n), load(native, n, subsample=2)
        assert stored.subsample == now.subsample == 2
        for name in ("observations", "actions", "steps", "episode_of", "episode_lengths", "episode_returns"):
            np.testing.assert_array_equal(getattr(stored, name), getattr(now, name), err_msg=name)


def test_subsampling_twice_is_refused(tmp_path: Path, demonstrations: Demonstrations) -> None:
    save(tmp_path / "sub.h5", subsampled(demonstrations, 2))
    with pytest.raises(
        UserError, match=r"sub\.h5: subsample: the file already holds one row in 2, expected 1, found 2"
    ):
        load(tmp_path / "sub.h5", subsample=2)


def test_without_rewards_the_return_is_unknown(tmp_path: Path, demonstrations: Demonstrations) -> None:
    save(tmp_path / "x.h5", replace(demonstrations, rewards=None, episode_returns=None))
    data = load(tmp_path / "x.h5")
    assert data.rewards is None and data.return_mean is None and data.return_std is None
    assert dict(describe.info(load(tmp_path / "x.h5")))["returns"] == "unknown (no rewards)"


def test_returns_are_summed_where_only_rewards_are_given(native: Path) -> None:
    with h5py.File(native, "a") as file:
        del file["episode_returns"]
    assert read(native).episode_returns.tolist() == [3, 2, 4]


def test_a_failed_save_leaves_what_was_there(native: Path, demonstrations: Demonstrations) -> None:
    before = native.read_bytes()
    with pytest.raises(UserError, match=r"demos\.h5: dataset 'actions': expected 9 rows"):
        save(native, replace(demonstrations, actions=demonstrations.actions[:-1]))
    with pytest.raises(UserError, match=r"demos\.h5: dataset 'rewards': expected finite values, found nan at \[0\]"):
        save(native, replace(demonstrations, rewards=np.full(9, np.nan)))
    assert native.read_bytes() == before
    assert [p.name for p in native.parent.iterdir()] == ["demos.h5"], "a temporary file is left"
    with pytest.raises(UserError, match=r"nowhere.x\.h5: cannot be written"):
        save(native.parent / "nowhere" / "x.h5", demonstrations)


def test_d4rl_readers_find_what_they_read(native: Path) -> None:
    with h5py.File(native) as file:
        rows = {name: file[name][()] for name in ("observations", "actions", "rewards", "terminals", "timeouts")}
        assert {len(values) for values in rows.values()} == {9}
        assert rows["terminals"].dtype == rows["timeouts"].dtype == bool
        assert file["observations"].compression == "gzip"
        assert json.loads(file.attrs["env_kwargs"]) == {"gravity": 2}
        assert file.attrs["return_mean"] == 3.0


# --- Malformed files ----------------------------------------------------------------------------------------------


def edit(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[h5py.File], None]:
    """Replace a dataset by what `change` makes of its values; None removes it."""

    def apply(file: h5py.File) -> None:
        values = change(file[name][()])
        del file[name]
        if values is not None:
            file[name] = values

    return apply


def attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.__setitem__(name, value)


def with_nan(values: np.ndarray) -> np.ndarray:
    values[4, 0] = np.nan
    return values


def make_group(file: h5py.File) -> None:
    del file["actions"]
    file.create_group("actions")


MALFORMED = {
    "no observations": (
        edit("observations", lambda x: None),
        r"'observations' is missing, .*; the file holds",
    ),
    "no terminals": (edit("terminals", lambda x: None), r"'terminals' is missing, expected \[rows\]"),
    "no timeouts": (edit("timeouts", lambda x: None), r"'timeouts' is missing, expected \[rows\]"),
    "no steps": (edit("steps", lambda x: None), r"'steps' is missing, expected \[rows\]"),
    "no lengths": (edit("episode_lengths", lambda x: None), r"'episode_lengths' is missing, expected \[episodes\]"),
    "a group": (make_group, r"'actions' is a group, expected a dataset"),
    "NaN": (edit("observations", with_nan), r"'observations': expected finite values, found nan at \[4, 0\]"),
    "infinity": (edit("actions", lambda x: x + np.inf), r"'actions': expected finite values, found inf at \[0, 0\]"),
    "short actions": (edit("actions", lambda x: x[:-1]), r"'actions': expected 9 rows as in 'observations', found 8"),
    "short rewards": (edit("rewards", lambda x: x[:-1]), r"'rewards': expected 9 rows as in 'observations', found 8"),
    "long steps": (edit("steps", lambda x: np.r_[x, 9]), r"'steps': expected 9 rows as in 'observations', found 10"),
    "few returns": (edit("episode_returns", lambda x: x[:2]), r"'episode_returns': expected 3 .*, found 2"),
    "wrong lengths": (edit("episode_lengths", lambda x: x + 1), r"'episode_lengths': expected .* 9 rows .*, found 12"),
    "zero length": (edit("episode_lengths", lambda x: x * 0), r"'episode_lengths': expected 1 or more, found 0"),
    "no row": (edit("observations", lambda x: x[:0]), r"'observations': expected at least 1 row of 1 episode, found 0"),
    "wrong steps": (edit("steps", lambda x: x[::-1]), r"'steps': expected 0 in row 0, found 3"),
    "flat observations": (edit("observations", lambda x: x[:, 0]), r"'observations': expected .*, found shape \[9\]"),
    "text": (edit("observations", lambda x: x.astype("S8")), r"'observations': expected numbers .*, found dtype \|S8"),
    "complex": (edit("observations", lambda x: x * 1j), r"'observations': expected numbers .*, found dtype complex"),
    "float steps": (edit("steps", lambda x: x / 2), r"'steps': expected integers \[rows\], found dtype float64"),
    "float flags": (edit("timeouts", lambda x: x / 2), r"'timeouts': expected booleans \[rows\], found dtype float"),
    "scalar action": (
        edit("actions", lambda x: x[:, 0]),
        r"'actions': expected floats \[rows, action size\], or .*float32",
    ),
    "bad JSON": (attribute("env_kwargs", "{"), r"attribute 'env_kwargs': expected JSON, found '\{'"),
    "JSON list": (attribute("env_kwargs", "[1]"), r"attribute 'env_kwargs': expected a JSON object, found \[1\]"),
    "number as text": (attribute("env_id", 3), r"attribute 'env_id': expected text, found int64"),
    "view": (attribute("action_view", "blurred"), r"'action_view': expected 'raw' or 'executed', found 'blurred'"),
    "subsample": (attribute("subsample", 0), r"'subsample': expected an integer of at least 1, found"),
    "claimed subsample": (
        attribute("subsample", 2),
        r"'episode_lengths': expected .* 9 rows .*, found 5 \(one in 2 of 9",
    ),
    "future": (attribute("format_version", 3), r"'format_version': expected 2 or less, found"),
    "seed": (attribute("seed", "many"), r"attribute 'seed': expected an integer, found 'many'"),
}


@pytest.mark.parametrize(("damage", "message"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_is_one_clear_line(native: Path, damage: Callable[[h5py.File], None], message: str) -> None:
    with h5py.File(native, "a") as file:
        damage(file)
    for use in (load, read):
        with pytest.raises(UserError, match=rf"demos\.h5: .*{message}") as caught:
            use(native)
        assert "\n" not in str(caught.value)


def test_a_file_that_is_not_hdf5(tmp_path: Path) -> None:
    for name, content, message in (
        ("text.h5", b"once upon a time\n", "of no format that is read"),
        ("empty.h5", b"", "an empty file"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"{name}: {message}"):
            load(tmp_path / name)
    with pytest.raises(UserError, match=r"nowhere\.h5: no such file"):
        load(tmp_path / "nowhere.h5")
    with pytest.raises(UserError, match=r"empty\.h5: an empty file"):
        load(tmp_path)
    (tmp_path / "inner").mkdir()
    (tmp_path / "empty.h5").rename(tmp_path / "inner.txt")
    (tmp_path / "text.h5").rename(tmp_path / "text.md")
    with pytest.raises(
        UserError, match=r"a folder of no format that is read, .* it holds inner\.txt, inner/, text\.md"
    ):
        load(tmp_path)
    with pytest.raises(UserError, match=r"inner: an empty folder$"):
        load(tmp_path / "inner")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file(native: Path, share: float) -> None:
    whole = native.read_bytes()
    native.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"demos\.h5: damaged or truncated HDF5, expected a complete file"):
        load(native)


def test_a_damaged_dataset(damaged: Path) -> None:
    with pytest.raises(UserError, match=r"demos\.h5: damaged or truncated HDF5"):
        load(damaged)


def test_an_hdf5_file_of_something_else(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["weather"] = [1.0]
    with pytest.raises(UserError, match=r"x\.h5: dataset 'observations' is missing, .* the file holds weather"):
        load(tmp_path / "x.h5")


def test_a_policy_file_is_told_from_data(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "expert.h5", "w") as file:
        file.create_group("snapshots/iter0000500")
    with pytest.raises(UserError, match=r"expert\.h5: a policy file .* expected demonstrations; .*trpo-gail record"):
        load(tmp_path / "expert.h5")


def test_a_file_that_is_being_written(native: Path) -> None:
    with open(native, "rb+") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"demos\.h5: locked by a process that is writing it"):
            load(native)
    load(native)


@pytest.mark.parametrize("asked", [4, 0, -1])
def test_trajectories_that_are_not_held(native: Path, asked: int) -> None:
    with pytest.raises(UserError, match=rf"demos\.h5: trajectories: expected 1 to 3, which .*, found {asked}"):
        load(native, trajectories=asked)


@pytest.mark.parametrize("asked", [0, -5])
def test_a_subsample_below_one(native: Path, asked: int) -> None:
    with pytest.raises(UserError, match=rf"demos\.h5: subsample: expected at least 1, found {asked}"):
        load(native, subsample=asked)


def test_a_subsample_that_leaves_nothing(native: Path) -> None:
    with pytest.raises(UserError, match=r"demos\.h5: subsample: 1000 leaves no row of 1 trajectories"):
        load(native, trajectories=1, subsample=1000)


def test_that_nobody_knows_how_episodes_end_is_kept(tmp_path: Path, demonstrations: Demonstrations) -> None:
    no = np.zeros(len(demonstrations.steps), bool)
    save(tmp_path / "x.h5", replace(demonstrations, terminals=no, timeouts=no, says_ends=False))
    assert load(tmp_path / "x.h5").ends is None
    save(tmp_path / "y.h5", demonstrations)
    assert load(tmp_path / "y.h5").ends is not None
