"""How state and action become a discriminator's input, and how its output becomes one logit per row."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from trpo_gail.errors import UserError
from trpo_gail.spaces.actions import Actions, Label
from trpo_gail.spaces.layout import Layout
from trpo_gail.spaces.spec import EnvSpec


class Inputs(Protocol):
    """B rows, I inputs, K outputs."""

    observed: Layout  # of the columns of the input that are an observation's
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

    def __init__(self, spec: EnvSpec, ignore: Collection[str] = ()) -> None:
        self.observed, self._seen = _seen(spec, ignore)
        self._actions: Actions = spec.actions
        self.size = self.observed.size + spec.actions.inputs

    def features(self, observations: np.ndarray, actions: np.ndarray) -> list[np.ndarray]:
        return [observations[:, self._seen], self._actions.encode(actions)]

    def choose(self, out: Tensor, actions: Tensor) -> Tensor:
        return out[:, 0]

    def choose_back(self, slope: Tensor, out: Tensor, actions: Tensor) -> Tensor:
        return slope[:, None]


class Chosen:
    """A Discrete action chooses one of the outputs, one per label, as in the paper."""

    def __init__(self, spec: EnvSpec, ignore: Collection[str] = ()) -> None:
        self.observed, self._seen = _seen(spec, ignore)
        self.size, self.outputs = self.observed.size, spec.actions.size

    def features(self, observations: np.ndarray, actions: np.ndarray) -> list[np.ndarray]:
        return [observations[:, self._seen]]

    def choose(self, out: Tensor, actions: Tensor) -> Tensor:
        return out.gather(1, actions[:, None])[:, 0]

    def choose_back(self, slope: Tensor, out: Tensor, actions: Tensor) -> Tensor:
        return torch.zeros_like(out).scatter_(1, actions[:, None], slope[:, None])


def _seen(spec: EnvSpec, ignore: Collection[str]) -> tuple[Layout, slice | np.ndarray]:
    """The layout of what an adversary sees of an observation, and its columns."""
    if not ignore:
        return spec.observations, slice(None)
    try:
        return spec.observations.without(ignore)
    except UserError as error:
        raise UserError(f"--discriminator.ignore: {error} (environment {spec.id!r})") from error


def of(spec: EnvSpec, ignore: Collection[str] = ()) -> Inputs:
    """The paper's inputs for this environment's action space, without the parts of observations that are to be ignored.

    Raises UserError for parts that the environment does not have.
    """
    return Chosen(spec, ignore) if isinstance(spec.actions, Label) else Beside(spec, ignore)
