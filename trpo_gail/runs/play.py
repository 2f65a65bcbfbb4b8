"""Record demonstrations of a person, who plays the environment with the keys of this machine."""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, Space

from trpo_gail.envs.failures import RAISED, called, close, described
from trpo_gail.envs.one_by_one import make_one, spaces_of
from trpo_gail.errors import RunError, UserError, listed, shortened
from trpo_gail.experts import structured, trajectories
from trpo_gail.experts.check import checked
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Provenance
from trpo_gail.experts.save import save
from trpo_gail.seeding import RECORD_RESET, stream_seed
from trpo_gail.spaces import actions
from trpo_gail.spaces.as_json import space_to_json

_NOTHING = ""  # in place of a key: none is pressed


def play(
    env_id: str,
    episodes: int,
    out: str | Path,
    *,
    keys: str | None = None,
    fps: int | None = None,
    seed: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
    max_episode_steps: int | None = None,
    min_return: float | None = None,
    dtype: str = "float32",
    provenance: Provenance | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Demonstrations:
    """Let a person play `episodes` whole episodes and write them to `out`; returns what was written.

    `keys` is a JSON object of keys and actions, `{"left": 0, "right": 1, "": 0}`; `up+left` are two keys together, and
    the empty name stands for no key. Its action may be null: then the environment waits for a key. By default the
    environment's own keys are used, or the arrows for two or three actions and for a Box of one number. Episode i starts
    from the seed that any policy's episode i starts from. If the window is closed, the finished episodes are written, and
    the one under way is not; so they are before an error of the environment or an interruption is raised. Episodes that
    return less than `min_return` do not count.

    Raises UserError for an environment that does not draw itself, for keys that are none, for actions that the
    environment does not have, and if no episode was finished; RunError for a failure of the environment.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its module would like to plot, in a window of its own
            from gymnasium.utils import play as playing
    except gymnasium.error.DependencyNotInstalled as error:
        raise UserError("--policy human needs pygame: pip install pygame") from error
    env, (observation_space, action_space) = _made(env_id, dict(env_kwargs or {}), max_episode_steps)
    log = _Log(episodes, min_return)
    try:
        table, idle = _keys(env, keys)
        broken = _broken_off(lambda: _run(playing, _Seeded(env, env_id, seed), log, table, idle, fps), env_id)
    finally:
        close(f"environment {env_id!r}", [env])
    if not log.done:
        raise broken or UserError(
            f"--policy human: the window was closed before an episode ended; {out} is not written"
        )
    if len(log.done) < episodes and not broken:
        warn(f"the window was closed after {len(log.done)} of {episodes} episodes, which are written")
    origin = provenance or Provenance()
    origin = replace(
        origin,
        env_id=env_id,
        env_kwargs=dict(env_kwargs or {}),
        policy="a person",
        seed=seed,
        action_view="raw",
        observation_space=space_to_json(observation_space),
        action_space=space_to_json(action_space),
    )
    held = trajectories.joined([one.values() for one in log.done], out, known=vars(origin))
    assert held.final_observations is not None
    held = replace(
        held,
        observations=structured.with_floats(held.observations, dtype),
        final_observations=structured.with_floats(held.final_observations, dtype),
    )
    held = checked(held, out)
    save(out, held)
    if broken:
        broken.add_note(f"finished episodes, written to {out}: {len(log.done)} of {episodes}")
        raise broken
    return held


@dataclass
class _Episode:
    """What a person saw, did and got."""

    observations: list[Any] = field(default_factory=list)
    actions: list[Any] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    terminated: bool = False

    def values(self) -> dict[str, Any]:
        """By the names of `Demonstrations`."""
        return {
            "observations": self.observations,
            "actions": np.asarray(self.actions),
            "rewards": np.asarray(self.rewards),
            "terminals": self.terminated,
        }


def _broken_off(playing: Callable[[], None], env_id: str) -> BaseException | None:
    """What an environment or a signal does to a game: an error to be raised once what was played is written."""
    try:
        playing()
    except UserError:
        raise
    except (KeyboardInterrupt, RunError) as error:
        return error
    except RAISED as error:
        broken = RunError(f"environment {env_id!r}: {described(error)}")
        broken.__cause__ = error
        return broken
    return None


class _Enough(Exception):
    """As many episodes as were asked for."""


class _Log:
    """Keeps each step; the callback of the player."""

    def __init__(self, wanted: int, min_return: float | None) -> None:
        self.done: list[_Episode] = []
        self._wanted, self._least, self._now = wanted, min_return, _Episode()

    def __call__(
        self, before: Any, after: Any, action: Any, reward: Any, terminated: bool, truncated: bool, info: Any
    ) -> None:
        now = self._now
        if not now.observations:
            first = (
                before[0] if isinstance(before, tuple) and len(before) == 2 and isinstance(before[1], dict) else before
            )
            now.observations.append(_named(first))  # the player passes on what `reset` returned, with its info
        now.observations.append(_named(after))
        now.actions.append(action)
        now.rewards.append(_finite(np.float64(reward)).item())
        if terminated or truncated:
            now.terminated = bool(terminated)
            if self._least is None or sum(now.rewards) >= self._least:
                self.done.append(now)
            self._now = _Episode()
            if len(self.done) == self._wanted:
                raise _Enough


class _Seeded(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Begins each episode with a seed of its own, as `record` does; gymnasium's player begins all with the same one.

    The player's table of actions, and the first observation, which is kept after the first step, are out of reach of an
    environment that writes into its arrays.
    """

    def __init__(self, env: gymnasium.Env, env_id: str, seed: int) -> None:
        super().__init__(env)
        self._who, self._seed, self._resets = f"environment {env_id!r}", seed, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._resets += 1
        if self._resets == 1:  # the player resets once before its first episode
            return self.env.reset(options=options)
        seed = stream_seed(self._seed, RECORD_RESET, 0, self._resets - 2)
        observation, info = called(self._who, "reset", self.env.reset, seed=seed, options=options)
        return copy.deepcopy(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        return called(self._who, "step", self.env.step, copy.deepcopy(action))


def _run(playing: Any, env: gymnasium.Env, log: _Log, table: dict[Any, Any], idle: Any, fps: int | None) -> None:
    """Play until there are enough episodes, or the window is closed."""
    wait = idle is None
    fps = fps or int(env.metadata.get("render_fps") or 30)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            playing.play(
                env, fps=fps, callback=log, keys_to_action=table, noop=0 if wait else idle, wait_on_player=wait
            )
    except _Enough:
        pass
    except playing.pygame.error as error:
        raise UserError(f"--policy human: no window can be opened here: {shortened(str(error), 100)}") from error
    finally:
        playing.pygame.quit()


def _made(
    env_id: str, kwargs: dict[str, Any], max_episode_steps: int | None
) -> tuple[gymnasium.Env, tuple[Space, Space]]:
    """The environment, and its spaces of observations and actions. Raises UserError if it draws no pictures."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            env = make_one(env_id, kwargs, max_episode_steps, render_mode="rgb_array")[0]
            env.reset(seed=0)
            picture: Any = env.render()
    except UserError:
        raise
    except RAISED as error:
        said = shortened(described(error), 150)
        raise UserError(
            f"environment {env_id!r} cannot be made with pictures (render_mode rgb_array): {said}"
        ) from error
    if not isinstance(picture, np.ndarray):
        close(f"environment {env_id!r}", [env])
        raise UserError(f"environment {env_id!r}: render: expected a picture, found {type(picture).__name__}")
    try:
        if env.render_mode != "rgb_array":  # gymnasium's player asks for it
            said = f"render_mode: expected 'rgb_array', its argument, as an attribute, found {env.render_mode!r:.40}"
            raise UserError(f"environment {env_id!r}: {said}")
        return env, spaces_of(env, env_id)
    except UserError:
        close(f"environment {env_id!r}", [env])
        raise


# --- Keys ---------------------------------------------------------------------------------------------------------


def _keys(env: gymnasium.Env, given: str | None) -> tuple[dict[Any, Any], Any]:
    """Gymnasium's table of keys and actions, and the action without a key; None waits for one."""
    if given is not None:
        named = _parsed(given)
    elif env.has_wrapper_attr("get_keys_to_action"):
        own = dict(env.get_wrapper_attr("get_keys_to_action")())
        return own, own.pop((), own.pop("", own.pop((None,), _nearest(env))))
    else:
        named = _arrows(env.action_space)
    space, table = env.action_space, {}
    for names, value in named.items():
        action = None if value is None else _action(space, value, names)
        if names == _NOTHING:
            continue
        if action is None:
            raise UserError(f"--keys: {names!r}: expected an action, found null")
        table[tuple(_code(name) for name in names.split("+"))] = action
    if not table:
        raise UserError("--keys: expected at least one key with an action, found none")
    idle = named.get(_NOTHING, _ABSENT)
    return table, _nearest(env) if idle is _ABSENT else None if idle is None else _action(space, idle, _NOTHING)


_ABSENT = object()


def _parsed(given: str) -> dict[str, Any]:
    try:
        named = json.loads(given)
    except json.JSONDecodeError as error:
        raise UserError(f"--keys: expected a JSON object of keys and actions, found {given!r:.60}") from error
    if not isinstance(named, dict):
        raise UserError(f"--keys: expected a JSON object of keys and actions, found {given!r:.60}")
    return named


def _arrows(space: Any) -> dict[str, Any]:
    """Arrows for what has two directions."""
    if isinstance(space, Discrete) and space.n == 2:
        return {"left": int(space.start), "right": int(space.start) + 1}
    if isinstance(space, Discrete) and space.n == 3:
        first = int(space.start)
        return {"left": first, "right": first + 2, _NOTHING: first + 1}
    if isinstance(space, Box) and space.shape == (1,) and space.is_bounded():
        low, high = space.low.tolist(), space.high.tolist()
        return {"left": low, "right": high, _NOTHING: np.clip([0.0], low, high).tolist()}
    raise UserError(
        f"--keys: expected keys for the actions {shortened(str(space), 80)}, such as "
        """'{"left": 0, "right": 1, "": 2}'; the environment names none"""
    )


def _action(space: Any, value: Any, names: str) -> Any:
    where = f"--keys: {names!r}" if names else "--keys: without a key"
    try:
        numbers = np.asarray(value, space.dtype).reshape(space.shape or ())
        action: Any = int(numbers) if isinstance(space, Discrete) else numbers
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{where}: expected an action of {space}, found {value!r:.60}") from error
    if not space.contains(action):
        raise UserError(f"{where}: expected an action of {shortened(str(space), 80)}, found {value!r:.60}")
    return action


def _nearest(env: gymnasium.Env) -> Any:
    """The action of a player who does nothing: the one nearest to 0."""
    kind = actions.of(env.action_space)
    row = kind.outward(kind.zeros(1))[0]
    return int(row) if isinstance(env.action_space, Discrete) else row


def _code(name: str) -> int:
    import pygame

    if len(name) == 1:
        return ord(name.lower())  # a key has one code, with shift or without
    try:
        pygame.init()  # names of keys are known to a running pygame alone
        return int(pygame.key.key_code(name))
    except ValueError as error:
        known = listed(["left", "right", "up", "down", "space", "return", "a", "1"], 8)
        raise UserError(f"--keys: {name!r:.40} is no key; names are {known} and so on") from error


# --- Observations -------------------------------------------------------------------------------------------------


def _named(observation: Any) -> Any:
    """With names in place of the places of tuples, and without texts; copied, since an environment may reuse its
    arrays."""
    if isinstance(observation, tuple):
        observation = dict(enumerate(observation))
    if isinstance(observation, dict):
        return {str(name): _named(part) for name, part in observation.items() if not isinstance(part, str)}
    return _finite(np.array(observation))


def _finite(found: Any) -> Any:
    """The same. At another number the game is over: a file that held it would be refused, with all episodes before."""
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise FloatingPointError(f"observations and rewards must be finite, found {found[~np.isfinite(found)].flat[0]}")
    return found
