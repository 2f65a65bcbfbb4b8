"""From an environment of any space to a trained, saved and loaded policy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toys
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text, Tuple
from gymnasium.vector.utils import concatenate, create_empty_array

sys.path.append(str(Path(__file__).parents[1] / "envs"))
import toy_envs as toy_envs

from trpo_gail.algorithm import iteration
from trpo_gail.build import make_learner
from trpo_gail.config.tree import Config, PolicyConfig
from trpo_gail.envs import vector
from trpo_gail.errors import UserError
from trpo_gail.parallel import Workers
from trpo_gail.runs import checkpoint
from trpo_gail.runs.evaluate import Evaluator, load_policy

WORKERS = Workers()


class Angles(Box):
    """A kind of Box that a library brings along."""

    def __init__(self) -> None:
        super().__init__(-np.pi, np.pi, (2,), np.float32)


OBSERVATIONS: dict[str, Space] = {
    "matrix": Box(-1, 1, (2, 3), np.float32),
    "integers": Box(0, 9, (4,), np.int64),
    "label": Discrete(3, start=5),
    "labels": MultiDiscrete([2, 3]),
    "bits": MultiBinary(3),
    "image": Box(0, 255, (6, 6, 3), np.uint8),
    "memory": Box(0, 255, (6,), np.uint8),
    "robot": Dict({"camera": Box(0, 255, (3, 8, 6), np.uint8), "speed": Box(-1, 1, (2,)), "mode": Discrete(2)}),
    "words": Dict({"image": Box(0, 255, (5, 5, 3), np.uint8), "mission": Text(8)}),
    "number": Box(-1, 1, (), np.float32),
    "own": Dict({"angles": Angles()}),
    "swapped": Box(-1, 1, (3,), np.dtype(">f4")),
    "half": Box(-1, 1, (3,), np.float16),
    "words between": Tuple((Box(-1, 1, (2,)), Text(4), Discrete(2))),
    "whole keys": Dict({0: Discrete(2), 1: Box(-1, 1, (2,))}),  # type: ignore[dict-item]
    "nest": Dict({"a": Box(-1, 1, (2,)), "b": Tuple((Discrete(2), Box(0, 1, (1, 2), np.float64)))}),
}
ACTIONS: dict[str, Space] = {
    "matrix": Box(-2, 2, (2, 2), np.float32),
    "number": Box(-2, 2, (), np.float32),
    "from 1": Discrete(3, start=1),
    "labels": MultiDiscrete([3, 2]),
    "table": MultiDiscrete(np.array([[2, 3]]), start=np.array([[4, -1]])),
    "bits": MultiBinary((2, 1)),
}


def empty(space: Space, n: int) -> Any:
    return create_empty_array(space, n)


CASES = [*((o, "from 1") for o in OBSERVATIONS), *(("nest", a) for a in ACTIONS)]


@pytest.mark.parametrize(("observation", "action"), CASES)
def test_it_is_trained_saved_and_asked(observation: str, action: str, tmp_path: Path) -> None:
    name = toy_envs.env_id(OBSERVATIONS[observation], ACTIONS[action])
    config = Config(name, num_envs=2, timesteps_per_batch=40, d_step=2, policy=PolicyConfig(hidden_sizes=(8,)))
    env = vector.make(name, 2, "gymnasium", scale=True)
    vector.try_out(env, early_reset=True)
    spec, rng = env.spec, np.random.default_rng(0)
    expert = toys.pairs(
        rng.standard_normal((30, spec.observation_size)), spec.actions.uniform(rng.random((30, spec.actions.draws)))
    )
    learner = make_learner(config, env, expert, WORKERS)
    rows = [iteration(learner, config, WORKERS) for _ in range(2)]
    assert all(np.isfinite(row["d_loss"]) for row in rows)  # type: ignore[arg-type]
    if action not in ("matrix", "number"):  # a Gaussian's samples may be outside
        assert rows[-1]["return_mean"] == 5.0, "all actions are the environment's"
    checkpoint.save(tmp_path, learner, config, spec, WORKERS)
    loaded = load_policy(tmp_path)
    assert loaded.spec.observation_space == spec.observation_space and loaded.spec.executed_space == spec.executed_space
    space = OBSERVATIONS[observation]
    samples = [space.sample() for _ in range(3)]
    batch = concatenate(space, samples, empty(space, 3))
    answers = loaded.predict(batch)
    assert answers.shape == (3, *(ACTIONS[action].shape or ()))
    np.testing.assert_allclose(np.asarray(loaded.predict(samples[1]), float), answers[1].astype(float), atol=1e-5)


def test_codes_are_standardised(tmp_path: Path) -> None:
    """uint8 rows that are no pictures, up to the loaded policy."""
    space = Dict({"camera": Box(0, 255, (6, 6, 3), np.uint8), "image": Box(0, 255, (5, 5, 3), np.uint8)})
    name = toy_envs.env_id(space, Discrete(3))
    policy = PolicyConfig(hidden_sizes=(8,), numbers=("image",))
    config = Config(name, num_envs=2, timesteps_per_batch=40, d_step=2, policy=policy)
    env = vector.make(name, 2, "gymnasium", **{**config.env_settings, "scale": True})
    assert [part.kind for part in env.spec.observations.parts] == ["image", "vector"]
    rng = np.random.default_rng(0)
    expert = toys.pairs(rng.integers(0, 10, (30, 183)).astype(np.uint8), rng.integers(0, 3, 30))
    learner = make_learner(config, env, expert, WORKERS)
    assert all(np.isfinite(iteration(learner, config, WORKERS)["d_loss"]) for _ in range(2))  # type: ignore[arg-type]
    assert learner.policy.normaliser.mean.max() > 10.0
    checkpoint.save(tmp_path, learner, config, env.spec, WORKERS)
    loaded = load_policy(tmp_path)
    assert loaded.spec.numbers == ("image",)
    assert loaded.predict(space.sample()).shape == ()


@pytest.mark.parametrize(
    ("images", "numbers", "said"),
    [
        (["mission"], [], "--policy.images: 'mission' is no part of two to four dimensions; parts are image"),
        ([], ["mission"], "--policy.numbers: 'mission' is no part that would be an image; parts are image"),
        (["image"], ["image"], "--policy.numbers: 'image' is named by --policy.images, too"),
    ],
)
def test_wrong_names_of_parts_are_refused(images: list[str], numbers: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        vector.make(toy_envs.env_id(OBSERVATIONS["words"], Discrete(3)), 1, "gymnasium", images=images, numbers=numbers)


def test_an_observation_of_another_structure_is_refused(tmp_path: Path) -> None:
    env = vector.make(toy_envs.env_id(OBSERVATIONS["nest"], Discrete(2)), 1, "gymnasium")
    config = Config(env.spec.id, adversary="env_reward", num_envs=1)
    checkpoint.save(tmp_path, make_learner(config, env, None, WORKERS), config, env.spec, WORKERS)
    loaded = load_policy(tmp_path)
    with pytest.raises(ValueError, match=r"observation: expected an observation with the part 'b.0', found a$"):
        loaded.predict({"a": np.zeros(2)})
    with pytest.raises(ValueError, match=r"observation 'a' of shape \(3,\), \(2,\) or \(n, 2\) expected"):
        loaded.predict({"a": np.zeros(3), "b": (0, np.zeros((1, 2)))})
    with pytest.raises(UserError, match=r"^observation 'b.0': 7 is no label$"):
        loaded.predict({"a": np.zeros(2), "b": (7, np.zeros((1, 2)))})
    with pytest.raises(UserError, match=r"^observation 'a': nan in 1 of 2 numbers$"):
        loaded.predict({"a": np.array([0.0, np.nan]), "b": (0, np.zeros((1, 2)))})


@pytest.mark.parametrize("action", ACTIONS)
def test_random_actions_are_the_environments(action: str) -> None:
    spec = toys.spec_of(toy_envs.env_id(Discrete(2), ACTIONS[action]), scale=True)
    evaluator = Evaluator(Config(spec.id, num_envs=1), spec, WORKERS)
    assert evaluator.random(4).returns.tolist() == [5.0] * 4
