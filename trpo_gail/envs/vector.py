"""Vector environments behind one small protocol: EnvPool where it offers the id, gymnasium otherwise.

Gymnasium's run by its `sync`, one after the other; ours, of `point_nav`, all at once.

Both reset an environment on the step *after* an episode's end (gymnasium's NEXT_STEP): the row that follows an end
ignores its action and returns the first observation of the next episode with reward 0. It is no transition, and whoever
consumes rows masks it (`Rollout.valid`). What is returned *at* the end is the episode's true last observation.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from trpo_gail.envs import paper, point_nav
from trpo_gail.errors import UserError

Backend = Literal["auto", "envpool", "gymnasium"]


@dataclass(frozen=True)
class EnvSpec:
    """What a policy, a discriminator and a data file need to know of an environment."""

    id: str
    backend: Literal["envpool", "gymnasium"]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    observation_space: Box = field(default_factory=lambda: Box(-1, 1, (1,)))
    action_space: Box | Discrete = field(default_factory=lambda: Discrete(2))
    max_episode_steps: int | None = None

    @property
    def observation_size(self) -> int:
        return int(self.observation_space.shape[0])

    @property
    def discrete(self) -> bool:
        return isinstance(self.action_space, Discrete)

    @property
    def action_size(self) -> int:
        """Number of actions of a Discrete space, dimensions of a Box."""
        space = self.action_space
        return int(space.n) if isinstance(space, Discrete) else int(space.shape[0])


class VectorEnv(Protocol):
    """N environments that step together."""

    spec: EnvSpec
    num_envs: int

    def restart(self, seeds: Sequence[int]) -> np.ndarray:
        """Begin new streams, one seed per environment, each at the start of an episode: observations [N, O]."""
        ...

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Step all: observations [N, O], rewards [N] float64, terminated [N] bool, truncated [N] bool."""
        ...

    def cut(self, which: np.ndarray) -> None:
        """Let the next step reset these environments, [N] bool, as if their episodes had ended."""
        ...

    def rest(self, which: np.ndarray) -> None:
        """Until the restart nobody looks at these environments, [N] bool: `step` may leave them out and return zeros."""
        ...

    def close(self) -> None: ...


def make(
    env_id: str,
    num_envs: int,
    backend: Backend = "auto",
    kwargs: Mapping[str, Any] | None = None,
    threads: int = 1,
    clip: bool = False,
) -> VectorEnv:
    """Make `num_envs` environments; they must be restarted before the first step.

    `auto` takes EnvPool where it is installed and offers the id. `threads` is EnvPool's; gymnasium's run in turn. With
    `clip`, actions are clipped to a Box's bounds before they are executed.
    Raises UserError for an unknown id, wrong arguments, or spaces that are not Box observations of one dimension with
    Box actions of one dimension or Discrete ones.
    """
    kwargs = dict(kwargs or {})
    resolved = resolve_backend(env_id, backend)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # v4 ids are the faithful ones: gymnasium's advice to leave them is no news
        env: VectorEnv
        if resolved == "envpool":
            env = _EnvPool(env_id, num_envs, kwargs, threads)
        else:
            env = _Gymnasium(env_id, num_envs, kwargs)
    return _Clipped(env) if clip and not env.spec.discrete else env


def resolve_backend(env_id: str, backend: Backend) -> Literal["envpool", "gymnasium"]:
    """What `auto` means for this id on this machine."""
    if backend == "gymnasium" or (backend == "auto" and ":" in env_id):
        return "gymnasium"
    offered = _envpool_ids()
    if backend == "auto":
        return "envpool" if env_id in offered else "gymnasium"
    if not offered:
        raise UserError("--backend envpool: EnvPool is not installed (pip install envpool)")
    if env_id not in offered:
        raise UserError(f"--backend envpool: EnvPool does not offer the environment {env_id!r}")
    return "envpool"


def _envpool_ids() -> set[str]:
    try:
        import envpool
    except ImportError:
        return set()
    offered = set(envpool.list_all_envs())
    return offered | {task.id for task in paper.TASKS.values() if task.envpool_id in offered}


