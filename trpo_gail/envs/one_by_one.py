"""Gymnasium's environments, stepped one after the other, with checks of their answers.

Gymnasium's own `SyncVectorEnv` is similar. But it passes environments views of the caller's actions, merges `info`, whose
shape may vary (we read one entry of it, at an episode's end), steps environments that should rest, and answers an
environment's failure with a traceback.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Space
from gymnasium.wrappers import TimeLimit

from trpo_gail.envs import named
from trpo_gail.envs.failures import RAISED, called, close, described
from trpo_gail.errors import RunError, UserError, shortened
from trpo_gail.spaces import actions, layout
from trpo_gail.spaces.known import known
from trpo_gail.spaces.layout import Layout, Part, at
from trpo_gail.success import said, said_by_each
from trpo_gail.system.terminal import warn

# An episode without a limit is cut after this many steps; the longest common limit, Atari's, is 27,000.
BOUND = 30_000

_ANSWER = "(observation, reward, terminated, truncated, info)"  # to a step
_GYMNASIUM = str(Path(gymnasium.__file__).parent)

_LAST = ("final_observation", "final_obs", "terminal_observation")  # names of a last observation in `info`

LIMIT = "max_episode_steps"  # gymnasium's and EnvPool's name for it


class Alone(UserError):
    """One environment was made, and no other beside it."""


class OneByOne:
    """N environments of one id, or of one function."""

    def __init__(
        self,
        env_id: str,
        num_envs: int,
        kwargs: Mapping[str, Any],
        max_episode_steps: int | None,
        one: Callable[[int], tuple[gymnasium.Env, int | None]] | None = None,
    ) -> None:
        """`one` makes an environment by its number, and says its time limit, in place of gymnasium."""
        self.num_envs, self._id, self._one = num_envs, env_id, one
        self._envs: list[gymnasium.Env] = []
        limits: list[int | None] = []
        try:
            for number in range(num_envs):
                env, limit = self._make(number, kwargs, max_episode_steps)
                self._envs.append(env)
                limits.append(limit)
        except BaseException:
            self.close()
            raise
        self.max_episode_steps = longest(limits)
        self.observation_space, self.action_space = self._spaces()
        self._layout = Layout.of(self.observation_space)
        self._bits = self._layout.is_plain and self._layout.parts[0].kind == "onehot"  # rows of a MultiBinary
        self._ended = np.zeros(num_envs, bool)  # the next step resets these
        self._resting = np.zeros(num_envs, bool)
        self.successes: np.ndarray | None = None

    @property
    def wrappers(self) -> tuple[str, ...]:
        """Names of the classes that the first environment is wrapped in, from the outermost on."""
        found, env = [], self._envs[0]
        while isinstance(env, gymnasium.Wrapper):
            found.append(type(env).__name__)
            env = env.env
        return tuple(found)

    def _spaces(self) -> tuple[Space, Space]:
        """Of all instances, which must have the same."""
        found = [spaces_of(env, self._id) for env in self._envs]
        first = found[0]
        for which, name in enumerate(("observation_space", "action_space")):
            own = first[which]
            if (other := next((spaces[which] for spaces in found if spaces[which] != own), None)) is not None:
                both = f"{shortened(str(own), 80)} and {shortened(str(other), 80)}"
                raise UserError(f"environment {self._id!r}: its instances differ in {name}: {both}")
        return first

    def _make(
        self, number: int, kwargs: Mapping[str, Any], max_episode_steps: int | None
    ) -> tuple[gymnasium.Env, int | None]:
        try:
            return self._one(number) if self._one else make_one(self._id, kwargs, max_episode_steps)
        except UserError:
            raise
        except RAISED as error:
            which = f", instance {number + 1} of {self.num_envs} in one process" if number else ""
            arguments = f" with {dict(kwargs)}" if kwargs else ""
            kind = Alone if number else UserError
            raise kind(f"environment {self._id!r}{arguments}{which}: {described(error)}") from error

    def restart(self, seeds: Sequence[int]) -> np.ndarray:
        """Observations [N, O] of new episodes, one seed per environment."""
        observations = self._empty()
        for i, seed in enumerate(seeds):
            self._reset(i, observations, seed=int(seed))
        self._ended[:] = self._resting[:] = False
        return observations

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Step the environments, or reset those whose episode has ended; those that rest give zeros."""
        observations, rewards = self._empty(), np.zeros(self.num_envs)
        terminated, truncated = np.zeros(self.num_envs, bool), np.zeros(self.num_envs, bool)
        self.successes = None
        floats = actions.dtype.kind == "f"
        if floats:  # as the environment has them: its space holds no others
            actions = actions.astype(self.action_space.dtype, copy=False)
        for i in range(self.num_envs):
            if self._resting[i]:
                continue
            if self._ended[i]:
                self._reset(i, observations)
            else:
                # A copy: an environment may change its action in place, but it must not change the policy's sample.
                action = np.array(actions[i]) if floats else actions[i].copy()  # of a Box an array in any case
                rewards[i], terminated[i], truncated[i] = self._step(i, action, observations)
        self._ended = terminated | truncated
        return observations, rewards, terminated, truncated

    def cut(self, which: np.ndarray) -> None:
        """Let the next step reset these environments, [N] bool."""
        self._ended = self._ended | which

    def rest(self, which: np.ndarray) -> None:
        """Leave these environments out, [N] bool, until the restart."""
        self._resting = which.copy()

    def close(self) -> None:
        """Close all environments, once."""
        close(f"environment {self._id!r}", (self._envs.pop() for _ in range(len(self._envs))))

    # ---- one environment's answers -----------------------------------------------------------------------------------

    def _name(self, i: int) -> str:
        return f"environment {self._id!r}" + (f" number {i}" if i else "")

    def _empty(self) -> np.ndarray:
        return np.zeros((self.num_envs, self._layout.size), self._layout.dtype)

    def _reset(self, i: int, into: np.ndarray, **seed: int) -> None:
        answer: Any = called(self._name(i), "reset", self._envs[i].reset, **seed)
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise RunError(f"{self._name(i)}: reset: expected (observation, info), found {_shape_of(answer)}")
        self._keep(i, "reset", answer[0], into[i])

    def _step(self, i: int, action: Any, into: np.ndarray) -> tuple[float, bool, bool]:
        try:  # not by `called`, which would slow environments as fast as CartPole
            answer: Any = self._envs[i].step(action)
        except RAISED as error:
            why = f"expected {_ANSWER}, found another number of values" if _unpacked(error) else described(error)
            raise RunError(f"{self._name(i)}: step: {why}{self._outside(action)}") from error
        if type(answer) is not tuple or len(answer) != 5:
            raise RunError(f"{self._name(i)}: step: expected {_ANSWER}, found {_shape_of(answer)}")
        observation, reward, terminated, truncated, info = answer
        self._keep(i, "step", observation, into[i])
        if type(reward) is not float:
            reward = self._number(i, reward)
        if type(terminated) is not bool or type(truncated) is not bool:
            terminated, truncated = self._flag(i, "terminated", terminated), self._flag(i, "truncated", truncated)
        if terminated or truncated:
            self._keep_success(i, said(info))
            self._look_for_own_reset(i, info, into[i])
        return reward, terminated, truncated

    def _look_for_own_reset(self, i: int, info: Any, row: np.ndarray) -> None:
        """Warn of an environment that has begun its next episode by itself: its last observation stands in `info` alone."""
        known = (key for key in _LAST if isinstance(info, dict) and key in info)
        if (key := next(known, None)) is None:
            return
        own = np.empty_like(row)
        with contextlib.suppress(Exception):  # of any kind: then it is something else
            self._keep(i, "step", info[key], own)
            if not np.array_equal(own, row, equal_nan=row.dtype.kind == "f"):
                _warn_of_own_reset(self._id, key)

    def _outside(self, action: Any) -> str:
        """What to say of an action outside the bounds, which may be why the environment failed."""
        if not isinstance(self.action_space, Box) or self.action_space.contains(np.asarray(action)):
            return ""
        return "; the action was outside the space's bounds, to which --actions executed clips"

    def _keep_success(self, i: int, success: float) -> None:
        if success == success:  # not: if it is not known
            if self.successes is None:
                self.successes = np.full(self.num_envs, np.nan)
            self.successes[i] = success

    def _keep(self, i: int, when: str, observation: Any, row: np.ndarray) -> None:
        """Check an observation against the observation space, and write it into its row."""
        if self._layout.is_plain:
            self._keep_numbers(i, when, observation, row)
            if self._bits:
                self._encoded(i, f"{when}: observation", self._layout.parts[0], row)
            return
        for part in self._layout.parts:
            what = f"{when}: observation" + (f" {part.name!r}" if part.name else "")
            try:
                value = at(observation, part.path)
            except (LookupError, TypeError) as error:
                raise RunError(f"{self._name(i)}: {what}: missing, found {_shape_of(observation)}") from error
            own = np.empty(part.shape, part.dtype)
            self._keep_numbers(i, when, value, own, part.name)
            row[part.columns] = self._encoded(i, what, part, own)

    def _encoded(self, i: int, what: str, part: Part, value: np.ndarray) -> np.ndarray:
        """The columns of a part's value."""
        try:
            return part.encode(value[None])[0]
        except ValueError as error:
            raise RunError(f"{self._name(i)}: {what}: {error} of its observation_space") from error

    def _keep_numbers(self, i: int, when: str, observation: Any, row: np.ndarray, part: str = "") -> None:
        """Write numbers into an array of the space's shape and dtype."""
        found = np.asarray(observation)
        if found.shape != row.shape or found.dtype.kind not in "fiub":
            said = f"expected shape {row.shape} as its observation_space says, found {_shape_of(found)}"
            if found.ndim and found.shape[1:] == row.shape:
                said += ", as of several environments at once, where a single one is expected"
            raise RunError(f"{self._name(i)}: {when}: observation{part and f' {part!r}'}: {said}")
        if found.dtype == row.dtype:
            row[...] = found
            return
        with np.errstate(over="ignore", invalid="ignore"):
            row[...] = found
            # A float that is not finite stays as it is, and is reported later; an integer cannot hold it.
            floats = row.dtype.kind == "f"
            lost = np.isfinite(found) & ~np.isfinite(row) if floats else row != found
        if lost.any():
            said = f"{found[lost].flat[0]} ({found.dtype}) does not fit {row.dtype}, which its observation_space says"
            raise RunError(f"{self._name(i)}: {when}: observation{part and f' {part!r}'}: {said}")

    def _number(self, i: int, reward: Any) -> float:
        if np.ndim(reward) == 0 and not isinstance(reward, (str, bytes)):
            try:
                return float(reward)
            except (TypeError, ValueError):
                pass
        raise RunError(f"{self._name(i)}: step: reward: expected a number, found {_shape_of(reward)}")

    def _flag(self, i: int, name: str, flag: Any) -> bool:
        if isinstance(flag, (bool, np.bool_)) or (np.ndim(flag) == 0 and flag in (0, 1)):
            return bool(flag)
        raise RunError(f"{self._name(i)}: step: {name}: expected True or False, found {_shape_of(flag)}")


