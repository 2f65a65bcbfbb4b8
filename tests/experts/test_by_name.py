"""Names of episodes that come back, and columns that name the environment or agent of a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from writers import lines, npz, parquet, pickled

from trpo_gail.experts.load import read

LENGTHS = [5, 3, 6, 4]
N = sum(LENGTHS)
EPISODE = np.repeat(np.arange(4), LENGTHS)
STEP = np.concatenate([np.arange(n) for n in LENGTHS])
LAST = np.r_[np.diff(EPISODE) != 0, True]
ROWS: dict[str, np.ndarray] = {
    "obs": np.arange(3.0 * N).reshape(N, 3) + 0.5,
    "action": np.arange(N) % 2,
    "reward": np.ones(N),
}
IN_TURN = np.argsort(STEP, kind="stable")  # step 0 of all, then step 1 of those that still run


def csv(path: Path, rows: dict[str, np.ndarray]) -> Path:
    columns = {f"obs_{i}": rows["obs"][:, i] for i in range(3)} | {k: v for k, v in rows.items() if k != "obs"}
    lines = [",".join(columns), *(",".join(str(v[i]) for v in columns.values()) for i in range(len(rows["obs"])))]
    (path / "x.csv").write_text("\n".join(lines) + "\n")
    return path / "x.csv"


def batch(path: Path, rows: dict[str, np.ndarray]) -> Path:
    held = {"type": "SampleBatch"} | {name: values.tolist() for name, values in rows.items()}
    (path / "x.json").write_text(json.dumps(held))
    return path / "x.json"


TABLES = (csv, npz, lines, batch, parquet)


def turned(rows: dict[str, np.ndarray], order: np.ndarray = IN_TURN) -> dict[str, np.ndarray]:
    return {name: values[order] for name, values in rows.items()}


# --- Environments and agents --------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [*TABLES, pickled])
@pytest.mark.parametrize("name", ["env_id", "agent_index", "robot"])
@pytest.mark.parametrize("marks", [{"done": LAST}, {"step": STEP}, {"step": STEP, "done": LAST}, {}], ids="+".join)
def test_rows_of_environments_in_turn(write: Any, name: str, marks: dict[str, np.ndarray], tmp_path: Path) -> None:
    if write is pickled and "step" in marks:
        pytest.skip("steps of pickles are not read")
    held = read(write(tmp_path, turned(ROWS | marks | {name: EPISODE})))
    assert held.episode_lengths.tolist() == LENGTHS and np.array_equal(held.observations, ROWS["obs"])
    assert held.notes == (f"rows are of 4 by '{name}', whose episodes are told apart",)
    assert held.says_ends == ("done" in marks) and held.terminals.sum() == 4 * ("done" in marks)


@pytest.mark.parametrize("write", [csv, npz, lines, parquet])
def test_an_environment_goes_on_behind_an_end(write: Any, tmp_path: Path) -> None:
    """Two environments of two episodes each; the second one's last episode has no flag."""
    lane = np.array(["left", "right"])[EPISODE // 2]
    order = np.argsort(np.r_[np.arange(8), np.arange(10)], kind="stable")
    held = read(write(tmp_path, turned(ROWS | {"env_id": lane, "done": LAST & (EPISODE != 3)}, order)))
    assert held.episode_lengths.tolist() == LENGTHS and held.endings.tolist() == [1, 1, 1, 2]


@pytest.mark.parametrize("write", TABLES)
def test_episodes_of_several_environments_may_have_one_name(write: Any, tmp_path: Path) -> None:
    rows = ROWS | {"episode": EPISODE % 2, "env_id": EPISODE // 2}
    order = np.argsort(np.r_[np.arange(8), np.arange(10)], kind="stable")
    for more in ({}, {"step": STEP}):
        assert sorted(read(write(tmp_path, turned(rows | more, order))).episode_lengths.tolist()) == sorted(LENGTHS)


@pytest.mark.parametrize("write", TABLES)
@pytest.mark.parametrize(
    "marks", [{"episode": EPISODE, "step": STEP}, {"step": STEP}, {"step": STEP, "done": LAST}], ids="+".join
)
def test_who_acted_at_each_step_of_one_sequence_changes_nothing(write: Any, marks: Any, tmp_path: Path) -> None:
    held = read(write(tmp_path, ROWS | marks | {"agent": np.arange(N) % 2}))
    assert held.episode_lengths.tolist() == LENGTHS and np.array_equal(held.observations, ROWS["obs"])
    assert held.notes == ("'agent' is left out: rows that it tells apart do not come in turn",)


FOLLOWING = np.r_[ROWS["obs"][1:], ROWS["obs"][-1:] + 3] + 100 * LAST[:, None]


@pytest.mark.parametrize("write", [*TABLES, pickled])
@pytest.mark.parametrize("agents", [2, 3])
def test_next_observations_prove_one_sequence(write: Any, agents: int, tmp_path: Path) -> None:
    for flags in ({}, {"done": LAST}):
        held = read(write(tmp_path, ROWS | flags | {"next_obs": FOLLOWING, "agent": np.arange(N) % agents}))
        assert held.episode_lengths.tolist() == LENGTHS and np.array_equal(held.observations, ROWS["obs"])
        assert "'agent' is left out: rows that it tells apart do not come in turn" in held.notes


@pytest.mark.parametrize("write", TABLES)
def test_next_observations_prove_rows_in_turn(write: Any, tmp_path: Path) -> None:
    """Also if an environment has two turns after another, and some have no flag."""
    order = np.argsort(STEP // 2, kind="stable")
    rows = ROWS | {"next_obs": FOLLOWING, "done": LAST & (EPISODE != 2), "env_id": EPISODE}
    held = read(write(tmp_path, turned(rows, order)))
    assert held.episode_lengths.tolist() == LENGTHS and np.array_equal(held.observations, ROWS["obs"])


@pytest.mark.parametrize("write", TABLES)
@pytest.mark.parametrize("noise", [True, False])
def test_flags_of_some_who_acted_alone_are_of_one_sequence(write: Any, noise: bool, tmp_path: Path) -> None:
    obs = np.random.default_rng(0).normal(size=(40, 3)) if noise else np.arange(120.0).reshape(40, 3)
    rows = {"obs": obs, "action": np.arange(40) % 3, "done": np.arange(40) % 20 == 19}
    for names in ({}, {"episode": np.arange(40) // 20}):
        held = read(write(tmp_path, rows | names | {"agent": np.arange(40) % 2}))
        assert held.episode_lengths.tolist() == [20, 20] and np.array_equal(held.observations, obs)


@pytest.mark.parametrize("write", TABLES)
def test_an_environment_without_a_flag_may_come_in_turn(write: Any, tmp_path: Path) -> None:
    """Its observations are nearer to each other than to those of the others."""
    held = read(write(tmp_path, turned(ROWS | {"done": LAST & (EPISODE != 2), "env_id": EPISODE})))
    assert held.episode_lengths.tolist() == LENGTHS and held.endings.tolist() == [1, 1, 2, 1]


def test_environments_that_end_at_one_step_come_in_turn_though_one_goes_on(tmp_path: Path) -> None:
    rows = {
        "obs": np.random.default_rng(0).normal(size=(40, 3)),
        "action": np.arange(40) % 3,
        "env_id": np.arange(40) % 4,
    }
    held = read(npz(tmp_path, rows | {"done": (np.arange(40) >= 36) & (np.arange(40) < 39)}))
    assert held.episode_lengths.tolist() == [10] * 4 and held.endings.tolist() == [1, 1, 1, 2]


def test_a_switch_of_who_acts_changes_nothing(tmp_path: Path) -> None:
    held = read(npz(tmp_path, ROWS | {"done": LAST, "agent": (np.arange(N) // 6) % 2}))
    assert held.episode_lengths.tolist() == LENGTHS and len(held.notes) == 1


@pytest.mark.parametrize("value", [np.array("CartPole-v1"), np.array(["CartPole-v1"] * N), np.array({"id": 1}, object)])
def test_what_names_one_environment_says_nothing(value: np.ndarray, tmp_path: Path) -> None:
    held = read(npz(tmp_path, ROWS | {"env_id": value, "done": LAST}))
    assert held.episode_lengths.tolist() == LENGTHS and held.notes == ()


def test_steps_of_json_may_lack_the_environment(tmp_path: Path) -> None:
    steps = [
        {"obs": [0.5, i], "action": 0.5, "done": i == 2} | ({"env": {"id": 3}} if i == 1 else {}) for i in range(3)
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, steps)))
    assert read(tmp_path / "x.jsonl").episode_lengths.tolist() == [3]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.uint64, np.int8, np.float32])
@pytest.mark.parametrize("marks", [{}, {"episode": np.zeros(N, int)}, {"truncated": np.zeros(N, bool)}], ids="+".join)
def test_a_step_of_any_dtype_begins_again(dtype: Any, marks: dict[str, Any], tmp_path: Path) -> None:
    assert read(npz(tmp_path, ROWS | marks | {"step": STEP.astype(dtype)})).episode_lengths.tolist() == LENGTHS


def test_a_step_that_stays_is_noted(tmp_path: Path) -> None:
    held = read(csv(tmp_path, turned(ROWS | {"step": STEP, "done": LAST})))
    assert any(note.startswith("the step stays in 12 of 18 rows") for note in held.notes)
    held = read(csv(tmp_path, turned(ROWS | {"step": STEP, "episode": EPISODE}, np.repeat(np.arange(N), 2))))
    assert any(note.startswith("the step stays in most rows of 4 of 4 episodes") for note in held.notes)


# --- Names that come back -----------------------------------------------------------------------------------------

TWICE = np.r_[np.arange(N), np.arange(N)]
AGAIN = "names of episodes come back behind others, 4 times: taken for further episodes"


@pytest.mark.parametrize("write", TABLES)
@pytest.mark.parametrize("flags", [{}, {"done": LAST}, {"done": LAST & (EPISODE != 1)}], ids=["none", "all", "some"])
def test_a_name_that_comes_back_is_another_episode(write: Any, flags: dict[str, Any], tmp_path: Path) -> None:
    rows = turned(ROWS | flags | {"episode": EPISODE}, TWICE)
    held = read(write(tmp_path, rows))
    assert held.episode_lengths.tolist() == [*LENGTHS, *LENGTHS] and held.notes == (AGAIN,)
    assert np.array_equal(held.observations, rows["obs"])


@pytest.mark.parametrize("write", TABLES)
def test_it_is_not_if_rows_come_in_turn_or_its_steps_go_on(write: Any, tmp_path: Path) -> None:
    held = read(write(tmp_path, turned(ROWS | {"episode": EPISODE})))
    assert held.episode_lengths.tolist() == LENGTHS and held.notes == ()
    parts = np.argsort(STEP >= 3, kind="stable")  # the first three steps of all, then the others
    held = read(write(tmp_path, turned(ROWS | {"episode": EPISODE, "step": STEP}, parts)))
    assert held.episode_lengths.tolist() == LENGTHS and np.array_equal(held.observations, ROWS["obs"])


def test_parts_of_episodes_stay_together_where_no_flag_ends_the_first(tmp_path: Path) -> None:
    lengths = [8, 8]
    episode, step = np.repeat([0, 1], lengths), np.tile(np.arange(8), 2)
    rows = {"obs": np.arange(32.0).reshape(16, 2), "action": np.arange(16) % 2, "episode": episode, "done": step == 7}
    held = read(npz(tmp_path, turned(rows, np.argsort(step >= 4, kind="stable"))))
    assert held.episode_lengths.tolist() == lengths
    assert held.notes == ("names of episodes come back behind others, 2 times: taken for the same episodes",)


def test_steps_that_go_on_elsewhere_are_of_another_episode(tmp_path: Path) -> None:
    """A step that numbers all rows of the file."""
    rows = turned(ROWS | {"episode": EPISODE}, TWICE) | {"step": np.arange(2 * N)}
    assert read(npz(tmp_path, rows)).episode_lengths.tolist() == [*LENGTHS, *LENGTHS]


@pytest.mark.parametrize("steps", [True, False])
@pytest.mark.parametrize("write", TABLES)
def test_flags_that_stay_set_end_no_episode_before_its_last_row(write: Any, steps: bool, tmp_path: Path) -> None:
    """Names in turn, whose task is done some steps before the end."""
    marks = {"episode": EPISODE, "done": np.repeat(LENGTHS, LENGTHS) - STEP <= 2} | ({"step": STEP} if steps else {})
    held = read(write(tmp_path, turned(ROWS | marks)))
    assert held.episode_lengths.tolist() == LENGTHS and np.array_equal(held.observations, ROWS["obs"])
    assert held.notes == ("flags end something within 4 of 4 episodes, where rows go on: such flags are left out",)


@pytest.mark.parametrize("write", TABLES)
def test_a_flag_behind_which_the_step_goes_on_ends_no_episode(write: Any, tmp_path: Path) -> None:
    marks = {"episode": EPISODE, "step": STEP, "done": (STEP == 1) | LAST}
    held = read(write(tmp_path, turned(ROWS | marks)))
    assert held.episode_lengths.tolist() == LENGTHS and np.array_equal(held.observations, ROWS["obs"])


def test_rows_in_no_order_with_flags(tmp_path: Path) -> None:
    """The last row of an episode may stand before others of it: a step that comes once is of one episode."""
    draws = np.random.default_rng(0)
    episode, step = np.repeat(np.arange(4), 25), np.tile(np.arange(25), 4)
    rows = {"episode": episode, "step": step, "obs": np.c_[episode, step].astype(float), "action": step % 2}
    mixed = draws.permutation(100)
    np.savez(
        path := tmp_path / "mixed.npz",
        **{name: values[mixed] for name, values in (rows | {"terminated": step == 24}).items()},
    )
    held = read(path)
    assert held.episode_lengths.tolist() == [25] * 4
    assert held.observations[:, 1].tolist() == step.tolist()
    assert np.flatnonzero(held.terminals).tolist() == [24, 49, 74, 99]
