"""Layouts of other libraries that were read wrongly, each by a small file of its own."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space

from trpo_gail import Demonstrations, UserError
from trpo_gail.experts.facts import PART, UNSAID, Ends
from trpo_gail.experts.load import read
from trpo_gail.experts.policies.function import FunctionPolicy
from trpo_gail.experts.policies.noisy import Noisy
from trpo_gail.spaces.spec import EnvSpec

N = 10


def of_step(**more: Any) -> dict[str, np.ndarray]:
    """Ten rows: observations 0 to 9, two episodes of five."""
    rows = np.arange(N, dtype=np.float32)[:, None]
    return {"actions": rows % 2, "rewards": np.ones(N), **more}


def test_the_next_observation_is_not_the_observation(tmp_path: Path) -> None:
    """TorchRL's names, with dots between their parts."""
    rows = np.arange(N, dtype=np.float32)[:, None]
    done = np.arange(N) % 5 == 4
    np.savez(
        tmp_path / "torchrl.npz",
        **{
            "observation": rows, "action": rows, "done": np.zeros(N, bool), "next.observation": rows + 1,
            "next.reward": np.ones(N), "next.done": done,
        },
    )  # fmt: skip
    found = read(tmp_path / "torchrl.npz")
    assert found.observations[:, 0].tolist() == list(range(N))
    assert found.next_observations is not None and found.next_observations[:, 0].tolist() == list(range(1, N + 1))
    assert found.episode_lengths.tolist() == [5, 5]


def torchrl(form: str) -> dict[str, Any]:
    """Three episodes of six steps, which end by termination, as TorchRL names their arrays."""
    rng = np.random.default_rng(0)
    last = np.arange(18) % 6 == 5
    flat = {
        "observation": rng.standard_normal((18, 4)), "action": rng.standard_normal((18, 2)), "done": np.zeros(18, bool),
        "terminated": np.zeros(18, bool), "next.done": last, "next.terminated": last, "next.truncated": 0 * last,
        "next.reward": np.ones(18),
    }  # fmt: skip
    if form == "flat":
        return flat
    batch = {name: values.reshape(3, 6, *values.shape[1:]) for name, values in flat.items()}
    if form == "batch, columns":
        return {name: values[..., None] if values.ndim == 2 else values for name, values in batch.items()}
    return batch


