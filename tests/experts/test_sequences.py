"""Arrays [E, T, ...] are read alike from `.npz`, pickles and PyTorch files."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trpo_gail.experts.load import load

STEPS = 12  # of each of 2 sequences


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    draws = np.random.default_rng(0)
    return {
        "observations": np.cumsum(draws.normal(size=(2, STEPS, 3)), axis=1),
        "actions": draws.normal(size=(2, STEPS, 2)),
        "rewards": draws.normal(size=(2, STEPS)),
    }


def written(kind: str, path: Path, arrays: dict[str, Any]) -> Path:
    if kind == "npz":
        np.savez(path, **arrays)
        return path.with_suffix(".npz")
    if kind == "pt":
        torch.save({name: torch.from_numpy(values) for name, values in arrays.items()}, path)
    else:
        path.write_bytes(pickle.dumps(arrays))
    return path


@pytest.mark.parametrize("kind", ["npz", "pickle", "pt"])
class TestSequences:
    def test_flags_within_sequences_end_episodes(self, kind: str, tmp_path: Path, arrays: dict[str, Any]) -> None:
        flags = np.zeros((2, STEPS), bool)
        flags[0, 4] = flags[1, 6] = flags[1, -1] = True
        held = load(written(kind, tmp_path / "rows", arrays | {"terminated": flags}))
        assert held.episode_lengths.tolist() == [5, 7, 7, 5]
        assert np.flatnonzero(held.terminals).tolist() == [4, 18, 23]
        assert np.flatnonzero(held.timeouts).tolist() == [11]  # where the first sequence ends
        assert np.array_equal(held.observations, arrays["observations"].reshape(-1, 3))

    def test_nan_is_padding(self, kind: str, tmp_path: Path, arrays: dict[str, Any]) -> None:
        for values in arrays.values():
            values[0, 5:] = np.nan
        held = load(written(kind, tmp_path / "rows", arrays))
        assert held.episode_lengths.tolist() == [5, STEPS]
        assert np.array_equal(held.actions[:5], arrays["actions"][0, :5])

    def test_flags_that_stay_set_are_padding(self, kind: str, tmp_path: Path, arrays: dict[str, Any]) -> None:
        done = np.arange(STEPS) >= np.array([[4], [STEPS - 1]])
        held = load(written(kind, tmp_path / "rows", arrays | {"done": done}))
        assert held.episode_lengths.tolist() == [5, STEPS]
        assert "left out as padding" in held.notes[0]

    def test_one_flag_a_sequence_is_of_its_last_step(self, kind: str, tmp_path: Path, arrays: dict[str, Any]) -> None:
        given = arrays | {"terminated": np.array([True, False]), "truncated": np.array([False, True])}
        held = load(written(kind, tmp_path / "rows", given | {"lengths": np.array([7, STEPS])}))
        assert held.episode_lengths.tolist() == [7, STEPS]
        assert np.flatnonzero(held.terminals).tolist() == [6]
        assert np.flatnonzero(held.timeouts).tolist() == [7 + STEPS - 1]


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("kind", ["npz", "pickle"])
def test_stacked_frames_with_a_column_of_rewards_are_rows(kind: str, frames: int, tmp_path: Path) -> None:
    """Were these sequences of one step, each row would be an episode."""
    done = np.isin(np.arange(12), [4, 11])
    rows = {"observations": np.arange(12.0 * frames * 5).reshape(12, frames, 5), "dones": done}
    rows |= {"actions": np.zeros((12, 1)), "rewards": np.ones((12, 1))}
    held = load(written(kind, tmp_path / "rows", rows))
    assert held.episode_lengths.tolist() == [5, 7]
    assert held.observations.shape == (12, frames, 5)
