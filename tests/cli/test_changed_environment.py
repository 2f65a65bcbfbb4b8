"""A resume repeats the steps of each environment; one that comes elsewhere has changed, and that is said."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toys

from trpo_gail import TRPO
from trpo_gail.cli import main

SMALL = ["--num_envs", "4", "--timesteps_per_batch", "40", "--quiet"]
SAYS = "4 of 4 environments did not come back to where they were"


def change(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a new version of the environment, which a run meets when it goes on."""
    reset = toys.Walk.reset

    def another(env: toys.Walk, **keywords: Any) -> tuple[np.ndarray, dict]:
        observation, info = reset(env, **keywords)
        return observation + 0.001, info

    monkeypatch.setattr(toys.Walk, "reset", another)
    step = toys.Walk.step
    monkeypatch.setattr(toys.Walk, "step", lambda env, action: (step(env, action)[0] + 0.001, *step(env, action)[1:]))


@pytest.mark.parametrize("changes", [False, True])
def test_a_run_that_goes_on_says_so(
    changes: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ["train", "--out", str(tmp_path / "run")]
    words = [*run, "toys:Walk-v0", "--adversary", "env_reward", "--eval_every", "0", "--final_episodes", "0", *SMALL]
    assert main([*words, "--iterations", "3", "--steps", "1000"]) == 0
    capsys.readouterr()
    if changes:
        change(monkeypatch)
    assert main([*run, "--resume", "--iterations", "4", "--quiet"]) == 0
    assert (SAYS in capsys.readouterr().err) == changes


@pytest.mark.parametrize("changes", [False, True])
def test_a_model_that_goes_on_says_so(changes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = TRPO("MlpPolicy", "toys:Walk-v0", num_envs=4, timesteps_per_batch=40, verbose=0)
    model.learn(120)
    model.save(tmp_path / "model")
    if changes:
        change(monkeypatch)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        TRPO.load(tmp_path / "model", env="toys:Walk-v0", verbose=0).learn(40)
    assert any(SAYS in str(one.message) for one in found) == changes
