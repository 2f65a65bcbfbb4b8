"""Where episodes end and how, whatever flags, marks and names of episodes a file has, and in whatever kind of file."""

from __future__ import annotations

import json
import pickle
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from writers import hdf5, npz, pickled

import trpo_gail
from trpo_gail.envs import vector
from trpo_gail.errors import UserError
from trpo_gail.experts import facts, rows
from trpo_gail.experts.load import read


class Step(NamedTuple):
    """As replay memories hold it."""

    state: np.ndarray
    action: int
    reward: float
    next_state: np.ndarray
    done: bool


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
    assert any("steps begin again under 3 of 3 names" in note for note in held.notes)


@pytest.mark.parametrize("step", [STEP // 2, -STEP, np.zeros(N, int), np.array([0, 2, 1] * 6)[:N]])
def test_a_step_that_counts_something_else_changes_nothing(step: np.ndarray, tmp_path: Path) -> None:
    """A clock that is coarse, or runs down, and a column that is no step."""
    held = read(npz(tmp_path, ROWS | {"episode": EPISODE, "time": step}))
    assert held.episode_lengths.tolist() == [5, 7, 4] and np.array_equal(held.observations, ROWS["obs"])


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


@pytest.mark.parametrize(
    ("given", "endings"),
    [
        ({"observations": ROWS["obs"], "episode_lengths": [5, 7, 4]}, [facts.UNSAID] * 3),
        ({"obs": ROWS["obs"], "dones": LAST}, [facts.TERMINAL] * 3),
        ({"obs": ROWS["obs"], "episode_starts": STEP == 0}, [facts.UNSAID] * 3),
        (
            {"obs": ROWS["obs"], "episode_starts": STEP == 0, "terminals": FIRST},
            [facts.TERMINAL, facts.LIMIT, facts.LIMIT],
        ),
        (
            {"observations": ROWS["obs"], "dones": LAST, "truncated": LAST & ~FIRST},
            [facts.TERMINAL, facts.LIMIT, facts.LIMIT],
        ),
    ],
)
def test_a_mapping_of_arrays_goes_by_the_names_of_files(given: dict[str, Any], endings: list[int]) -> None:
    held = trpo_gail.ExpertDataset(traj_data={"actions": ROWS["actions"], **given}, verbose=0).demonstrations
    assert held.episode_lengths.tolist() == [5, 7, 4] and held.endings.tolist() == endings


def test_stable_baselines_file_that_says_how_episodes_end(tmp_path: Path) -> None:
    rows = {name: ROWS[name] for name in ("obs", "actions", "rewards")}
    held = read(npz(tmp_path, rows | {"episode_starts": STEP == 0, "terminals": FIRST, "episode_returns": np.zeros(3)}))
    assert held.episode_lengths.tolist() == [5, 7, 4]
    assert held.endings.tolist() == [facts.TERMINAL, facts.LIMIT, facts.LIMIT]


@pytest.mark.parametrize(
    "origin", [{"env_id": 3}, {"policy": 5}, {"seed": "abc"}, {"deterministic": "no"}, {"env_kwargs": "x"}]
)
def test_where_it_comes_from_is_of_its_type(origin: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"'{next(iter(origin))}': .* expected, found"):
        trpo_gail.Demonstrations.from_arrays(ROWS["obs"], ROWS["actions"], episode_ends=LAST, **origin)


@pytest.mark.parametrize("name", [None, 3, "", "a\0.h5"])
def test_what_names_no_file_is_not_written(name: Any) -> None:
    held = trpo_gail.Demonstrations.from_arrays(ROWS["obs"], ROWS["actions"], episode_ends=LAST)
    with pytest.raises(UserError, match=r"path: .* given, the name of a file expected"):
        held.save(name)


@pytest.mark.parametrize(
    ("given", "name"), [((2.5,), "trajectories"), (("2",), "trajectories"), ((2, 1.5), "subsample")]
)
def test_a_selection_is_by_whole_numbers(given: Any, name: str) -> None:
    held = trpo_gail.Demonstrations.from_arrays(ROWS["obs"], ROWS["actions"], episode_ends=LAST)
    with pytest.raises(UserError, match=f"{name}: .* given, a whole number"):
        held.select(*given)


def test_observations_alone_are_not_imitations_layout(tmp_path: Path) -> None:
    held = trpo_gail.Demonstrations.from_arrays(ROWS["obs"], episode_ends=LAST)
    with pytest.raises(UserError, match="imitation's layout holds actions"):
        held.save(tmp_path / "x", "datasets_folder")


def test_a_bad_flag_names_file_episode_and_row(tmp_path: Path) -> None:
    rows = ROWS | {"episode": EPISODE, "terminal": np.where(LAST & (EPISODE == 1), 4, 0)}
    with pytest.raises(UserError, match=r"x\.npz: 'episode 1', terminals: expected 0 or 1, found 4 in row 6"):
        read(npz(tmp_path, rows))


@pytest.mark.parametrize("write", PLAIN)
def test_flags_that_are_never_set_leave_episodes_to_their_names(write: Writer, tmp_path: Path) -> None:
    rows = {"observations" if name == "obs" else name: values for name, values in ROWS.items()}
    held = read(write(tmp_path, rows | {"episode": EPISODE, "dones": np.zeros(N)}))
    assert held.episode_lengths.tolist() == [5, 7, 4] and held.endings.tolist() == [facts.LIMIT] * 3


@pytest.mark.parametrize(("length", "said"), [(5, False), (6, True)])
def test_episodes_longer_than_the_environments_limit_are_noted(length: int, said: bool) -> None:
    spec = vector.spec_of("CartPole-v0", max_episode_steps=5)
    held = trpo_gail.Demonstrations.from_arrays(np.zeros((length, 4)), np.zeros(length, int), episode_ends=[length])
    notes = rows.as_rows(rows.as_rows(held, spec), spec).notes
    assert [note.startswith("1 of 1 episodes are longer than the 5 steps") for note in notes] == [True] * said


def test_rows_behind_a_flag_that_stays_set_are_padding(tmp_path: Path) -> None:
    lengths, steps = np.array([5, 7, 4]), np.arange(7)
    done = steps >= lengths[:, None] - 1
    batch = {
        "observations": np.ones((3, 7, 2)),
        "actions": np.zeros((3, 7), int),
        "rewards": np.ones((3, 7)),
        "dones": done,
    }
    held = read(npz(tmp_path, batch))
    assert held.episode_lengths.tolist() == [5, 7, 4] and "left out as padding" in held.notes[0]


# --- Arrays of every order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(16, 3), (16, 2, 3)])
def test_arrays_by_columns_are_read_as_they_are(shape: tuple[int, ...], tmp_path: Path) -> None:
    """As `x.T` is saved, and as MATLAB writes."""
    seen = np.asfortranarray(np.arange(float(np.prod(shape))).reshape(shape))
    held = read(npz(tmp_path, ROWS | {"obs": seen, "dones": LAST}))
    assert np.array_equal(held.observations, seen)
    (tmp_path / "folder").mkdir()
    for name, values in {"obs": seen, "actions": ROWS["actions"], "dones": LAST}.items():
        np.save(tmp_path / "folder" / f"{name}.npy", values)
    assert np.array_equal(read(tmp_path / "folder").observations, seen)


@pytest.mark.parametrize("write", [npz, pickled])
def test_a_vector_of_one_environment_is_no_batch_of_episodes(write: Writer, tmp_path: Path) -> None:
    held = read(write(tmp_path, {name: values[:, None] for name, values in (ROWS | {"dones": LAST}).items()}))
    assert held.episode_lengths.tolist() == [5, 7, 4] and np.array_equal(held.observations, ROWS["obs"])


def test_parts_of_a_tuple_come_in_the_order_of_their_numbers() -> None:
    steps = [tuple(np.full(1 + part % 2, 100.0 * i + part) for part in range(12)) for i in range(3)]
    held = trpo_gail.Demonstrations.from_arrays(steps, [0, 1, 0], episode_ends=[3])
    assert held.observations.dtype.names == tuple(str(part) for part in range(12))


@pytest.mark.parametrize("third", [False, True])
def test_where_next_observations_stand_is_told_by_the_rows(third: bool, tmp_path: Path) -> None:
    seen, acted = np.arange(17.0)[:, None] + [0, 0.5], -np.arange(16.0)[:, None] - [0, 0.5]
    steps = []
    for i in range(N):
        middle = (acted[i], seen[i + 1]) if third else (seen[i + 1], acted[i])
        steps.append((seen[i], *middle, 1.0, bool(LAST[i])))
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(steps))
    assert np.array_equal(read(tmp_path / "x.pkl").actions, acted)


@pytest.mark.parametrize("name", ["reward", "next_obs", "next_states"])
def test_a_flat_file_with_terminals_may_have_other_names(name: str, tmp_path: Path) -> None:
    values = ROWS["rewards"] if name == "reward" else ROWS["obs"] + 3
    rows = {key: value for key, value in ROWS.items() if key != "rewards"} | {"terminals": LAST, name: values}
    held = read(hdf5(tmp_path, rows))
    assert held.episode_lengths.tolist() == [5, 7, 4]
    assert (held.rewards is not None) == (name == "reward") != (held.next_observations is not None)


def test_a_misspelt_dataset_beside_terminals_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'time_outs': unexpected here, did you mean timeouts\?"):
        read(hdf5(tmp_path, ROWS | {"terminals": FIRST, "time_outs": LAST}))


def test_names_of_episodes_count_within_their_file(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for i in range(3):
        (tmp_path / "x" / f"ep_{i}.csv").write_text("traj,obs_0,action_0\n0,1.5,.5\n0,2.5,.5\n")
    assert read(tmp_path / "x").episode_lengths.tolist() == [2, 2, 2]


def test_observations_that_are_left_out_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("obs_0,obs_1,obs_vel,action,done\n1,2,3,0,0\n1,2,3,1,1\n")
    assert "columns that are left out: obs_vel" in read(tmp_path / "x.csv").notes


def test_steps_of_a_class_of_the_users_own(tmp_path: Path) -> None:
    steps = [
        Step(ROWS["obs"][i], int(ROWS["actions"][i]), float(i), ROWS["obs"][i] + 3, bool(LAST[i])) for i in range(N)
    ]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(deque(steps)))
    assert read(tmp_path / "x.pkl").episode_lengths.tolist() == [5, 7, 4]


# --- Steps or episodes --------------------------------------------------------------------------------------------


def test_a_reward_alone_is_that_of_a_step(tmp_path: Path) -> None:
    """Four frames are no steps, though an action has as many parts."""
    steps = [
        (np.zeros((4, 8, 8), np.uint8), np.array([0, 1, 0, 1]), 1.0, np.zeros((4, 8, 8), np.uint8), i == 5)
        for i in range(6)
    ]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(steps))
    held = read(tmp_path / "x.pkl")
    assert held.observations.shape == (6, 4, 8, 8) and held.actions.shape == (6, 4)


