"""An action space from outside the package: dials, each with its own number of places.

One row for its rows, one for its distribution, one for how a checkpoint keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from trpo_gail.config.tree import PolicyConfig
from trpo_gail.policies.distributions import FAMILIES, Categorical
from trpo_gail.sampling.rollout import Noise
from trpo_gail.spaces.actions import KINDS
from trpo_gail.spaces.saved import SPACES


class DialSpace(gymnasium.Space):
    """Places [K] of K dials, from 0."""

    def __init__(self, *places: int) -> None:
        super().__init__((len(places),), np.int64)
        self.places = places

    def sample(self, mask: Any = None, probability: Any = None) -> np.ndarray:
        return self.np_random.integers(0, self.places)

    def contains(self, x: Any) -> bool:
        return np.shape(x) == self.shape and bool(((np.asarray(x) >= 0) & (np.asarray(x) < self.places)).all())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DialSpace) and other.places == self.places


class Rows:
    """Places [B, K]."""

    whole, bounds = True, None

    def __init__(self, space: DialSpace) -> None:
        self.labels = space.places
        self.shape: tuple[int, ...] = (len(space.places),)
        self.size = self.inputs = sum(space.places)
        self.draws = len(space.places)

    @staticmethod
    def problem(space: DialSpace) -> str | None:
        return None

    def zeros(self, rows: int) -> np.ndarray:
        return np.zeros((rows, *self.shape), np.int64)

    def uniform(self, noise: np.ndarray) -> np.ndarray:
        return (noise * self.labels).astype(np.int64)

    def encode(self, actions: np.ndarray) -> np.ndarray:
        return np.hstack([np.eye(n)[actions[:, k]] for k, n in enumerate(self.labels)])

    def outward(self, actions: np.ndarray) -> np.ndarray:
        return actions

    def inward(self, actions: np.ndarray) -> np.ndarray:
        return actions


@dataclass(frozen=True)
class Product:
    """Independent softmaxes."""

    factors: tuple[Categorical, ...]

    def log_prob(self, actions: Tensor) -> Tensor:
        return sum(f.log_prob(actions[:, k]) for k, f in enumerate(self.factors))  # type: ignore[return-value]

    def kl(self, new: Product) -> Tensor:
        return sum(f.kl(g) for f, g in zip(self.factors, new.factors, strict=True))  # type: ignore[return-value]

    def entropy(self) -> Tensor:
        return sum(f.entropy() for f in self.factors)  # type: ignore[return-value]

    def rows(self, index: Tensor) -> Product:
        return Product(tuple(f.rows(index) for f in self.factors))

    def metric(self, tangent: Tensor) -> Tensor:
        parts = tangent.split([f.logits.shape[1] for f in self.factors], 1)
        return torch.cat([f.metric(part) for f, part in zip(self.factors, parts, strict=True)], 1)

    def nll_slopes(self, actions: Tensor) -> list[Tensor]:
        return [torch.cat([f.nll_slopes(actions[:, k])[0] for k, f in enumerate(self.factors)], 1)]

    def fitness(self, actions: Tensor) -> Tensor:
        return self.log_prob(actions).double()

    def detach(self) -> Product:
        return Product(tuple(f.detach() for f in self.factors))


class ProductFamily:
    """A logit for each label of each set."""

    own_fisher = ()
    noise_kind: Noise = "gumbel"

    def __init__(self, space: DialSpace, config: PolicyConfig) -> None:
        self._sizes = list(space.places)
        self.outputs = self.noise_size = sum(self._sizes)
        self.own: dict[str, Tensor] = {}

    def distribution(self, out: Tensor, own: Sequence[Tensor]) -> Product:
        return Product(tuple(Categorical(part) for part in out.split(self._sizes, 1)))

    def act(self, out: np.ndarray, noise: np.ndarray, own: Sequence[np.ndarray]) -> np.ndarray:
        edges = np.cumsum(self._sizes)[:-1]
        return np.stack([part.argmax(1) for part in np.split(out + noise, edges, axis=1)], 1)


KINDS[DialSpace] = Rows
FAMILIES[DialSpace] = ProductFamily
SPACES[DialSpace] = (lambda space: {"places": space.places}, lambda saved: DialSpace(*saved["places"]))


class Dials(gymnasium.Env):
    """Two numbers are shown; each dial that is turned to its number's place pays 1/2. Episodes last 10 steps."""

    observation_space = Box(-1.0, 1.0, (2,), np.float32)
    action_space = DialSpace(3, 2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._left = 10
        return self._show(), {}

    def _show(self) -> np.ndarray:
        self._shown = self.np_random.uniform(-1.0, 1.0, 2).astype(np.float32)
        return self._shown

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        right = np.minimum((self._shown + 1.0) / 2.0 * [3, 2], [2, 1]).astype(int)
        self._left -= 1
        return self._show(), float(np.mean(action == right)), self._left == 0, False, {}


gymnasium.register("Dials-v0", entry_point=f"{__name__}:Dials", max_episode_steps=100)
