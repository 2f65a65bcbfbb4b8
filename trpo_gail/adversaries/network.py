"""The discriminator's network: inputs, their normaliser, and a net of one output or one for each label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrizations

from trpo_gail.adversaries.inputs import Inputs
from trpo_gail.config.tree import DiscriminatorConfig
from trpo_gail.errors import UserError
from trpo_gail.networks import encoders, own
from trpo_gail.networks.normaliser import Normaliser
from trpo_gail.spaces.spec import EnvSpec


class Tied(Normaliser):
    """A normaliser of inputs, some of which are standardised as others are: a next state like a state."""

    def __init__(
        self, size: int, clip: float | None, active: int | None, exempt: np.ndarray, twins: tuple[slice, slice] | None
    ) -> None:
        """`twins`: columns, and those that follow their statistics."""
        super().__init__(size, clip, active, exempt)
        self._twins = twins

    def shift_and_scale(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        shift, scale = super().shift_and_scale(dtype)
        if self._twins is not None:
            first, second = self._twins
            shift[second], scale[second] = shift[first], scale[first]
        return shift, scale


WARM_UP = 15  # power iterations before the first output, as torch makes
Side = tuple[np.ndarray, int]  # places of this rank's rows among those of all ranks, and the number of these


class DiscriminatorNetwork(nn.Module):
    """Normalised inputs -> outputs, of which the action may choose one."""

    net: nn.Module

    def __init__(
        self, config: DiscriminatorConfig, spec: EnvSpec, rng: torch.Generator, encoder: str = "auto",
        inputs: Inputs | None = None,
    ) -> None:  # fmt: skip
        """`inputs` in place of those that the config describes."""
        super().__init__()
        self.inputs = inputs or Inputs(spec, config.inputs, config.ignore, bool(config.absorbing))
        if not self.inputs.size:
            raise UserError(
                f"--discriminator.inputs: action given alone, but {spec.action_space} chooses among D's outputs, so that it "
                "sees nothing: expected state or next_state beside it"
            )
        self.hidden = widths(config)
        self.net = self._made(config, encoder, rng)
        layout = self.inputs.observed
        active = {"observations-actions": self.inputs.size, "observations": layout.size, "none": 0}
        self.normaliser = Tied(
            self.inputs.size, config.input_clip, active[config.normalise], self.inputs.exempt, self.inputs.twins
        )
        self._limits: list[nn.Module] = []  # the spectral norms

    def forward(self, z: Tensor) -> Tensor:
        """Outputs [B, K] of normalised inputs [B, I]."""
        out: Tensor = self.net(z)
        return out

    def _made(self, config: DiscriminatorConfig, encoder: str, rng: torch.Generator) -> nn.Module:
        layout = self.inputs.observed
        extra = self.inputs.size - layout.size
        if config.network is not None:
            return own.make("discriminator.network", config.network, layout, extra, self.inputs.outputs, rng)
        return encoders.make(
            layout, extra, self.hidden, self.inputs.outputs, out_scale=out_scale(config),
            encoder=encoder, rng=rng, activation=config.activation,
        )  # fmt: skip

    def limit_weights(self, rng: torch.Generator) -> None:
        """Divide each layer's weights by their spectral norm from now on (Miyato et al. 2018). After the network was
        placed; `rng` draws the first directions of the power iteration."""
        layers = [m for m in self.net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        with torch.random.fork_rng():  # torch draws directions of its own, which are then replaced
            for layer in layers:
                parametrizations.spectral_norm(layer)
        norms: list[Any] = [layer.parametrizations["weight"][-1] for layer in layers]  # type: ignore[index]
        for norm in norms:
            norm._v.copy_(normalize(torch.randn(norm._v.shape, generator=rng).to(norm._v), dim=0))
        self._limits = norms
        with self.learning():
            for _ in range(WARM_UP):
                for layer in layers:
                    _ = layer.weight

    @contextmanager
    def learning(self) -> Iterator[None]:
        """A power iteration goes on with each output. The spectral norms alone are in training mode: a network of the
        user's own may have parts that must stay in evaluation mode."""
        for norm in self._limits:
            norm.train()
        try:
            yield
        finally:
            for norm in self._limits:
                norm.eval()  # an output alone must not change the network

    def kept_units(self, share: float, sides: Sequence[Side], rng: np.random.Generator) -> list[Tensor]:
        """Factors of the hidden units [B, H] of each layer: 0 for a `share` of them, and for the others what makes up
        for it (Srivastava et al. 2014). Drawn for the rows of all ranks, side by side; empty without a share."""
        if not share:
            return []
        like = next(self.net.parameters())

        def factors(units: int) -> Tensor:
            kept = np.concatenate([rng.random((count, units))[places] >= share for places, count in sides])
            return torch.from_numpy(kept / (1.0 - share)).to(like)

        return [factors(units) for units in self.hidden]


def widths(config: DiscriminatorConfig) -> tuple[int, ...]:
    """Units of each hidden layer."""
    return (config.hidden_size_adversary,) * 2 if config.hidden_sizes is None else config.hidden_sizes


def out_scale(config: DiscriminatorConfig) -> float:
    """Scale of the output layer's first weights: 0, so that D is 0.5 everywhere, but weights of 0 have no spectral
    direction."""
    return 1.0 if config.spectral_norm else 0.0
