"""Breaks between episodes that nothing marks: found in real files, and never in rows that merely vary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trpo_gail.experts import breaks
from trpo_gail.experts.load import read

DATA = Path(__file__).parents[2] / "expert_data"


@pytest.mark.parametrize("name", ["CartPole-v0", "CartPole-v1", "Hopper-v4", "Walker2d-v4"])
def test_all_breaks_of_real_episodes_and_no_others(name: str) -> None:
    held = read(DATA / f"{name}.h5").select(20)
    actions = held.actions[:, None] == np.arange(2) if held.actions.ndim == 1 else held.actions
    found = breaks.jumps(held.observations, np.asarray(actions, float))
    assert np.flatnonzero(found).tolist() == (np.cumsum(held.episode_lengths)[:-1] - 1).tolist()


@pytest.mark.parametrize("name", ["HalfCheetah-v4", "PointNav2D-v0"])
def test_where_the_gap_is_not_clear_none_is_found(name: str) -> None:
    held = read(DATA / f"{name}.h5").select(20)
    actions = held.actions.reshape(len(held.actions), -1).astype(float)
    assert not breaks.jumps(held.observations, actions).any()


def test_rows_that_merely_vary() -> None:
    rng = np.random.default_rng(0)
    for rows in (1, 2, 19, 20, 1000):
        noise = rng.normal(size=(rows, 3))
        for observations in (noise, np.cumsum(noise, axis=0), np.zeros((rows, 3)), np.round(noise)):
            assert not breaks.jumps(observations, rng.normal(size=(rows, 1))).any()


def test_rows_in_which_a_number_changes_rarely() -> None:
    """A goal that is set anew, or a contact, is taken for a break: what is found is called a guess."""
    observations = np.stack([np.sin(np.arange(200) / 7), np.repeat([0.0, 1.0], 100)], axis=1)
    assert np.flatnonzero(breaks.jumps(observations, np.zeros((200, 1)))).tolist() == [99]


def test_large_numbers_are_no_matter() -> None:
    observations = np.stack([np.arange(100.0) * 1e130, -np.arange(100.0)], axis=1)
    with np.errstate(all="raise"):
        assert not breaks.jumps(observations, np.zeros((100, 1))).any()
