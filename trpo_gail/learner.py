"""The learner: everything that changes during training, and so everything that a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from trpo_gail.adversaries.adversary import Adversary
from trpo_gail.critic import Critic
from trpo_gail.errors import UserError
from trpo_gail.generators.generator import Generator
from trpo_gail.optim import flat
from trpo_gail.policies.policy import Policy
from trpo_gail.sampling.sampler import Sampler


@dataclass
class Progress:
    """Counters, global over ranks."""

    iteration: int = 0  # iterations done
    steps: int = 0  # true transitions
    idle_rows: int = 0
    episodes: int = 0  # finished ones
    cut_episodes: int = 0  # by restarts and staggering
    wall_s: float = 0.0  # of training without evaluations, over all sessions of the run
    cloning_s: float = 0.0  # of it, before the first iteration
    eval_steps: int = 0
    eval_s: float = 0.0
    best_return: float | None = None
    next_eval: int = 0

    @property
    def steps_per_s(self) -> float | None:
        """Of the iterations; None before the first."""
        seconds = self.wall_s - self.cloning_s
        return self.steps / seconds if self.steps and seconds > 0.0 else None


@dataclass
class Learner:
    """Policy, critic, generator, adversary, environments, counters."""

    policy: Policy
    critic: Critic
    generator: Generator
    adversary: Adversary
    sampler: Sampler
    progress: Progress = field(default_factory=Progress)
    # Of the episodes that ended in the last iteration, over all ranks: what each was paid, its return, its length, and 1
    # for a success, 0 for none, NaN where it is not known. It is for viewing, and no part of the state.
    ended: np.ndarray = field(default_factory=lambda: np.zeros((4, 0)))
    horizon: int | None = None  # length of the first episode since the start or a resume, in steps

    def hold(self) -> None:
        """Bring parameters that a script has put in place of the networks' own to where they learn. Raises UserError."""
        for owner, network in (("policy", self.policy), ("critic", self.critic.network), ("adversary", self.adversary)):
            module = getattr(network, "network", network)
            if isinstance(module, nn.Module):
                try:
                    flat.hold(module)
                except UserError as error:
                    raise UserError(f"{owner}: {error}") from None

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numpy arrays and numbers only. A collective."""
        return {
            "policy": self.policy.state_dict(),
            "critic": self.critic.state_dict(),
            "generator": self.generator.state_dict(),
            "adversary": self.adversary.state_dict(),
            "sampler": self.sampler.state_dict(),
            "progress": vars(self.progress).copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self.critic.load_state_dict(state["critic"])
        self.generator.load_state_dict(state["generator"])
        self.adversary.load_state_dict(state["adversary"])
        self.sampler.load_state_dict(state["sampler"])
        self.progress = Progress(**state["progress"])
