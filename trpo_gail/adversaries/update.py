"""One update of a discriminator: the gradient of its loss and of what holds it back.

For a multi-layer perceptron, the gradient is that of the outputs and of the gradient penalty, taken back by hand. With
spectral norms, dropout, or a penalty on another network, autograd computes it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trpo_gail.adversaries import losses, measures
from trpo_gail.adversaries.draws import Draw
from trpo_gail.adversaries.network import DiscriminatorNetwork
from trpo_gail.config.tree import DiscriminatorConfig
from trpo_gail.networks.mlp import MLP
from trpo_gail.networks.own import Own
from trpo_gail.optim.adam import FlatAdam

# Weights of the gradient penalty, which the config's None becomes: with the cross-entropy and inputs whose statistics
# forget, for which it was tuned last, and otherwise.
PENALTY, PENALTY_OTHERWISE = 1.0, 3.0
PENALISED, FREE = 3e-3, 3e-4  # Adam's step sizes with and without a penalty, which the config's None becomes
LEAST = 1e-12  # added to the square of a gradient's length, whose root has no derivative at 0


@dataclass(frozen=True)
class Rows:
    """This rank's rows of one side: normalised inputs [b, I], and the actions [b] if these choose among outputs."""

    z: Tensor
    labels: Tensor | None


def settled(config: DiscriminatorConfig, network: DiscriminatorNetwork, decay: float) -> DiscriminatorConfig:
    """With numbers for the gradient penalty and the step size, if the config leaves them to what D sees, and with `decay`,
    if it leaves that open.

    Why a penalty: without it, D tells 200 pairs from the learner's within a few iterations, and its reward is flat where
    the learner is. Why its step size is 10 times as large: the penalty slows D, which then follows the policy instead of
    leading it (results/learning has the weights and step sizes that were tried). Pixels are left alone: a step along one of
    thousands says little.
    """
    decay = decay if config.normalise_decay is None else config.normalise_decay
    weight = config.gradient_penalty
    if weight is None:
        sees_images = any(part.kind == "image" for part in network.inputs.observed.parts)
        penalised = config.may_penalise and (not sees_images or config.loss == "wasserstein")
        tuned = config.normalise != "none" and decay < 1 and config.loss == "cross-entropy"
        weight = (PENALTY if tuned else PENALTY_OTHERWISE) if penalised else 0.0
    stepsize = config.d_stepsize
    if stepsize is None:
        stepsize = PENALISED if weight else FREE
    return replace(config, gradient_penalty=weight, d_stepsize=stepsize, normalise_decay=decay)


