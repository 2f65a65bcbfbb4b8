"""Proximal policy optimisation (Schulman et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trpo_gail import finite
from trpo_gail.config.tree import Config, PPOConfig
from trpo_gail.generators.generator import Parts
from trpo_gail.optim import flat
from trpo_gail.optim.adam import Adam
from trpo_gail.parallel import Workers
from trpo_gail.policies.distributions import Distribution
from trpo_gail.policies.policy import Policy
from trpo_gail.records import Stats
from trpo_gail.sampling.batch import Batch
from trpo_gail.schedules import RunLength


class Part(NamedTuple):
    """This rank's rows of a batch or of a minibatch."""

    z: Tensor  # normalised observations [B, O]
    actions: Tensor  # [B, A] or int64 [B]
    advantages: Tensor  # [B]
    old: Distribution  # the policy that acted
    old_log_prob: Tensor  # [B]
    total: int  # of all ranks


class PPO:
    """Passes of Adam steps over minibatches of all ranks' rows, with one reduction per step.

    There is no value loss, because the critic is separate. Its step size and the clip of its values are
    `critic.vf_stepsize` and `critic.clip_range_vf`.
    """

    def __init__(self, config: PPOConfig, policy: Policy, run: RunLength, workers: Workers) -> None:
        """`run`: the length of the whole run, over which the step size may fall."""
        self.config, self.policy, self.run, self.workers = config, policy, run, workers
        self.flat = flat.of(policy)
        self.kl_coeff = config.kl_coeff  # beta
        self._adam = Adam(self.flat.vector, config.learning_rate, eps=1e-5)

    def step(self, batch: Batch, rng: np.random.Generator) -> Stats:
        """Improve the policy. Stops before an update if the minibatch's KL exceeds 1.5 target_kl.

        Raises NotFinite for a gradient or a KL that is not finite.
        """
        cfg = self.config
        self._adam.stepsize = self._learning_rate()
        rows, norms, epochs = self._rows(batch), list[float](), 0
        while epochs < cfg.n_epochs and all(self._update(part, norms) for part in self._minibatches(batch, rows, rng)):
            epochs += 1
            if cfg.recompute_advantages and epochs < cfg.n_epochs:
                assert batch.readvantage is not None
                rows = rows._replace(advantages=batch.readvantage(rng))
        stats = self._stats(rows, norms, epochs)
        if cfg.objective == "kl-penalty":
            self.kl_coeff = adapted(self.kl_coeff, stats["kl"], cfg.kl_target)
        return stats

    def rest(self, batch: Batch) -> Stats:
        """Leave the policy as it is. The steps count for the schedule, which ends with the run."""
        return self._stats(self._rows(batch), [], 0)

    def _stats(self, rows: Part, norms: list[float], epochs: int) -> Stats:
        """Statistics after so many passes, with the gradients' norms of their updates; counts the batch's steps."""
        stats, rate = self._judge(rows), self._learning_rate()
        self.run.add(rows.total)
        stats |= {"epochs": float(epochs), "updates": float(len(norms)), "learning_rate": rate}
        stats |= {"gradient_norm": float(np.mean(norms)) if norms else 0.0}
        return stats | {"kl_coeff": self.kl_coeff} if self.config.objective == "kl-penalty" else stats

    def _learning_rate(self) -> float:
        return self.config.learning_rate * (self.run.left if self.config.schedule == "linear" else 1.0)

    @torch.no_grad()
    def _rows(self, batch: Batch) -> Part:
        z = self.policy.normaliser(batch.observations)
        old = self.policy(z).detach()
        return Part(z, batch.actions, batch.advantages, old, old.log_prob(batch.actions), batch.rows.total)

    def _minibatches(self, batch: Batch, rows: Part, rng: np.random.Generator) -> Iterator[Part]:
        """A random split of all ranks' rows."""
        parts = max(1, round(rows.total / self.config.batch_size))
        split = [
            (torch.from_numpy(local).to(rows.z.device), count) for _, local, count in batch.rows.minibatches(rng, parts)
        ]
        advantages = [rows.advantages[index] for index, _ in split]
        if self.config.normalise_advantages == "minibatch":
            advantages = self._standardised(advantages, [count for _, count in split])
        for (index, count), A in zip(split, advantages, strict=True):
            z, actions, old_log_prob = (x[index] for x in (rows.z, rows.actions, rows.old_log_prob))
            yield Part(z, actions, A, rows.old.rows(index), old_log_prob, count)

    def _standardised(self, advantages: list[Tensor], counts: list[int]) -> list[Tensor]:
        """Standardise each minibatch to mean 0 and variance 1 over all ranks, with one reduction for all of them."""
        local = np.array([[A.double().sum().item(), (A.double() ** 2).sum().item()] for A in advantages])
        mean, square = (self.workers.sum(local) / np.array(counts)[:, None]).T
        std = np.sqrt(np.maximum(square - mean**2, 0.0)) + 1e-8
        return [(A - m) / s for A, m, s in zip(advantages, mean.tolist(), std.tolist(), strict=True)]

    def _update(self, rows: Part, norms: list[float]) -> bool:
        """Take one Adam step; or return False without a step, if it is time to stop. All ranks decide alike, on reduced
        values."""
        cfg = self.config
        gradient, kl = self.gradient(rows)
        norm = float(gradient.norm())
        finite.number(f"KL(old || new) of the policy before update {len(norms) + 1}", kl)
        finite.number(f"gradient of the policy at update {len(norms) + 1}", norm)
        if cfg.target_kl is not None and kl > 1.5 * cfg.target_kl:
            return False
        norms.append(norm)
        if cfg.max_grad_norm is not None:
            gradient *= min(1.0, cfg.max_grad_norm / (norm + 1e-6))
        self._adam.step(-gradient.to(self.flat.vector.dtype))
        return True

    def gradient(self, rows: Part) -> tuple[Tensor, float]:
        """Gradient of the mean objective over all ranks' rows, float64 [P], and mean KL(old || now), 0 if unused."""
        here = self.policy.linearise(rows.z)
        new, parameters = self.policy.by_row(here.output)
        objective, kl = self._objective(rows, new)
        by_row = torch.autograd.grad(objective.sum(), parameters)
        summed = torch.zeros(len(self.flat.vector) + 1, dtype=torch.float64, device=rows.z.device)
        self.policy.pullback(here, by_row, self.flat.split(summed[:-1]))
        summed[-1] = kl.detach().double().sum()
        mean = self.workers.sum_tensor(summed) / rows.total
        return mean[:-1], float(mean[-1])

    def _objective(self, rows: Part, new: Distribution) -> tuple[Tensor, Tensor]:
        """The maximised objective and KL(old || new), by row [B] each; the KL is 0 if it is not needed."""
        cfg = self.config
        watched = cfg.objective == "kl-penalty" or cfg.target_kl is not None
        kl = rows.old.kl(new) if watched else torch.zeros_like(rows.advantages)
        ratio = torch.exp(new.log_prob(rows.actions) - rows.old_log_prob)
        if cfg.objective == "clip":
            objective = clipped(ratio, rows.advantages, cfg.clip_range, cfg.dual_clip)
        else:
            objective = ratio * rows.advantages - self.kl_coeff * kl  # ibid., eq. 8
        return (objective + cfg.entcoeff * new.entropy() if cfg.entcoeff else objective), kl

    @torch.no_grad()
    def _judge(self, rows: Part) -> Stats:
        """Statistics of the whole batch: entropy before the step; KL, gain of the surrogate and rows outside the clip
        after it."""
        new = self.policy(rows.z)
        change = torch.exp(new.log_prob(rows.actions) - rows.old_log_prob) - 1.0
        outside = change.abs() > self.config.clip_range
        local = [rows.old.entropy(), rows.old.kl(new), change * rows.advantages, outside]
        means = self.workers.sum_tensor(torch.stack([x.double().sum() for x in local])) / rows.total
        return dict(zip(("entropy", "kl", "improvement", "clip_fraction"), means.tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        return {"adam": self._adam.state_dict(), "kl_coeff": self.kl_coeff, **self.run.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._adam.load_state_dict(state["adam"])
        self.kl_coeff = state["kl_coeff"]
        self.run.load_state_dict(state)


def build(config: Config, parts: Parts) -> PPO:
    """PPO with the config's settings."""
    return PPO(config.ppo, parts.policy, RunLength.of(config, config.g_step), parts.workers)


def clipped(ratio: Tensor, advantages: Tensor, clip_range: float, dual_clip: float | None) -> Tensor:
    """The clipped surrogate by row [B] (Schulman et al. 2017, eq. 7). With `dual_clip`, a row of negative advantage is
    bounded below by `dual_clip` times the advantage (Ye et al. 2020, eq. 5)."""
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(1.0 - clip_range, 1.0 + clip_range) * advantages)
    if dual_clip is None:
        return surrogate
    return torch.where(advantages < 0, torch.maximum(surrogate, dual_clip * advantages), surrogate)


def adapted(kl_coeff: float, kl: float, target: float) -> float:
    """The penalty's weight for the next batch (Schulman et al. 2017, section 4)."""
    # Differs: bounded, so that it can recover after batches without a step have driven it far.
    if kl > 1.5 * target:
        return min(2.0 * kl_coeff, 1e6)
    return max(0.5 * kl_coeff, 1e-6) if kl < target / 1.5 else kl_coeff
