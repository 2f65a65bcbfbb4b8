"""Environments that Python code hands over as objects, where a config has an id.

A source makes a process's environments: those of training, and others for evaluations. A factory makes as many as are
needed; a single object is copied, or, if it cannot be copied, is the only one.
"""

from __future__ import annotations

import contextlib
import copy
import random
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium.envs.registration import load_env_creator

from trpo_gail.envs import named
from trpo_gail.envs.failures import RAISED, close, described
from trpo_gail.envs.named import Reference
from trpo_gail.envs.one_by_one import LIMIT, OneByOne, limited, longest
from trpo_gail.errors import RunError, UserError, shortened
from trpo_gail.spaces.spec import ActionView

_TAKEN_APART = (gymnasium.vector.SyncVectorEnv, gymnasium.vector.AsyncVectorEnv)
_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
_KINDS = (np.float64, bool, bool)  # of rewards and the two ends

Factory = Callable[[], gymnasium.Env]
_OURS = ("spec", "num_envs", "restart", "step", "cut", "rest", "viewed", "close")  # what our protocol asks for
_STEPS = ("step", "step_async", "step_wait", "reset", "reset_async", "reset_wait")  # of vector environments
_VECTOR = ("num_envs", "vectorization_mode", "vector_kwargs", "wrappers")  # what `make_vec` takes for itself


class Source(Protocol):
    """What a process's environments are made from."""

    reference: Reference  # the name, and whether it makes them where the objects are not there
    most: int | None  # so many can be there at a time; None: as many as are asked for
    suits: int | None  # so many were given; None: any number
    why: str  # there can be no more, in words
    limits: Sequence[int | None] | None  # of time, of all ranks' environments, where these may differ; else None

    def make(self, num_envs: int, max_episode_steps: int | None, first: int = 0) -> Any:
        """A backend of `vector`, or a whole `vector.VectorEnv`, of the environments from the `first` on. Raises UserError."""
        ...


class Factories:
    """Functions that make an environment each, in turn."""

    def __init__(
        self, reference: Reference, factories: Sequence[Factory], suits: int | None = None, most: int | None = None
    ):
        self.reference, self._factories, self.suits = reference, factories, suits
        self.most, self.why = most, ""
        self.limits: Sequence[int | None] | None = () if len(factories) > 1 else None
        self._there: list[weakref.ref[Any]] = []

    def make(self, num_envs: int, max_episode_steps: int | None, first: int = 0) -> Any:
        if self.most is not None and num_envs > self.most:
            raise UserError(f"env: {num_envs} environments are needed, and {self.why or 'there is one alone'}")

        def one(number: int) -> tuple[gymnasium.Env, int | None]:
            env = self._factories[(first + number) % len(self._factories)]()
            self._note(getattr(env, "unwrapped", env))
            return limited(env, self.reference.name, max_episode_steps)

        made = OneByOne(self.reference.name, num_envs, {}, max_episode_steps, one)
        made.max_episode_steps = longest([made.max_episode_steps, *(self.limits or ())])
        return made

    def _note(self, env: Any) -> None:
        """Raise UserError for an object that is there already, for training or for an evaluation."""
        if self.most is not None:
            return
        self._there = [there for there in self._there if there() is not None]
        if any(there() is env for there in self._there):
            raise UserError(
                "env: the function gives the same object at two calls: expected a new one at each, or the object itself as "
                "env, which is copied"
            )
        with contextlib.suppress(TypeError):  # not every class allows it
            self._there.append(weakref.ref(env))


class Whole:
    """A vector environment of the user's own that is what ours are (`vector.VectorEnv`)."""

    why = "a vector environment is used as it is"
    limits: Sequence[int | None] | None = None

    def __init__(self, env: Any) -> None:
        self._env, self.most, self.suits = env, env.num_envs, env.num_envs
        self.reference = Reference(env.spec.id, env.spec.id, f"{type(env).__name__} is a vector environment")

    def make(self, num_envs: int, max_episode_steps: int | None, first: int = 0) -> Any:
        if num_envs > self.most:
            raise UserError(f"env: {num_envs} environments are needed, and the vector environment has {self.most}")
        if max_episode_steps is not None:
            raise UserError(f"{LIMIT}: {max_episode_steps} given, but a vector environment keeps its own limit")
        return Lent(self._env, num_envs)


