"""Losses of a discriminator, as functions of its outputs x [B], the learner's rows first: values and derivatives.

A loss is a sum over each side's rows, so that means are taken after all ranks' sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus

from trpo_gail.config.tree import DiscriminatorConfig

SURE = 1.0 - 1e-4  # largest output of least squares that is taken for a probability: D is 0.99995 there

Mean = Callable[[Tensor], Tensor]  # of sums [K] over this rank's rows of a side to means over all ranks


class Loss(Protocol):
    """B rows, of which the first L are the learner's."""

    def values(self, x: Tensor, learners: int) -> Tensor:
        """The loss of each row [B], without regularisers."""
        ...

    def slope(self, x: Tensor, learners: int, mean: Mean) -> Tensor:
        """Derivative of the sum of the loss and its regularisers by each output [B]."""
        ...

    def logit(self, x: Tensor) -> Tensor:
        """log D - log(1 - D) [B] of outputs."""
        ...


class CrossEntropy:
    """Binary cross-entropy of logits, less the entropy of D's decisions."""

    def __init__(self, entcoeff: float = 0.0, smoothing: float = 0.0, prior: float | None = None) -> None:
        self._entcoeff, self._smoothing, self._prior = entcoeff, smoothing, prior

    def values(self, x: Tensor, learners: int) -> Tensor:
        own = torch.cat([softplus(x[:learners]), softplus(-x[learners:])])  # exact where D is sure, as x t is not
        return own + self._smoothing * _signed(x, learners) * -x if self._smoothing else own

    def _targets(self, x: Tensor, learners: int) -> Tensor:
        targets = torch.full_like(x, self._smoothing)
        targets[learners:] = 1.0 - self._smoothing
        return targets

    def slope(self, x: Tensor, learners: int, mean: Mean) -> Tensor:
        """The entropy of a Bernoulli variable with logit x is softplus(x) - x sigmoid(x)."""
        d = torch.sigmoid(x)
        slope = d + self._entcoeff * x * d * (1.0 - d)
        if self._smoothing:
            slope -= self._targets(x, learners)
        else:
            slope[learners:] -= 1.0
        if self._prior is not None:
            slope += self._unlabelled(x, d, learners, mean)
        return slope

    def _unlabelled(self, x: Tensor, d: Tensor, learners: int, mean: Mean) -> Tensor:
        """What positive-unlabelled learning adds (Xu & Denil 2021, eq. 6; Kiryo et al. 2017): the learner's rows are a
        mixture that holds a share `prior` of the expert's kind. The loss is prior E_e[-log D] + max(0, E_l[-log(1-D)] -
        prior E_e[-log(1-D)])."""
        assert self._prior is not None
        fooled = softplus(x)  # -log(1 - D)
        as_learner = mean(torch.stack([fooled[:learners].sum(), fooled[learners:].sum()]).double())
        added = torch.zeros_like(d)
        added[learners:] = -(1.0 - self._prior) * (d[learners:] - 1.0)
        if as_learner[0] > self._prior * as_learner[1]:
            added[learners:] -= self._prior * d[learners:]
        else:
            added[:learners] = -d[:learners]
        return added

    def logit(self, x: Tensor) -> Tensor:
        return x


class LeastSquares:
    """(x + 1)^2 for the learner and (x - 1)^2 for the expert, whose optimum is x = 2 D - 1 (Mao et al. 2017; AMP)."""

    def values(self, x: Tensor, learners: int) -> Tensor:
        return (x + self._sides(x, learners)) ** 2

    def slope(self, x: Tensor, learners: int, mean: Mean) -> Tensor:
        return 2.0 * (x + self._sides(x, learners))

    def _sides(self, x: Tensor, learners: int) -> Tensor:
        return _signed(x, learners)

    def logit(self, x: Tensor) -> Tensor:
        return 2.0 * torch.atanh(x.clamp(-SURE, SURE))


class Wasserstein:
    """The learner's mean less the expert's (Arjovsky et al. 2017); without a D, the output stands for the logit."""

    def values(self, x: Tensor, learners: int) -> Tensor:
        return _signed(x, learners) * x

    def slope(self, x: Tensor, learners: int, mean: Mean) -> Tensor:
        return _signed(x, learners)

    def logit(self, x: Tensor) -> Tensor:
        return x


def _signed(x: Tensor, learners: int) -> Tensor:
    """1 for the learner's rows, -1 for the expert's."""
    signs = torch.ones_like(x)
    signs[learners:] = -1.0
    return signs


def of(config: DiscriminatorConfig) -> Loss:
    """The loss that a config describes."""
    if config.loss == "least-squares":
        return LeastSquares()
    if config.loss == "wasserstein":
        return Wasserstein()
    return CrossEntropy(config.adversary_entcoeff, config.label_smoothing, config.positive_prior)
