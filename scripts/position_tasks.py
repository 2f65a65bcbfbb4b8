"""Tasks in which a position must be hit, and their experts: a cart that comes to rest at a mark, and a point that goes to a
goal, with an observation of parts.

PYTHONPATH=scripts trpo-gail train position_tasks:Reach-v0 --expert reach.h5
python scripts/position_tasks.py FOLDER        # writes cart.h5, reach.h5 and stay.h5
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict

Step = tuple[Any, float, bool, bool, dict[str, Any]]


class Cart(gymnasium.Env[np.ndarray, np.ndarray]):
    """The tutorial's: pushed along a line, it should come to rest at a mark that lies elsewhere in each episode."""

    observation_space = Box(-np.inf, np.inf, (2,))  # way to the mark, velocity
    action_space = Box(-1.0, 1.0, (1,))  # the push

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._position, self._velocity, self._mark = 0.0, 0.0, self.np_random.uniform(-1.0, 1.0)
        return self._seen(), {}

    def step(self, action: np.ndarray) -> Step:
        self._velocity += 0.1 * float(np.clip(action[0], -1.0, 1.0))
        self._position += 0.1 * self._velocity
        return self._seen(), -abs(self._position - self._mark), False, False, {}

    def _seen(self) -> np.ndarray:
        return np.array([self._mark - self._position, self._velocity], np.float32)


class Reach(gymnasium.Env[dict[str, np.ndarray], np.ndarray]):
    """A point moves by the action; within 0.1 of the goal it is paid 1, and the episode ends, or goes on if it `stays`."""

    observation_space = Dict({"goal": Box(-1.0, 1.0, (2,)), "pos": Box(-1.0, 1.0, (2,))})
    action_space = Box(-0.2, 0.2, (2,))

    def __init__(self, stays: bool = False) -> None:
        self._stays = stays

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        super().reset(seed=seed)
        self._pos, self._goal = self.np_random.uniform(-1.0, 1.0, (2, 2))
        return self._seen(), {}

    def step(self, action: np.ndarray) -> Step:
        self._pos = np.clip(self._pos + np.clip(action, -0.2, 0.2), -1.0, 1.0)
        success = bool(np.linalg.norm(self._pos - self._goal) < 0.1)
        return self._seen(), float(success), success and not self._stays, False, {"is_success": success}

    def _seen(self) -> dict[str, np.ndarray]:
        return {"goal": self._goal.astype(np.float32), "pos": self._pos.astype(np.float32)}


gymnasium.register("Cart-v0", Cart, max_episode_steps=100)
gymnasium.register("Reach-v0", Reach, max_episode_steps=100)
gymnasium.register("Stay-v0", Reach, max_episode_steps=100, kwargs={"stays": True})


def to_the_mark(seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pushes towards the mark, and brakes."""
    return np.clip([4.0 * seen[0] - 3.0 * seen[1]], -1.0, 1.0)


def to_the_goal(seen: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Goes there straight, with a hand that shakes a little."""
    return np.clip(seen["goal"] - seen["pos"] + 0.03 * rng.standard_normal(2), -0.2, 0.2)


EXPERTS: dict[str, tuple[str, Callable[..., np.ndarray], int]] = {
    "cart": ("Cart-v0", to_the_mark, 20),
    "reach": ("Reach-v0", to_the_goal, 50),
    "stay": ("Stay-v0", to_the_goal, 50),
}


def episodes(env_id: str, acts: Callable[..., np.ndarray], count: int) -> list[dict[str, Any]]:
    """Episodes of an expert, with seeds from 0."""
    env, rng, found = gymnasium.make(env_id), np.random.default_rng(0), []
    for seed in range(count):
        seen, _ = env.reset(seed=seed)
        observations, actions, rewards, terminated, truncated = [seen], list[np.ndarray](), list[float](), False, False
        while not (terminated or truncated):
            actions.append(acts(seen, rng))
            seen, reward, terminated, truncated, _ = env.step(actions[-1])
            observations.append(seen)
            rewards.append(float(reward))
        found.append(
            {"obs": observations, "acts": np.array(actions), "rews": np.array(rewards), "terminal": terminated}
        )
    return found


def main(folder: Path) -> None:
    """Write the demonstrations of all three."""
    import trpo_gail

    folder.mkdir(parents=True, exist_ok=True)
    for name, (env_id, acts, count) in EXPERTS.items():
        held = trpo_gail.Demonstrations.from_trajectories(episodes(env_id, acts, count))
        held.save(folder / f"{name}.h5")
        print(f"{folder / f'{name}.h5'}: {held}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
