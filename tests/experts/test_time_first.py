"""Recordings of vector environments, [steps, environments, ...], which look like [episodes, steps, ...]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from writers import npz, pickled

from trpo_gail.errors import UserError
from trpo_gail.experts.load import load, read

T, E = 60, 4
WALK = np.cumsum(np.random.default_rng(0).normal(size=(T + 1, E, 3)), axis=0)
ENDS = np.arange(T)[:, None] == np.array([20, 31, 45, 59])
STEPS: dict[str, Any] = {
    "observations": WALK[:-1],
    "actions": np.random.default_rng(1).normal(size=(T, E, 2)),
    "rewards": np.ones((T, E)),
}


def by_step(path: Path, arrays: dict[str, Any]) -> Path:
    return pickled(path, [{name: values[t] for name, values in arrays.items()} for t in range(T)])


def lists(path: Path, arrays: dict[str, Any]) -> Path:
    return pickled(path, {name: list(values) for name, values in arrays.items()})


@pytest.mark.parametrize("write", [npz, pickled, by_step, lists])
@pytest.mark.parametrize("flags", [{}, {"dones": ENDS}, {"truncations": ENDS[:, -1:].repeat(E, 1)}])
def test_a_first_axis_that_may_be_time_is_noted(write: Any, flags: dict[str, Any], tmp_path: Path) -> None:
    held = read(write(tmp_path, STEPS | flags))
    note = "the next of 60 episodes is nearer than the next of its 4 steps: is the first axis time"
    assert sum(text.startswith(note) and "numpy.swapaxes" in text for text in held.notes) == 1


@pytest.mark.parametrize("write", [npz, pickled, by_step, lists])
def test_next_observations_prove_it(write: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.\w+: next observations are those of the next row of the first axis"):
        read(write(tmp_path, STEPS | {"next_observations": WALK[1:], "dones": ENDS}))


def test_tuples_of_a_vector_of_environments(tmp_path: Path) -> None:
    rows = [(*(values[t] for values in STEPS.values()), WALK[t + 1], ENDS[t]) for t in range(T)]
    with pytest.raises(UserError, match="first axis"):
        read(pickled(tmp_path, rows))


@pytest.mark.parametrize("name", ["CartPole-v1", "Hopper-v4", "PointNav2D-v0", "PointNav2DContinuous-v0"])
def test_episodes_have_no_order(name: str, tmp_path: Path) -> None:
    """Real episodes, also if each is there again and again, or if they begin in the order of their first numbers."""
    held = load(name)
    steps = int(np.median(held.episode_lengths))
    begins = (np.cumsum(held.episode_lengths) - held.episode_lengths)[held.episode_lengths >= steps]
    seen, acted = (np.stack([values[at : at + steps] for at in begins]) for values in (held.observations, held.actions))
    order = np.argsort(seen[:, 0, 0])
    for which in (slice(None), np.zeros(12, int), order):
        assert read(npz(tmp_path, {"observations": seen[which], "actions": acted[which]})).notes == ()


def test_the_axes_that_it_asks_for_are_read(tmp_path: Path) -> None:
    turned = {name: values.swapaxes(0, 1) for name, values in (STEPS | {"dones": ENDS}).items()}
    assert read(npz(tmp_path, turned)).episode_lengths.tolist() == [21, 39, 32, 28, 46, 14, 60]


def test_columns_that_jump_from_step_to_step_hide_nothing(tmp_path: Path) -> None:
    """As velocities do under a controller that knows two actions."""
    jumps = np.random.default_rng(2).normal(size=(T, E, 3))
    held = read(npz(tmp_path, STEPS | {"observations": np.concatenate([WALK[:-1], jumps], axis=2)}))
    assert any("is the first axis time" in note for note in held.notes)
    held = read(npz(tmp_path, STEPS | {"observations": jumps}))
    assert held.notes == (), "nothing tells"


def found(seen: np.ndarray, path: Path) -> bool:
    held = read(npz(path, {"observations": seen, "actions": np.zeros((*seen.shape[:2], 2))}))
    return any("is the first axis time" in note for note in held.notes)


@pytest.mark.parametrize("steps", [2, 3, 5, 8])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_episodes_that_begin_in_order_are_in_order(steps: int, noise: float, tmp_path: Path) -> None:
    begins = np.linspace(-1, 1, 25)[:, None, None] * np.ones(3)
    moves = 0.3 * np.arange(steps)[:, None] + noise * np.random.default_rng(0).normal(size=(25, steps, 3))
    assert not found(begins + moves, tmp_path)


def test_columns_that_alternate_are_of_steps(tmp_path: Path) -> None:
    """Beside setpoints that go up from episode to episode, to which they are added, and which they are multiplied by."""
    setpoints, turn = np.linspace(0, 1, 20)[:, None] + np.zeros(50), np.arange(50) % 2
    walk = np.cumsum(np.random.default_rng(0).normal(size=(20, 50)), axis=1)
    assert not found(np.stack([setpoints, setpoints + turn, setpoints * turn, walk], axis=2), tmp_path)


@pytest.mark.parametrize("environments", [3, 8, 16])
def test_environments_of_any_number_are_noted(environments: int, tmp_path: Path) -> None:
    for seed in range(5):
        walks = np.random.default_rng(seed).normal(size=(2 * T, environments, 3)).cumsum(axis=0)
        assert found(walks, tmp_path)