class Lent:
    """The first environments of somebody else's `vector.VectorEnv`, which is not ours to close. The others rest."""

    def __init__(self, env: Any, num_envs: int) -> None:
        self._env, self.spec, self.num_envs = env, env.spec, num_envs
        self._others = env.num_envs - num_envs

    def restart(self, seeds: Sequence[int]) -> np.ndarray:
        first = self._rows("restart", self._env.restart([*seeds, *[seeds[-1]] * self._others]))
        if self._others:
            self.rest(np.zeros(self.num_envs, bool))
        return first

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, ...]:
        found = self._env.step(np.concatenate([actions, self.spec.actions.zeros(self._others)]))
        if not isinstance(found, tuple) or len(found) != 4:
            many = f"{len(found)} values" if isinstance(found, tuple) else type(found).__name__
            raise RunError(
                f"environment {self.spec.id!r}: step: expected (observations, rewards, terminated, truncated), found {many}"
            )
        observation = self._rows("step", found[0])
        reward, terminated, truncated = (
            self._each(name, part, kind)
            for name, part, kind in zip(("rewards", "terminated", "truncated"), found[1:], _KINDS, strict=True)
        )
        return observation, reward, terminated, truncated & ~terminated

    def _rows(self, when: str, found: Any) -> np.ndarray:
        """Observations [N, O] of ours; copies, since it may write into the same arrays again."""
        return self._held(f"{when}: observations", np.array(found), (self.spec.observation_size,))[: self.num_envs]

    def _each(self, name: str, found: Any, kind: type) -> np.ndarray:
        return self._held(f"step: {name}", np.array(found, kind), ())[: self.num_envs]

    def _held(self, what: str, found: np.ndarray, row: tuple[int, ...]) -> np.ndarray:
        expected = (self._env.num_envs, *row)
        if found.shape != expected:
            raise RunError(f"environment {self.spec.id!r}: {what}: expected shape {expected}, found {found.shape}")
        return found

    @property
    def successes(self) -> np.ndarray | None:
        found = getattr(self._env, "successes", None)
        return None if found is None else found[: self.num_envs]

    def cut(self, which: np.ndarray) -> None:
        self._env.cut(np.append(which, np.zeros(self._others, bool)))

    def rest(self, which: np.ndarray) -> None:
        self._env.rest(np.append(which, np.ones(self._others, bool)))

    def viewed(self, action_view: ActionView) -> Lent:
        return Lent(self._env.viewed(action_view), self.num_envs)

    def close(self) -> None:
        pass


class _Borrowed(gymnasium.Wrapper):
    """Somebody else's environment, which is not ours to close."""

    def close(self) -> None:
        pass


class _Copied(gymnasium.Wrapper):
    """A copy whose random generators, wherever the object holds them, begin anew by each seed.

    They were copied with their state. Where an environment does not seed them by itself, all copies would live through the
    same episodes; where it does, it does so after this.
    """

    def __init__(self, env: gymnasium.Env, generators: Sequence[Any]) -> None:
        super().__init__(env)
        self._generators = generators

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        if seed is not None:
            for which, generator in enumerate(self._generators):
                _begin(generator, np.random.SeedSequence([seed, which]))
        return super().reset(seed=seed, options=options)


def _begin(generator: Any, seed: np.random.SeedSequence) -> None:
    """Begin a generator anew; it stays the same object. Bit generators of other packages than numpy go on as they are."""
    if isinstance(generator, random.Random):
        generator.seed(int.from_bytes(seed.generate_state(8).tobytes(), "little"))
        return
    old = isinstance(generator, np.random.RandomState)
    state = generator.get_state(legacy=False) if old else generator.bit_generator.state
    if (kind := getattr(np.random, state["bit_generator"], None)) is None:
        return
    if old:
        generator.set_state(np.random.RandomState(kind(seed)).get_state(legacy=False))
    else:
        generator.bit_generator.state = kind(seed).state