class Vectorised:
    """A gymnasium vector environment that resets in the step after an end, such as our own."""

    def __init__(self, env: gymnasium.vector.VectorEnv, max_episode_steps: int | None) -> None:
        self._envs, self.num_envs, self.max_episode_steps = env, env.num_envs, max_episode_steps
        self.observation_space, self.action_space = env.single_observation_space, env.single_action_space
        self._layout = Layout.of(self.observation_space)
        self._info: Any = None  # of the last step

    def restart(self, seeds: Sequence[int]) -> np.ndarray:
        each: Any = [int(seed) for seed in seeds]
        return np.array(self._layout.flatten(self._envs.reset(seed=each)[0]))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        observation, reward, terminated, truncated, self._info = self._envs.step(actions.copy())
        return np.array(self._layout.flatten(observation)), np.asarray(reward, np.float64), terminated, truncated

    @property
    def successes(self) -> np.ndarray | None:
        return said_by_each(self._info, self.num_envs)

    def cut(self, which: np.ndarray) -> None:
        self._envs._autoreset_envs |= which  # type: ignore[attr-defined]  # what NEXT_STEP goes by

    def rest(self, which: np.ndarray) -> None:
        pass  # a step always steps all of them

    def close(self) -> None:
        self._envs.close()


def make_one(
    env_id: str, kwargs: Mapping[str, Any], max_episode_steps: int | None, **more: Any
) -> tuple[gymnasium.Env, int | None]:
    """A gymnasium environment and its time limit in steps: the requested one, or its own; None if there is neither.

    Without a limit, its episodes are cut after BOUND steps, so that they end.
    """
    if make := named.maker(env_id):
        return limited(make(**{**copy.deepcopy(dict(kwargs)), **more}), env_id, max_episode_steps)
    if max_episode_steps is not None:
        more[LIMIT] = max_episode_steps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gymnasium advises against v4 ids, but they are the nearest to the paper
        try:
            # Each gets a copy of the arguments, since it may change them in place.
            env = gymnasium.make(env_id, disable_env_checker=True, **{**copy.deepcopy(dict(kwargs)), **more})
        except (gymnasium.error.NameNotFound, gymnasium.error.NamespaceNotFound) as error:
            hint = "" if "Did you mean" in str(error) else f"; {named.hint(env_id)}"
            raise UserError(f"environment {env_id!r}: {described(error)}{hint}") from error
    limit = _limit(env)
    if limit is not None and max_episode_steps is not None and limit < max_episode_steps:
        raise _longer(env_id, max_episode_steps, limit)
    return (env if limit else TimeLimit(env, BOUND)), limit


