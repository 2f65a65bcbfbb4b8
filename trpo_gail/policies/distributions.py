"""Distributions over actions, one family per action space.

Log-probability, KL and entropy are per row [B], in nats, summed over action dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from torch import Tensor

from trpo_gail.config.tree import PolicyConfig
from trpo_gail.sampling.rollout import Noise
from trpo_gail.spaces import actions as action_rows


class Distribution(Protocol):
    """A distribution over actions, given by the network's output [B, K] and the policy's own parameters."""

    def log_prob(self, actions: Tensor) -> Tensor:
        """log pi(a|s) [B]."""
        ...

    def kl(self, new: Any) -> Tensor:
        """KL(self || new) [B], for a distribution of the same family."""
        ...

    def entropy(self) -> Tensor: ...  # [B]

    def rows(self, index: Tensor) -> Distribution:
        """Some of the rows."""
        ...

    def metric(self, tangent: Tensor) -> Tensor:
        """Second derivative of KL(self || .) at self with respect to the network's output, times a tangent [B, K]."""
        ...

    def nll_slopes(self, actions: Tensor) -> list[Tensor]:
        """Derivatives of -log pi(a|s), by row, with respect to the output [B, K] and to each of the policy's own
        parameters."""
        ...

    def fitness(self, actions: Tensor) -> Tensor:
        """How well each row [B] predicts an action; cloning is validated by it."""
        ...

    def detach(self) -> Distribution: ...


class Family(Protocol):
    """How an action space's distribution is made and sampled."""

    outputs: int  # K of the policy's network
    own: dict[str, Tensor]  # initial values of parameters besides the network's: by name, [A] each
    own_fisher: tuple[float, ...]  # for each of them: in every row, its Fisher matrix is this number times the identity
    noise_kind: Noise
    noise_size: int

    def distribution(self, out: Tensor, own: Sequence[Tensor]) -> Distribution:
        """From the network's output [B, K] and own parameters, [A] or [B, A] each."""
        ...

    def act(self, out: np.ndarray, noise: np.ndarray, own: Sequence[np.ndarray]) -> np.ndarray:
        """Actions for an output [n, K] and noise [n, noise_size]; zero noise is the deterministic action."""
        ...

    def likeliest(self, out: Tensor) -> Tensor:
        """The deterministic actions, [B, A] or [B], as operations of torch."""
        ...


