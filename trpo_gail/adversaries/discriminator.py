"""The GAIL discriminator (Ho & Ermon 2016, section 5).

D(s, a) = P(expert | s, a) and logit_expert = log D - log(1 - D), everywhere in this package; the paper's own D is 1 -
D. Losses and rewards are computed from logits only.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from trpo_gail import finite
from trpo_gail.adversaries import inputs
from trpo_gail.adversaries.adversary import Parts
from trpo_gail.adversaries.columns import Columns
from trpo_gail.adversaries.inputs import Inputs
from trpo_gail.adversaries.losses import cross_entropy_slope
from trpo_gail.adversaries.rewards import FORMS
from trpo_gail.adversaries.view import View
from trpo_gail.config.tree import Config, DiscriminatorConfig
from trpo_gail.networks import encoders
from trpo_gail.networks.normaliser import Normaliser
from trpo_gail.networks.placing import initial, place, share
from trpo_gail.optim.adam import FlatAdam
from trpo_gail.parallel import Workers
from trpo_gail.records import Stats
from trpo_gail.sampling.batch import Rows, action_tensor, observation_tensor
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec


class DiscriminatorNetwork(nn.Module):
    """Normalised inputs -> one logit per row."""

    def __init__(self, config: DiscriminatorConfig, spec: EnvSpec, rng: torch.Generator, encoder: str = "auto") -> None:
        super().__init__()
        self.inputs: Inputs = inputs.of(spec, config.ignore)
        hidden = (config.hidden_size_adversary, config.hidden_size_adversary)
        layout = self.inputs.observed
        extra = self.inputs.size - layout.size
        self.net = encoders.make(layout, extra, hidden, self.inputs.outputs, out_scale=0.0, encoder=encoder, rng=rng)
        exempt = np.concatenate([layout.exempt, np.zeros(extra, bool)])
        active = {"observations-actions": self.inputs.size, "observations": layout.size, "none": 0}
        self.normaliser = Normaliser(self.inputs.size, config.input_clip, active[config.normalise], exempt)


class Discriminator:
    """Learns to tell the expert's pairs from the learner's, and rewards the learner for being taken for the expert."""

    needs_log_prob = False

    def __init__(
        self,
        config: DiscriminatorConfig,
        d_step: int,
        network: DiscriminatorNetwork,
        view: View,
        expert: Transitions,
        workers: Workers,
    ) -> None:
        """`network` is on its device; `expert` has M rows."""
        self.config, self.d_step, self.network, self.workers = config, d_step, network, workers
        self.adam = FlatAdam(network.net, config.d_stepsize, workers)
        self._view, self._form = view, FORMS[config.reward]
        # Observations become floats first: integers in a file are numbers, not labels like Discrete actions.
        self._expert, self._expert_actions = self._tensors(self._view.states(expert.observations), expert.actions)

    def _tensors(self, observations: np.ndarray, actions: np.ndarray) -> tuple[Columns, Tensor]:
        """Inputs [B, I] and actions of rows."""
        like = self.adam.flat.vector
        first, *others = self.network.inputs.features(observations, actions)
        frames = bool(self.network.inputs.observed.exempt.all())
        columns = [observation_tensor(first, like.dtype, like.device, frames)]
        columns += [action_tensor(other, like.dtype, like.device) for other in others]
        return Columns(columns), action_tensor(actions, like.dtype, like.device)

    @torch.no_grad()
    def reward(self, learner: Transitions) -> np.ndarray:
        """[B] float64, by one forward pass."""
        columns, actions = self._tensors(*self._view.rows(learner))
        out = torch.cat([self.network.net(self.network.normaliser(rows)) for rows in columns.chunks()])
        logit = self.network.inputs.choose(out, actions)
        finite.numbers("logit of the discriminator", logit)
        return self._form.of_logit(logit).double().cpu().numpy()

    def fit(self, learner: Transitions, rng: np.random.Generator) -> Stats:
        """`d_step` Adam steps, one per minibatch of a random split of the iteration's rows, each with as many expert
        rows."""
        columns, actions = self._tensors(*self._view.rows(learner))
        rows = learner.rows
        assert rows is not None
        self._update_normaliser(columns, rows.total)
        ours, expert = columns.normalised(self.network.normaliser), self._expert.normalised(self.network.normaliser)
        totals = torch.zeros(8, dtype=torch.float64)
        for local, drawn, count in self._minibatches(rows, len(self._expert), rng):
            mine = torch.from_numpy(local).to(columns.device)
            theirs = torch.from_numpy(drawn).to(columns.device)
            totals += self._update(ours(mine), actions[mine], expert(theirs), self._expert_actions[theirs], count)
        return self._stats(totals)

    def _minibatches(
        self, rows: Rows, experts: int, rng: np.random.Generator
    ) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
        """`d_step` times (local learner rows, expert rows drawn for them, learner rows over all ranks)."""
        size = self.config.d_batch_size
        parts = max(1, rows.total // size) if size else self.d_step

        def passes() -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
            while True:
                # Position i of the permutation gets draw i, so ranks split the expert's rows like the learner's.
                draws = rng.integers(0, experts, rows.total)
                for places, local, count in rows.minibatches(rng, parts):
                    yield local, draws[places], count

        return islice(passes(), self.d_step)

    def _update_normaliser(self, columns: Columns, total: int) -> None:
        """Add both sides with equal weight, whatever the number of demonstrations."""
        # Differs: the original adds the expert pairs drawn for the update; these moments are their expectation.
        normaliser = self.network.normaliser
        moments = self.workers.sum_tensor(columns.sums(normaliser))
        finite.number("sum of squares of the discriminator's inputs", float(moments.sum()))
        normaliser.add(moments + self._expert.sums(normaliser, total / len(self._expert)))

    def _update(self, zl: Tensor, al: Tensor, ze: Tensor, ae: Tensor, count: int) -> Tensor:
        """One Adam step on mean BCE(learner) + mean BCE(expert) - entropy regularisation; sums for the statistics."""
        actions, totals = torch.cat([al, ae]), torch.zeros(8, dtype=torch.float64)

        def slope(out: Tensor) -> Tensor:
            logit = self.network.inputs.choose(out, actions)
            totals.copy_(_sums(logit, len(zl)))
            chosen = cross_entropy_slope(logit, len(zl), self.config.adversary_entcoeff)
            return self.network.inputs.choose_back(chosen, out, actions)

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


def build(config: Config, parts: Parts) -> Discriminator:
    """A new discriminator. A collective."""
    assert parts.expert is not None
    network = DiscriminatorNetwork(config.discriminator, parts.spec, initial(config.seed, 2), config.policy.encoder)
    network = place(network, parts.workers.device(config.device), getattr(torch, config.dtype))
    view = View.of(parts.spec, parts.expert)
    made = Discriminator(config.discriminator, config.d_step, network, view, parts.expert, parts.workers)
    if config.normalise_from_expert:
        columns = network.inputs.features(parts.expert.observations, parts.expert.actions)
        network.normaliser.add(Columns([torch.as_tensor(c) for c in columns]).sums(network.normaliser))
    share(parts.workers, network)
    return made


def _sums(logit: Tensor, learners: int) -> Tensor:
    """The sums for `_stats`: losses, entropy, logits and correct answers of each side, number of rows; float64 [8]."""
    x = logit.double().cpu()
    on_learner, on_expert = x[:learners], x[learners:]
    entropy = softplus(x) - x * torch.sigmoid(x)
    sides = (softplus(on_learner), softplus(-on_expert), entropy, on_learner, on_expert, on_learner < 0, on_expert > 0)
    return torch.stack([*(side.sum().double() for side in sides), torch.tensor(float(learners), dtype=torch.float64)])
