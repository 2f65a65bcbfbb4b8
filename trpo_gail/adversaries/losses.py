"""Losses of a discriminator, as functions of its logits [B] = log D - log(1 - D), the learner's rows first."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus


def cross_entropy(logit: Tensor, learners: int, entcoeff: float) -> Tensor:
    """Sum of BCE over rows [B], the first `learners` of them the learner's, less entcoeff times D's entropy.

    The entropy of a Bernoulli variable with logit x is softplus(x) - x sigmoid(x).
    """
    bce = softplus(logit[:learners]).sum() + softplus(-logit[learners:]).sum()
    return bce - entcoeff * (softplus(logit) - logit * torch.sigmoid(logit)).sum()


def cross_entropy_slope(logit: Tensor, learners: int, entcoeff: float) -> Tensor:
    """Derivative of `cross_entropy` with respect to each logit [B]."""
    d = torch.sigmoid(logit)
    slope = d + entcoeff * logit * d * (1.0 - d)
    slope[learners:] -= 1.0
    return slope
