"""How state and action become a discriminator's input, and how its output becomes one logit per row."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from trpo_gail.spaces.actions import Actions, Label
from trpo_gail.spaces.spec import EnvSpec


class Inputs(Protocol):
    """B rows, I inputs, K outputs."""

    size: int  # I
    outputs: int  # K

    def features(self, observations: np.ndarray, actions: np.ndarray) -> list[np.ndarray]:
        """Columns of the input: [B, .] each, [B, I] together."""
        ...

    def choose(self, out: Tensor, actions: Tensor) -> Tensor:
        """A logit [B] from the network's output [B, K]."""
        ...

    def choose_back(self, slope: Tensor, out: Tensor, actions: Tensor) -> Tensor:
        """The transpose of `choose`: from one number per row [B] to the network's output [B, K]."""
        ...


class Beside:
    """The action is part of the input, beside the observation."""

    outputs = 1

    def __init__(self, spec: EnvSpec) -> None:
        self._actions: Actions = spec.actions
        self.size = spec.observation_size + spec.actions.inputs

    def features(self, observations: np.ndarray, actions: np.ndarray) -> list[np.ndarray]:
        return [observations, self._actions.encode(actions)]

    def choose(self, out: Tensor, actions: Tensor) -> Tensor:
        return out[:, 0]

    def choose_back(self, slope: Tensor, out: Tensor, actions: Tensor) -> Tensor:
        return slope[:, None]


class Chosen:
    """A Discrete action chooses one of the outputs, one per label, as in the paper."""

    def __init__(self, spec: EnvSpec) -> None:
        self.size, self.outputs = spec.observation_size, spec.actions.size

    def features(self, observations: np.ndarray, actions: np.ndarray) -> list[np.ndarray]:
        return [observations]

    def choose(self, out: Tensor, actions: Tensor) -> Tensor:
        return out.gather(1, actions[:, None])[:, 0]

    def choose_back(self, slope: Tensor, out: Tensor, actions: Tensor) -> Tensor:
        return torch.zeros_like(out).scatter_(1, actions[:, None], slope[:, None])


def of(spec: EnvSpec) -> Inputs:
    """The paper's inputs for this environment's action space."""
    return Chosen(spec) if isinstance(spec.actions, Label) else Beside(spec)