def longest(limits: Sequence[int | None]) -> int | None:
    """What environments with these time limits state together; None if one has none."""
    known = [limit for limit in limits if limit is not None]
    return max(known, default=None) if len(known) == len(limits) else None


def spaces_of(env: gymnasium.Env, name: str) -> tuple[Space, Space]:
    """The spaces of observations and actions, of gymnasium's own classes. Raises UserError for what is no space, and if
    observations or actions cannot be rows."""
    who, found = f"environment {name!r}", []
    for what in ("observation_space", "action_space"):
        try:
            space = getattr(env, what, None)
        except RAISED as error:  # a property's
            raise UserError(f"{who}: {what}: {described(error)}") from error
        found.append(known(space, f"{who}: {what}"))
    layout.check(found[0], who)
    actions.check(found[1], who)
    return found[0], found[1]


def limited(made: Any, name: str, wanted: int | None) -> tuple[gymnasium.Env, int | None]:
    """An environment that Python code made, and its time limit in steps, as `make_one`. Raises UserError."""
    if not isinstance(made, gymnasium.Env):
        raise UserError(f"environment {name!r}: {type(made).__name__} made, a gymnasium.Env expected")
    own = _limit(made)
    if wanted is None:
        return (made, own) if own else (TimeLimit(made, BOUND), None)
    if own is not None and wanted > own:
        raise _longer(name, wanted, own)
    return (made if own == wanted else TimeLimit(made, wanted)), wanted


