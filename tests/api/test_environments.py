"""Environments given as objects learn as those of the same id do; one that cannot be copied is the only one."""

from __future__ import annotations

import copy
import functools
import random
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import toys
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import TransformReward
from small import differing

from trpo_gail import GAIL, TRPO, UserError
from trpo_gail.envs import sources, vector

SMALL: dict[str, Any] = {"timesteps_per_batch": 128, "vf_iters": 2, "backend": "gymnasium"}


def make() -> gymnasium.Env:
    return gymnasium.make("CartPole-v1")


def policy(env: Any, **more: Any) -> dict[str, Any]:
    return TRPO("MlpPolicy", env, **SMALL | more).learn(600).policy.state_dict()


@pytest.mark.parametrize(
    "given",
    [
        make,
        make(),
        lambda: gymnasium.make_vec("CartPole-v1", 4),
        lambda: gymnasium.make_vec("CartPole-v1", 4, "sync"),
        lambda: gymnasium.vector.SyncVectorEnv([make] * 4),
    ],
    ids=["function", "object", "vector", "make_vec", "sync"],
)
def test_an_object_learns_as_its_id_does(given: Any) -> None:
    env = given() if callable(given) and given is not make else given
    more = {} if isinstance(env, gymnasium.vector.VectorEnv) else {"num_envs": 4}
    assert differing(policy(env, **more), policy("CartPole-v1", num_envs=4)) == []
    assert TRPO("MlpPolicy", env, **SMALL | more).config.num_envs == 4


def test_the_object_itself_is_left_alone() -> None:
    env = make()
    first = env.reset(seed=7)[0]
    model = TRPO("MlpPolicy", env, num_envs=3, **SMALL).learn(200)
    model.evaluate(2)
    env.action_space.seed(0)
    assert env.step(0)[0].shape == (4,) and np.array_equal(env.reset(seed=7)[0], first)