@pytest.mark.parametrize("lengths", [(3, 3), (3, 2)])
@pytest.mark.parametrize("more", [0, 1])
def test_episodes_of_labels_alone(lengths: tuple[int, ...], more: int, tmp_path: Path) -> None:
    episodes = [{"obs": list(range(n + more)), "acts": [1] * n} for n in lengths]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(episodes))
    assert read(tmp_path / "x.pkl").episode_lengths.tolist() == list(lengths)


@pytest.mark.parametrize("write", EVERY)
def test_one_number_an_action_is_a_column(write: Writer, tmp_path: Path) -> None:
    held = read(write(tmp_path, ROWS | {"actions": np.linspace(0.0, 1.0, N), "terminals": FIRST, "dones": LAST}))
    assert held.actions.shape == (N, 1) and held.episode_lengths.tolist() == [5, 7, 4]


def test_one_number_an_action_in_episodes_and_in_d4rls_layout(tmp_path: Path) -> None:
    episodes = [{"obs": np.zeros((n, 3)), "acts": np.linspace(0.0, 1.0, n)} for n in (5, 7)]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(episodes))
    assert read(tmp_path / "x.pkl").actions.shape == (12, 1)
    held = read(hdf5(tmp_path, ROWS | {"actions": np.linspace(0.0, 1.0, N), "terminals": LAST}))
    assert held.actions.shape == (N, 1)


def test_half_an_archive_is_said_to_be_cut_short(tmp_path: Path) -> None:
    path = npz(tmp_path, ROWS | {"dones": LAST})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"x\.npz: not an HDF5 file but a zip archive that is cut short or broken"):
        read(path)


def test_an_empty_name_is_no_folder() -> None:
    with pytest.raises(UserError, match="demonstrations: '' given, the name of a file or folder expected"):
        read("")


@pytest.mark.parametrize("write", [npz, pickled])
def test_bits_are_observations(write: Writer, tmp_path: Path) -> None:
    bits = ROWS["obs"] % 2 == 0
    held = read(write(tmp_path, ROWS | {"obs": bits, "next_obs": ~bits, "dones": LAST}))
    assert held.observations.dtype == np.int8 and np.array_equal(held.observations, bits)
    own = trpo_gail.Demonstrations.from_arrays(bits, ROWS["actions"], episode_ends=LAST)
    assert np.array_equal(own.observations, bits)
