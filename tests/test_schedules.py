"""What falls over a run falls to its end, whatever ends it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from trpo_gail.algorithm import task_weight
from trpo_gail.cli import main
from trpo_gail.config.presets import preset
from trpo_gail.learner import Progress
from trpo_gail.schedules import RunLength


def shares(run: RunLength, *batches: int) -> list[float]:
    found = [run.left]
    for steps in batches:
        run.add(steps)
        found.append(run.left)
    return found


def test_steps_or_batches_whichever_ends_the_run() -> None:
    assert shares(RunLength(100), 50, 30, 30) == pytest.approx([1.0, 0.5, 0.2, 0.0])
    assert shares(RunLength(1000, 4), 50, 300, 30, 1, 1) == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0, 0.0])
    assert shares(RunLength(100, 4), 50, 50) == pytest.approx([1.0, 0.5, 0.0])


def test_a_config_says_how_many_batches_a_part_gets() -> None:
    config = preset("default", "CartPole-v0", iterations=3, g_step=2, timesteps_per_batch=100)
    assert shares(RunLength.of(config, 2), *[900] * 6) == pytest.approx([1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0])
    assert shares(RunLength.of(config, 1), *[900] * 3) == pytest.approx([1, 2 / 3, 1 / 3, 0])


def test_a_state_without_batches_is_counted_by_steps() -> None:
    config = preset("default", "CartPole-v0", iterations=4, timesteps_per_batch=100)
    run = RunLength.of(config, 1)
    run.load_state_dict({"steps": 300, "adam": None})
    assert (run.steps, run.batches, run.left) == (300, 3, 0.25)
    again = RunLength.of(config, 1)
    again.load_state_dict(run.state_dict())
    assert again.state_dict() == run.state_dict()


def test_the_tasks_weight_comes_to_its_end_with_the_run() -> None:
    config = preset(
        "default", "CartPole-v0", iterations=4, timesteps_per_batch=100, task_weight=1.0, task_weight_end=0.0
    )
    weights = [task_weight(config, Progress(iteration=k, steps=k * 1000)) for k in range(5)]
    assert weights == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_whole_episodes_that_are_longer_than_a_batch_do_not_end_a_schedule_early(tmp_path: Path) -> None:
    """16 environments make 16 whole episodes, whatever the batch: ten times its nominal size."""
    words = ["train", "CartPole-v0", "--expert", "CartPole-v0", "--generator", "ppo", "--ppo.schedule", "linear"]
    words += ["--sampling", "episodes", "--timesteps_per_batch", "16", "--num_envs", "16", "--iterations", "4"]
    words += ["--eval_every", "0", "--final_episodes", "0", "--quiet", "--out", str(tmp_path / "run")]
    assert main(words) == 0
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(file)]
    assert rates == pytest.approx([1e-3, 0.75e-3, 0.5e-3, 0.25e-3])
