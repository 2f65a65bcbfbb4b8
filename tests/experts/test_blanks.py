"""Rows of zeros behind the last flag of an episode, in every kind of file that can hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from writers import lines, npz, pickled

import trpo_gail
from trpo_gail.experts import facts
from trpo_gail.experts.checks import padding
from trpo_gail.experts.load import read

LENGTHS, MOST = np.array([5, 3, 6, 4]), 6
USED = np.arange(MOST) < LENGTHS[:, None]
LAST = np.arange(MOST) == LENGTHS[:, None] - 1
RNG = np.random.default_rng(0)
BATCH: dict[str, Any] = {
    "observations": RNG.normal(size=(4, MOST, 3)) * USED[..., None],
    "actions": RNG.normal(size=(4, MOST, 2)) * USED[..., None],
    "rewards": 1.0 * USED,
}


@pytest.mark.parametrize("write", [npz, pickled, lines])
@pytest.mark.parametrize(
    "flags",
    [{"dones": LAST}, {"terminated": LAST & (LENGTHS[:, None] < 5), "truncated": LAST & (LENGTHS[:, None] > 4)}],
)
def test_zeros_behind_the_last_flags_are_padding(write: Any, flags: dict[str, Any], tmp_path: Path) -> None:
    held = read(write(tmp_path, BATCH | flags))
    assert held.episode_lengths.tolist() == LENGTHS.tolist() and held.episode_returns is not None
    assert held.episode_returns.tolist() == LENGTHS.tolist()
    limits = [facts.LIMIT if "truncated" in flags and n > 4 else facts.TERMINAL for n in LENGTHS]
    assert held.endings.tolist() == limits
    assert held.notes == ("6 rows behind the last flags of 4 sequences, zero throughout, are left out as padding",)


@pytest.mark.parametrize("write", [npz, pickled])
def test_what_follows_the_last_action_is_kept(write: Any, tmp_path: Path) -> None:
    seen = np.zeros((4, MOST + 1, 3))
    for i, n in enumerate(LENGTHS):
        seen[i, : n + 1] = 1 + i
    held = read(write(tmp_path, BATCH | {"observations": seen, "dones": LAST}))
    assert held.episode_lengths.tolist() == LENGTHS.tolist()
    assert held.final_observations is not None and held.final_observations[:, 0].tolist() == [1, 2, 3, 4]


def test_episodes_that_begin_behind_a_flag_are_no_padding(tmp_path: Path) -> None:
    """As vector environments record them; of the sequences that end blank, the zeros still are."""
    seen = RNG.normal(size=(4, MOST, 3))
    held = read(npz(tmp_path, BATCH | {"observations": seen, "dones": LAST}))
    assert held.episode_lengths.tolist() == [5, 1, 3, 3, 6, 4, 2]
    held = read(npz(tmp_path, BATCH | {"dones": LAST | (np.arange(MOST) == 1)}))
    assert held.episode_lengths.tolist() == [2, 3, 2, 1, 2, 4, 2, 2]


def test_one_number_an_observation_may_be_the_label_0(tmp_path: Path) -> None:
    held = read(npz(tmp_path, BATCH | {"observations": np.zeros((4, MOST, 1)), "actions": 0 * USED, "dones": LAST}))
    assert held.episode_lengths.tolist() == [5, 1, 3, 3, 6, 4, 2]


def test_an_episode_without_a_flag_ends_at_its_zeros_as_the_others_do(tmp_path: Path) -> None:
    held = read(npz(tmp_path, BATCH | {"dones": LAST & (np.arange(4) != 1)[:, None]}))
    assert held.episode_lengths.tolist() == LENGTHS.tolist() and held.endings.tolist()[1] == facts.LIMIT


def test_episodes_that_are_zero_throughout_are_warned_of() -> None:
    rows = np.arange(1.0, 7.0)[:, None].repeat(2, 1)
    rows[4:] = 0
    held = trpo_gail.Demonstrations.from_arrays(rows, rows, episode_ends=[2, 4, 6])
    text = padding.told(padding.zeros(held), held.episode_lengths)
    assert text is not None and text.startswith("1 of 3 episodes are zero throughout, of 2 rows in all")
