"""Policies and batches that TRPO's and PPO's tests begin with, and a judge of what a step did."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import toys
from torch import Tensor

from trpo_gail.policies.policy import Policy
from trpo_gail.sampling.batch import Batch, Rows

KINDS = ["gaussian", "categorical"]


def batch_of(policy: Policy, observations: Tensor, advantages: Tensor, actions: Tensor | None = None) -> Batch:
    """Rows of one rank; actions are samples of the policy unless they are given."""
    n = len(observations)
    if actions is None:
        noise = policy.actor()
        rng = np.random.default_rng(3)
        draws = rng.gumbel(size=(n, noise.noise_size)) if not policy.own else rng.standard_normal((n, noise.noise_size))
        actions = torch.as_tensor(noise.act(observations.numpy(), draws))
    zeros = torch.zeros(n, dtype=observations.dtype)
    return Batch(Rows(0, n, n), observations, actions, zeros, advantages, zeros, np.zeros((0, 0)))


def case(kind: str, seed: int = 0, rows: int = 200) -> tuple[Policy, Batch]:
    """A random policy and random standardised advantages that favour large (or certain) actions a little."""
    discrete = kind == "categorical"
    policy = toys.policy(toys.spec(3, 4 if discrete else 2, discrete=discrete), seed=seed)
    rng = torch.Generator().manual_seed(seed)
    batch = batch_of(policy, torch.randn(rows, 3, generator=rng, dtype=torch.float64), torch.zeros(rows))
    liked = (batch.actions == 0).double() if discrete else batch.actions.sum(1)
    advantages = liked + torch.randn(rows, generator=rng, dtype=torch.float64)
    advantages = (advantages - advantages.mean()) / advantages.std()
    return policy, dataclasses.replace(batch, advantages=advantages)


def parameters(policy: Policy) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in policy.parameters()]).clone()


def same_bits(a: Tensor, b: Tensor) -> bool:
    return a.numpy().tobytes() == b.numpy().tobytes()


def judge(policy: Policy, batch: Batch, old: dict[str, Tensor]) -> tuple[float, float]:
    """(surrogate, mean KL) of a policy against the state that it had, by torch.distributions."""

    def distribution() -> torch.distributions.Distribution:
        with torch.no_grad():
            out = policy.net(batch.observations)
            if not policy.own:
                return torch.distributions.Categorical(logits=out)
            normal = torch.distributions.Normal(out, torch.exp(policy.own[0]).clone())
            return torch.distributions.Independent(normal, 1)

    new, now = {name: value.clone() for name, value in policy.state_dict().items()}, distribution()
    policy.load_state_dict(old)
    before = distribution()
    policy.load_state_dict(new)
    ratio = torch.exp(now.log_prob(batch.actions) - before.log_prob(batch.actions))
    kl = torch.distributions.kl_divergence(before, now)
    return float((ratio * batch.advantages).mean()), float(kl.mean())
