"""V(s): advantages before the policy's step, a fit after it. The same for every generator."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trpo_gail.config import CriticConfig
from trpo_gail.envs.vector import EnvSpec
from trpo_gail.networks.adam import FlatAdam
from trpo_gail.networks.mlp import MLP
from trpo_gail.networks.normaliser import Normaliser, sums
from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import Batch, action_tensor, flat_rows, number_rows
from trpo_gail.sampling.returns import gae
from trpo_gail.sampling.rollout import Rollout

Stats = dict[str, float]


class ValueNetwork(nn.Module):
    """Observations, and the time within the episode if asked for, -> normalised value."""

    def __init__(self, config: CriticConfig, spec: EnvSpec, rng: torch.Generator) -> None:
        super().__init__()
        self.time_input = config.time_input
        inputs = spec.observation_size + (1 if config.time_input else 0)
        self.net = MLP(inputs, config.hidden_sizes, 1, out_scale=0.0, rng=rng)
        active = None if config.normalise_observations else 0
        self.normaliser = Normaliser(spec.observation_size, config.observation_clip, active)
        self.target_normaliser = Normaliser(1)

    def inputs(self, observations: Tensor, times: Tensor) -> Tensor:
        """[B, O], [B] -> [B, I]."""
        z = self.normaliser(observations)
        return torch.cat([z, times[:, None]], 1) if self.time_input else z

    def value(self, observations: Tensor, times: Tensor) -> Tensor:
        """V(s) in units of reward: [B]."""
        shift, scale = self.target_normaliser.shift_and_scale(observations.dtype)
        return self.net(self.inputs(observations, times))[:, 0] * scale + shift

    def update_target_normaliser(self, moments: Tensor) -> None:
        """Take in targets' sums and rescale the output layer, so that V stays what it was (van Hasselt et al. 2016)."""
        before = self.target_normaliser.shift_and_scale(torch.float64)
        self.target_normaliser.add(moments)
        after = self.target_normaliser.shift_and_scale(torch.float64)
        out = self.net.layers[-1]
        with torch.no_grad():
            out.weight.mul_((before[1] / after[1]).to(out.weight.dtype))
            out.bias.copy_((before[1] * out.bias + before[0] - after[0]) / after[1])


def _squares_slope(targets: Tensor, values: Tensor) -> Tensor:
    """Derivative of sum (V - target)^2 with respect to V [B, 1]."""
    return 2.0 * (values - targets)


class Critic:
    """Value network and its optimiser."""

    def __init__(
        self, config: CriticConfig, gamma: float, lam: float, network: ValueNetwork, limit: int | None, workers: Workers
    ) -> None:
        self.config, self.gamma, self.lam, self.workers = config, gamma, lam, workers
        self.network, self.adam = network, FlatAdam(network.net, config.vf_stepsize, workers)
        self._limit = limit or 1000  # steps that one unit of the time input stands for

    @torch.no_grad()
    def batch(self, rollout: Rollout, reward: np.ndarray) -> Batch:
        """Advantages by GAE on `reward` [T, N], standardised over all ranks' valid rows."""
        T, N = reward.shape
        like = self.adam.flat.vector
        observations = torch.as_tensor(rollout.observations, dtype=like.dtype, device=like.device)
        steps = np.concatenate([rollout.steps, rollout.steps[-1:] + 1])  # [T + 1, N]
        # A row that is no transition holds the last observation of the episode before it, which is one step on.
        after_end = ~rollout.valid[1:]
        steps[1:-1][after_end] = rollout.steps[:-1][after_end] + 1
        times = torch.as_tensor(steps / self._limit, dtype=like.dtype, device=like.device)
        flat = observations.reshape((T + 1) * N, -1)
        value = self.network.value(flat, times.reshape(-1)).reshape(T + 1, N).double().cpu().numpy()
        advantage = gae(reward, value, rollout.terminated, rollout.done | ~rollout.valid, self.gamma, self.lam)
        target = flat_rows(rollout, advantage + value[:-1])
        advantage = flat_rows(rollout, advantage)

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
            torch.as_tensor(target, dtype=like.dtype, device=like.device),
        )

    def fit(self, batch: Batch, rng: np.random.Generator) -> Stats:
        """`vf_iters` passes of Adam on the squared error of normalised targets, in minibatches of `vf_batch_size`."""
        stats = self._explained_variance(batch)
        network, workers = self.network, self.workers
        network.normaliser.add(workers.sum_tensor(sums(batch.observations)))
        network.update_target_normaliser(workers.sum_tensor(sums(batch.targets[:, None])))
        inputs = network.inputs(batch.observations, batch.times)
        targets = network.target_normaliser(batch.targets[:, None])
        parts = max(1, round(batch.rows.total / self.config.vf_batch_size))
        for _ in range(self.config.vf_iters):
            for _, local, count in batch.rows.minibatches(rng, parts):
                index = torch.from_numpy(local).to(inputs.device)
                wanted = targets[index]
                self.adam.step(inputs[index], partial(_squares_slope, wanted), count)
        return stats

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
