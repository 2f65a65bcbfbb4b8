"""EnvPool's environments, as they are or as a `Variant` of the paper's tasks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from trpo_gail.envs import named
from trpo_gail.envs.failures import described
from trpo_gail.envs.tasks import paper
from trpo_gail.errors import RunError, UserError
from trpo_gail.spaces import layout
from trpo_gail.spaces.layout import Layout
from trpo_gail.success import said_by_each
from trpo_gail.system.plotting import without_backend

# Arguments of EnvPool's that are ours to give: with others, `step` waits for ever or returns fewer environments.
_OURS = {"num_envs", "batch_size", "num_threads", "max_num_players", "seed", "env_type", "thread_affinity_offset"}


def offered() -> set[str]:
    """The ids that EnvPool has, the paper's included; empty if it is not installed."""
    try:
        envpool = _imported()
    except ImportError:
        return set()
    own = set(envpool.list_all_envs())
    return own | {task.id for task in paper.TASKS.values() if task.envpool_id in own}


_UNBOUNDED = 2**31 - 1  # EnvPool's time limit of what has none
# The arguments that gymnasium itself registers with ids that EnvPool has; others have none.
_REGISTERED_WITH: dict[str, dict[str, Any]] = {
    "BipedalWalkerHardcore-v3": {"hardcore": True},
    "Blackjack-v1": {"sab": True, "natural": False},
    "CliffWalkingSlippery-v1": {"is_slippery": True},
    "FrozenLake-v1": {"map_name": "4x4"},
    "FrozenLake8x8-v1": {"map_name": "8x8"},
    "LunarLanderContinuous-v3": {"continuous": True},
}


def stands_for(env_id: str) -> bool:
    """Whether EnvPool's environment is what `gymnasium.make` gives for an id that EnvPool offers: nobody has registered it,
    or gymnasium itself has. A user's own may have the name of one of EnvPool's 1,660, such as Snake-v1."""
    ours = gymnasium.registry.get(env_id)
    if ours is None:
        return True
    if not named.is_known(env_id) or ours.additional_wrappers or ours.kwargs != _REGISTERED_WITH.get(env_id, {}):
        return False
    # EnvPool does not know the paper's ids, and gymnasium has only an error in place of old versions: no limit to compare.
    if env_id not in _imported().list_all_envs() or not isinstance(ours.entry_point, str):
        return True
    limit = getattr(_imported().make_spec(env_id).config, "max_episode_steps", _UNBOUNDED)
    return bool((ours.max_episode_steps or _UNBOUNDED) == limit)


def _imported() -> Any:
    """The library, which imports matplotlib. Raises ImportError."""
    with without_backend():
        import envpool

    return envpool


