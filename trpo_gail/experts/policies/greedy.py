"""The greedy expert of the point-navigation tasks: `--policy greedy`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trpo_gail.envs.tasks import point_nav
from trpo_gail.errors import UserError
from trpo_gail.sampling.rollout import Noise
from trpo_gail.spaces.spec import ActionView

NAME = "greedy"
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 3, 4


@dataclass
class GreedyPointNav:
    """Moves towards the origin along the larger coordinate, along x on a tie; deterministic.

    A discrete move is always one of 0.2, so that 4.9 % of all starts end in walking to and fro across the goal. A
    continuous one is as long as the coordinate, 0.2 at most, and every start reaches the goal.
    """

    continuous: bool
    noise_kind: Noise = "normal"
    noise_size: int = 0
    description: str = "greedy: along the larger coordinate"
    licence: str = "MIT"
    attribution: str = "greedy expert of trpo_gail"

    @property
    def action_view(self) -> ActionView:
        """Continuous actions are within the bounds, and to be imitated by a learner whose actions are clipped to them."""
        return "executed" if self.continuous else "raw"

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions [n] int64 or [n, 2] float64 for positions [n, 2]; noise is not used."""
        position = np.asarray(observations, np.float64)
        x, y = position.T
        along_x = np.abs(x) >= np.abs(y)
        if not self.continuous:
            return np.where(along_x, np.where(x > 0, _LEFT, _RIGHT), np.where(y > 0, _DOWN, _UP))
        towards = np.clip(-position / point_nav.STEP, -1, 1)
        towards[along_x, 1] = 0
        towards[~along_x, 0] = 0
        return towards


def greedy(env_id: str) -> GreedyPointNav:
    """The greedy expert of an environment. Raises UserError if there is none."""
    known = (point_nav.DISCRETE, point_nav.CONTINUOUS)
    if env_id not in known:
        raise UserError(f"--policy {NAME}: only {' and '.join(known)} have a greedy expert, {env_id!r} has none")
    return GreedyPointNav(continuous=env_id == point_nav.CONTINUOUS)


def refuse_another_course(env_kwargs: Mapping[str, Any]) -> None:
    """Raise UserError for a goal or a step that this expert does not know."""
    for name in ("goal", "step_size"):
        if name in env_kwargs:
            raise UserError(
                f"--env_kwargs: {name} {env_kwargs[name]} given, but --policy {NAME} walks to the origin by steps of "
                f"{point_nav.STEP}: expected without it"
            )