def _longer(name: str, wanted: int, own: int) -> UserError:
    return UserError(f"{LIMIT}: {wanted} given, but the environment {name!r} is given with a limit of {own}")


def _limit(env: gymnasium.Env) -> int | None:
    """The steps after which a wrapper ends its episodes, or its spec says that they end.

    Of several such wrappers the least counts, down to the first that steps in a way of its own: it may begin the episodes
    within it anew.
    """
    inner: Any = env
    found: int | None = None
    while isinstance(inner, gymnasium.Wrapper) and (found is None or _steps_once(inner)):
        if isinstance(inner, TimeLimit):
            found = min(found or inner._max_episode_steps, inner._max_episode_steps)
        inner = inner.env
    if found is not None:
        return found
    spec = named.spec_of(inner)
    return spec.max_episode_steps if spec is not None else None


def _steps_once(wrapper: gymnasium.Wrapper) -> bool:
    """Whether its method `step` is one of gymnasium's."""
    return str(getattr(type(wrapper).step, "__module__", "")).partition(".")[0] == "gymnasium"


@functools.cache
def _warn_of_own_reset(env_id: str, key: str) -> None:
    """Once, although there are several such environments."""
    warn(
        f"environment {env_id!r}: step: at an episode's end it returns another observation than info[{key!r}], as if it "
        "reset itself; unless a wrapper changes its observations, the last of each episode is wrong: expected no reset but "
        "by `reset`"
    )


def _unpacked(error: BaseException) -> bool:
    """Whether a wrapper of gymnasium's asked an environment for five values, and there were others, such as the four of
    gym."""
    if not isinstance(error, ValueError) or "values to unpack" not in str(error):
        return False
    return traceback.extract_tb(error.__traceback__)[-1].filename.startswith(_GYMNASIUM)


def _shape_of(value: Any) -> str:
    """A description of a value in a few words."""
    if isinstance(value, tuple):
        return f"{len(value)} values"
    if isinstance(value, np.ndarray):
        return f"shape {value.shape} ({value.dtype})"
    return f"{type(value).__name__} {str(value)[:40]!r}"
