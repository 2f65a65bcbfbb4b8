"""Where episodes end and how, whatever flags, marks and names of episodes a file has, and in whatever kind of file."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import trpo_gail
from trpo_gail.errors import UserError
from trpo_gail.experts import facts
from trpo_gail.experts.load import read

N = 16
EPISODE = np.repeat([0, 1, 2], [5, 7, 4])
STEP = np.r_[np.arange(5), np.arange(7), np.arange(4)]
LAST = np.r_[np.diff(EPISODE) != 0, True]
FIRST = LAST & (EPISODE == 0)  # the first episode ends by termination, the others at a time limit
ROWS: dict[str, Any] = {
    "obs": np.arange(3.0 * N, dtype=np.float32).reshape(N, 3),
    "actions": np.arange(N) % 2,
    "rewards": np.arange(float(N)),
}


def csv(path: Path, rows: dict[str, Any]) -> Path:
    columns = {f"obs_{i}": rows["obs"][:, i] for i in range(3)} | {k: v for k, v in rows.items() if k != "obs"}
    lines = [",".join(columns), *(",".join(str(float(v[i])) for v in columns.values()) for i in range(N))]
    (path / "x.csv").write_text("\n".join(lines) + "\n")
    return path / "x.csv"


def npz(path: Path, rows: dict[str, Any]) -> Path:
    np.savez(path / "x.npz", **rows)
    return path / "x.npz"


def pickled(path: Path, rows: dict[str, Any]) -> Path:
    (path / "x.pkl").write_bytes(pickle.dumps(rows))
    return path / "x.pkl"


def hdf5(path: Path, rows: dict[str, Any]) -> Path:
    with h5py.File(path / "x.h5", "w") as file:
        for name, values in rows.items():
            file[{"obs": "observations"}.get(name, name)] = values
    return path / "x.h5"


def lines(path: Path, rows: dict[str, Any]) -> Path:
    steps = [{name: np.asarray(values[i]).tolist() for name, values in rows.items()} for i in range(N)]
    (path / "x.json").write_text("\n".join(map(json.dumps, steps)))
    return path / "x.json"


Writer = Callable[[Path, dict[str, Any]], Path]
EVERY = (csv, npz, pickled, hdf5, lines)
PLAIN = (npz, pickled, hdf5)  # those that hold arrays of other lengths than the rows'


@pytest.mark.parametrize("write", EVERY)
@pytest.mark.parametrize(
    "flags",
    [
        {"terminals": FIRST, "timeouts": LAST & ~FIRST},
        {"terminals": FIRST, "truncations": LAST & ~FIRST},
        {"terminated": FIRST, "truncated": LAST & ~FIRST},
        {"terminals": FIRST, "dones": LAST},
        {"terminated": FIRST, "done": LAST},
        {"done": LAST, "truncated": LAST & ~FIRST},
        {"dones": LAST, "timeouts": LAST & ~FIRST},
        {"dones": FIRST, "truncations": LAST & ~FIRST},
        {"not_done": ~LAST, "timeouts": LAST & ~FIRST},
        {"terminals": FIRST, "not_done": ~LAST},
        {"episode": EPISODE, "terminals": FIRST, "dones": LAST},
    ],
    ids=lambda flags: "+".join(flags),
)
def test_an_end_of_either_kind_beside_one_of_a_kind(write: Writer, flags: dict[str, Any], tmp_path: Path) -> None:
    held = read(write(tmp_path, ROWS | {name: values.astype(float) for name, values in flags.items()}))
    assert held.episode_lengths.tolist() == [5, 7, 4] and not held.unfinished
    assert held.endings.tolist() == [facts.TERMINAL, facts.LIMIT, facts.LIMIT]
    assert np.split(np.asarray(held.rewards), [5, 12])[1].tolist() == [*range(5, 12)]


@pytest.mark.parametrize(
    "flags",
    [{"done": True, "truncated": True}, {"done": [0, 1], "truncated": [0, 1]}, {"done": 1, "truncated": [0, 1]}],
)
def test_a_users_own_episode_that_a_time_limit_cut(flags: dict[str, Any]) -> None:
    held = trpo_gail.Demonstrations.from_trajectories([{"obs": np.zeros((2, 3)), "acts": [0, 1], **flags}])
    assert held.endings.tolist() == [facts.LIMIT]


@pytest.mark.parametrize("write", PLAIN)
@pytest.mark.parametrize(
    "marks",
    [
        {"episode_ends": [5, 12, 16]},
        {"episode_starts": [0, 5, 12]},
        {"episode_lengths": [5, 7, 4]},
        {"episode_id": EPISODE},
    ],
    ids=lambda marks: next(iter(marks)),
)
def test_marks_beside_the_rows(write: Writer, marks: dict[str, Any], tmp_path: Path) -> None:
    rows = {"observations" if name == "obs" else name: values for name, values in ROWS.items()}
    held = read(write(tmp_path, rows | {name: np.asarray(values) for name, values in marks.items()}))
    assert held.episode_lengths.tolist() == [5, 7, 4] and not held.unfinished


@pytest.mark.parametrize("write", PLAIN)
@pytest.mark.parametrize("wrong", [{"episode_lengths": [5, 7, 3]}, {"lengths": [5, 7, 4], "starts": [0, 4, 12]}])
def test_marks_that_contradict(write: Writer, wrong: dict[str, Any], tmp_path: Path) -> None:
    rows = {"observations" if name == "obs" else name: values for name, values in ROWS.items()}
    with pytest.raises(UserError, match=r"x\.\w+: .*(add up to 16 rows|lengths says .* starts of)"):
        read(write(tmp_path, rows | {name: np.asarray(values) for name, values in wrong.items()}))


@pytest.mark.parametrize("write", PLAIN)
def test_rows_behind_the_last_end_are_an_unfinished_episode(write: Writer, tmp_path: Path) -> None:
    rows = {"observations" if name == "obs" else name: values for name, values in ROWS.items()}
    held = read(write(tmp_path, rows | {"episode_ends": np.array([5, 12])}))
    assert held.episode_lengths.tolist() == [5, 7, 4] and held.unfinished
    assert held.given_return_mean == pytest.approx((10 + 56) / 2)


# --- A column that names the episode ------------------------------------------------------------------------------


def test_rows_of_an_episode_are_put_in_the_order_of_their_step(tmp_path: Path, rng: np.random.Generator) -> None:
    order = rng.permutation(N)
    held = read(npz(tmp_path, {k: v[order] for k, v in (ROWS | {"episode": EPISODE, "step": STEP}).items()}))
    by_first = {
        float(rewards[0]): rewards.tolist()
        for rewards in np.split(np.asarray(held.rewards), np.cumsum(held.episode_lengths)[:-1])
    }
    assert by_first == {0.0: [*range(5)], 5.0: [*range(5, 12)], 12.0: [*range(12, 16)]}
    assert any("order of their step" in note for note in held.notes)


def test_a_name_that_comes_again_is_of_another_episode(tmp_path: Path) -> None:
    twice = {k: np.concatenate([v, v]) for k, v in (ROWS | {"episode": EPISODE, "step": STEP}).items()}
    held = read(npz(tmp_path, twice))
    assert sorted(held.episode_lengths.tolist()) == [4, 4, 5, 5, 7, 7]
    assert any("3 names are of several episodes" in note for note in held.notes)


@pytest.mark.parametrize("names", [np.where(EPISODE == 1, np.nan, EPISODE), np.where(EPISODE == 1, "", "a")])
def test_a_row_without_a_name_is_refused(names: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.npz: episode: .* row 5 has none"):
        read(npz(tmp_path, ROWS | {"episode": names}))


# --- Flags within an episode --------------------------------------------------------------------------------------


def test_flags_within_episodes_are_noted(tmp_path: Path) -> None:
    parts = [{name: values[i : i + 8] for name, values in (ROWS | {"dones": LAST}).items()} for i in (0, 8)]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(parts))
    held = read(tmp_path / "x.pkl")
    assert held.episode_lengths.tolist() == [8, 8]
    assert held.notes == ("flags end something within 2 of 2 episodes, where rows go on: such flags are left out",)


def test_d4rls_layout_keeps_an_episode_whole_that_goes_on_after_a_flag(tmp_path: Path) -> None:
    inner = FIRST.copy()
    inner[8] = True
    held = trpo_gail.Demonstrations.from_arrays(
        ROWS["obs"],
        ROWS["actions"],
        rewards=ROWS["rewards"],
        terminals=inner,
        timeouts=LAST & ~FIRST,
        episode_ends=LAST,
    )
    held.save(tmp_path / "x.h5", "d4rl")
    again = read(tmp_path / "x.h5")
    assert again.episode_lengths.tolist() == [5, 7, 4] and again.endings.tolist() == held.endings.tolist()


@pytest.mark.parametrize("kind", [float, int, bool])
def test_the_last_items_of_steps_may_be_masks(kind: Any, tmp_path: Path) -> None:
    steps = [
        (ROWS["obs"][i], int(ROWS["actions"][i]), float(i), ROWS["obs"][i] + 3, kind(not LAST[i])) for i in range(N)
    ]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(steps))
    held = read(tmp_path / "x.pkl")
    assert held.episode_lengths.tolist() == [5, 7, 4] and "taken for masks" in held.notes[0]


def test_steps_of_six_items_say_both_kinds_of_ends(tmp_path: Path) -> None:
    steps = [
        (ROWS["obs"][i], 0, float(i), ROWS["obs"][i] + 3, bool(FIRST[i]), bool(LAST[i] & ~FIRST[i])) for i in range(N)
    ]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(steps))
    held = read(tmp_path / "x.pkl")
    assert held.endings.tolist() == [facts.TERMINAL, facts.LIMIT, facts.LIMIT]


# --- What else was lost in silence --------------------------------------------------------------------------------


def test_every_pickle_in_a_file_counts(tmp_path: Path) -> None:
    with open(tmp_path / "x.pkl", "wb") as file:
        for rows in np.split(np.arange(N), [5, 12]):
            pickle.dump({name: values[rows] for name, values in ROWS.items()}, file)
    assert read(tmp_path / "x.pkl").episode_lengths.tolist() == [5, 7, 4]


def test_what_follows_behind_an_array_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "x.npy", "wb") as file:
        np.save(file, np.zeros((4, 3)))
        np.save(file, np.ones((4, 3)))
    (tmp_path / "x.npy.columns").write_text("obs*2 action")
    with pytest.raises(UserError, match=r"x\.npy: .* bytes follow behind it"):
        read(tmp_path / "x.npy")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("Obs_0", "obs_0", "obs_1"), "column 'obs_0': another one is called so"),
        (("obs_0", "obs_00", "obs_1"), "column 'obs_00': another one is called so"),
        (("observation_0", "obs_1", "obs_2"), "columns of observations are called both .*observation_0"),
    ],
)
def test_no_column_is_left_out_for_another(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"{','.join(names)},action,done\n1,2,3,0,0\n1,2,3,1,1\n")
    with pytest.raises(UserError, match=message):
        read(tmp_path / "x.csv")


def test_a_batch_of_labels_without_rewards(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(
        pickle.dumps({"observations": np.zeros((3, 7, 2)), "actions": np.zeros((3, 7), int)})
    )
    assert read(tmp_path / "x.pkl").episode_lengths.tolist() == [7, 7, 7]


# --- Arrays of a user's own ---------------------------------------------------------------------------------------


def test_masked_actions_are_refused() -> None:
    with pytest.raises(UserError, match=r"dataset 'actions': .* masked"):
        trpo_gail.Demonstrations.from_arrays(ROWS["obs"], np.ma.masked_equal(ROWS["actions"], 1), episode_ends=LAST)


@pytest.mark.parametrize("actions", [3, np.float64(2.0)])
def test_one_value_in_place_of_actions(actions: Any) -> None:
    with pytest.raises(UserError, match="dataset 'actions': expected rows, found"):
        trpo_gail.Demonstrations.from_arrays(ROWS["obs"], actions, episode_ends=LAST)


@pytest.mark.parametrize("size", [2, 3])
def test_pairs_that_were_unzipped(size: int) -> None:
    pairs = [(np.arange(float(size)) + i, i % 2) for i in range(3)]
    observations, actions = zip(*pairs, strict=True)
    held = trpo_gail.Demonstrations.from_arrays(observations, actions, episode_ends=[3])
    assert held.observations.tolist() == [list(seen) for seen, _ in pairs] and held.actions.tolist() == [0, 1, 0]


def test_a_tuple_spaces_observations_step_by_step() -> None:
    steps = [(np.full(2, i), np.full(3, 10.0 * i)) for i in range(4)]
    held = trpo_gail.Demonstrations.from_arrays(steps, [0, 1, 0, 1], episode_ends=[4])
    assert held.observations["0"].tolist() == [[i, i] for i in range(4)]
    assert held.observations["1"][3].tolist() == [30.0] * 3


def test_bits_are_labels() -> None:
    held = trpo_gail.Demonstrations.from_arrays(ROWS["obs"], ROWS["actions"] == 1, episode_ends=LAST)
    assert held.actions.tolist() == ROWS["actions"].tolist()