class Inward(gymnasium.Env):
    """Its observations are what its own generators draw; it may pass seeds on to them, or not."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, generator: Any, seeds: bool = False) -> None:
        self.world, self.seeds, self.steps = {"rng": [generator]}, seeds, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.steps = 0
        if seed is not None and self.seeds:
            self.world["rng"] = [np.random.default_rng(seed)]
        return self._seen(), {}

    def _seen(self) -> np.ndarray:
        rng: Any = self.world["rng"][0]
        return np.array([rng.random() if hasattr(rng, "random") else rng.random_sample()])

    def step(self, action: int) -> Any:
        self.steps += 1
        return self._seen(), 0.0, False, self.steps == 5, {}


@pytest.mark.parametrize(
    "generator",
    [
        np.random.default_rng(),
        np.random.Generator(np.random.SFC64(3)),
        np.random.RandomState(3),
        np.random.RandomState(np.random.PCG64(3)),
        random.Random(3),
    ],
    ids=["default", "SFC64", "RandomState", "of PCG64", "random"],
)
def test_copies_of_an_object_that_takes_no_seed_differ(generator: Any) -> None:
    given = Inward(generator)
    before = copy.deepcopy(generator)
    env = sources.of(given).make(4, 10)
    first = env.restart([1, 2, 3, 4])
    assert len(np.unique(first)) == 4, "each copy draws for itself"
    steps = [env.step(np.zeros(4, np.int64))[0] for _ in range(8)]
    assert len(np.unique(steps)) == 32
    other = sources.of(given).make(2, 10)
    assert np.array_equal(other.restart([4, 1]), first[[3, 0]]), "by the seed alone, on whatever rank"
    assert Inward(generator)._seen() == Inward(before)._seen(), "the object's own is left alone"


def test_an_object_that_takes_the_seed_or_draws_nothing_is_as_before() -> None:
    env = sources.of(Inward(np.random.default_rng(), seeds=True)).make(2, 10)
    wanted = [np.random.default_rng(seed) for seed in (5, 6)]
    for found in (env.restart([5, 6]), *(env.step(np.zeros(2, np.int64))[0] for _ in range(3))):
        assert np.array_equal(found, [[rng.random()] for rng in wanted])
    assert not isinstance(sources._copy(toys.Walk()), sources._Copied)


def test_a_function_that_gives_one_object_twice_is_refused() -> None:
    env = make()
    said = "^env: the function gives the same object at two calls: expected a new one at each, or the object itself"
    with pytest.raises(UserError, match=said):
        TRPO("MlpPolicy", lambda: TimeLimit(env, 100), num_envs=2, **SMALL)
    model = TRPO("MlpPolicy", lambda: TimeLimit(env, 100), num_envs=1, **SMALL).learn(64)
    with pytest.raises(UserError, match=said):  # an evaluation would reset what training is in the middle of
        model.evaluate(1)
    assert TRPO("MlpPolicy", lambda: TimeLimit(make(), 100), num_envs=1, **SMALL).learn(64).evaluate(1).lengths.size


class Alone(toys.Walk):
    """An environment with something that cannot be copied."""

    def __init__(self) -> None:
        self.lock, self.closed = threading.Lock(), False

    def close(self) -> None:
        self.closed = True


def test_what_cannot_be_copied_is_the_only_environment() -> None:
    env = Alone()
    with pytest.warns(UserWarning, match=r"Alone cannot be copied \(TypeError.*: 1 environment is run on each rank"):
        model = TRPO("MlpPolicy", env, num_envs=8, max_episode_steps=50, **SMALL)
    assert model.config.num_envs == 1
    model.learn(300)
    assert model.evaluate(3).returns.shape == (3,) and not env.closed


@pytest.mark.filterwarnings("ignore:Alone cannot be copied")
def test_an_evaluation_in_the_only_environment_does_not_change_the_training(tmp_path: Path) -> None:
    plain, busy = (TRPO("MlpPolicy", Alone(), max_episode_steps=50, **SMALL) for _ in range(2))
    plain.learn(700)
    busy.learn(700, callback=lambda model, record: model.evaluate(2).mean > -1e9)
    busy.save(tmp_path / "model")
    plain.learn(300)
    with pytest.raises(
        UserError, match=r"^env: this model's environment 'Alone' was given as an object.*load\(path, env"
    ):
        TRPO.load(tmp_path / "model").learn(300)
    loaded = TRPO.load(tmp_path / "model")
    assert loaded.predict(np.zeros(3), deterministic=True)[0].shape == (2,)
    again = TRPO.load(tmp_path / "model", env=Alone()).learn(300)
    assert differing(plain.policy.state_dict(), again.policy.state_dict()) == []


# ---- time limits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "wanted", "limit", "longest"),
    [
        (lambda: make(), None, 500, 500),
        (lambda: TimeLimit(toys.Endless(), 30), None, 30, 30),
        (lambda: TimeLimit(toys.Endless(), 30), 20, 20, 20),
        (lambda: toys.Endless(), 25, 25, 25),
    ],
)
def test_a_limit_is_the_objects_own_or_shorter(env: Any, wanted: int | None, limit: int, longest: int) -> None:
    made = vector.make("x", 2, source=sources.of(env), max_episode_steps=wanted)
    assert made.spec.max_episode_steps == limit
    made.restart([0, 1])
    for _ in range(longest - 1):
        truncated = made.step(np.zeros(2, np.int64))[3]
        if limit != 500:
            assert not truncated.any()
    assert made.step(np.zeros(2, np.int64))[3].all() or limit == 500


@pytest.mark.parametrize(("limits", "said"), [((50, 60), 60), ((60, 50), 60), ((50, None), None)])
def test_environments_of_different_limits_state_the_longest(
    limits: tuple[int | None, ...], said: int | None, tmp_path: Path
) -> None:
    each = [functools.partial(_limited, limit) for limit in limits]
    vectors = (gymnasium.vector.SyncVectorEnv(each) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of one without a limit
        model = TRPO("MlpPolicy", next(vectors), **SMALL)
        assert model.spec.max_episode_steps == said
        model.save(tmp_path / "model")
        again = TRPO.load(tmp_path / "model", env=next(vectors)).learn(64)
    assert again.spec.max_episode_steps == said


def _limited(limit: int | None) -> gymnasium.Env:
    return toys.Endless() if limit is None else TimeLimit(toys.Endless(), limit)


def test_an_object_without_a_limit_is_cut_at_our_bound() -> None:
    assert vector.make("x", 1, source=sources.of(toys.Endless())).spec.max_episode_steps is None
    with pytest.warns(UserWarning, match="Endless has no time limit: episodes are cut after 30,000 steps"):
        TRPO("MlpPolicy", toys.Endless(), **SMALL)


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        ({}, False),
        ({"gradient_penalty_target": 0.0}, True),
        ({"adversary": "airl", "inputs": ("action",), "gradient_penalty_sides": "above"}, True),
        ({"gradient_penalty_at": "expert", "gradient_penalty": 1.0}, False),
        ({"gradient_penalty_at": "expert", "loss": "wasserstein"}, False),
        ({"gradient_penalty_at": "expert", "inputs": ("action",)}, False),
    ],
)
def test_a_penalty_that_images_leave_without_a_weight_is_warned_of(given: dict[str, Any], warned: bool) -> None:
    expert = [{"obs": np.zeros((6, 32, 32, 3), np.uint8), "acts": np.zeros((5, 2)), "terminal": True}]
    kwargs = {"pixels": 32}
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        GAIL(
            "CnnPolicy",
            "PointNav2DContinuous-v0",
            expert,
            num_envs=2,
            timesteps_per_batch=64,
            env_kwargs=kwargs,
            **given,
        )
    assert any("the penalty's weight is 0 by itself" in str(text.message) for text in found) == warned


@pytest.mark.filterwarnings("ignore:.*episodes are cut")
@pytest.mark.parametrize(
    ("seen", "told", "warned"),
    [
        ({"inputs": ("state", "done")}, {}, True),
        ({"adversary": "airl"}, {}, True),
        ({"adversary": "airl"}, {"terminal": True}, False),
        ({"adversary": "airl"}, {"max_episode_steps": 50}, False),
        ({"inputs": ("state", "next_state")}, {}, False),
    ],
)
def test_ends_of_the_learner_alone_are_warned_of(seen: dict[str, Any], told: dict[str, Any], warned: bool) -> None:
    """If neither the demonstrations nor a time limit say how the expert's episodes end."""
    limit = {name: value for name, value in told.items() if name == "max_episode_steps"}
    episode = {"obs": np.zeros((6, 4)), "acts": np.zeros(5, np.int64)}
    expert = [episode | {name: value for name, value in told.items() if name not in limit}] * 2
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        GAIL("MlpPolicy", toys.Endless, expert, num_envs=2, timesteps_per_batch=64, **seen, **limit)
    assert any("sees ends of the learner alone" in str(text.message) for text in found) == warned