class EnvPool:
    """N environments of one id, stepped by EnvPool's threads."""

    def __init__(self, env_id: str, num_envs: int, kwargs: Mapping[str, Any], threads: int) -> None:
        self.num_envs = num_envs
        self._id, self._variant, self._threads = env_id, paper.envpool_variant(env_id), max(1, min(threads, num_envs))
        self._kwargs, self._process = dict(kwargs), os.getpid()
        self._pool = self._make(list(range(num_envs)))
        self.max_episode_steps = getattr(self._pool.spec.config, "max_episode_steps", None)
        self.observation_space = self._variant.observation_space or self._pool.observation_space
        self.action_space = self._pool.action_space
        self._action_dtype = self.action_space.dtype
        self._cut: np.ndarray | None = None  # the next step resets these
        self._resting: np.ndarray | None = None  # these are left out until the restart
        layout.check(self._pool.observation_space, f"environment {env_id!r} (envpool)")
        self._layout = Layout.of(self._pool.observation_space)
        self._zeros = np.empty(0)  # with the shape and dtype of rows
        self._ended = np.zeros(num_envs, bool)  # the next row of these is a reset
        self._info: Any = None  # of the last step, and the environments that made it
        self._moved: Any = slice(None)

    def _make(self, seeds: list[int]) -> Any:
        envpool = _imported()
        if taken := _OURS & self._kwargs.keys():
            raise UserError(f"environment {self._id!r} (envpool): env_kwargs: {min(taken)} is set by trpo_gail")
        self._variant = paper.envpool_variant(self._id)  # writes the model's file again if it is gone
        try:
            return envpool.make(
                self._variant.id,
                env_type="gymnasium",
                num_envs=self.num_envs,
                seed=seeds,  # a list: an int would mean seed + i, and runs with adjacent seeds would share streams
                num_threads=self._threads,
                **{**self._variant.kwargs, **self._kwargs},
            )
        except (TypeError, ValueError, KeyError, AssertionError, RuntimeError) as error:
            raise UserError(f"environment {self._id!r} (envpool) with {self._kwargs}: {described(error)}") from error

    def _check_process(self) -> None:
        """Raise RunError in a forked process: EnvPool's threads are not there, and a step would wait for ever."""
        if os.getpid() != self._process:
            raise RunError(
                f"environment {self._id!r} (envpool): it was made before this process was forked, and does not run here: "
                "make it, or load the model, in this process, or take --backend gymnasium"
            )

    def restart(self, seeds: Sequence[int]) -> np.ndarray:
        self._check_process()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._pool.close()
            self._pool = self._make([int(seed) for seed in seeds])
            # A new pool's first reset builds its spaces, which also prints warnings.
            first = self._layout.flatten(self._pool.reset()[0])
        self._ended[:] = False
        self._cut = self._resting = None
        self._zeros = np.zeros_like(first)
        return self._observed(first, began=np.ones(self.num_envs, bool))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        self._check_process()
        actions = actions.astype(self._action_dtype)
        if self._variant.clamp:
            actions = actions.clip(self.action_space.low, self.action_space.high)
        if self._cut is None and self._resting is None:
            began = self._ended
            found, reward, terminated, truncated, self._info = self._pool.step(actions)
            self._moved = slice(None)
            observation = self._layout.flatten(found)
        else:
            nobody = np.zeros(self.num_envs, bool)
            cut, resting = (nobody if which is None else which for which in (self._cut, self._resting))
            self._cut = None
            began = (self._ended | cut) & ~resting
            observation, reward, terminated, truncated = self._step_some(actions, cut, ~cut & ~resting)
        self._ended = terminated | truncated
        return self._observed(observation, began), reward.astype(np.float64), terminated, truncated

    @property
    def successes(self) -> np.ndarray | None:
        """Of the last step, as `vector.VectorEnv` says."""
        found = np.full(self.num_envs, np.nan)
        said = said_by_each(self._info, len(found[self._moved]))
        if said is None:
            return None
        found[self._moved] = said
        return found

    def cut(self, which: np.ndarray) -> None:
        self._cut = which.copy() if which.any() else None

    def rest(self, which: np.ndarray) -> None:
        self._resting = which.copy() if which.any() else None

    def _observed(self, observation: np.ndarray, began: np.ndarray) -> np.ndarray:
        """The variant's view [N, O] of EnvPool's observations. If an episode `began`, its start is drawn until it is
        accepted."""
        accepts, observe = self._variant.accepts, self._variant.observe
        if accepts is not None:
            while len(again := np.nonzero(began & ~accepts(observation))[0].astype(np.int32)):
                observation[again] = self._layout.flatten(self._pool.reset(again)[0])
        return observation if observe is None else observe(observation)

    def _step_some(
        self, actions: np.ndarray, cut: np.ndarray, moved: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Reset the environments of `cut` and step those of `moved`; EnvPool needs two calls. Rows of the others are
        zeros."""
        observation = self._zeros.copy()
        reward, terminated, truncated = (np.zeros(self.num_envs, kind) for kind in (float, bool, bool))
        self._info, self._moved = None, slice(None)
        reset, step = (np.nonzero(which)[0].astype(np.int32) for which in (cut, moved))
        if len(reset):
            observation[reset] = self._layout.flatten(self._pool.reset(reset)[0])
        if len(step):
            found, *some = self._pool.step(actions[step], step)
            observation[step] = self._layout.flatten(found)
            reward[step], terminated[step], truncated[step] = some[:3]
            self._info, self._moved = some[3], step
        return observation, reward, terminated, truncated

    def close(self) -> None:
        if os.getpid() == self._process:
            self._pool.close()
