"""States visited: total variation in closed form, and rollouts whose every observation is known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import toys  # noqa: F401 - registers its environments

from trpo_gail.cli import main
from trpo_gail.errors import UserError
from trpo_gail.reports.run_data import load
from trpo_gail.reports.visits import BINS, bin_edges, distance, of_expert, of_learner, shares
from trpo_gail.runs import evaluate


def test_distance_is_none_all_or_half() -> None:
    grid = np.linspace(0.0, 1.0, 4001)[:-1, None]
    np.testing.assert_allclose(distance(grid, grid), 0.0)
    np.testing.assert_allclose(distance(grid, grid + 5.0), 1.0)
    np.testing.assert_allclose(distance(grid, grid + 0.5), 0.5, atol=0.02)  # half of each is shared, up to bins
    np.testing.assert_allclose(distance(np.hstack([grid, grid]), np.hstack([grid, grid + 5.0])), [0.0, 1.0])


def test_shares_count_every_row_once() -> None:
    sample = np.array([-100.0, 0.0, 0.1, 0.9, 1.0, 100.0])
    counted = shares(sample, np.linspace(0.0, 1.0, 3))
    np.testing.assert_allclose(counted, [0.5, 0.5])  # the far ones count in the outermost bins


def test_a_constant_has_bins_too() -> None:
    edges = bin_edges([np.full(10, 3.0), np.full(5, 3.0)])
    assert len(edges) == BINS + 1 and edges[0] < 3.0 < edges[-1]
    assert shares(np.full(10, 3.0), edges).max() == 1.0


def test_a_learners_episodes_are_those_of_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script observes [episode, step] and its episodes last 3, 2, 4 in turn; ends and idle rows are not visits."""
    monkeypatch.setattr(evaluate, "MOST_ENVS", 2)
    flags = ["--num_envs", "2", "--timesteps_per_batch", "16", "--steps", "16", "--final_episodes", "1", "--quiet"]
    assert main(["expert", "toys:Script-v0", "--out", str(tmp_path / "run"), *flags]) == 0
    (run,) = load([tmp_path / "run"])
    visits = of_learner(run, 5, stochastic=True)
    expected = [[(e, t) for t in range((3, 2, 4)[e])] for e in (0, 1, 2, 0, 1)]  # environment by environment
    assert [episode.tolist() for episode in visits.episodes] == [[list(map(float, row)) for row in e] for e in expected]
    np.testing.assert_array_equal(visits.returns, [3.0, 201.0, 806.0, 3.0, 201.0])
    assert visits.rows.shape == (14, 2) and visits.stochastic and visits.whole
    with pytest.raises(UserError, match="had no demonstrations"):
        of_expert(run)


def test_the_experts_rows_are_the_whole_files(cartpole: Path) -> None:
    (run,) = load([cartpole])
    visits = of_expert(run)
    with h5py.File(run.setting["expert"]) as file:
        np.testing.assert_array_equal(visits.rows, file["observations"][:])
        np.testing.assert_array_equal(visits.returns, file["episode_returns"][:])
        assert [len(episode) for episode in visits.episodes] == file["episode_lengths"][:].tolist()
        assert visits.stochastic == (not file.attrs["deterministic"])


def test_a_moved_runs_own_demonstrations_are_found(
    copy: Path, change: Callable[[Callable[[dict[str, Any]], Any]], None]
) -> None:
    """Of a run that Python gave arrays to: the folder holds them, and has another name now."""
    shutil.copy(load([copy])[0].setting["expert"], copy / "checkpoints" / "expert.h5")
    change(lambda content: content["setting"].update(expert="gone/run/checkpoints/expert.h5"))
    change(lambda content: content["config"].update(expert=None))
    assert of_expert(load([copy])[0]).whole


def test_a_file_that_is_gone_or_another_is_said(
    copy: Path, change: Callable[[Callable[[dict[str, Any]], Any]], None]
) -> None:
    change(lambda content: content["setting"].update(expert_sha256="0" * 64))
    with pytest.raises(UserError, match=r"CartPole-v0\.h5, is not the one that the run had"):
        of_expert(load([copy])[0])
    change(lambda content: content["setting"].update(expert="gone/a.h5"))
    change(lambda content: content["config"].update(expert="gone/b.h5"))
    with pytest.raises(UserError, match=r"a\.h5, is no longer where the run found it"):
        of_expert(load([copy])[0])
