"""Policies: a tanh MLP with a Gaussian or a softmax on top, and the copy of it that samples.

A distribution's log-probability, KL and entropy are per row [B], summed over action dimensions: said once, here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trpo_gail import finite
from trpo_gail.config.tree import PolicyConfig
from trpo_gail.networks.mlp import MLP
from trpo_gail.networks.network import Linearised
from trpo_gail.networks.normaliser import Normaliser
from trpo_gail.sampling.batch import action_tensor, flat_rows, to_rollout
from trpo_gail.sampling.rollout import Noise, Rollout
from trpo_gail.spaces.spec import EnvSpec

ROW_BLOCK = 4  # BLAS rounds the 1 to 3 rows beyond whole blocks otherwise: pad, so that a row's action is its own


@dataclass(frozen=True)
class Gaussian:
    """Diagonal Gaussian with a state-independent log standard deviation."""

    mean: Tensor  # [B, A]
    log_std: Tensor  # [A], or [B, A]

    def log_prob(self, actions: Tensor) -> Tensor:  # [B, A] -> [B]
        z = (actions - self.mean) * torch.exp(-self.log_std)
        return -0.5 * (z * z).sum(-1) - self.log_std.sum(-1) - 0.5 * self.mean.shape[-1] * math.log(2 * math.pi)

    def kl(self, new: Gaussian) -> Tensor:
        """KL(self || new), nats [B]."""
        ratio = torch.exp(2 * (self.log_std - new.log_std))  # [A]
        square = ((self.mean - new.mean) * torch.exp(-new.log_std)) ** 2
        return 0.5 * square.sum(-1) + (0.5 * (ratio - 1.0) + new.log_std - self.log_std).sum(-1)

    def entropy(self) -> Tensor:  # [B], nats
        per_row = self.log_std.sum(-1) + 0.5 * self.mean.shape[-1] * (1.0 + math.log(2 * math.pi))
        return per_row.expand(self.mean.shape[0])

    def rows(self, index: Tensor) -> Gaussian:
        """Some of the rows; the standard deviation has none [A]."""
        return Gaussian(self.mean[index], self.log_std)

    def metric(self, tangent: Tensor) -> Tensor:
        """Second derivative of KL(self || .) at self with respect to the mean, times a tangent [B, A]."""
        return tangent * torch.exp(-2 * self.log_std)

    def detach(self) -> Gaussian:
        # The standard deviation is a view of the parameters, which the line search moves: it needs a copy.
        return Gaussian(self.mean.detach(), self.log_std.detach().clone())


@dataclass(frozen=True)
class Categorical:
    """Softmax over logits."""

    logits: Tensor  # [B, A]

    def log_prob(self, actions: Tensor) -> Tensor:  # [B] int64 -> [B]
        return torch.log_softmax(self.logits, -1).gather(-1, actions[:, None])[:, 0]

    def kl(self, new: Categorical) -> Tensor:
        """KL(self || new), nats [B]."""
        old = torch.log_softmax(self.logits, -1)
        return (old.exp() * (old - torch.log_softmax(new.logits, -1))).sum(-1)

    def entropy(self) -> Tensor:  # [B], nats
        log_p = torch.log_softmax(self.logits, -1)
        return -(log_p.exp() * log_p).sum(-1)

    def rows(self, index: Tensor) -> Categorical:
        """Some of the rows."""
        return Categorical(self.logits[index])

    def metric(self, tangent: Tensor) -> Tensor:
        """Second derivative of KL(self || .) at self with respect to the logits, times a tangent [B, A]."""
        p = torch.softmax(self.logits, -1)
        return p * (tangent - (p * tangent).sum(-1, keepdim=True))

    def detach(self) -> Categorical:
        return Categorical(self.logits.detach())


Distribution = Gaussian | Categorical


class Policy(nn.Module):
    """Normalised observations -> distribution over actions."""

    def __init__(self, config: PolicyConfig, spec: EnvSpec, rng: torch.Generator) -> None:
        super().__init__()
        self.discrete = spec.discrete
        self.net = MLP(
            spec.observation_size, config.hidden_sizes, spec.action_size, out_scale=config.output_scale, rng=rng
        )
        if not self.discrete:
            self.log_std = nn.Parameter(torch.full((spec.action_size,), config.init_log_std))
        active = None if config.normalise_observations else 0
        self.normaliser = Normaliser(spec.observation_size, config.observation_clip, active)

    def forward(self, z: Tensor) -> Distribution:
        """Distribution for observations that are normalised already, [B, O]."""
        return self.distribution(self.net(z))

    def distribution(self, out: Tensor) -> Distribution:
        """Distribution for the network's output [B, A]."""
        return Categorical(out) if self.discrete else Gaussian(out, self.log_std)

    def by_row(self, out: Tensor) -> tuple[Distribution, list[Tensor]]:
        """The same with parameters of its own in every row, and those [B, A] each: the network's output comes first."""
        rows = [out.detach().requires_grad_()]
        if self.discrete:
            return Categorical(*rows), rows
        rows.append(self.log_std.detach().expand_as(out).clone().requires_grad_())
        return Gaussian(*rows), rows

    @torch.no_grad()
    def pullback(self, here: Linearised, by_row: Sequence[Tensor], into: list[Tensor]) -> None:
        """Add the gradient of a sum over rows to `into`, one float64 tensor for each parameter in their order.

        `here` is the network at these rows; `by_row` [B, A] each the derivatives with respect to what `by_row()` gives.
        """
        by_out, *by_own = by_row  # a policy's own parameters come before its network's
        here.pullback(by_out, into[len(by_own) :])
        for part, rows in zip(into, by_own, strict=False):
            part.add_(rows.double().sum(0))

    @torch.no_grad()
    def log_prob(self, rollout: Rollout) -> np.ndarray:
        """log pi(a|s) of what a rollout did: [T, N], 0 in rows that are no transitions."""
        like = self.net.layers[0].weight
        observations = torch.as_tensor(flat_rows(rollout, rollout.observations[:-1]), dtype=like.dtype).to(like.device)
        actions = action_tensor(flat_rows(rollout, rollout.actions), like.dtype, like.device)
        log_prob = self(self.normaliser(observations)).log_prob(actions)
        finite.numbers("log pi(a|s) of the policy", log_prob)
        return to_rollout(rollout, log_prob.double().cpu().numpy())

    def actor(self) -> PolicyActor:
        """A copy on the CPU that samples."""
        return PolicyActor(self)