def _checked_spec(
    env_id: str,
    backend: Literal["envpool", "gymnasium"],
    kwargs: Mapping[str, Any],
    observation_space: gymnasium.Space,
    action_space: gymnasium.Space,
    max_episode_steps: int | None,
) -> EnvSpec:
    if not isinstance(observation_space, Box) or len(observation_space.shape) != 1:
        raise UserError(f"environment {env_id!r}: observations must be a Box of one dimension, not {observation_space}")
    if isinstance(action_space, Discrete):
        if action_space.start != 0:
            raise UserError(f"environment {env_id!r}: Discrete actions must start at 0, not {action_space.start}")
    elif not isinstance(action_space, Box) or len(action_space.shape) != 1:
        raise UserError(
            f"environment {env_id!r}: actions must be Discrete or a Box of one dimension, not {action_space}"
        )
    return EnvSpec(env_id, backend, kwargs, observation_space, action_space, max_episode_steps)


class _EnvPool:
    def __init__(self, env_id: str, num_envs: int, kwargs: dict[str, Any], threads: int) -> None:
        self.num_envs = num_envs
        self._id, self._variant, self._threads = env_id, paper.envpool_variant(env_id), max(1, min(threads, num_envs))
        self._kwargs = kwargs
        self._pool = self._make(list(range(num_envs)))
        limit = getattr(self._pool.spec.config, "max_episode_steps", None)
        observation_space = self._variant.observation_space or self._pool.observation_space
        self.spec = _checked_spec(env_id, "envpool", kwargs, observation_space, self._pool.action_space, limit)
        self._action_dtype = self.spec.action_space.dtype
        self._cut: np.ndarray | None = None  # to be reset by the next step
        self._resting: np.ndarray | None = None  # left out until the restart
        self._zeros = np.empty(0)  # of the shape and dtype of EnvPool's observations
        self._ended = np.zeros(num_envs, bool)  # the next row is a reset

    def _make(self, seeds: list[int]) -> Any:
        import envpool

        self._variant = paper.envpool_variant(self._id)  # writes the model's file again should it be gone
        try:
            return envpool.make(
                self._variant.id,
                env_type="gymnasium",
                num_envs=self.num_envs,
                seed=seeds,  # a list: an int would mean seed + i, so that neighbouring runs shared streams
                num_threads=self._threads,
                **{**self._variant.kwargs, **self._kwargs},
            )
        except (TypeError, ValueError, KeyError, AssertionError, RuntimeError) as error:
            raise UserError(f"environment {self._id!r} (envpool) with {self._kwargs}: {_one_line(error)}") from error

    def restart(self, seeds: Sequence[int]) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._pool.close()
            self._pool = self._make([int(seed) for seed in seeds])
            first = self._pool.reset()[0]  # a new pool's first reset builds its spaces, which warns too
        self._ended[:] = False
        self._resting = None
        self._zeros = np.zeros_like(first)
        return self._observed(first, began=np.ones(self.num_envs, bool))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        actions = actions.astype(self._action_dtype)
        if self._variant.clamp:
            space = self.spec.action_space
            actions = actions.clip(space.low, space.high)  # type: ignore[union-attr]
        if self._cut is None and self._resting is None:
            began = self._ended
            observation, reward, terminated, truncated, _ = self._pool.step(actions)
        else:
            nobody = np.zeros(self.num_envs, bool)
            cut, resting = (nobody if which is None else which for which in (self._cut, self._resting))
            self._cut = None
            began = (self._ended | cut) & ~resting
            observation, reward, terminated, truncated = self._step_some(actions, cut, ~cut & ~resting)
        self._ended = terminated | truncated
        return self._observed(observation, began), reward.astype(np.float64), terminated, truncated

    def cut(self, which: np.ndarray) -> None:
        self._cut = which.copy() if which.any() else None

    def rest(self, which: np.ndarray) -> None:
        self._resting = which.copy() if which.any() else None

    def _observed(self, observation: np.ndarray, began: np.ndarray) -> np.ndarray:
        """The variant's view [N, O] of EnvPool's observations; where an episode `began`, one with a start it accepts."""
        accepts, observe = self._variant.accepts, self._variant.observe
        if accepts is not None:
            while len(again := np.nonzero(began & ~accepts(observation))[0].astype(np.int32)):
                observation[again] = self._pool.reset(again)[0]
        return observation if observe is None else observe(observation)

    def _step_some(
        self, actions: np.ndarray, cut: np.ndarray, moved: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Reset the environments of `cut`, step those of `moved`: EnvPool takes two calls for it. The rest is zeros."""
        observation = self._zeros.copy()
        reward, terminated, truncated = (np.zeros(self.num_envs, kind) for kind in (float, bool, bool))
        reset, step = (np.nonzero(which)[0].astype(np.int32) for which in (cut, moved))
        if len(reset):
            observation[reset] = self._pool.reset(reset)[0]
        if len(step):
            some = self._pool.step(actions[step], step)
            observation[step], reward[step], terminated[step], truncated[step] = some[:4]
        return observation, reward, terminated, truncated

    def close(self) -> None:
        self._pool.close()


class _Gymnasium:
    def __init__(self, env_id: str, num_envs: int, kwargs: dict[str, Any]) -> None:
        self.num_envs = num_envs
        try:
            self._envs, limit = _gymnasium_envs(env_id, num_envs, kwargs)
        except (gymnasium.error.Error, TypeError, ValueError, ImportError, AttributeError) as error:
            raise UserError(f"environment {env_id!r} with {kwargs}: {_one_line(error)}") from error
        self.spec = _checked_spec(
            env_id, "gymnasium", kwargs, self._envs.single_observation_space, self._envs.single_action_space, limit
        )

    def restart(self, seeds: Sequence[int]) -> np.ndarray:
        observation, _ = self._envs.reset(seed=[int(seed) for seed in seeds])
        return np.array(observation)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        observation, reward, terminated, truncated, _ = self._envs.step(actions)
        # An environment that says both has ended for good: there is nothing to bootstrap from.
        return np.array(observation), np.asarray(reward, np.float64), terminated, truncated & ~terminated

    def cut(self, which: np.ndarray) -> None:
        self._envs._autoreset_envs |= which  # what NEXT_STEP autoreset goes by; there is no public way

    def rest(self, which: np.ndarray) -> None:
        pass  # gymnasium's step takes all

    def close(self) -> None:
        self._envs.close()


def _gymnasium_envs(env_id: str, num_envs: int, kwargs: dict[str, Any]) -> tuple[Any, int | None]:
    """Environments and their time limit. Vectorised where that is our own work, else `sync`.

    Gymnasium's own vectorised CartPole shares one generator between the environments.
    """
    if env_id in (point_nav.DISCRETE, point_nav.CONTINUOUS):
        envs = gymnasium.make_vec(env_id, num_envs, "vector_entry_point", **kwargs)
        return envs, kwargs.get("max_episode_steps", point_nav.LIMIT)

    def one() -> gymnasium.Env:
        return gymnasium.make(env_id, disable_env_checker=True, **kwargs)

    sync = gymnasium.vector.SyncVectorEnv([one for _ in range(num_envs)])
    spec = sync.envs[0].spec
    return sync, spec.max_episode_steps if spec else None


class _Clipped:
    """The same environments, with actions clipped to their bounds."""

    def __init__(self, env: VectorEnv) -> None:
        self._env, self.spec, self.num_envs = env, env.spec, env.num_envs
        self._low, self._high = env.spec.action_space.low, env.spec.action_space.high  # type: ignore[union-attr]

    def restart(self, seeds: Sequence[int]) -> np.ndarray:
        return self._env.restart(seeds)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self._env.step(np.clip(actions, self._low, self._high))

    def cut(self, which: np.ndarray) -> None:
        self._env.cut(which)

    def rest(self, which: np.ndarray) -> None:
        self._env.rest(which)

    def close(self) -> None:
        self._env.close()


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
