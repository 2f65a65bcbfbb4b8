"""The GAIL discriminator (Ho & Ermon 2016, section 5).

D(s, a) = P(expert | s, a) and logit_expert = log D - log(1 - D), everywhere in this package; the paper's own D is 1 - D.
Losses and rewards are computed from logits only.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from trpo_gail import finite
from trpo_gail.config.tree import DiscriminatorConfig
from trpo_gail.networks.mlp import MLP
from trpo_gail.networks.normaliser import Normaliser, sums
from trpo_gail.optim.adam import FlatAdam
from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import Rows, View, action_tensor, number_rows, to_rollout
from trpo_gail.sampling.rollout import Rollout, join
from trpo_gail.spaces.spec import EnvSpec

Stats = dict[str, float]


class DiscriminatorNetwork(nn.Module):
    """Box actions are an input beside the observation; Discrete ones choose one of as many outputs, as in the paper."""

    def __init__(self, config: DiscriminatorConfig, spec: EnvSpec, rng: torch.Generator) -> None:
        super().__init__()
        self.discrete = spec.discrete
        inputs = spec.observation_size + (0 if spec.discrete else spec.action_size)
        outputs = spec.action_size if spec.discrete else 1
        hidden = (config.hidden_size_adversary, config.hidden_size_adversary)
        self.net = MLP(inputs, hidden, outputs, out_scale=0.0, rng=rng)
        active = {"observations-actions": inputs, "observations": spec.observation_size, "none": 0}[config.normalise]
        self.normaliser = Normaliser(inputs, config.input_clip, active)

    def features(self, observations: Tensor, actions: Tensor) -> Tensor:
        """What is normalised and fed: [B, I]."""
        return observations if self.discrete else torch.cat([observations, actions], 1)

    def choose(self, out: Tensor, actions: Tensor) -> Tensor:
        """logit_expert [B] from the network's output [B, 1] or [B, A]."""
        return out.gather(1, actions[:, None])[:, 0] if self.discrete else out[:, 0]

    def choose_back(self, slope: Tensor, out: Tensor, actions: Tensor) -> Tensor:
        """The transpose of `choose`: from one number per row [B] to the network's output [B, 1] or [B, A]."""
        return torch.zeros_like(out).scatter_(1, actions[:, None], slope[:, None]) if self.discrete else slope[:, None]

    def logit_expert(self, z: Tensor, actions: Tensor) -> Tensor:
        """log D - log(1 - D) [B] for normalised features z [B, I]."""
        return self.choose(self.net(z), actions)


