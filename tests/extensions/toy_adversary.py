"""An adversary from outside the package: it tells the sides apart by states and what follows them, with a gradient penalty.

Of the package it uses what any outsider may: the seam, a network, Adam on its flat parameters, the ranks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from trpo_gail.adversaries.adversary import Parts
from trpo_gail.adversaries.view import View
from trpo_gail.config.tree import Config
from trpo_gail.networks.mlp import MLP
from trpo_gail.networks.placing import initial, place, share
from trpo_gail.optim.adam import FlatAdam
from trpo_gail.records import Stats
from trpo_gail.sampling.transitions import Transitions

PENALTY = 10.0  # weight of (|dD/dx| - 1)^2 between the sides (Gulrajani et al. 2017)


class NextStates:
    """D(s, s'), with D = P(expert)."""

    needs_log_prob = False

    def __init__(self, config: Config, parts: Parts) -> None:
        assert parts.expert is not None
        self.workers, self.updates = parts.workers, config.d_step
        self.dtype, self.device = getattr(torch, config.dtype), parts.workers.device(config.device)
        net = MLP(2 * parts.spec.observation_size, (16, 16), 1, out_scale=1.0, rng=initial(config.seed, 2))
        self.net = place(net, self.device, self.dtype)
        share(parts.workers, self.net)
        self.adam = FlatAdam(self.net, config.discriminator.d_stepsize or 3e-4, parts.workers)
        self.view = View.of(parts.spec, parts.expert)
        known = ~np.isnan(parts.expert.next_observations).any(1)
        self.expert = self.rows(parts.expert)[torch.from_numpy(known)]

    def rows(self, side: Transitions) -> Tensor:
        """[B, 2 O]."""
        both = np.hstack([self.view.states(side.observations), self.view.states(side.next_observations)])
        return torch.as_tensor(both, dtype=self.dtype, device=self.device)

    @torch.no_grad()
    def reward(self, learner: Transitions) -> np.ndarray:
        return softplus(self.net(self.rows(learner))[:, 0]).double().cpu().numpy()

    def fit(self, learner: Transitions, rng: np.random.Generator) -> Stats:
        assert learner.rows is not None
        ours, penalties, count = self.rows(learner), 0.0, learner.rows.total
        for _ in range(self.updates):
            # For all rows of all ranks; each rank takes those that are beside its own.
            mine = slice(learner.rows.offset, learner.rows.offset + learner.rows.count)
            drawn = rng.integers(0, len(self.expert), count)[mine]
            mixing = torch.as_tensor(rng.random((count, 1))[mine], dtype=self.dtype, device=self.device)
            theirs = self.expert[torch.from_numpy(drawn)]
            penalty = self.penalty(mixing * ours + (1.0 - mixing) * theirs)
            loss = softplus(self.net(ours)).sum() + softplus(-self.net(theirs)).sum() + PENALTY * penalty
            self.adam.descend(self.adam.flat.gradient(loss).double(), count)
            penalties += float(self.workers.sum(np.array([penalty.item()]))[0]) / count
        return {"gradient_penalty": penalties / self.updates}

    def penalty(self, between: Tensor) -> Tensor:
        """Sum over rows."""
        between.requires_grad_()
        (slope,) = torch.autograd.grad(self.net(between).sum(), between, create_graph=True)
        return ((slope.norm(dim=1) - 1.0) ** 2).sum()

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.net.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["network"])
        self.adam.load_state_dict(state["adam"])


def build(config: Config, parts: Parts) -> NextStates:
    """What `--adversary toy_adversary:build` calls."""
    return NextStates(config, parts)
