"""An expert that errs: noise on its actions, so that demonstrations show how to come back."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from trpo_gail.sampling.rollout import Actor, Noise
from trpo_gail.spaces.spec import EnvSpec

_CDF = np.vectorize(NormalDist().cdf, otypes=[float])


class Noisy:
    """Real actions plus a Gaussian's noise, `size` times half the bounds' width (1 where a bound is missing); or, instead
    of a label, with probability `size` one drawn uniformly from all.

    The policy's own noise stands in the first columns of the noise, what is added in the rest; with `deterministic` the
    policy gets none.
    """

    def __init__(self, actor: Actor, size: float, spec: EnvSpec, deterministic: bool) -> None:
        self._actor, self._size, self._spec = actor, size, spec
        self._own = 0 if deterministic else actor.noise_size
        # A policy without noise leaves the choice; normal and Gumbel noise become uniform by their distribution functions.
        drawn: Noise = "uniform" if spec.actions.whole else "normal"
        self.noise_kind: Noise = actor.noise_kind if self._own else drawn
        self.noise_size = self._own + (1 + spec.actions.draws if spec.actions.whole else spec.action_size)

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions for noise [n, K]."""
        own = noise[:, : self._own] if self._own else np.zeros((len(noise), self._actor.noise_size))
        actions, more = self._actor.act(observations, own), noise[:, self._own :]
        if not self._spec.actions.whole:
            return actions + self._size * self._width() * more
        chance = self._uniform(more)
        drawn = self._spec.actions.uniform(np.minimum(chance[:, 1:], np.nextafter(1.0, 0.0)))
        instead = chance[:, 0] < self._size
        return np.where(instead if actions.ndim == 1 else instead[:, None], drawn, actions)

    def _width(self) -> np.ndarray:
        """Half the distance of the bounds, [A]."""
        assert self._spec.actions.bounds is not None
        low, high = (end.astype(np.float64) for end in self._spec.actions.bounds)
        bounded = (np.abs(low) < 1e10) & (np.abs(high) < 1e10)
        return np.where(bounded, 0.5 * (np.where(bounded, high, 1.0) - np.where(bounded, low, -1.0)), 1.0)

    def _uniform(self, noise: np.ndarray) -> np.ndarray:
        if self.noise_kind == "uniform":
            return noise
        return np.exp(-np.exp(-noise)) if self.noise_kind == "gumbel" else _CDF(noise)
