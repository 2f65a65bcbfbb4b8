"""What the updates of a discriminator are judged by: sums over rows, from which statistics over all ranks are made."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from trpo_gail.adversaries.losses import Loss
from trpo_gail.records import LOGIT_EDGES, Stats, logit_below

_MEANS = 11  # sums before the histograms


def sums(loss: Loss, output: Tensor, learners: int) -> Tensor:
    """Sums over the rows [B] of a network's outputs, the learner's first: float64, for `stats`. They stay on the device,
    so that an update does not wait for it."""
    out = output.double()
    x, lost = loss.logit(out), loss.values(out, learners)
    on_learner, on_expert = x[:learners], x[learners:]
    entropy = softplus(x) - x * torch.sigmoid(x)
    sides = (
        lost[:learners], lost[learners:], entropy, on_learner, on_expert, on_learner < 0, on_expert > 0, on_learner**2,
        on_expert**2,
    )  # fmt: skip
    counts = [
        torch.full((1,), float(len(side)), dtype=torch.float64, device=x.device) for side in (on_learner, on_expert)
    ]
    edges = _edges(x.device)
    below = [(side[:, None] < edges).sum(0).double() for side in (on_learner, on_expert)]
    return torch.cat([torch.stack([side.sum().double() for side in sides]), *counts, *below])


@functools.cache
def _edges(device: torch.device) -> Tensor:
    return torch.tensor(LOGIT_EDGES, dtype=torch.float64, device=device)


def accuracy(totals: Tensor) -> float:
    """Share of the rows that D is right about."""
    right, rows = float(totals[5] + totals[6]), float(totals[9] + totals[10])
    return right / rows if rows else 0.0


def stats(totals: Tensor) -> Stats:
    """Means over the rows of all ranks, from their `sums`. `..._below_X` is the share of a side's rows whose logit is
    less than X: a histogram, added up."""
    s = totals.tolist()
    learners, experts = max(s[9], 1.0), max(s[10], 1.0)
    return {
        "d_loss": (s[0] + s[1] * (learners / experts)) / learners,
        "d_loss_learner": s[0] / learners,
        "d_loss_expert": s[1] / experts,
        "d_entropy": s[2] / (learners + experts),
        "d_logit_learner": s[3] / learners,
        "d_logit_expert": s[4] / experts,
        "d_accuracy_learner": s[5] / learners,
        "d_accuracy_expert": s[6] / experts,
        "d_logit_std_learner": _std(s[3] / learners, s[7] / learners),
        "d_logit_std_expert": _std(s[4] / experts, s[8] / experts),
        **_below("learner", s[_MEANS:], learners),
        **_below("expert", s[_MEANS + len(LOGIT_EDGES) :], experts),
    }


def _below(side: str, counts: list[float], rows: float) -> Stats:
    return {logit_below(side, edge): count / rows for edge, count in zip(LOGIT_EDGES, counts, strict=False)}


def _std(mean: float, square: float) -> float:
    return math.sqrt(max(square - mean * mean, 0.0))
