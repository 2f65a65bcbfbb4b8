"""V(s): advantages before the policy's step, a fit after it. The same for every generator."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trpo_gail.config import Config
from trpo_gail.generators.natural_gradient import damped_mean, gauss_newton_product, trust_region_step
from trpo_gail.networks.adam import FlatAdam
from trpo_gail.networks.normaliser import sums
from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import Batch, action_tensor, flat_rows, number_rows
from trpo_gail.sampling.returns import gae
from trpo_gail.sampling.rollout import Rollout
from trpo_gail.value import ValueNetwork

Stats = dict[str, float]


def _squares_slope(targets: Tensor, values: Tensor) -> Tensor:
    """Derivative of sum (V - target)^2 with respect to V [B, 1]."""
    return 2.0 * (values - targets)


class Critic:
    """Value network and its optimiser."""

    def __init__(self, config: Config, network: ValueNetwork, limit: int | None, workers: Workers) -> None:
        """`limit`: steps that one unit of the time input stands for."""
        self.config, self.gamma, self.lam, self.workers = config.critic, config.gamma, config.lam, workers
        self.bootstrap = config.time_limits == "bootstrap"
        self.network, self.adam = network, FlatAdam(network.net, config.critic.vf_stepsize, workers)
        self._limit = limit or 1000

    @torch.no_grad()
    def batch(self, rollout: Rollout, reward: np.ndarray) -> Batch:
        """Advantages by GAE on `reward` [T, N], standardised over all ranks' valid rows."""
        like, T = self.adam.flat.vector, len(reward)
        observations = torch.as_tensor(rollout.observations, dtype=like.dtype, device=like.device)
        times = self._times(rollout)
        flat = observations.reshape(-1, observations.shape[-1])
        value = self.network.value(flat, times.reshape(-1)).reshape(T + 1, -1).double().cpu().numpy()
        advantage = flat_rows(rollout, self._advantage(rollout, reward, value, self.lam))
        rows = number_rows(rollout, self.workers)
        total, square = self.workers.sum(np.array([advantage.sum(), (advantage**2).sum()])) / rows.total
        advantage = (advantage - total) / (np.sqrt(max(square - total**2, 0.0)) + 1e-8)
        mine = torch.as_tensor(rollout.valid.T, device=like.device)
        return Batch(
            rows,
            observations[:-1].transpose(0, 1)[mine],
            action_tensor(flat_rows(rollout, rollout.actions), like.dtype, like.device),
            times[:-1].T[mine],
            torch.as_tensor(advantage, dtype=like.dtype, device=like.device),
            torch.as_tensor(self._targets(rollout, reward, value), dtype=like.dtype, device=like.device),
            value,
        )

    def retarget(self, batch: Batch, rollout: Rollout, reward: np.ndarray) -> Batch:
        """The batch with targets for another reward [T, N], by the values that it was made with."""
        targets = torch.as_tensor(self._targets(rollout, reward, batch.values)).to(batch.targets)
        return dataclasses.replace(batch, targets=targets)

    def _times(self, rollout: Rollout) -> Tensor:
        """The time input [T + 1, N]."""
        steps = np.concatenate([rollout.steps, rollout.steps[-1:] + 1])
        # A row that is no transition holds the last observation of the episode before it, which is one step on.
        after_end = ~rollout.valid[1:]
        steps[1:-1][after_end] = rollout.steps[:-1][after_end] + 1
        return torch.as_tensor(steps / self._limit).to(self.adam.flat.vector)

    def _advantage(self, rollout: Rollout, reward: np.ndarray, value: np.ndarray, lam: float) -> np.ndarray:
        """GAE [T, N] with this lambda."""
        nothing_follows = rollout.terminated if self.bootstrap else rollout.done
        return gae(reward, value, nothing_follows, rollout.done | ~rollout.valid, self.gamma, lam)

    def _targets(self, rollout: Rollout, reward: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Lambda returns of the valid rows [B]."""
        lam = self.lam if self.config.target_lam is None else self.config.target_lam
        return flat_rows(rollout, self._advantage(rollout, reward, value, lam) + value[:-1])

    def fit(self, batch: Batch, rng: np.random.Generator) -> Stats:
        """Squared error of normalised targets: passes of Adam in minibatches, or one natural-gradient step."""
        stats = self._explained_variance(batch)
        network, workers = self.network, self.workers
        network.normaliser.add(workers.sum_tensor(sums(batch.observations)))
        moments = workers.sum_tensor(sums(batch.targets[:, None]))
        network.update_target_normaliser(moments, self.config.preserve_values)
        inputs = network.inputs(batch.observations, batch.times)
        targets = network.target_normaliser(batch.targets[:, None])
        if self.config.fit == "adam":
            self._fit_adam(batch, inputs, targets, rng)
            return stats
        return stats | self._fit_natural(batch, inputs, targets, rng)

    def _fit_adam(self, batch: Batch, inputs: Tensor, targets: Tensor, rng: np.random.Generator) -> None:
        """`vf_iters` passes in minibatches of `vf_batch_size`."""
        parts = max(1, round(batch.rows.total / self.config.vf_batch_size))
        for _ in range(self.config.vf_iters):
            for _, local, count in batch.rows.minibatches(rng, parts):
                index = torch.from_numpy(local).to(inputs.device)
                wanted = targets[index]
                self.adam.step(inputs[index], partial(_squares_slope, wanted), count)

    @torch.no_grad()
    def _fit_natural(self, batch: Batch, inputs: Tensor, targets: Tensor, rng: np.random.Generator) -> Stats:
        """One step up -mean (V - target)^2, limited by mean (V_old - V)^2, both of normalised values [B, 1]."""
        net, flat, workers, total = self.network.net, self.adam.flat, self.workers, batch.rows.total
        hidden = net.activations(inputs)
        old = net.layers[-1](hidden[-1])
        gradient = torch.zeros_like(flat.vector, dtype=torch.float64)
        net.pullback(hidden, -_squares_slope(targets, old), flat.split(gradient))
        local = -((old - targets) ** 2).double().sum().reshape(1)
        g, value = (workers.sum_tensor(torch.cat([gradient, local])) / total).split([len(gradient), 1])

        def evaluate() -> tuple[float, float]:
            new = net(inputs)
            here = torch.stack([-((new - targets) ** 2).double().sum(), ((new - old) ** 2).double().sum()])
            L, kl = (workers.sum_tensor(here) / total).tolist()
            return L, kl

        H = damped_mean(
            self.config.natural_gradient, batch.rows, rng, workers,
            lambda rows: gauss_newton_product(net, inputs[rows], lambda out: lambda v: 2.0 * v, flat.split),
        )  # fmt: skip
        step = trust_region_step(
            self.config.natural_gradient, flat.vector, g.to(flat.vector), float(value), H, evaluate
        )
        return {f"vf_{name}": step[name] for name in ("kl", "improvement", "backtracks", "gradient_norm")}

    @torch.no_grad()
    def _explained_variance(self, batch: Batch) -> Stats:
        """1 - Var[target - V] / Var[target], before the fit."""
        error = batch.targets - self.network.value(batch.observations, batch.times)
        local = torch.stack([x.sum() for x in (error, error**2, batch.targets, batch.targets**2)])
        e, ee, y, yy = (self.workers.sum_tensor(local.double()) / batch.rows.total).tolist()
        variance = yy - y * y
        return {"explained_variance": 1.0 - (ee - e * e) / variance if variance > 0 else 0.0}

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.adam.load_state_dict(state["adam"])
