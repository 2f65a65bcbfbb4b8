"""Policies: a network with a distribution over actions on top."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trpo_gail import finite
from trpo_gail.config.tree import PolicyConfig
from trpo_gail.networks import encoders, own
from trpo_gail.networks.network import Linearised, linearise
from trpo_gail.networks.normaliser import Normaliser
from trpo_gail.policies.actor import PolicyActor
from trpo_gail.policies.distributions import Distribution, Family, Gaussian, family
from trpo_gail.sampling.batch import action_tensor, observation_tensor
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec


class Policy(nn.Module):
    """Normalised observations -> distribution over actions."""

    normaliser: Normaliser

    def __init__(self, net: nn.Module, family: Family, normaliser: Normaliser) -> None:
        """`net` maps [B, O] to [B, K]; no other code looks inside it."""
        super().__init__()
        self.net, self.family = net, family
        for name, start in family.own.items():
            setattr(self, name, nn.Parameter(start.clone()))
        self.normaliser = normaliser

    @classmethod
    def of(cls, config: PolicyConfig, spec: EnvSpec, rng: torch.Generator) -> Policy:
        """The policy for an environment."""
        made = family(spec.action_space, config)
        if config.network is not None:
            net = own.make("policy.network", config.network, spec.observations, 0, made.outputs, rng)
        else:
            net = encoders.make(
                spec.observations, 0, config.hidden_sizes, made.outputs, out_scale=config.output_scale,
                encoder=config.encoder, rng=rng,
            )  # fmt: skip
        active = None if config.normalise_observations else 0
        return cls(
            net,
            made,
            Normaliser(spec.observation_size, config.observation_clip, active, spec.observations.exempt),
        )

    @property
    def own(self) -> list[Tensor]:
        """Parameters besides the network's; they come first in the order of all parameters."""
        return [getattr(self, name) for name in self.family.own]

    def forward(self, z: Tensor) -> Distribution:
        """Distribution for normalised observations [B, O]."""
        return self.distribution(self.net(z))

    def distribution(self, out: Tensor) -> Distribution:
        """Distribution for the network's output [B, K]."""
        return self.family.distribution(out, self.own)

    def linearise(self, z: Tensor) -> Linearised:
        """The network at normalised observations [B, O]."""
        return linearise(self.net, z)

    def by_row(self, out: Tensor) -> tuple[Distribution, list[Tensor]]:
        """The distribution for an output [B, K] with own parameters for every row; and the list of these inputs: the
        output, then [B, A] each."""
        own = [p.detach().expand(len(out), *p.shape).clone().requires_grad_() for p in self.own]
        rows = [out.detach().requires_grad_(), *own]
        return self.family.distribution(rows[0], own), rows

    @torch.no_grad()
    def pullback(self, here: Linearised, by_row: Sequence[Tensor], into: list[Tensor]) -> None:
        """Add the gradient of a sum over rows to `into`, one float64 tensor for each parameter in their order.

        `here` is the network at these rows; `by_row` are derivatives with respect to the inputs that `by_row()` lists.
        """
        by_out, *by_own = by_row
        here.pullback(by_out, into[len(by_own) :])
        for part, rows in zip(into, by_own, strict=False):
            part.add_(rows.double().sum(0))

    @torch.no_grad()
    def log_prob(
        self, observations: np.ndarray, actions: np.ndarray, bounds: tuple[np.ndarray, np.ndarray] | None = None
    ) -> np.ndarray:
        """log pi(a|s) [B] float64 for observations [B, O] and actions [B, A] or [B]; with bounds [A], of samples that were
        clipped to them."""
        like = next(self.parameters())
        z = self.normaliser(observation_tensor(observations, like.dtype, like.device, self.normaliser.is_idle))
        acted, here = action_tensor(actions, like.dtype, like.device), self(z)
        if bounds is None:
            log_prob = here.log_prob(acted)
        else:
            assert isinstance(here, Gaussian), "only a Box has bounds to clip to"
            log_prob = here.clipped_log_prob(acted, *(torch.as_tensor(b).to(like) for b in bounds))
        finite.numbers("log pi(a|s) of the policy", log_prob)
        return log_prob.double().cpu().numpy()

    def judged(
        self, rows: Transitions, of_samples: bool, clipped_to: tuple[np.ndarray, np.ndarray] | None = None
    ) -> Transitions:
        """The same rows with log pi(a|s), if that is asked for; with bounds [A] to which actions are clipped, with that of
        the clipped ones."""
        log_prob = self.log_prob(rows.observations, rows.actions) if of_samples else None
        clipped = None
        if clipped_to is not None:
            clipped = self.log_prob(rows.observations, np.clip(rows.actions, *clipped_to), clipped_to)
        return dataclasses.replace(rows, log_prob=log_prob, clipped_log_prob=clipped)

    def actor(self) -> PolicyActor:
        """A copy on the CPU that samples."""
        return PolicyActor(self.net, self.normaliser, self.family, self.own)
