"""Trust-region policy optimisation (Schulman et al. 2015)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trpo_gail.config.tree import Config, TRPOConfig
from trpo_gail.generators.generator import Parts
from trpo_gail.optim import flat
from trpo_gail.optim.natural_gradient import damped_mean, no_step, trust_region_step
from trpo_gail.parallel import Workers
from trpo_gail.policies.distributions import Distribution
from trpo_gail.policies.fisher import fisher_product
from trpo_gail.policies.policy import Policy
from trpo_gail.records import Stats
from trpo_gail.sampling.batch import Batch


class TRPO:
    """One natural-gradient step per batch: maximise L(theta) subject to mean KL(old || theta) <= max_kl."""

    def __init__(self, config: TRPOConfig, policy: Policy, workers: Workers) -> None:
        self.config, self.policy, self.workers = config, policy, workers
        self.flat = flat.of(policy)

    def step(self, batch: Batch, rng: np.random.Generator) -> Stats:
        """Improve the policy. If no step is acceptable, do what the config says: by default, leave the policy
        unchanged."""
        cfg = self.config
        z = self.policy.normaliser(batch.observations)
        g, L_old, old, entropy = self._gradient(batch, z)
        H = damped_mean(
            cfg, batch.rows, rng, self.workers, lambda rows: fisher_product(self.policy, self.flat, z[rows])
        )
        stats = trust_region_step(
            cfg, self.flat.vector, g, L_old, H, lambda: self._surrogate_and_kl(batch, z, old), "policy"
        )
        return {"entropy": entropy, **stats}

    def rest(self, batch: Batch) -> Stats:
        """Leave the policy as it is; the gradient's norm and the entropy are those of the step that is not taken."""
        g, _, _, entropy = self._gradient(batch, self.policy.normaliser(batch.observations))
        return {"entropy": entropy, **no_step(float(g.norm()))}

    def _objective(self, batch: Batch, new: Distribution, old_log_prob: Tensor) -> Tensor:
        """ratio * A + entcoeff * entropy (ibid., eq. 14), by row [B]."""
        ratio = torch.exp(new.log_prob(batch.actions) - old_log_prob)
        objective = ratio * batch.advantages
        return objective + self.config.entcoeff * new.entropy() if self.config.entcoeff else objective

    def _gradient(self, batch: Batch, z: Tensor) -> tuple[Tensor, float, tuple[Distribution, Tensor], float]:
        """Gradient [P] and value of L at old; old with its log-probabilities; its mean entropy, in nats."""
        here = self.policy.linearise(z)
        new, parameters = self.policy.by_row(here.output)
        old = new.detach()
        old_log_prob = old.log_prob(batch.actions)
        objective = self._objective(batch, new, old_log_prob)
        by_row = torch.autograd.grad(objective.sum(), parameters)
        gradient = torch.zeros_like(self.flat.vector, dtype=torch.float64)
        self.policy.pullback(here, by_row, self.flat.split(gradient))
        local = torch.stack([objective.detach().double().sum(), old.entropy().double().sum()])
        summed = self.workers.sum_tensor(torch.cat([gradient, local])) / batch.rows.total
        return summed[:-2].to(self.flat.vector.dtype), float(summed[-2]), (old, old_log_prob), float(summed[-1])

    @torch.no_grad()
    def _surrogate_and_kl(self, batch: Batch, z: Tensor, old: tuple[Distribution, Tensor]) -> tuple[float, float]:
        new = self.policy(z)
        local = torch.stack([x.double().sum() for x in (self._objective(batch, new, old[1]), old[0].kl(new))])
        L, kl = (self.workers.sum_tensor(local) / batch.rows.total).tolist()
        return L, kl

    def state_dict(self) -> dict[str, Any]:
        """Empty: one step leaves no state for the next."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def build(config: Config, parts: Parts) -> TRPO:
    """TRPO with the config's settings."""
    return TRPO(config.trpo, parts.policy, parts.workers)