# ---- Box -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gaussian:
    """Diagonal Gaussian with a state-independent log standard deviation."""

    mean: Tensor  # [B, A]
    log_std: Tensor  # [A], or [B, A]

    def log_prob(self, actions: Tensor) -> Tensor:  # [B, A] -> [B]
        z = (actions - self.mean) * torch.exp(-self.log_std)
        return -0.5 * (z * z).sum(-1) - self.log_std.sum(-1) - 0.5 * self.mean.shape[-1] * math.log(2 * math.pi)

    def clipped_log_prob(self, actions: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """log of what clipping a sample to the bounds [A] leaves, actions [B, A] -> [B]: the density within, and at a bound
        the probability of all that lies behind it."""
        precision = torch.exp(-self.log_std)
        z = (actions - self.mean) * precision
        within = -0.5 * z * z - self.log_std - 0.5 * math.log(2 * math.pi)
        below, above = (
            torch.special.log_ndtr(s * (bound - self.mean) * precision) for s, bound in ((1, low), (-1, high))
        )
        return torch.where(actions <= low, below, torch.where(actions >= high, above, within)).sum(-1)

    def kl(self, new: Gaussian) -> Tensor:
        ratio = torch.exp(2 * (self.log_std - new.log_std))  # [A]
        square = ((self.mean - new.mean) * torch.exp(-new.log_std)) ** 2
        return 0.5 * square.sum(-1) + (0.5 * (ratio - 1.0) + new.log_std - self.log_std).sum(-1)

    def entropy(self) -> Tensor:
        per_row = self.log_std.sum(-1) + 0.5 * self.mean.shape[-1] * (1.0 + math.log(2 * math.pi))
        return per_row.expand(self.mean.shape[0])

    def rows(self, index: Tensor) -> Gaussian:
        """Some of the rows; a standard deviation [A] is the same for all."""
        return Gaussian(self.mean[index], self.log_std)

    def metric(self, tangent: Tensor) -> Tensor:
        return tangent * torch.exp(-2 * self.log_std)

    def nll_slopes(self, actions: Tensor) -> list[Tensor]:
        precision = torch.exp(-self.log_std)
        error = (self.mean - actions) * precision
        return [error * precision, 1.0 - error * error]

    def fitness(self, actions: Tensor) -> Tensor:
        """-||mean(s) - a||^2, whatever the spread."""
        return -((self.mean - actions).double() ** 2).sum(-1)

    def detach(self) -> Gaussian:
        # The standard deviation is a view of the parameters, which the line search changes, so copy it.
        return Gaussian(self.mean.detach(), self.log_std.detach().clone())


class GaussianFamily:
    """Box [B, A]: the network gives the mean, the log standard deviation is one of the policy's own parameters."""

    own_fisher = (2.0,)  # d^2 KL / d log_std^2
    noise_kind: Noise = "normal"

    def __init__(self, space: Box, config: PolicyConfig) -> None:
        self.outputs = self.noise_size = int(space.shape[0])
        self.own = {"log_std": torch.full((self.outputs,), config.init_log_std)}

    def distribution(self, out: Tensor, own: Sequence[Tensor]) -> Gaussian:
        return Gaussian(out, own[0])

    def act(self, out: np.ndarray, noise: np.ndarray, own: Sequence[np.ndarray]) -> np.ndarray:
        return out + (np.exp(own[0]) * noise).astype(out.dtype)

    def likeliest(self, out: Tensor) -> Tensor:
        return out


# ---- Discrete --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Categorical:
    """Softmax over logits."""

    logits: Tensor  # [B, A]

    def log_prob(self, actions: Tensor) -> Tensor:  # [B] int64 -> [B]
        return torch.log_softmax(self.logits, -1).gather(-1, actions[:, None])[:, 0]

    def kl(self, new: Categorical) -> Tensor:
        old = torch.log_softmax(self.logits, -1)
        return (old.exp() * (old - torch.log_softmax(new.logits, -1))).sum(-1)

    def entropy(self) -> Tensor:
        log_p = torch.log_softmax(self.logits, -1)
        return -(log_p.exp() * log_p).sum(-1)

    def rows(self, index: Tensor) -> Categorical:
        return Categorical(self.logits[index])

    def metric(self, tangent: Tensor) -> Tensor:
        p = torch.softmax(self.logits, -1)
        return p * (tangent - (p * tangent).sum(-1, keepdim=True))

    def nll_slopes(self, actions: Tensor) -> list[Tensor]:
        slope = torch.softmax(self.logits, -1)
        slope[torch.arange(len(slope)), actions] -= 1.0
        return [slope]

    def fitness(self, actions: Tensor) -> Tensor:
        """log pi(a|s)."""
        return self.log_prob(actions).double()

    def detach(self) -> Categorical:
        return Categorical(self.logits.detach())


class CategoricalFamily:
    """Discrete [B]: the network gives a logit for each action."""

    own_fisher = ()
    noise_kind: Noise = "gumbel"

    def __init__(self, space: Discrete, config: PolicyConfig) -> None:
        self.outputs = self.noise_size = int(space.n)
        self.own: dict[str, Tensor] = {}

    def distribution(self, out: Tensor, own: Sequence[Tensor]) -> Categorical:
        return Categorical(out)

    def act(self, out: np.ndarray, noise: np.ndarray, own: Sequence[np.ndarray]) -> np.ndarray:
        return np.argmax(out + noise, axis=-1)  # Gumbel noise: a softmax sample

    def likeliest(self, out: Tensor) -> Tensor:
        return out.argmax(-1)


# ---- MultiDiscrete, MultiBinary --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Product:
    """Independent softmaxes, one for each of K labels."""

    factors: tuple[Categorical, ...]

    def log_prob(self, actions: Tensor) -> Tensor:  # [B, K] int64 -> [B]
        return torch.stack([f.log_prob(actions[:, k]) for k, f in enumerate(self.factors)]).sum(0)

    def kl(self, new: Product) -> Tensor:
        return torch.stack([f.kl(g) for f, g in zip(self.factors, new.factors, strict=True)]).sum(0)

    def entropy(self) -> Tensor:
        return torch.stack([f.entropy() for f in self.factors]).sum(0)

    def rows(self, index: Tensor) -> Product:
        return Product(tuple(f.rows(index) for f in self.factors))

    def metric(self, tangent: Tensor) -> Tensor:
        parts = tangent.split([f.logits.shape[1] for f in self.factors], 1)
        return torch.cat([f.metric(part) for f, part in zip(self.factors, parts, strict=True)], 1)

    def nll_slopes(self, actions: Tensor) -> list[Tensor]:
        return [torch.cat([f.nll_slopes(actions[:, k])[0] for k, f in enumerate(self.factors)], 1)]

    def fitness(self, actions: Tensor) -> Tensor:
        """log pi(a|s)."""
        return self.log_prob(actions).double()

    def detach(self) -> Product:
        return Product(tuple(f.detach() for f in self.factors))


class ProductFamily:
    """MultiDiscrete or MultiBinary [B, K]: the network gives a logit for each label of each set."""

    own_fisher = ()
    noise_kind: Noise = "gumbel"

    def __init__(self, space: MultiDiscrete | MultiBinary, config: PolicyConfig) -> None:
        self._labels = action_rows.of(space).labels
        self.outputs = self.noise_size = sum(self._labels)
        self.own: dict[str, Tensor] = {}

    def distribution(self, out: Tensor, own: Sequence[Tensor]) -> Product:
        return Product(tuple(Categorical(part) for part in out.split(self._labels, 1)))

    def act(self, out: np.ndarray, noise: np.ndarray, own: Sequence[np.ndarray]) -> np.ndarray:
        edges = np.cumsum(self._labels)[:-1]
        return np.stack([part.argmax(1) for part in np.split(out + noise, edges, axis=1)], 1)

    def likeliest(self, out: Tensor) -> Tensor:
        return torch.stack([part.argmax(1) for part in out.split(self._labels, 1)], 1)


# ---- the table -------------------------------------------------------------------------------------------------------

FAMILIES: dict[type[Space], Any] = {
    Box: GaussianFamily,
    Discrete: CategoricalFamily,
    MultiDiscrete: ProductFamily,
    MultiBinary: ProductFamily,
}


def family(space: Space, config: PolicyConfig) -> Family:
    """The family of an action space."""
    made: Family = FAMILIES[type(space)](space, config)
    return made
