"""The copy of a policy that samples: noise in, action out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trpo_gail.networks.mlp import MLP
from trpo_gail.networks.normaliser import Normaliser
from trpo_gail.policies.distributions import Family
from trpo_gail.sampling.rollout import Noise

ROW_BLOCK = 4  # BLAS rounds 1 to 3 rows beyond whole blocks differently; with padding, a row's action is its own


class PolicyActor:
    """A policy on the CPU, without a random generator."""

    def __init__(self, net: nn.Module, normaliser: Normaliser, family: Family, own: Sequence[Tensor]) -> None:
        shift, scale = normaliser.shift_and_scale(torch.float64)
        self._shift, self._scale, self._clip = _array(shift), _array(scale), normaliser.clip
        self._exempt = normaliser.exempt
        self._net = _MLP(net) if isinstance(net, MLP) else _module(net)
        self._family, self._own = family, [_array(p).copy() for p in own]
        self._dtype = _array(next(net.parameters())).dtype
        self.noise_kind: Noise = family.noise_kind
        self.noise_size = family.noise_size

    @np.errstate(over="ignore", invalid="ignore")  # an infinite deviation gives actions that are refused later
    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions [n, A] or [n] for observations [n, O] and noise; zero noise is the deterministic action."""
        n = len(observations)
        z = self._normalised(observations)
        if n % ROW_BLOCK:
            z = np.concatenate([z, np.zeros((-n % ROW_BLOCK, z.shape[1]))])
        return self._family.act(self._net(z.astype(self._dtype))[:n], noise, self._own)

    def _normalised(self, observations: np.ndarray) -> np.ndarray:
        if self._exempt is not None and self._exempt.all():
            return observations
        # Round first, as for the learner's rows: if a feature hardly varies, the division amplifies the rounding.
        z = (observations.astype(self._dtype) - self._shift) / self._scale
        if self._clip is not None:
            np.minimum(np.maximum(z, -self._clip, out=z), self._clip, out=z)
        return z if self._exempt is None else np.where(self._exempt, observations, z)


class _MLP:
    """Plain BLAS calls: with 8 to 32 rows a torch module would cost several times as much."""

    def __init__(self, net: MLP) -> None:
        self._weights = [np.ascontiguousarray(_array(layer.weight).T) for layer in net.layers]
        self._biases = [_array(layer.bias).copy() for layer in net.layers]

    def __call__(self, h: np.ndarray) -> np.ndarray:
        for weight, bias in zip(self._weights[:-1], self._biases[:-1], strict=True):
            h = h @ weight
            h += bias
            np.tanh(h, out=h)
        return h @ self._weights[-1] + self._biases[-1]


def _module(net: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """A copy of any other network, which training does not change."""
    own = copy.deepcopy(net).cpu()

    def output(z: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            out: Tensor = own(torch.from_numpy(z))
        return out.numpy()

    return output


def _array(x: Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()
