"""The value function V(s): it gives advantages before the policy's step, and is fitted after it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trpo_gail import finite
from trpo_gail.config.tree import Config
from trpo_gail.networks.mlp import MLP
from trpo_gail.networks.network import linearise
from trpo_gail.networks.normaliser import sums
from trpo_gail.networks.value import ValueNetwork
from trpo_gail.optim.adam import FlatAdam
from trpo_gail.optim.natural_gradient import damped_mean, gauss_newton_product, trust_region_step
from trpo_gail.optim.recorded import Recorded
from trpo_gail.parallel import Workers
from trpo_gail.records import Stats
from trpo_gail.sampling.batch import Batch, Rows, action_tensor, observation_tensor
from trpo_gail.sampling.returns import gae
from trpo_gail.sampling.rollout import Rollout
from trpo_gail.sampling.transitions import flat_rows


def _squares_slope(targets: Tensor, values: Tensor) -> Tensor:
    """Derivative of sum (V - target)^2 with respect to V [B, 1]."""
    return 2.0 * (values - targets)


def _clipped_squares_slope(targets: Tensor, old: Tensor, limit: float, values: Tensor) -> Tensor:
    """The same for the larger of (V - target)^2 and (old + clip(V - old, -limit, limit) - target)^2.

    So it is 0 if V is closer to its target than a change by `limit` could bring it.
    """
    moved = old + (values - old).clamp(-limit, limit)
    counts = ((values - old).abs() <= limit) | ((values - targets).abs() > (moved - targets).abs())
    return _squares_slope(targets, values) * counts


@dataclass
class _Fit:
    """A running fit of one batch by Adam: normalised inputs [B, I]; targets, and the values at its start, [B, 1]."""

    inputs: Tensor
    targets: Tensor
    old: Tensor
    stats: Stats
    passes: int = 0  # made so far


class Critic:
    """Value network and its optimiser."""

    def __init__(self, config: Config, network: ValueNetwork, limit: int | None, workers: Workers) -> None:
        """`limit`: the number of steps that the time input 1 stands for."""
        self.config, self.gamma, self.lam, self.workers = config.critic, config.gamma, config.lam, workers
        self.bootstrap = config.time_limits == "bootstrap"
        self.network, self.adam = network, FlatAdam(network.net, config.critic.vf_stepsize, workers)
        self._recorded = Recorded(self._step) if workers.size == 1 and isinstance(network.net, MLP) else None
        self._limit = limit or 1000
        self._fit: _Fit | None = None  # set before `fit` if a generator recomputes advantages

    @torch.no_grad()
    def batch(self, rollout: Rollout, reward: np.ndarray, rows: Rows) -> Batch:
        """Advantages by GAE on `reward` [T, N], standardised over the valid rows of all ranks; `rows` numbers these."""
        like = self.adam.flat.vector
        observations, times = self._observations(rollout), self._times(rollout)
        value = self._values(observations, times)
        finite.numbers("value of the critic", value)
        mine = torch.as_tensor(rollout.valid.T, device=like.device)
        batch = Batch(
            rows,
            observations[:-1].transpose(0, 1)[mine],
            action_tensor(flat_rows(rollout, rollout.actions), like.dtype, like.device),
            times[:-1].T[mine],
            self._standardised(rollout, reward, value, rows.total),
            self._tensor(self._targets(rollout, reward, value)),
            value,
        )

        def readvantage(rng: np.random.Generator) -> Tensor:
            """Make one pass of the fit early; returns the new critic's advantages [B]. Targets stay."""
            self._fit = self._fit or self._begin(batch)
            self._pass(batch, self._fit, rng)
            value = self._values(self._observations(rollout), times)  # made again: to keep them takes memory
            return self._standardised(rollout, reward, value, rows.total)

        return dataclasses.replace(batch, readvantage=readvantage)

    def _observations(self, rollout: Rollout) -> Tensor:
        """[T + 1, N, O] in the network's dtype."""
        like = self.adam.flat.vector
        return observation_tensor(rollout.observations, like.dtype, like.device, self.network.normaliser.is_idle)

    def _tensor(self, array: np.ndarray) -> Tensor:
        like = self.adam.flat.vector
        return torch.as_tensor(array, dtype=like.dtype, device=like.device)

    @torch.no_grad()
    def _values(self, observations: Tensor, times: Tensor) -> np.ndarray:
        """V [T + 1, N] float64 for observations [T + 1, N, O]."""
        flat = observations.reshape(-1, observations.shape[-1])
        return self.network.value(flat, times.reshape(-1)).reshape(times.shape).double().cpu().numpy()

    def _standardised(self, rollout: Rollout, reward: np.ndarray, value: np.ndarray, total: int) -> Tensor:
        """Advantages of the valid rows [B], with mean 0 and variance 1 over all ranks' `total` rows."""
        advantage = flat_rows(rollout, self._advantage(rollout, reward, value, self.lam))
        mean, square = self.workers.sum(np.array([advantage.sum(), (advantage**2).sum()])) / total
        finite.number("mean square of the advantages", square)
        return self._tensor((advantage - mean) / (np.sqrt(max(square - mean**2, 0.0)) + 1e-8))

    def retarget(self, batch: Batch, rollout: Rollout, reward: np.ndarray) -> Batch:
        """The batch with targets for another reward [T, N], computed with the batch's own values."""
        targets = torch.as_tensor(self._targets(rollout, reward, batch.values)).to(batch.targets)
        return dataclasses.replace(batch, targets=targets)

    def _times(self, rollout: Rollout) -> Tensor:
        """The time input [T + 1, N]."""
        steps = np.concatenate([rollout.steps, rollout.steps[-1:] + 1])
        # A row that is no transition holds the previous episode's last observation, which is one step later.
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
        """Reduce the squared error of normalised targets, by passes of Adam or by one natural-gradient step."""
        fit, self._fit = self._fit or self._begin(batch), None
        if self.config.fit == "natural-gradient":
            return fit.stats | self._fit_natural(batch, fit.inputs, fit.targets, rng)
        while fit.passes < self.config.vf_iters:
            self._pass(batch, fit, rng)
        return fit.stats

    @torch.no_grad()
    def _begin(self, batch: Batch) -> _Fit:
        """Add the batch to the normalisers, and begin its fit."""
        stats = self._explained_variance(batch)
        network, workers = self.network, self.workers
        network.normaliser.add(workers.sum_tensor(network.normaliser.sums(batch.observations)))
        moments = workers.sum_tensor(sums(batch.targets[:, None]))
        finite.number("mean square of the critic's targets", float(moments[-1]) / batch.rows.total)
        network.update_target_normaliser(moments, self.config.preserve_values)
        inputs = network.inputs(batch.observations, batch.times)
        targets = network.target_normaliser(batch.targets[:, None])
        old = targets if self.config.clip_range_vf is None else network.net(inputs)
        return _Fit(inputs, targets, old, stats)

    def _pass(self, batch: Batch, fit: _Fit, rng: np.random.Generator) -> None:
        """One pass of Adam in minibatches of `vf_batch_size`."""
        parts, limit = max(1, round(batch.rows.total / self.config.vf_batch_size)), self.config.clip_range_vf
        for _, local, count in batch.rows.minibatches(rng, parts):
            index = torch.from_numpy(local).to(fit.inputs.device)
            rows = [part[index] for part in (fit.inputs, fit.targets, *([] if limit is None else [fit.old]))]
            step = self._recorded or self._step
            step(count, *rows)
        fit.passes += 1

    def _step(self, count: int, inputs: Tensor, targets: Tensor, old: Tensor | None = None) -> None:
        """One step of Adam on some rows, of `count` rows of all ranks; `old` values if changes of them are limited."""
        slope = partial(_squares_slope, targets)
        if old is not None and self.config.clip_range_vf is not None:
            slope = partial(_clipped_squares_slope, targets, old, self.config.clip_range_vf)
        self.adam.step(inputs, slope, count)

    @torch.no_grad()
    def _fit_natural(self, batch: Batch, inputs: Tensor, targets: Tensor, rng: np.random.Generator) -> Stats:
        """One step that reduces mean (V - target)^2, limited by mean (V_old - V)^2, both of normalised values [B,
        1]."""
        net, flat, workers, total = self.network.net, self.adam.flat, self.workers, batch.rows.total
        here = linearise(net, inputs)
        old = here.output
        gradient = torch.zeros_like(flat.vector, dtype=torch.float64)
        here.pullback(-_squares_slope(targets, old), flat.split(gradient))
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
            self.config.natural_gradient, flat.vector, g.to(flat.vector), float(value), H, evaluate, "critic"
        )
        return {f"vf_{name}": step[name] for name in ("kl", "improvement", "backtracks", "gradient_norm")}

    @torch.no_grad()
    def _explained_variance(self, batch: Batch) -> Stats:
        """1 - Var[target - V] / Var[target], and the mean of (target - V)^2, in units of returns: before the fit."""
        error = (batch.targets - self.network.value(batch.observations, batch.times)).double()
        targets = batch.targets.double()  # before they are squared: a variance is small beside the square of a mean
        local = torch.stack([x.sum() for x in (error, error**2, targets, targets**2)])
        e, ee, y, yy = (self.workers.sum_tensor(local) / batch.rows.total).tolist()
        variance = yy - y * y
        return {"explained_variance": 1.0 - (ee - e * e) / variance if variance > 0 else 0.0, "vf_loss": ee}

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.adam.load_state_dict(state["adam"])
        if self._recorded is not None:
            self._recorded.forget()