def of(env: Any) -> Source:
    """The source of whatever is given in place of an id. Raises UserError if it is no environment."""
    if isinstance(env, gymnasium.Env):
        return _single(env)
    wraps = isinstance(env, gymnasium.vector.VectorWrapper)
    if isinstance(env, gymnasium.vector.VectorEnv) and not wraps:
        return _vector(env)
    if all(hasattr(env, name) for name in _OURS):
        return Whole(env)
    if wraps or hasattr(env, "venv"):
        raise UserError(
            f"env: {type(env).__name__} wraps a vector environment, and what it changes would be lost: expected the "
            "environment that it wraps, an id or a function that makes one"
        )
    if inner := getattr(env, "envs", None):  # Stable-Baselines' DummyVecEnv
        _refuse_steps(env, next((base for base in type(env).__mro__ if base.__name__ == "DummyVecEnv"), None))
        sources = [_single(one) for one in inner]
        alone = next((source for source in sources if source.most is not None), None)
        if alone is not None:
            return alone
        return Factories(sources[0].reference, [source._factories[0] for source in sources], len(sources))
    if callable(env):
        return _factory(env)
    raise UserError(
        f"env: {shortened(repr(env), 60)} given, expected an id, a gymnasium.Env, a function that makes one, or a vector "
        "environment"
    )


def _single(env: Any) -> Factories:
    """Copies of one object; the object itself if it cannot be copied."""
    if not isinstance(env, gymnasium.Env):
        raise UserError(f"env: expected environments of gymnasium, found {type(env).__name__}")
    try:
        own = copy.deepcopy(env)  # of now: what becomes of the object is its owner's business
    except Exception as error:  # of any library
        made = Factories(named.of_env(env), [lambda: _Borrowed(env)], most=1)
        made.why = f"{made.reference.name} cannot be copied ({shortened(repr(error), 80)})"
        return made
    return Factories(named.of_env(env), [lambda: _copy(own)])


def _copy(own: gymnasium.Env) -> gymnasium.Env:
    made: dict[int, Any] = {}  # by the ids of the originals: all that a deep copy consists of
    env = copy.deepcopy(own, made)
    generators = [one for one in made.values() if isinstance(one, _GENERATORS)]
    return _Copied(env, generators) if generators else env


def _vector(env: Any) -> Source:
    """Of gymnasium's vector environments what makes the single ones: they run one after the other on each rank."""
    if factories := getattr(env, "env_fns", None):
        _refuse_steps(env, next((base for base in _TAKEN_APART if isinstance(env, base)), None))
        return Factories(named.of_maker(factories[0], _tried(factories[0])), list(factories), env.num_envs)
    if env.spec is not None:
        maker = env.spec.vector_entry_point
        maker = load_env_creator(maker) if isinstance(maker, str) else maker
        if maker is None or isinstance(maker, type):  # of a function it cannot be known
            _refuse_steps(env, maker)
        env_id, kwargs = env.spec.id, {k: v for k, v in env.spec.kwargs.items() if k not in (*_VECTOR, LIMIT)}
        more = {LIMIT: env.spec.max_episode_steps} if env.spec.max_episode_steps else {}
        made = lambda: gymnasium.make(env_id, **more, **kwargs)  # noqa: E731
        return Factories(named.of_env(_tried(made)), [made], env.num_envs)
    raise UserError(
        f"env: {type(env).__name__} does not say what its single environments are made by (env_fns or spec): expected a "
        "function that makes one"
    )


def _refuse_steps(env: Any, known: type | None) -> None:
    """Raise UserError if a vector environment, of which the single ones alone are used, steps or resets these in a way of its
    own. `known` is the class that does it as we do."""
    own = vars(env) if hasattr(env, "__dict__") else {}
    changed = [
        name for name in _STEPS if name in own or getattr(type(env), name, None) is not getattr(known, name, None)
    ]
    if changed:
        raise UserError(
            f"env: {type(env).__name__} has a method {changed[0]} of its own, and what it changes would be lost, since its "
            "single environments alone are used: expected these, each in a gymnasium.Wrapper that changes the same, or an "
            "object with the methods of trpo_gail.VectorEnv"
        )


def _factory(make: Callable[..., Any]) -> Factories:
    return Factories(named.of_maker(make, _tried(make)), [make])


def _tried(make: Callable[..., Any]) -> gymnasium.Env:
    """What a function makes; it is closed again. Raises UserError."""
    try:
        found = make()
    except RAISED as error:
        raise UserError(f"env: the function raised {described(error)}") from error
    if not isinstance(found, gymnasium.Env):
        raise UserError(f"env: the function made {type(found).__name__}, expected a gymnasium.Env")
    close("env", [found])
    return found