# ---- vector environments of the user's own -----------------------------------------------------------------------------


class Own:
    """A vector environment that is what ours are: three walks."""

    def __init__(self) -> None:
        self._inner = vector.make("Walk-v0", 3, "gymnasium")
        self.spec, self.num_envs, self.closed = self._inner.spec, 3, False

    def restart(self, seeds: Sequence[int]) -> np.ndarray:
        return self._inner.restart(seeds)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self._inner.step(actions)

    def cut(self, which: np.ndarray) -> None:
        self._inner.cut(which)

    def rest(self, which: np.ndarray) -> None:
        self._inner.rest(which)

    def viewed(self, action_view: Any) -> Own:
        return self

    def close(self) -> None:
        self.closed = True


def test_a_vector_environment_of_ones_own_is_used_as_it_is() -> None:
    env = Own()
    model = TRPO("MlpPolicy", env, **SMALL).learn(300)
    assert model.config.num_envs == 3 and not env.closed
    same = TRPO("MlpPolicy", "Walk-v0", num_envs=3, action_scaling=False, **SMALL).learn(300)
    assert differing(same.policy.state_dict(), model.policy.state_dict()) == []
    assert model.evaluate(2).returns.tolist() == same.evaluate(2).returns.tolist()
    assert model.evaluate(3).returns.tolist() == same.evaluate(3).returns.tolist()
    model.learn(200)
    assert differing(same.learn(200).policy.state_dict(), model.policy.state_dict()) == []


class Reusing(Own):
    """It writes into the same arrays at each step, as many do."""

    def restart(self, seeds: Sequence[int]) -> np.ndarray:
        self._kept = [self._inner.restart(seeds).copy()]
        return self._kept[0]

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        found = self._inner.step(actions)
        if len(self._kept) == 1:
            self._kept += [np.array(part) for part in found[1:]]
        for kept, part in zip(self._kept, found, strict=True):
            kept[...] = part
        observation, reward, terminated, truncated = self._kept
        return observation, reward, terminated, truncated


def test_a_vector_environment_may_use_its_arrays_again() -> None:
    models = [TRPO("MlpPolicy", env, **SMALL).learn(300) for env in (Own(), Reusing())]
    assert differing(models[0].policy.state_dict(), models[1].policy.state_dict()) == []


class Misshapen(Own):
    """It answers what ours do not."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def restart(self, seeds: Sequence[int]) -> np.ndarray:
        first = self._inner.restart(seeds)
        return first[:, :1] if self.fault == "start" else first

    def step(self, actions: np.ndarray) -> Any:
        found = self._inner.step(actions)
        return (*found, {}) if self.fault == "five" else (found[0], found[1][:, None], *found[2:])


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("start", r"restart: observations: expected shape \(3, 3\), found \(3, 1\)"),
        ("five", r"step: expected \(observations, rewards, terminated, truncated\), found 5 values"),
        ("column", r"step: rewards: expected shape \(3,\), found \(3, 1\)"),
    ],
)
def test_other_shapes_of_a_vector_environment_are_named(fault: str, line: str) -> None:
    with pytest.raises(UserError, match=f"environment 'Walk-v0': {line}"):
        TRPO("MlpPolicy", Misshapen(fault), **SMALL).learn(300)


# ---- errors ----------------------------------------------------------------------------------------------------------


class Fragile(toys.Walk):
    """Only two of them can be made."""

    made = 0

    def __init__(self) -> None:
        Fragile.made += 1
        if Fragile.made > 2:
            raise RuntimeError("a third is one too many")


def test_what_fails_to_close_is_used_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    class Stuck(toys.Walk):
        def close(self) -> None:
            raise RuntimeError("no way out")

    assert sources.of(Stuck).make(2, 50).num_envs == 2
    assert "env: close: RuntimeError: no way out (test_environments.py, line" in capsys.readouterr().err


class Wrapper:
    """As Stable-Baselines3's wrappers of vector environments."""

    venv = 3


