"""What is known of an environment by those who never step it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gymnasium.spaces import Box, Discrete

from trpo_gail.spaces.units import ActionScaling


@dataclass(frozen=True)
class EnvSpec:
    """What a policy, a discriminator and a data file need to know of an environment."""

    id: str
    backend: Literal["envpool", "gymnasium"]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    observation_space: Box = field(default_factory=lambda: Box(-1, 1, (1,)))
    action_space: Box | Discrete = field(default_factory=lambda: Discrete(2))  # in the policy's units
    max_episode_steps: int | None = None
    action_scaling: ActionScaling | None = None  # to the environment's units; None if they are the policy's

    @property
    def executed_space(self) -> Box | Discrete:
        """Actions in the environment's own units."""
        return self.action_scaling.environment if self.action_scaling else self.action_space

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
