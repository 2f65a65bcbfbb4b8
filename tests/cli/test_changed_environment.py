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


class Habit(toys.Walk):
    """Pays less with each episode that an instance has begun, which no seed puts back and no observation shows."""

    begun = 0

    def reset(self, **keywords: Any) -> tuple[np.ndarray, dict]:
        self.begun += 1
        return super().reset(**keywords)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        observation, reward, *others = super().step(action)
        return (observation, reward + 1.0 / self.begun, *others)  # type: ignore[return-value]


@pytest.mark.parametrize("old", [False, True])
def test_a_reward_that_remembers_earlier_episodes_is_told(old: bool, tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"num_envs": 4, "timesteps_per_batch": 40, "restart_every": 2, "max_episode_steps": 50}
    with pytest.warns(UserWarning, match="the same seed and actions give two different episodes"):
        model = TRPO("MlpPolicy", Habit, **sizes)
    model.learn(120)
    if old:  # as a version saved it that kept no returns
        state = model.learner.sampler.state_dict()
        assert state.pop("returns").shape == (4,)
        model.learner.sampler.load_state_dict(state)
        assert np.isfinite(model.learner.sampler.state_dict()["returns"]).all() and not model.learner.sampler.strayed
        return
    model.save(tmp_path / "model")
    with pytest.warns(UserWarning, match="environments did not come back to where they were"):
        TRPO.load(tmp_path / "model", env=Habit).learn(40)