class Doubled(gymnasium.vector.SyncVectorEnv):
    def step(self, actions: Any) -> Any:
        observation, reward, *rest = super().step(actions)
        return observation, 2 * reward, *rest


class OfTen(CartPoleVectorEnv):
    def reset(self, **given: Any) -> Any:
        return super().reset(**given)[0] * 10, {}


class DummyVecEnv:
    """As Stable-Baselines3's."""

    def __init__(self) -> None:
        self.envs = [make(), make()]

    def reset(self) -> Any: ...
    def step_wait(self) -> Any: ...


class Rewarding(DummyVecEnv):
    def step_wait(self) -> Any: ...


def of_ten() -> Any:
    env = OfTen(2)
    env.spec = gymnasium.spec("CartPole-v1")
    return env


def patched() -> Any:
    env: Any = gymnasium.make_vec("CartPole-v1", 2, "sync")
    env.reset = lambda **given: None
    return env


@pytest.mark.parametrize(
    ("env", "method"),
    [
        (Doubled([make] * 2), "Doubled has a method step"),
        (of_ten(), "OfTen has a method reset"),
        (patched(), "SyncVectorEnv has a method reset"),
        (Rewarding(), "Rewarding has a method step_wait"),
    ],
)
def test_what_a_vector_environment_changes_is_not_lost_in_silence(env: Any, method: str) -> None:
    with pytest.raises(UserError, match=f"^env: {method} of its own, and what it changes would be lost"):
        sources.of(env)


def test_a_vector_environment_whose_steps_are_the_usual_is_taken_apart() -> None:
    class Named(gymnasium.vector.SyncVectorEnv):
        def __init__(self, number: int) -> None:
            super().__init__([make] * number)

    given = [
        Named(2),
        DummyVecEnv(),
        gymnasium.make_vec("CartPole-v1", 2),
        gymnasium.make_vec("CartPole-v1", 2, "sync"),
    ]
    assert [sources.of(env).suits for env in given] == [2] * 4


@pytest.mark.parametrize(
    ("env", "line"),
    [
        (3, "env: 3 given, expected an id, a gymnasium.Env, a function that makes one, or a vector environment"),
        (lambda: 3, "env: the function made int, expected a gymnasium.Env"),
        (lambda: 1 / 0, "env: the function raised ZeroDivisionError: division by zero ("),
        (
            gymnasium.vector.SyncVectorEnv([Fragile, Fragile]),
            "env: the function raised RuntimeError: a third is one too many",
        ),
        (Wrapper(), "env: Wrapper wraps a vector environment, and what it changes would be lost"),
        (
            TransformReward(gymnasium.make_vec("CartPole-v1", 2), lambda reward: 100 * reward),
            "env: TransformReward wraps a vector environment, and what it changes would be lost",
        ),
    ],
)
def test_what_is_no_environment_is_refused(env: Any, line: str) -> None:
    with pytest.raises(UserError) as caught:
        sources.of(env)
    assert str(caught.value).startswith(line)


def test_arguments_for_an_object_are_refused() -> None:
    with pytest.raises(UserError, match=r"^env_kwargs: \{'a': 1\} given, but the environment is given as an object$"):
        TRPO("MlpPolicy", make, env_kwargs={"a": 1}, **SMALL)
    with pytest.raises(
        UserError, match=r"^max_episode_steps: 501 given, but .* 'CartPole-v1' is given with a limit of 500$"
    ):
        TRPO("MlpPolicy", make, max_episode_steps=501, **SMALL)
    with pytest.raises(UserError, match=r"^max_episode_steps: 9 given, but a vector environment keeps its own limit$"):
        TRPO("MlpPolicy", Own(), max_episode_steps=9, **SMALL)


def test_stable_baselines_dummy_vector_environment_gives_its_environments() -> None:
    class Dummy:
        envs = (make(), make())

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert TRPO("MlpPolicy", Dummy(), **SMALL).config.num_envs == 2
