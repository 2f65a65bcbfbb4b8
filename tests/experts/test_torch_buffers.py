"""Demonstrations in files of PyTorch: padded with lengths, flat, and in lists; old files and new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from trpo_gail.errors import UserError
from trpo_gail.experts.load import read
from trpo_gail.experts.rows import as_rows
from trpo_gail.spaces.spec import EnvSpec

STATES = torch.arange(1.0, 11).reshape(5, 2)
ACTIONS = torch.tensor([[0.5], [0.5], [0.5], [1.5], [1.5]])
REWARDS = torch.tensor([1.0, 2, 3, 1, 2])
DONES = torch.tensor([0, 0, 1, 0, 1])


def padded(values: torch.Tensor) -> torch.Tensor:
    made = torch.zeros(2, 3, *values.shape[1:])
    made[0], made[1, :2] = values[:3], values[3:]
    return made


LAYOUTS: dict[str, Any] = {
    "Kostrikov's": {
        "states": padded(STATES), "actions": padded(ACTIONS), "rewards": padded(REWARDS), "lengths": torch.tensor([3, 2]),
    },
    "of a buffer": {
        "state": STATES, "action": ACTIONS, "reward": REWARDS[:, None], "done": DONES[:, None].float(), "next_state": STATES,
    },
    "within": {"buffer": {"obs": STATES, "acts": ACTIONS, "rews": REWARDS, "dones": DONES.bool()}, "step": 7},
    "steps": [
        {"obs": STATES[t], "action": ACTIONS[t], "reward": REWARDS[t : t + 1], "done": bool(DONES[t])} for t in range(5)
    ],
    "arrays of NumPy": {"obs": STATES.numpy(), "acts": ACTIONS.numpy(), "rews": REWARDS.numpy(), "dones": DONES.numpy()},
}  # fmt: skip


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("tree", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(tmp_path: Path, tree: Any, new: bool) -> None:
    path = tmp_path / "expert.pt"
    torch.save(tree, path, _use_new_zipfile_serialization=new)
    held = read(path)
    assert held.format == "PyTorch" and held.episode_lengths.tolist() == [3, 2]
    np.testing.assert_array_equal(held.observations, STATES)
    np.testing.assert_array_equal(held.actions, ACTIONS)
    assert held.episode_returns is not None and held.episode_returns.tolist() == [6, 3]


def test_code_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "trapped",)

    torch.save({**LAYOUTS["within"]["buffer"], "more": Trap()}, tmp_path / "expert.pt")
    assert read(tmp_path / "expert.pt").trajectories == 2
    torch.save(Trap(), tmp_path / "expert.pt")
    with pytest.raises(UserError, match="a PyTorch file with an object, __builtin__"):
        read(tmp_path / "expert.pt")
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        (torch.tensor([3, 4]), "episode 1: expected a length from 1 to 3, found 4"),
        (torch.tensor([3, 0]), "episode 1: expected a length from 1 to 3, found 0"),
        (torch.tensor([3.0, 2.0]), "lengths: expected 2 whole numbers, found float32"),
        (torch.tensor([10**12, 2]), "episode 0: expected a length from 1 to 3, found 1000000000000"),
    ],
)
def test_wrong_lengths(tmp_path: Path, lengths: torch.Tensor, said: str) -> None:
    torch.save({**LAYOUTS["Kostrikov's"], "lengths": lengths}, tmp_path / "expert.pt")
    with pytest.raises(UserError, match=said):
        read(tmp_path / "expert.pt")


def of(states: Any) -> dict[str, Any]:
    return {"states": states, "actions": ACTIONS, "rewards": REWARDS, "dones": DONES}


def test_numbers_of_other_kinds(tmp_path: Path) -> None:
    """Unsigned ones are stored as bytes; an imaginary part of a conjugate is stored with the other sign."""
    for states in (STATES.to(torch.uint16), STATES.to(torch.uint64)[:], torch.complex(STATES, -STATES).conj().imag):
        torch.save(of(states), tmp_path / "expert.pt")
        np.testing.assert_array_equal(read(tmp_path / "expert.pt").observations, STATES)


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (
            STATES.to(torch.float8_e5m2),
            "observations: expected numbers, found torch.Tensor of numbers that NumPy lacks",
        ),
        (STATES.to(torch.complex64), "observations: expected numbers, found torch.Tensor of numbers that NumPy lacks"),
        (
            [*STATES.to(torch.complex64)],
            "observations: expected numbers, found torch.Tensor of numbers that NumPy lacks",
        ),
        (STATES.to_sparse(), "observations: expected numbers, found torch._utils._rebuild_sparse_tensor, which is not"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, states: Any, said: str) -> None:
    torch.save(of(states), tmp_path / "expert.pt")
    with pytest.raises(UserError, match=said):
        read(tmp_path / "expert.pt")


def test_rows_to_learn_from_can_be_written(tmp_path: Path) -> None:
    """torch warns of arrays that cannot."""
    torch.save(of(STATES), tmp_path / "expert.pt")
    spec = EnvSpec("Toy-v0", "gymnasium", {}, Box(-np.inf, np.inf, (2,)), Box(-1, 1, (1,)))
    held = as_rows(read(tmp_path / "expert.pt"), spec)
    assert held.observations.flags.writeable and held.actions.flags.writeable
