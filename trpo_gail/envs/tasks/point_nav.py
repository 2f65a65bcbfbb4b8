"""A point that walks to the origin of a square: ids PointNav2D-v0 (five discrete actions) and PointNav2DContinuous-v0.

The position (x, y) in [-1, 1]^2 is the observation; an episode starts anywhere in the square, uniformly. Actions 0 to 4
are stay, up (+y), down, left, right, by 0.2; a continuous action a, clipped to [-1, 1]^2, moves by 0.2 a. Walls clip. A
step costs 0.01. A step that ends within 0.12 of the origin also pays 1 and ends the episode: `terminated`. After 60
steps it is `truncated`. So an episode's return is above 0 if and only if the goal was reached, and over several
episodes

    success rate = mean return + 0.01 * mean length.

With the argument `pixels`, 32 for instance, an observation is a picture [32, 32, 3] of the square in place of the
position. `step_size`, `goal` and `goal_radius` move the goal or change how hard it is to reach; `info` has the distance
to the goal (`dist`) and whether it is reached (`success`).

From some starts, steps of 0.2 cannot reach the goal: moves keep x and y on lattices of that pitch, and if neither comes
closer to 0 than about 0.1, the point can only jump over the goal (unless it walks into a wall, which shifts its
lattice).

Importing this module registers both ids with gymnasium, for `make` and, vectorised, for `make_vec`. Environment i of
the vectorised one equals a single one with the same seed bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

DISCRETE, CONTINUOUS = "PointNav2D-v0", "PointNav2DContinuous-v0"
STEP, RADIUS, LIMIT = 0.2, 0.12, 60
STEP_REWARD, GOAL_REWARD = -0.01, 1.0
DIRECTIONS = np.array([[0, 0], [0, 1], [0, -1], [-1, 0], [1, 0]], np.float64)  # stay, up, down, left, right
PIXELS = 160  # width and height of a rendered picture
FEWEST, MOST = 8, 512  # pixels of an observation's side
POINT = 0.08  # radius of the point in an observation


def _spaces(continuous: bool, pixels: int | None) -> tuple[Box, Box | Discrete]:
    """Spaces of observations and of actions."""
    acts: Box | Discrete = Box(-1.0, 1.0, (2,)) if continuous else Discrete(len(DIRECTIONS))
    if pixels is None:
        return Box(-1.0, 1.0, (2,)), acts
    if not (type(pixels) is int and FEWEST <= pixels <= MOST):
        raise ValueError(f"pixels: expected an integer from {FEWEST} to {MOST}, found {pixels!r}")
    return Box(0, 255, (pixels, pixels, 3), np.uint8), acts


@dataclass(frozen=True)
class Course:
    """Where the goal is, and how far a step goes. Raises ValueError for what is not in the square."""

    step_size: float = STEP
    goal: tuple[float, float] = (0.0, 0.0)
    goal_radius: float = RADIUS

    def __post_init__(self) -> None:
        for name, value in (("step_size", self.step_size), ("goal_radius", self.goal_radius)):
            if not (isinstance(value, int | float) and 0 < value <= 2):
                raise ValueError(f"{name}: expected a length above 0, at most 2, found {value!r}")
        try:
            inside = np.shape(self.goal) == (2,) and bool((np.abs(np.asarray(self.goal, np.float64)) <= 1).all())
        except (TypeError, ValueError):
            inside = False
        if not inside:
            raise ValueError(f"goal: expected x and y from -1 to 1, found {self.goal!r}")

    def distance(self, position: np.ndarray) -> np.ndarray:
        """From positions [N, 2] to the goal: [N]."""
        return np.asarray(np.hypot(position[:, 0] - self.goal[0], position[:, 1] - self.goal[1]))


def observed(position: np.ndarray, pixels: int | None, course: Course = Course()) -> np.ndarray:
    """Observations of positions [N, 2] float64: the same as float32, or pictures [N, pixels, pixels, 3] uint8.

    y is upward; the goal is a green disc on white, the point a dark one. A pixel at an edge has the share of the disc that
    covers it, so that a picture tells positions apart that differ by less than a pixel.
    """
    if pixels is None:
        return position.astype(np.float32)
    centres = (np.arange(pixels) + 0.5) / pixels * 2 - 1
    x, y = centres[None, None, :], -centres[None, :, None]
    picture = np.full((len(position), pixels, pixels, 3), 255.0)
    discs = ((np.array([course.goal]), course.goal_radius, (120, 200, 120)), (position, POINT, (40, 40, 90)))
    for centre, radius, colour in discs:
        distance = np.hypot(x - centre[:, 0, None, None], y - centre[:, 1, None, None])
        share = np.clip((radius - distance) * pixels / 2 + 0.5, 0.0, 1.0)[..., None]
        picture += share * (np.array(colour, np.float64) - picture)
    return np.round(picture).astype(np.uint8)


def _checked_noise(noise: float) -> float:
    if not (isinstance(noise, int | float) and math.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise: expected a standard deviation of at least 0, found {noise!r}")
    return float(noise)


def _directions(actions: np.ndarray, continuous: bool) -> np.ndarray:
    """Moves [N, 2], in steps, of actions [N] or [N, 2]."""
    return np.clip(np.asarray(actions, np.float64), -1, 1) if continuous else DIRECTIONS[actions]


def _move(
    course: Course, position: np.ndarray, directions: np.ndarray, disturbance: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move N points by one step: positions [N, 2], rewards [N], whether at the goal [N]; floats are float64."""
    moved = np.clip(position + course.step_size * directions + disturbance, -1, 1)
    x, y = moved[:, 0] - course.goal[0], moved[:, 1] - course.goal[1]
    goal = x**2 + y**2 <= course.goal_radius**2
    return moved, STEP_REWARD + GOAL_REWARD * goal, goal


