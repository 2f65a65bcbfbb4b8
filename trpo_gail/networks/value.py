"""The value network V(s)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trpo_gail.config.tree import CriticConfig
from trpo_gail.networks import encoders, own
from trpo_gail.networks.normaliser import Normaliser
from trpo_gail.spaces.spec import EnvSpec


class ValueNetwork(nn.Module):
    """Observations, and optionally the time within the episode -> normalised value."""

    def __init__(self, config: CriticConfig, spec: EnvSpec, rng: torch.Generator, encoder: str = "auto") -> None:
        super().__init__()
        self.time_input = config.time_input
        extra = 1 if config.time_input else 0
        if config.network is not None:
            self.net: Any = own.make("critic.network", config.network, spec.observations, extra, 1, rng)
        else:
            self.net = encoders.make(
                spec.observations, extra, config.hidden_sizes, 1, out_scale=0.0, encoder=encoder, rng=rng
            )
        active = None if config.normalise_observations else 0
        self.normaliser = Normaliser(spec.observation_size, config.observation_clip, active, spec.observations.exempt)
        self.target_normaliser = Normaliser(1)

    def inputs(self, observations: Tensor, times: Tensor) -> Tensor:
        """[B, O], [B] -> [B, I]."""
        z = self.normaliser(observations)
        return torch.cat([z, times[:, None]], 1) if self.time_input else z

    def value(self, observations: Tensor, times: Tensor) -> Tensor:
        """V(s) in units of reward: [B]."""
        out = self.net(self.inputs(observations, times))[:, 0]
        shift, scale = self.target_normaliser.shift_and_scale(out.dtype)
        return out * scale + shift

    def update_target_normaliser(self, moments: Tensor, preserve: bool) -> None:
        """Add the targets' sums; `preserve` rescales the output layer so that V stays the same (van Hasselt et al.
        2016). The first V, which was fitted to nothing, does not stay. If the first targets are nearly alike, as are those
        of a discriminator that has learned nothing, it would be a million of their units away from them."""
        begun = bool(self.target_normaliser.count)
        before = self.target_normaliser.shift_and_scale(torch.float64)
        self.target_normaliser.add(moments)
        if not preserve or not begun:
            return
        after = self.target_normaliser.shift_and_scale(torch.float64)
        keep: Any = self.net.keep_outputs
        keep(before, after)