class Updater:
    """Adam on a discriminator, with everything that a config says of its loss."""

    def __init__(self, config: DiscriminatorConfig, network: DiscriminatorNetwork, adam: FlatAdam) -> None:
        self._config, self._network, self._adam = config, network, adam
        self._workers, self._loss = adam.workers, losses.of(config)
        self._penalty_weight = config.gradient_penalty or 0.0  # `settled` has made it a number
        if self._penalty_weight and isinstance(network.net, Own) and not network.net.again:
            raise network.net.not_again("--discriminator.gradient_penalty needs")
        penalised = bool(self._penalty_weight) and not isinstance(network.net, MLP)
        self._by_autograd = bool(penalised or config.spectral_norm or config.dropout)
        self._whites = torch.from_numpy(network.inputs.whites).to(adam.flat.vector)

    def step(self, both: Joined, draw: Draw, rng: np.random.Generator) -> Update:
        """One step of Adam on rows of both sides, unless D rests. A collective; `rng` is the same on all ranks."""
        if self._config.rest_above is not None:
            look = self._look(both)
            totals = measures.sums(self._loss, look.outputs, look.learners)
            if measures.accuracy(self._workers.sum_tensor(totals)) > self._config.rest_above:
                return look
        take = self._autograd if self._by_autograd else self._by_hand
        return take(both, self._mixture(both, draw, rng), draw, rng)

    @torch.no_grad()
    def _look(self, both: Joined) -> Update:
        """What D makes of the rows, without a step."""
        nothing = torch.zeros((), dtype=torch.float64, device=both.z.device)
        return Update(self._outputs(self._network.net(both.z), both), both.learners, nothing, nothing, taken=False)

    def _outputs(self, out: Tensor, rows: Joined) -> Tensor:
        x = self._network.inputs.choose(out, rows.labels)
        return x if rows.offset is None else x - rows.offset

    # ---- the loss ----------------------------------------------------------------------------------------------------

    def _slope(self, x: Tensor, learners: int, draw: Draw) -> Tensor:
        """Derivative by each output [B] of the loss times the number of the learner's rows of all ranks."""
        count, experts = draw.counts

        def mean(sums: Tensor) -> Tensor:
            return self._workers.sum_tensor(sums) / sums.new_tensor([count, experts])

        slope = self._loss.slope(x, learners, mean)
        if self._config.logit_penalty:
            slope = slope + self._config.logit_penalty * x  # of the mean over both sides of x^2
        if not draw.paired:
            slope[learners:] *= count / experts
        return slope

    def _with(self, both: Joined, mixed: _Mixture | None) -> Joined:
        return both if mixed is None else both.and_(mixed.rows, self._network)

    def _by_hand(self, both: Joined, mixed: _Mixture | None, draw: Draw, rng: np.random.Generator) -> Update:
        rows, outputs = self._with(both, mixed), []

        def slope(out: Tensor) -> Tensor:
            x = self._outputs(out, rows)
            plain = x[: len(both.z)]
            outputs.append(plain)
            by_output = self._slope(plain, both.learners, draw) if mixed is None else mixed.slope(x, len(both.z))
            return self._network.inputs.choose_back(by_output, out, rows.labels)

        points = self._penalised(both, draw, rng)
        penalties = [torch.zeros((), dtype=torch.float64, device=both.z.device)]

        def penalise(into: list[Tensor]) -> None:
            if points:
                penalties.append(self._add_penalty(points, into))

        self._adam.step(rows.z, slope, draw.counts[0], penalise)
        return Update(outputs[0], both.learners, self._gradient_norm(), penalties[-1] / draw.counts[0])

    def _autograd(self, both: Joined, mixed: _Mixture | None, draw: Draw, rng: np.random.Generator) -> Update:
        rows = self._with(both, mixed)
        with self._network.learning(), torch.enable_grad():
            sides = [*zip(draw.places, draw.counts, strict=True)]
            kept = self._network.kept_units(self._config.dropout, sides if mixed is None else [*sides, sides[0]], rng)
            x = self._outputs(self._network.net(rows.z, kept), rows)
            plain = x.detach()[: len(both.z)]
            by_output = (
                self._slope(plain, both.learners, draw) if mixed is None else mixed.slope(x.detach(), len(plain))
            )
            total = (by_output * x).sum()
            penalty = torch.zeros((), dtype=total.dtype, device=total.device)
            if points := self._penalised(both, draw, rng):
                penalty = self._penalty(points)
                total = total + self._penalty_weight * penalty
            gradient = self._adam.flat.gradient(total).double()
        self._adam.descend(gradient, draw.counts[0])
        penalty = penalty.detach().double()
        return Update(plain, both.learners, self._gradient_norm(), penalty / draw.counts[0])

    def _gradient_norm(self) -> Tensor:
        return self._adam.mean_gradient.double().norm()

    # ---- the gradient penalty: the mean of (|gradient of the output by the inputs| - target)^2 ------------------------

    def _penalised(self, both: Joined, draw: Draw, rng: np.random.Generator) -> tuple[Joined, float] | None:
        """This rank's points of the penalty, and the weight of each, so that the sum over them becomes a mean over the
        learner's rows of all ranks (Gulrajani et al. 2017, eq. 3); None without a penalty."""
        if not self._penalty_weight:
            return None
        ours, theirs = both.sides()
        if self._config.gradient_penalty_at == "between":
            # One number a row, drawn for the rows of all ranks.
            shares = torch.from_numpy(rng.random(draw.counts[0])[draw.places[0]]).to(both.z.device)
            return _mixed(ours, theirs, shares, self._network), 1.0
        if self._config.gradient_penalty_at == "expert":
            return Joined(theirs.z, theirs.labels, None, 0), draw.counts[0] / draw.counts[1]
        return both, draw.counts[0] / sum(draw.counts)

    def _penalty(self, weighted: tuple[Joined, float]) -> Tensor:
        """The sum over this rank's points, for autograd."""
        points, weight = weighted
        z = points.z.to(self._adam.flat.vector.dtype).detach().requires_grad_()
        out = self._network.inputs.choose(self._network.net(z), points.labels)
        (slopes,) = torch.autograd.grad(out.sum(), z, create_graph=True)
        # By pixels from 0 to 1, as the network sees them: by those of uint8, a length of 1 would be 255 times as steep.
        return weight * (self._off(_lengths(slopes * self._whites)) ** 2).sum()

    def _add_penalty(self, weighted: tuple[Joined, float], into: list[Tensor]) -> Tensor:
        """The same sum by hand; adds its gradient, times the penalty's weight."""
        points, weight = weighted
        net = self._network.net
        assert isinstance(net, MLP)
        here = net.linearise(points.z.to(self._adam.flat.vector.dtype))
        one = self._network.inputs.choose_back(torch.ones_like(here.output[:, 0]), here.output, points.labels)
        derivative = here.to_inputs(one)
        slopes = derivative.by_inputs()
        lengths = _lengths(slopes)
        off = self._off(lengths)
        derivative.pullback((2.0 * weight * self._penalty_weight * off / lengths)[:, None] * slopes, into)
        return weight * (off.double() ** 2).sum()

    def _off(self, lengths: Tensor) -> Tensor:
        """How far the lengths of gradients [B] are from where the penalty wants them."""
        off = lengths - self._config.gradient_penalty_target
        return off.clamp(min=0.0) if self._config.gradient_penalty_sides == "above" else off

    def _mixture(self, both: Joined, draw: Draw, rng: np.random.Generator) -> _Mixture | None:
        """Mixtures of the rows of both sides, if the config asks for them (Zhang et al. 2018)."""
        alpha = self._config.mixup
        if not alpha:
            return None
        ours, theirs = both.sides()
        shares = torch.from_numpy(rng.beta(alpha, alpha, draw.counts[0])[draw.places[0]]).to(ours.z.device)
        rows = _mixed(ours, theirs, shares, self._network)
        return _Mixture(rows, shares, self._config.adversary_entcoeff, self._config.logit_penalty)


