"""A Box without dimensions: its shape is kept in what is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

from trpo_gail import TRPO, load_policy
from trpo_gail.cli import main
from trpo_gail.envs import vector
from trpo_gail.errors import RunError, UserError

SMALL = ["--num_envs", "2", "--timesteps_per_batch", "64", "--eval_every", "0", "--final_episodes", "0", "--quiet"]


class Scalars(gymnasium.Env):
    observation_space = Box(-1.0, 1.0, (), np.float32)
    action_space = Box(-1.0, 1.0, (), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self._left = 10
        return self.observation_space.dtype.type(self.np_random.uniform(-1, 1)), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        assert np.shape(action) == ()
        self._left -= 1
        return np.float32(self.np_random.uniform(-1, 1)), float(action), False, self._left == 0, {}


class Holes(Scalars):
    """Whole numbers, of which one is none."""

    observation_space = Box(0, 100, (3,), np.int32)  # type: ignore[arg-type]
    action_space = Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        return [1.0, np.nan, 2.0], {}


class Switches(Holes):
    action_space = Box(0, 1, (3,), bool)  # type: ignore[arg-type]


def test_a_run_goes_on_and_its_policy_acts(tmp_path: Path) -> None:
    run, env = str(tmp_path / "run"), f"{__name__}:Scalars"
    assert main(["expert", env, "--iterations", "2", "--out", run, *SMALL]) == 0
    assert main(["train", "--resume", "--out", run, "--iterations", "3", "--quiet"]) == 0
    assert load_policy(run).predict(np.float32(0.5)).shape == ()


@pytest.mark.filterwarnings("ignore:.*no time limit")
def test_a_model_is_loaded(tmp_path: Path) -> None:
    TRPO("MlpPolicy", Scalars, num_envs=2, timesteps_per_batch=64).learn(64).save(tmp_path / "model")
    model = TRPO.load(tmp_path / "model", env=Scalars)
    assert model.predict(np.float32(0.5))[0].shape == ()
    assert model.learn(64).learner.progress.iteration > 1


def test_what_is_no_number_is_no_whole_number() -> None:
    made = vector.make(f"{__name__}:Holes", 1)
    with pytest.raises(RunError, match=r"nan \(float64\) does not fit int32"):
        made.restart([0])


def test_switches_are_no_box() -> None:
    with pytest.raises(UserError, match="MultiBinary has bits"):
        vector.make(f"{__name__}:Switches", 1)
