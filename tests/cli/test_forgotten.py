"""A control of the tests of a resume: whatever part of the state a checkpoint lost, they would notice it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from bad_input import tiny_run
from repeats import every
from run_files import checkpoints, differing, metrics, state

from trpo_gail.cli import main
from trpo_gail.learner import Learner

LONG = (
    "--steps", "10000", "--eval_every", "110", "--eval_episodes", "2", "--save_every", "100", "--quiet",
    "--generator", "ppo", "--final_episodes", "0",
    # A run in which the last evaluations are not the best, and an episode's pay before the resume decides a rank.
    "--gamma", "0.995", "--d_stepsize", "3e-4",
)  # fmt: skip
PARTS = (
    "policy/net.layers.0.weight", "policy/normaliser.mean", "policy/normaliser.count",
    "critic/network/net.layers.2.bias", "critic/network/normaliser.meansq", "critic/network/target_normaliser.mean",
    "critic/adam/state", "generator/adam/state", "generator/steps",
    "adversary/network/net.layers.1.weight", "adversary/network/normaliser.mean", "adversary/adam/state",
    "adversary/steps", "sampler/restarts", "sampler/batches", "sampler/actions", "sampler/paid", "progress/iteration",
    "progress/steps", "progress/episodes", "progress/eval_steps", "progress/best_return",
)  # fmt: skip
MOMENTS = ("critic/exp_avg", "generator/exp_avg_sq", "adversary/exp_avg", "adversary/step")  # of Adam


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of six iterations, and the same after three."""
    folder = tmp_path_factory.mktemp("runs")
    for name, iterations in (("whole", "6"), ("half", "3")):
        assert main(tiny_run(folder / name, *LONG, "--iterations", iterations)) == 0
    return folder / "whole", folder / "half"


def noticed(whole: Path, half: Path, run: Path) -> bool:
    """Whether a run that was resumed at its half differs from the whole one, or ends with an error."""
    shutil.copytree(half, run)
    if main(["train", "--resume", "--out", str(run), "--iterations", "6", "--quiet"]):
        return True
    last = [checkpoints(folder)[-1] for folder in (whole, run)]
    if last[0].name != last[1].name or metrics(whole) != metrics(run):
        return True
    a, b = map(state, last)
    return a.keys() != b.keys() or differing(a, b) != []


def test_nothing_is_noticed_where_nothing_is_lost(halves: tuple[Path, Path], tmp_path: Path) -> None:
    assert not noticed(*halves, tmp_path / "run")


@pytest.mark.parametrize("part", every(2, PARTS))
def test_a_lost_part_is_noticed(
    part: str, halves: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its place is what a new run begins with."""
    load = Learner.load_state_dict

    def without(learner: Learner, held: dict[str, Any]) -> None:
        *path, name = part.split("/")
        fresh, inner = learner.state_dict(), held
        for step in path:
            fresh, inner = fresh[step], inner[step]
        inner[name] = fresh[name]
        load(learner, held)

    monkeypatch.setattr(Learner, "load_state_dict", without)
    assert noticed(*halves, tmp_path / "run")


@pytest.mark.parametrize("moment", every(2, MOMENTS))
def test_a_lost_moment_is_noticed(
    moment: str, halves: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of those of an optimiser alone; in its place are zeros."""
    load, (part, name) = Learner.load_state_dict, moment.split("/")
    lost: list[torch.Tensor] = []

    def without(learner: Learner, held: dict[str, Any]) -> None:
        lost.extend(of[name] for of in held[part]["adam"]["state"].values())
        assert all(bool(values.any()) for values in lost)
        for values in lost:
            values.zero_()
        load(learner, held)

    monkeypatch.setattr(Learner, "load_state_dict", without)
    assert noticed(*halves, tmp_path / "run") and lost