def _lengths(slopes: Tensor) -> Tensor:
    return torch.sqrt((slopes**2).sum(1) + LEAST)


@dataclass(frozen=True)
class Update:
    """What an update has seen, on the device: outputs [b] of this rank's rows, the learner's first; the length of the mean
    gradient, of all ranks; the penalty, of this rank's rows."""

    outputs: Tensor
    learners: int
    gradient_norm: Tensor
    penalty: Tensor
    taken: bool = True  # False if D rests: there was no step


@dataclass(frozen=True)
class Joined:
    """This rank's rows of both sides, the learner's first: normalised inputs [b, I]; if actions choose among outputs, labels
    [b] or weights of labels [b, K]; and what is subtracted from the network's outputs [b], if anything is."""

    z: Tensor
    labels: Tensor | None
    offset: Tensor | None
    learners: int

    def sides(self) -> tuple[Rows, Rows]:
        mine, others = slice(None, self.learners), slice(self.learners, None)
        ours, theirs = (None, None) if self.labels is None else (self.labels[mine], self.labels[others])
        return Rows(self.z[mine], ours), Rows(self.z[others], theirs)

    def and_(self, other: Joined, network: DiscriminatorNetwork) -> Joined:
        """These rows, then mixtures."""
        labels = other.labels
        if self.labels is not None and labels is not None:
            labels = torch.cat([network.inputs.mixable(self.labels, other.z), labels])
        return Joined(torch.cat([self.z.to(other.z.dtype), other.z]), labels, None, self.learners)


def _mixed(ours: Rows, theirs: Rows, shares: Tensor, network: DiscriminatorNetwork) -> Joined:
    """Row by row, `shares` [b] of the expert's and the rest of the learner's."""
    dtype = next(network.parameters()).dtype
    part = shares.to(dtype)[:, None]
    rest = 1.0 - part
    labels = None
    if ours.labels is not None and theirs.labels is not None:
        a, b = (network.inputs.mixable(side, part) for side in (ours.labels, theirs.labels))
        labels = part * b + rest * a
    z = part * theirs.z.to(dtype) + rest * ours.z.to(dtype)
    return Joined(z, labels, None, len(z))


@dataclass(frozen=True)
class _Mixture:
    """Mixed rows, and the expert's share of each [b]."""

    rows: Joined
    shares: Tensor
    entcoeff: float
    logit_penalty: float

    def slope(self, x: Tensor, before: int) -> Tensor:
        """Derivative by the outputs x [B], of which the first `before` are not mixed and count in the penalty alone. Twice
        the mean over mixtures: with shares of 0 and 1 alone, that is the mean over each side."""
        d = torch.sigmoid(x)
        slope = 2.0 * (d + self.entcoeff * x * d * (1.0 - d))
        slope[before:] -= 2.0 * self.shares.to(x.dtype)
        slope[:before] = self.logit_penalty * x[:before]
        return slope
