"""Each loss: its derivative, values by hand, and the optimum that it leads a discriminator to on two Gaussians."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from trpo_gail.adversaries import measures
from trpo_gail.adversaries.losses import CrossEntropy, LeastSquares, Loss, Wasserstein, of
from trpo_gail.config.tree import DiscriminatorConfig

LEARNERS = 4


def means(sums: Tensor) -> Tensor:
    return sums / torch.tensor([4.0, 5.0], dtype=torch.float64)


@pytest.fixture
def outputs(torch_rng: torch.Generator) -> Tensor:
    return 2 * torch.randn(9, generator=torch_rng, dtype=torch.float64)


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropy(), CrossEntropy(0.3), CrossEntropy(0.3, smoothing=0.2), LeastSquares(), Wasserstein(),
    ],
    ids=["plain", "entropy", "smoothed", "least-squares", "wasserstein"],
)  # fmt: skip
def test_the_slope_is_the_derivative_of_the_values_and_of_the_entropy(loss: Loss, outputs: Tensor) -> None:
    x = outputs.requires_grad_()
    total = loss.values(x, LEARNERS).sum()
    entropy = torch.nn.functional.softplus(x) - x * torch.sigmoid(x)
    total = total - getattr(loss, "_entcoeff", 0.0) * entropy.sum()
    (expected,) = torch.autograd.grad(total, x)
    torch.testing.assert_close(loss.slope(x.detach(), LEARNERS, means), expected)


def test_values_by_hand() -> None:
    x = torch.tensor([0.0, math.log(3.0), 0.0, math.log(3.0)], dtype=torch.float64)  # D = 1/2 and 3/4
    by_hand = {
        "cross-entropy": [math.log(2), math.log(4), math.log(2), -math.log(0.75)],
        "least-squares": [1.0, (1 + math.log(3)) ** 2, 1.0, (math.log(3) - 1) ** 2],
        "wasserstein": [0.0, math.log(3), 0.0, -math.log(3)],
    }
    for name, expected in by_hand.items():
        given: dict[str, Any] = {"loss": name}
        loss = of(DiscriminatorConfig(**given))
        torch.testing.assert_close(loss.values(x, 2), torch.tensor(expected, dtype=torch.float64))


def test_smoothed_values_by_hand() -> None:
    x = torch.tensor([math.log(3.0), math.log(3.0)], dtype=torch.float64)
    values = CrossEntropy(smoothing=0.1).values(x, 1)
    expected = [-0.9 * math.log(0.25) - 0.1 * math.log(0.75), -0.9 * math.log(0.75) - 0.1 * math.log(0.25)]
    torch.testing.assert_close(values, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("prior", [0.2, 0.7])
@pytest.mark.parametrize("shift", [-3.0, 3.0], ids=["negative-part-off", "negative-part-on"])
def test_the_slope_of_positive_unlabelled_learning(prior: float, shift: float, outputs: Tensor) -> None:
    """prior E_e[-log D] + max(0, E_l[-log(1-D)] - prior E_e[-log(1-D)]), of means: slopes are times each side's number."""
    x = outputs.clone()
    x[:LEARNERS] += shift  # what the learner's rows cost decides whether the second part counts
    x = x.requires_grad_()
    lost, taken = torch.nn.functional.softplus(-x), torch.nn.functional.softplus(x)
    second = taken[:LEARNERS].mean() - prior * taken[LEARNERS:].mean()
    total = prior * lost[LEARNERS:].mean() + second.clamp(min=0.0)
    (expected,) = torch.autograd.grad(total, x)
    expected[:LEARNERS] *= LEARNERS
    expected[LEARNERS:] *= len(x) - LEARNERS
    torch.testing.assert_close(CrossEntropy(prior=prior).slope(x.detach(), LEARNERS, means), expected)


@pytest.mark.parametrize(
    ("loss", "smoothing"), [("cross-entropy", 0.0), ("cross-entropy", 0.1), ("least-squares", 0.0)]
)
def test_the_optimum_on_two_gaussians(loss: str, smoothing: float) -> None:
    """Of N(1, 1) for the expert and N(-1, 1) for the learner, log p_E - log p_L = 2 x. A linear output reaches it for the
    cross-entropy; for the others the best output at a point is that of the loss's own conditional mean."""
    given: dict[str, Any] = {"loss": loss, "label_smoothing": smoothing}
    if loss == "cross-entropy":
        given["adversary_entcoeff"] = 0.0
    made = of(DiscriminatorConfig(**given))
    at = torch.linspace(-1.5, 1.5, 31, dtype=torch.float64)
    odds = torch.exp(2 * at)
    expert, learner = odds / (1 + odds), 1 / (1 + odds)  # weights of the two sides at a point
    x = torch.zeros_like(at)
    for _ in range(4000):
        both = made.slope(torch.cat([x, x]), len(x), means)
        x = x - 0.1 * (learner * both[: len(x)] + expert * both[len(x) :])
    best = (1 - 2 * smoothing) * expert + smoothing  # the share of the expert's label
    torch.testing.assert_close(made.logit(x), torch.log(best) - torch.log(1 - best), atol=1e-5, rtol=1e-5)


def test_measures_by_hand() -> None:
    x = torch.tensor([-1.0, 2.0, 3.0, -1.0, 1.0])
    found = measures.stats(measures.sums(CrossEntropy(), x, 2))
    soft = np.logaddexp(0, [-1.0, 2.0]).mean(), np.logaddexp(0, [-3.0, 1.0, -1.0]).mean()
    assert found["d_loss_learner"] == pytest.approx(soft[0]) and found["d_loss_expert"] == pytest.approx(soft[1])
    assert found["d_loss"] == pytest.approx(sum(soft))
    assert (found["d_logit_learner"], found["d_logit_expert"]) == (0.5, 1.0)
    assert (found["d_accuracy_learner"], found["d_accuracy_expert"]) == (0.5, pytest.approx(2 / 3))
    shares = [found[f"d_logit_learner_below_{edge}"] for edge in (-8, -2, -1, 1, 2, 4)]
    assert shares == [0.0, 0.0, 0.0, 0.5, 0.5, 1.0]  # an edge is above what is less than it
    assert found["d_logit_expert_below_1"] == pytest.approx(1 / 3)
    assert found["d_logit_expert_below_2"] == pytest.approx(2 / 3)
    assert found["d_logit_std_learner"] == 1.5 and found["d_logit_std_expert"] == pytest.approx(np.std([3, -1, 1]))