class PolicyActor:
    """A policy as plain BLAS calls: with 8 to 32 rows a torch module would cost several times as much."""

    def __init__(self, policy: Policy) -> None:
        def array(x: Tensor) -> np.ndarray:
            return x.detach().cpu().numpy()

        layers = policy.net.layers
        dtype = layers[0].weight.dtype
        shift, scale = policy.normaliser.shift_and_scale(torch.float64)
        self._shift, self._scale, self._clip = array(shift), array(scale), policy.normaliser.clip
        self._weights = [np.ascontiguousarray(array(layer.weight).T) for layer in layers]
        self._biases = [array(layer.bias).copy() for layer in layers]
        with np.errstate(over="ignore"):  # an infinite deviation makes actions that are refused
            self._std = None if policy.discrete else np.exp(array(policy.log_std))
        self._dtype = self._weights[0].dtype
        self.noise_kind: Noise = "gumbel" if policy.discrete else "normal"
        self.noise_size = len(self._biases[-1])
        assert dtype in (torch.float32, torch.float64)

    @np.errstate(over="ignore", invalid="ignore")
    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions [n, A] or [n] for observations [n, O] and noise [n, A]; zero noise is the deterministic action."""
        n = len(observations)
        # Rounded first, as the learner's rows are: where a feature hardly varies, the rounding is much after the division.
        z = (observations.astype(self._dtype) - self._shift) / self._scale
        if self._clip is not None:
            np.minimum(np.maximum(z, -self._clip, out=z), self._clip, out=z)
        if n % ROW_BLOCK:
            z = np.concatenate([z, np.zeros((-n % ROW_BLOCK, z.shape[1]))])
        h = z.astype(self._dtype)
        for weight, bias in zip(self._weights[:-1], self._biases[:-1], strict=True):
            h = h @ weight
            h += bias
            np.tanh(h, out=h)
        out = (h @ self._weights[-1] + self._biases[-1])[:n]
        if self._std is None:
            return np.argmax(out + noise, axis=-1)  # Gumbel noise: a softmax sample
        return out + (self._std * noise).astype(self._dtype)
