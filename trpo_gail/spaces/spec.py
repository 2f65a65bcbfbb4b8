"""The spec of an environment, for code that never steps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box, Discrete, Space

from trpo_gail.spaces import actions
from trpo_gail.spaces.actions import Actions
from trpo_gail.spaces.layout import Layout
from trpo_gail.spaces.units import ActionScaling

ActionView = Literal["raw", "executed"]


@dataclass(frozen=True)
class EnvSpec:
    """Everything that a policy, a discriminator and a data file need to know about an environment."""

    id: str
    backend: Literal["envpool", "gymnasium"]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    observation_space: Space = field(default_factory=lambda: Box(-1, 1, (1,)))  # the environment's own
    action_space: Space = field(default_factory=lambda: Discrete(2))  # in the policy's units; a Box has one dimension
    max_episode_steps: int | None = None
    action_scaling: ActionScaling | None = None  # to the environment's units; None if they are the policy's
    action_view: ActionView = "raw"  # the result of `shown`: samples as they are, or clipped to the bounds
    environment_actions: Space | None = None  # the environment's own action space, if rows are not its actions
    images: tuple[str, ...] = ()  # parts of observations that are images although they are not uint8
    numbers: tuple[str, ...] = ()  # parts that are no images although they are uint8

    @property
    def executed_space(self) -> Space:
        """Actions in the environment's own units and shape."""
        if self.environment_actions is not None:
            return self.environment_actions
        return self.action_scaling.environment if self.action_scaling else self.action_space

    @cached_property
    def observations(self) -> Layout:
        """Rows of observations."""
        return Layout.of(self.observation_space, self.images, self.numbers)

    @property
    def observation_size(self) -> int:
        return self.observations.size

    @cached_property
    def actions(self) -> Actions:
        """Rows of actions in the policy's units."""
        return actions.of(self.action_space)

    @cached_property
    def executed(self) -> Actions:
        """Rows of actions in the environment's units."""
        return actions.of(self.executed_space)

    @property
    def action_size(self) -> int:
        """Number of actions of a Discrete space, dimensions of a Box."""
        return self.actions.size

    @property
    def clips(self) -> bool:
        """Whether actions are clipped before they are executed."""
        return self.action_view == "executed" and self.actions.bounds is not None

    @property
    def clipped_to(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The bounds [A] to which actions are clipped before they are executed; None if they are not."""
        return self.actions.bounds if self.clips else None

    def shown(self, samples: np.ndarray) -> np.ndarray:
        """The actions that are executed and that the adversary sees, [B, A] or [B], from a policy's samples in its
        units."""
        if self.action_view == "raw" or self.actions.bounds is None:
            return samples
        return np.clip(samples, *self.actions.bounds)

    def unscaled(self) -> EnvSpec:
        """The same environment for an actor that acts in its own units and clips, if it does, itself."""
        space = self.action_scaling.environment if self.action_scaling else self.action_space
        return replace(self, action_space=space, action_scaling=None, action_view="raw")

    def viewed(self, action_view: ActionView) -> EnvSpec:
        """The same environment with another view of actions."""
        return replace(self, action_view=action_view)