def _start(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-1, 1, 2)


class PointNav(gymnasium.Env):
    """One point. `noise` is the standard deviation of a Gaussian added to both coordinates in every step."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        continuous: bool = False,
        noise: float = 0.0,
        render_mode: str | None = None,
        pixels: int | None = None,
        step_size: float = STEP,
        goal: tuple[float, float] = (0.0, 0.0),
        goal_radius: float = RADIUS,
    ) -> None:
        self._course = Course(step_size, goal, goal_radius)
        self.observation_space, self.action_space = _spaces(continuous, pixels)
        self.render_mode, self._pixels = render_mode, pixels
        self._continuous, self._noise = continuous, _checked_noise(noise)
        self._position = np.zeros((1, 2))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._position = _start(self.np_random)[None]
        return self._observation(), {"dist": float(self._course.distance(self._position)[0])}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        disturbance = self._noise * self.np_random.standard_normal(2) if self._noise else 0.0
        directions = _directions(np.asarray(action)[None], self._continuous)
        self._position, reward, goal = _move(self._course, self._position, directions, disturbance)
        info = {"dist": float(self._course.distance(self._position)[0]), "success": bool(goal[0])}
        return self._observation(), float(reward[0]), bool(goal[0]), False, info

    def _observation(self) -> np.ndarray:
        return observed(self._position, self._pixels, self._course)[0]

    def render(self) -> np.ndarray | None:
        """The square [160, 160, 3] uint8, y upward: the goal a green disc, the point a dark one."""
        if self.render_mode is None:
            return None
        centres = (np.arange(PIXELS) + 0.5) / PIXELS * 2 - 1
        x, y = centres[None, :], -centres[:, None]
        picture = np.full((PIXELS, PIXELS, 3), 255, np.uint8)
        goal, radius = self._course.goal, self._course.goal_radius
        picture[(x - goal[0]) ** 2 + (y - goal[1]) ** 2 <= radius**2] = (120, 200, 120)
        picture[(x - self._position[0, 0]) ** 2 + (y - self._position[0, 1]) ** 2 <= 0.04**2] = (40, 40, 90)
        return picture


class PointNavVector(gymnasium.vector.VectorEnv):
    """N points. Like gymnasium's `sync` with NEXT_STEP, it resets an environment in the step after its episode's
    end."""

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int,
        continuous: bool = False,
        noise: float = 0.0,
        max_episode_steps: int = LIMIT,
        pixels: int | None = None,
        step_size: float = STEP,
        goal: tuple[float, float] = (0.0, 0.0),
        goal_radius: float = RADIUS,
    ) -> None:
        self._course = Course(step_size, goal, goal_radius)
        if max_episode_steps < 1:
            raise ValueError(f"max_episode_steps: expected at least 1, found {max_episode_steps}")
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = _spaces(continuous, pixels)
        self._pixels = pixels
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._continuous, self._noise, self._limit = continuous, _checked_noise(noise), max_episode_steps
        self._rngs: list[np.random.Generator] = []  # one per environment, from the first reset on
        self._position = np.zeros((num_envs, 2))
        self._steps = np.zeros(num_envs, np.int64)
        self._autoreset_envs = np.zeros(num_envs, bool)  # the next step resets these; the name is that of `sync`

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict]:
        """Begin an episode in each environment: observations [N, 2]. A seed begins its random stream anew."""
        if seed is None or isinstance(seed, int):  # as in gymnasium: one seed means it and the numbers after it
            seed = [None if seed is None else seed + i for i in range(self.num_envs)]
        self._rngs = [
            seeding.np_random(own)[0] if own is not None or not self._rngs else self._rngs[i]
            for i, own in enumerate(seed)
        ]
        self._begin(np.ones(self.num_envs, bool))
        self._autoreset_envs = np.zeros(self.num_envs, bool)
        return observed(self._position, self._pixels, self._course), self._info(np.zeros(self.num_envs, bool))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
        """Observations [N, 2], rewards [N], terminated [N], truncated [N]."""
        begin = self._autoreset_envs
        disturbance: np.ndarray | float = 0.0
        if self._noise:
            disturbance = np.zeros((self.num_envs, 2))
            for i in np.flatnonzero(~begin):
                disturbance[i] = self._noise * self._rngs[i].standard_normal(2)
        directions = _directions(actions, self._continuous)
        self._position, reward, terminated = _move(self._course, self._position, directions, disturbance)
        self._steps = self._steps + 1
        if begin.any():
            self._begin(begin)
            reward[begin], terminated[begin] = 0.0, False
        truncated = self._steps >= self._limit
        self._autoreset_envs = terminated | truncated
        seen = observed(self._position, self._pixels, self._course)
        return seen, reward, terminated, truncated, self._info(terminated)

    def _info(self, success: np.ndarray) -> dict[str, np.ndarray]:
        """In gymnasium's form: [N] each, and whether an environment has the entry."""
        have = np.ones(self.num_envs, bool)
        return {"dist": self._course.distance(self._position), "_dist": have, "success": success, "_success": have}

    def _begin(self, which: np.ndarray) -> None:
        for i in np.flatnonzero(which):
            self._position[i] = _start(self._rngs[i])
        self._steps[which] = 0


for _id, _kwargs in {DISCRETE: {}, CONTINUOUS: {"continuous": True}}.items():
    gymnasium.register(
        _id,
        entry_point=f"{__name__}:PointNav",
        vector_entry_point=f"{__name__}:PointNavVector",
        max_episode_steps=LIMIT,
        kwargs=_kwargs,
    )
