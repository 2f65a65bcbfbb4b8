"""Before training, another environment like it shows whether a seed decides all; the training's own is left alone."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.wrappers import NormalizeObservation, NormalizeReward, TimeLimit

from trpo_gail import PPO, generate_expert_traj
from trpo_gail.cli import main
from trpo_gail.config.presets import changed
from trpo_gail.envs import checking, repeating, vector
from trpo_gail.runs import opening

SMALL: dict[str, Any] = {"num_envs": 2, "timesteps_per_batch": 64, "vf_iters": 1}


class Drawing(gymnasium.Env):
    """Draws from one generator or another, in `reset` or in `step`."""

    observation_space: Any = Box(-9, 9, (2,), np.float32)
    action_space = Discrete(2)
    made = 0

    def __init__(self, place: str = "", offset: float = 0.0) -> None:
        self.place, self.offset = place, offset
        Drawing.made += 1

    def _drawn(self, place: str) -> np.ndarray:
        if self.place == f"{place}, numpy":
            return np.random.uniform(size=2).astype(np.float32)  # noqa: NPY002
        if self.place == f"{place}, random":
            return np.array([random.random()] * 2, np.float32)
        return self.np_random.uniform(size=2).astype(np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return self._drawn("reset"), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        return self._drawn("step"), float(action), False, False, {}


gymnasium.register("ToyDrawing-v0", entry_point=lambda **kwargs: Drawing(**kwargs), max_episode_steps=20)


def said(make: Any, **more: Any) -> list[str]:
    """Warnings of a model that is made."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        PPO("MlpPolicy", make, **SMALL | more)
    return [str(one.message) for one in found]


@pytest.mark.parametrize("place", ["reset, numpy", "reset, random", "step, numpy", "step, random"])
def test_what_the_seed_does_not_decide_is_said(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = said("ToyDrawing-v0", env_kwargs={"place": place})
    assert text.startswith("ToyDrawing-v0: the same seed and actions give two different episodes")
    assert len(said(lambda: TimeLimit(Drawing(place), 20))) == 1
    words = [
        "train",
        "ToyDrawing-v0",
        "--env_kwargs",
        f'{{"place": "{place}"}}',
        "--adversary",
        "env_reward",
        "--quiet",
    ]
    words += ["--out", str(tmp_path / "run"), "--iterations", "1", "--num_envs", "2", "--final_episodes", "0"]
    assert main([*words, "--eval_every", "0", "--timesteps_per_batch", "64"]) == 0
    assert capsys.readouterr().err.count("the same seed and actions give two different episodes") == 1


def test_an_environment_that_its_seed_decides_is_no_news() -> None:
    assert not said("ToyDrawing-v0") and not said(lambda: TimeLimit(Drawing(), 20))


def test_the_look_changes_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def learned(look: bool) -> list[Any]:
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not look:
                patch.setattr(repeating, "cautions", lambda *_: ())
            np.random.seed(3)  # noqa: NPY002
            random.seed(3)
            model = PPO("MlpPolicy", lambda: TimeLimit(Drawing("step, numpy"), 20), **SMALL).learn(128)
            return [
                *(p.detach().numpy() for p in model.policy.parameters()),
                model.evaluate(2).returns,
                random.random(),
            ]

    assert all(np.array_equal(a, b) for a, b in zip(learned(True), learned(False), strict=True))


def test_an_environment_that_is_alone_is_not_taken() -> None:
    class Alone(Drawing):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("one port")

    before = Drawing.made
    assert not [text for text in said(TimeLimit(Alone("step, numpy"), 20), num_envs=1) if "same seed" in text]
    assert Drawing.made == before + 1


@pytest.mark.parametrize("wrapper", [NormalizeObservation, NormalizeReward])
def test_a_wrapper_that_standardises_by_itself_is_said_once(wrapper: Any) -> None:
    expected = f"the statistics of {wrapper.__name__} are each environment's own"
    (text,) = said(lambda: TimeLimit(wrapper(Drawing()), 20))
    assert expected in text and "leave it out" in text
    with pytest.warns(UserWarning, match=expected):
        generate_expert_traj(lambda _: 0, env=lambda: TimeLimit(wrapper(Drawing()), 20), n_episodes=1)


def make_wrapped() -> gymnasium.Env:
    return TimeLimit(NormalizeObservation(Drawing()), 20)


def test_a_check_tells_of_the_wrapper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "STEPS", 20)
    monkeypatch.setattr(checking, "SECONDS", 0.01)
    found = [f.subject for f in checking.check(f"{__name__}:make_wrapped") if f.level == "warning"]
    assert "wrapper" in found


class Stamped(Drawing):
    """Its first number is far from 0."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)

    def _drawn(self, place: str) -> np.ndarray:
        return super()._drawn(place).astype(np.float64) + np.array([self.offset, 0.0])


@pytest.mark.parametrize(
    ("offset", "dtype", "lost"),
    [(1e4, "float32", False), (1e7, "float32", True), (1e6, "float64", False), (1.7e9, "float64", True)],
)
def test_numbers_that_no_network_tells_apart_are_said_after_the_first_batch(
    offset: float, dtype: str, lost: bool
) -> None:
    model = PPO("MlpPolicy", lambda: TimeLimit(Stamped(offset=offset), 20), dtype=dtype, **SMALL)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.learn(128)
    texts = [str(one.message) for one in found]
    assert len(texts) == lost
    if lost:
        assert texts[0].startswith(f"the observation's column 0: values near {offset:.6g} differ by about 0.")
        assert f"which {dtype} does not tell apart: subtract a constant" in texts[0]


def stamped() -> gymnasium.Env:
    return TimeLimit(Stamped(offset=1e9), 20)


def test_a_check_tells_of_numbers_that_no_network_tells_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "STEPS", 20)
    monkeypatch.setattr(checking, "SECONDS", 0.01)
    found = [f.text for f in checking.check(f"{__name__}:stamped") if f.level == "warning"]
    assert len(found) == 1 and found[0].startswith("the observation's column 0")


def test_no_other_environment_is_stepped_beside_the_only_one_of_a_process_or_on_a_resume() -> None:
    """A simulator may be one for the whole process; on a resume, it is where the run was."""
    differs = f"{repeating.DIFFER}"
    assert not any(differs in text for text in said(lambda: Drawing("reset, numpy"), num_envs=1))
    model = PPO("MlpPolicy", "CartPole-v1", **SMALL)
    env, config = vector.make("ToyDrawing-v0", 2, kwargs={"place": "reset, numpy"}), model.config
    config = changed(config, {"env": "ToyDrawing-v0", "env_kwargs": '{"place": "reset, numpy"}'})
    looks = [list(opening.cautions(config, env, None, config.env, resumed=resumed)) for resumed in (False, True)]
    assert [any(differs in text for text in found) for found in looks] == [True, False]