class Discriminator:
    """Tells the expert's pairs from the learner's, and pays the learner for being mistaken for the expert."""

    def __init__(
        self,
        config: DiscriminatorConfig,
        d_step: int,
        network: DiscriminatorNetwork,
        observations: np.ndarray,
        actions: np.ndarray,
        action_bounds: tuple[np.ndarray, np.ndarray] | None,
        workers: Workers,
    ) -> None:
        """Expert rows: observations [M, O], actions [M, A] or [M]; `action_bounds` clip the learner's actions if the
        expert's are executed ones."""
        self.config, self.d_step, self.network, self.workers = config, d_step, network, workers
        self.adam = FlatAdam(network.net, config.d_stepsize, workers)
        self._view = View(observations.dtype, actions.dtype, action_bounds)
        self._expert_actions = self._tensor(actions)
        # In floats first: a file's integers are numbers, not labels as Discrete actions are.
        self._expert = network.features(self._tensor(observations.astype(np.float64)), self._expert_actions)

    def _tensor(self, array: np.ndarray) -> Tensor:
        like = self.adam.flat.vector
        return action_tensor(array, like.dtype, like.device)

    def _rows(self, rollout: Rollout) -> tuple[Tensor, Tensor]:
        """Features [B, I] and actions of a rollout's valid rows, as the environment saw them."""
        observations, actions = self._view.rows(rollout)
        tensor = self._tensor(actions)
        return self.network.features(self._tensor(observations), tensor), tensor

    @torch.no_grad()
    def reward(self, rollout: Rollout) -> np.ndarray:
        """[T, N] float64, 0 in rows that are no transitions; one forward pass, since D is frozen while it is sampled."""
        features, actions = self._rows(rollout)
        logit = self.network.logit_expert(self.network.normaliser(features), actions)
        finite.numbers("logit of the discriminator", logit)
        return to_rollout(rollout, imitation_reward(logit, self.config.reward).double().cpu().numpy())

    def fit(self, rollouts: list[Rollout], rng: np.random.Generator) -> Stats:
        """`d_step` Adam steps, one per minibatch of a random split of the epoch's rows, each with as many expert rows."""
        whole = join(rollouts)
        features, actions = self._rows(whole)
        rows = number_rows(whole, self.workers)
        self._update_normaliser(features, rows.total)
        learner = self.network.normaliser(features)
        expert = self.network.normaliser(self._expert)
        totals = torch.zeros(8, dtype=torch.float64)
        for local, drawn, count in self._minibatches(rows, len(expert), rng):
            mine = torch.from_numpy(local).to(learner.device)
            theirs = torch.from_numpy(drawn).to(learner.device)
            totals += self._update(learner[mine], actions[mine], expert[theirs], self._expert_actions[theirs], count)
        return self._stats(totals)

    def _minibatches(
        self, rows: Rows, experts: int, rng: np.random.Generator
    ) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
        """`d_step` times (local learner rows, expert rows drawn for them, learner rows over all ranks)."""
        size = self.config.d_batch_size
        parts = max(1, rows.total // size) if size else self.d_step

        def passes() -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
            while True:
                # Place i of the permutation meets draw i, so that ranks share the expert's rows as the learner's.
                draws = rng.integers(0, experts, rows.total)
                for places, local, count in rows.minibatches(rng, parts):
                    yield local, draws[places], count

        return islice(passes(), self.d_step)

    def _update_normaliser(self, features: Tensor, total: int) -> None:
        """Both sides with equal weight, whatever the number of demonstrations."""
        # Differs: the original takes in the expert pairs that it draws for the update; these are their expectation.
        moments = self.workers.sum_tensor(sums(features))
        finite.number("sum of squares of the discriminator's inputs", float(moments.sum()))
        self.network.normaliser.add(moments + sums(self._expert, total / len(self._expert)))

    def _update(self, zl: Tensor, al: Tensor, ze: Tensor, ae: Tensor, count: int) -> Tensor:
        """One Adam step on mean BCE(learner) + mean BCE(expert) - entropy regularisation; sums for the statistics."""
        actions, totals = torch.cat([al, ae]), torch.zeros(8, dtype=torch.float64)

        def slope(out: Tensor) -> Tensor:
            logit = self.network.choose(out, actions)
            totals.copy_(_sums(logit, len(zl)))
            chosen = loss_slope(logit, len(zl), self.config.adversary_entcoeff)
            return self.network.choose_back(chosen, out, actions)

        self.adam.step(torch.cat([zl, ze]), slope, count)
        return totals

    def _stats(self, totals: Tensor) -> Stats:
        s = self.workers.sum(totals.numpy())
        n = s[7]
        return {
            "d_loss": float(s[0] + s[1]) / n,
            "d_loss_learner": s[0] / n,
            "d_loss_expert": s[1] / n,
            "d_entropy": s[2] / (2 * n),
            "d_logit_learner": s[3] / n,
            "d_logit_expert": s[4] / n,
            "d_accuracy_learner": s[5] / n,
            "d_accuracy_expert": s[6] / n,
        }

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.adam.load_state_dict(state["adam"])


def imitation_reward(logit_expert: Tensor, kind: str) -> Tensor:
    """-log(1 - D) = softplus(x) >= 0 rewards staying alive; log D = -softplus(-x) <= 0 rewards ending."""
    return softplus(logit_expert) if kind == "-log(1-D)" else logsigmoid(logit_expert)


def discriminator_loss(logit: Tensor, learners: int, entcoeff: float) -> Tensor:
    """Sum of BCE over rows [B], the first `learners` of them the learner's, less entcoeff times D's entropy.

    The entropy of a Bernoulli variable with logit x is softplus(x) - x sigmoid(x).
    """
    bce = softplus(logit[:learners]).sum() + softplus(-logit[learners:]).sum()
    return bce - entcoeff * (softplus(logit) - logit * torch.sigmoid(logit)).sum()


def loss_slope(logit: Tensor, learners: int, entcoeff: float) -> Tensor:
    """Derivative of `discriminator_loss` with respect to each logit [B]."""
    d = torch.sigmoid(logit)
    slope = d + entcoeff * logit * d * (1.0 - d)
    slope[learners:] -= 1.0
    return slope


def _sums(logit: Tensor, learners: int) -> Tensor:
    """What `_stats` divides: losses, entropy, logits and right answers of each side, rows; float64 [8]."""
    x = logit.double().cpu()
    on_learner, on_expert = x[:learners], x[learners:]
    entropy = softplus(x) - x * torch.sigmoid(x)
    sides = (softplus(on_learner), softplus(-on_expert), entropy, on_learner, on_expert, on_learner < 0, on_expert > 0)
    return torch.stack([*(side.sum().double() for side in sides), torch.tensor(float(learners), dtype=torch.float64)])