@pytest.mark.parametrize("form", ["flat", "batch", "batch, columns"])
@pytest.mark.parametrize("kind", ["npz", "pickle"])
def test_what_a_step_led_to_counts_in_batches_too(tmp_path: Path, form: str, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    if kind == "npz":
        np.savez(path, **torchrl(form))
    else:
        path.write_bytes(pickle.dumps(torchrl(form)))
    held = read(path)
    assert held.ends == Ends(3, 0, 0) and held.episode_lengths.tolist() == [6, 6, 6] and not held.notes
    assert held.rewards is not None and held.rewards.tolist() == [1] * 18
    assert np.array_equal(held.observations, torchrl("flat")["observation"])


def test_flags_of_what_a_step_led_to_tell_images_from_a_batch(tmp_path: Path) -> None:
    last = np.arange(18) % 6 == 5
    images = {"observation": np.zeros((18, 2, 8), np.uint8), "action": np.ones((18, 2)), "next.done": last}
    np.savez(tmp_path / "x.npz", **images)
    held = read(tmp_path / "x.npz")
    assert held.observations.shape == (18, 2, 8) and held.episode_lengths.tolist() == [6, 6, 6]


def test_other_readers_know_what_a_step_led_to(tmp_path: Path) -> None:
    """Flat HDF5, a group per episode, and steps in a pickle."""
    rows, last = np.arange(N, dtype=np.float32)[:, None], np.arange(N) % 5 == 4
    named = {"observation": rows, "action": rows, "done": 0 * last, "next.observation": rows + 1, "next.done": last}
    with h5py.File(tmp_path / "flat.h5", "w") as file, h5py.File(tmp_path / "groups.h5", "w") as groups:
        for name, values in named.items():
            file[name] = values
            for i in range(2):
                groups[f"demo_{i}/{name}"] = values[5 * i : 5 * i + 5]
    steps = [{name: values[i] for name, values in named.items()} for i in range(N)]
    (tmp_path / "steps.pkl").write_bytes(pickle.dumps(steps))
    for path in ("flat.h5", "groups.h5", "steps.pkl"):
        held = read(tmp_path / path)
        assert held.ends == Ends(2, 0, 0) and held.episode_lengths.tolist() == [5, 5], path
        assert held.next_observations is not None and held.next_observations.ravel().tolist() == list(range(1, N + 1))


def test_a_csv_of_next_states_too(tmp_path: Path) -> None:
    lines = ["state,action,reward,next.state,done", *(f"{i},{i % 2},1,{i + 1},{int(i % 5 == 4)}" for i in range(N))]
    (tmp_path / "x.csv").write_text("\n".join(lines))
    assert read(tmp_path / "x.csv").observations.ravel().tolist() == list(range(N))


def test_ends_of_d3rlpys_episodes_count(tmp_path: Path) -> None:
    rows = np.arange(N, dtype=np.float32)[:, None]
    with h5py.File(tmp_path / "dump.h5", "w") as file:
        for name, values in of_step(observations=rows).items():
            file[name] = values
        file["terminals"] = (np.arange(N) == 4).astype(np.float32)
        file["episode_terminals"] = (np.arange(N) % 5 == 4).astype(np.float32)
    found = read(tmp_path / "dump.h5")
    assert found.episode_lengths.tolist() == [5, 5] and not found.unfinished
    assert found.ends is not None and (found.ends.terminal, found.ends.limit) == (1, 1)


def test_flat_hdf5_may_call_its_ends_dones(tmp_path: Path) -> None:
    rows = np.arange(N, dtype=np.float32)[:, None]
    with h5py.File(tmp_path / "own.h5", "w") as file:
        for name, values in of_step(observations=rows, dones=np.arange(N) % 5 == 4).items():
            file[name] = values
    assert read(tmp_path / "own.h5").episode_lengths.tolist() == [5, 5]


def test_a_replay_buffer_is_refused_by_name(tmp_path: Path) -> None:
    """Stable-Baselines3's, of 50 rows and one environment, 30 of them filled."""
    buffer = {
        "buffer_size": 50, "pos": 30, "full": False, "observations": np.zeros((50, 1, 3)),
        "actions": np.zeros((50, 1, 2)), "rewards": np.zeros((50, 1)), "dones": np.zeros((50, 1)),
    }  # fmt: skip
    (tmp_path / "buffer.pkl").write_bytes(pickle.dumps(buffer))
    with pytest.raises(UserError, match=r"a replay buffer of Stable-Baselines3, .* trpo-gail record ENV --policy FILE"):
        read(tmp_path / "buffer.pkl")


def test_what_a_layout_cannot_say_is_not_invented(tmp_path: Path) -> None:
    rows = np.arange(N, dtype=np.float32)[:, None]
    held = Demonstrations.from_arrays(rows, rows, episode_ends=[5, 10])
    with pytest.raises(UserError, match="Stable-Baselines' layout holds rewards, found none"):
        held.save(tmp_path / "x.npz", "stable_baselines")
    paid = Demonstrations.from_arrays(rows, rows, rewards=np.ones(N), episode_ends=[5, 10])
    paid.save(tmp_path / "minari", "minari")
    again = read(tmp_path / "minari")
    assert again.episode_lengths.tolist() == [5, 5] and not again.unfinished and again.return_mean == 5.0


class Still:
    """A policy that always does the same."""

    noise_kind, noise_size = "normal", 0

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return np.zeros((len(observations), 2), np.int64)


@pytest.mark.parametrize("rows", [5, 4000])
def test_noise_of_several_labels_is_one_of_them(rows: int) -> None:
    spec = EnvSpec("Labels-v0", "gymnasium", {}, Box(-1, 1, (3,)), MultiDiscrete([3, 2]))
    noisy = Noisy(Still(), 0.5, spec, deterministic=False)  # type: ignore[arg-type]
    noise = np.random.default_rng(0).random((rows, noisy.noise_size))
    found = noisy.act(np.zeros((rows, 3)), noise)
    assert found.shape == (rows, 2) and found.min() >= 0 and (found.max(0) < [3, 2]).all()
    if rows > 5:
        assert (found > 0).mean(0) == pytest.approx([0.5 * 2 / 3, 0.5 / 2], abs=0.03)


def test_a_functions_whole_numbers_are_floats_where_floats_are_wanted() -> None:
    spec = EnvSpec("Own-v0", "gymnasium", {}, Box(-1, 1, (3,)), Box(-2, 2, (1,)))
    policy = FunctionPolicy(lambda observation: [1], "own").for_env(spec)
    found = policy.act(np.zeros((4, 3)), np.zeros((4, 0)))
    assert found.shape == (4, 1) and found.dtype == np.float64


LIFT, GRID, BITS = Discrete(3, start=1), MultiDiscrete([3, 3], start=[1, 5]), MultiBinary(2)


@pytest.mark.parametrize(
    ("space", "action", "expected"),
    [
        (LIFT, 2, 1),
        (LIFT, np.array([2]), 1),  # as of argmax(keepdims=True)
        (LIFT, [[2.0]], 1),
        (GRID, [2.0, 7.0], [1, 2]),
        (GRID, np.array([[2, 7]]), [1, 2]),
        (BITS, [True, False], [1, 0]),
        (Box(-2, 2, (2,)), [[1, 2]], [1.0, 2.0]),
        (Box(-2, 2, (1,)), 0.5, [0.5]),
    ],
)
def test_a_functions_action_is_the_environments_own_however_it_is_bracketed(
    space: Space, action: Any, expected: Any
) -> None:
    """A label's start was added twice to one in brackets."""
    spec = EnvSpec("Own-v0", "gymnasium", {}, Box(-1, 1, (3,)), space)
    found = FunctionPolicy(lambda observation: action, "own").for_env(spec).act(np.zeros((4, 3)), np.zeros((4, 0)))
    np.testing.assert_array_equal(found, [expected] * 4)


@pytest.mark.parametrize(
    ("space", "action", "says"),
    [
        (LIFT, 9, r"9 is no label of Discrete\(3, start=1\)"),
        (LIFT, np.array([9]), r"9 is no label of Discrete\(3, start=1\)"),
        (LIFT, 1.5, "1.5 is no label of Discrete"),
        (LIFT, np.nan, "nan is no label of Discrete"),
        (LIFT, np.inf, "inf is no label of Discrete"),
        (LIFT, 1e300, r"1e\+300 is no label of Discrete"),
        (GRID, [3, 4], "4 is no label of MultiDiscrete"),
        (BITS, [0.7, 1], "0.7 is no label of MultiBinary"),
        (LIFT, None, "None is no action of Discrete"),
        (LIFT, "left", "'left' is no action of Discrete"),
        (Box(-2, 2, (2,)), [np.nan, 1], "nan is no number of Box"),
        (Box(-2, 2, (2,)), np.zeros(3), r"an action of shape \[3\] is none of Box"),
    ],
)
def test_what_is_no_action_of_the_environment_is_the_policys_error(space: Space, action: Any, says: str) -> None:
    spec = EnvSpec("Own-v0", "gymnasium", {}, Box(-1, 1, (3,)), space)
    policy = FunctionPolicy(lambda observation: action, "mine:policy").for_env(spec)
    with pytest.raises(UserError, match=f"^--policy mine:policy: {says}"):
        policy.act(np.zeros((1, 3)), np.zeros((1, 0)))


def test_what_imitation_calls_terminal_may_be_a_time_limit(tmp_path: Path) -> None:
    """Its `rollout` says so of all whole episodes, and of no part of one."""
    for terminal in ([True, True], [True, False]):
        np.savez(
            tmp_path / "x.npz", obs=np.arange(12.0)[:, None], acts=np.arange(N) % 2, indices=np.array([5]),
            terminal=np.array(terminal),
        )  # fmt: skip
        held = read(tmp_path / "x.npz")
        assert held.ends is None and not held.terminals.any() and held.episode_lengths.tolist() == [5, 5]
        assert held.endings.tolist() == [UNSAID if said else PART for said in terminal]
        assert len(held.notes) == terminal.count(False)
