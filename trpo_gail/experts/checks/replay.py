"""One step of an environment from a state that an observation tells: does the file's next observation come out?

It can be asked where the observation is the state: the classic control tasks, and MuJoCo's walkers, whose observation
leaves out only how far they have come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from trpo_gail.experts.data import Demonstrations

ROWS = 100  # that are tried, spread over the file
TOLERANCE = 0.02  # of a column's standard deviation: files hold float32, and contacts magnify its rounding


@dataclass(frozen=True)
class Replayed:
    """How many of the rows that were tried came out as the file says."""

    tried: int
    alike: int
    worst: str  # the row and column that differ most


def replay(held: Demonstrations, env: gymnasium.Env) -> Replayed | str:
    """What came out, or why no step can be replayed."""
    inner: Any = env.unwrapped
    put = _SETTERS.get(type(inner).__name__) or (_put_mujoco if _is_mujoco(inner) else None)
    if put is None:
        return "the state cannot be set from an observation here"
    if not held.has_actions:
        return "the file has no actions"
    rows = np.flatnonzero(held.steps[1:] == held.steps[:-1] + 1) if held.subsample == 1 else np.zeros(0, np.int64)
    if not len(rows):
        return "the file holds no two steps that follow each other"
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, ROWS).astype(int))]
    scale = np.maximum(held.observations.std(axis=0, dtype=np.float64), 1e-3)
    off = np.array([np.abs(_next(held, int(row), inner, put) - held.observations[row + 1]) / scale for row in rows])
    alike = (off <= TOLERANCE).all(axis=1)
    row, column = np.unravel_index(np.nanargmax(off), off.shape)
    return Replayed(len(rows), int(alike.sum()), f"row {rows[row]}, column {column}")


def _next(held: Demonstrations, row: int, env: Any, put: Callable[[Any, np.ndarray], None]) -> np.ndarray:
    env.reset(seed=0)
    put(env, held.observations[row].astype(np.float64))
    action: Any = held.actions[row]
    return np.asarray(env.step(int(action) if np.ndim(action) == 0 else action)[0], np.float64)


def _is_mujoco(env: Any) -> bool:
    """Whether the observation is positions but the first ones, then velocities."""
    model = getattr(env, "model", None)
    if model is None or not hasattr(env, "set_state"):
        return False
    size = env.observation_space.shape[0]
    return bool(model.nq + model.nv - 2 <= size <= model.nq + model.nv) and type(env).__name__ in _WALKERS


def _put_mujoco(env: Any, observation: np.ndarray) -> None:
    nq, nv = env.model.nq, env.model.nv
    left_out = nq + nv - len(observation)
    positions = np.concatenate([np.zeros(left_out), observation[: nq - left_out]])
    env.set_state(positions, observation[nq - left_out :])


def _put_state(env: Any, observation: np.ndarray) -> None:
    env.state = observation


def _put_pendulum(env: Any, observation: np.ndarray) -> None:
    env.state = np.array([np.arctan2(observation[1], observation[0]), observation[2]])


def _put_acrobot(env: Any, observation: np.ndarray) -> None:
    c1, s1, c2, s2, *speeds = observation
    env.state = np.array([np.arctan2(s1, c1), np.arctan2(s2, c2), *speeds])


_WALKERS = ("HalfCheetahEnv", "HopperEnv", "Walker2dEnv", "SwimmerEnv", "AntEnv")
_SETTERS: dict[str, Callable[[Any, np.ndarray], None]] = {
    "CartPoleEnv": _put_state,
    "MountainCarEnv": _put_state,
    "Continuous_MountainCarEnv": _put_state,
    "PendulumEnv": _put_pendulum,
    "AcrobotEnv": _put_acrobot,
}
