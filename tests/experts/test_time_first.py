"""Recordings of vector environments, [steps, environments, ...], which look like [episodes, steps, ...]."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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


def npz(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path / "x.npz", **arrays)
    return path / "x.npz"


def pickled(path: Path, held: Any) -> Path:
    (path / "x.pkl").write_bytes(pickle.dumps(held))
    return path / "x.pkl"


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
