"""Several labels at once: the product of softmaxes against enumeration of all combinations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from gymnasium.spaces import MultiBinary, MultiDiscrete
from torch import Tensor

from trpo_gail.config.tree import PolicyConfig
from trpo_gail.policies.distributions import Product, ProductFamily

SPACES: list[MultiDiscrete | MultiBinary] = [
    MultiDiscrete([3, 2, 4]),
    MultiDiscrete(np.array([[2, 3]])),
    MultiBinary(3),
]


def drawn(space: MultiDiscrete | MultiBinary, seed: int) -> tuple[Product, Tensor, list[tuple[int, ...]]]:
    """A distribution for two rows, its logits, and all combinations."""
    family = ProductFamily(space, PolicyConfig())
    logits = torch.randn(2, family.outputs, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    counts = [2] * space.n if isinstance(space, MultiBinary) else space.nvec.ravel().tolist()
    return family.distribution(logits, ()), logits, list(itertools.product(*map(range, counts)))


def probabilities(made: Product, combinations: list[tuple[int, ...]]) -> Tensor:
    """[2, combinations]."""
    rows = [made.log_prob(torch.tensor([one, one])) for one in combinations]
    return torch.exp(torch.stack(rows, 1))


@pytest.mark.parametrize("space", SPACES)
def test_against_enumeration(space: MultiDiscrete | MultiBinary) -> None:
    (old, _, every), (new, _, _) = drawn(space, 0), drawn(space, 1)
    p, q = probabilities(old, every), probabilities(new, every)
    torch.testing.assert_close(p.sum(1), torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(old.entropy(), -(p * p.log()).sum(1))
    torch.testing.assert_close(old.kl(new), (p * (p / q).log()).sum(1))


@pytest.mark.parametrize("space", SPACES)
def test_the_metric_is_the_second_derivative_of_the_kl(space: MultiDiscrete | MultiBinary) -> None:
    old, logits, _ = drawn(space, 0)
    family = ProductFamily(space, PolicyConfig())

    def divergence(moved: Tensor) -> Tensor:
        return old.detach().kl(family.distribution(moved, ())).sum()

    hessian = torch.autograd.functional.hessian(divergence, logits)
    tangent = torch.randn(logits.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = torch.einsum("bicj,cj->bi", hessian, tangent)
    torch.testing.assert_close(old.metric(tangent), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("space", SPACES)
def test_slopes_are_those_of_autograd(space: MultiDiscrete | MultiBinary) -> None:
    _, logits, every = drawn(space, 0)
    family, actions = ProductFamily(space, PolicyConfig()), torch.tensor([every[0], every[-2]])
    leaf = logits.clone().requires_grad_()
    (-family.distribution(leaf, ()).log_prob(actions)).sum().backward()
    torch.testing.assert_close(family.distribution(logits, ()).nll_slopes(actions)[0], leaf.grad)


def test_samples_have_the_probabilities() -> None:
    """Gumbel noise and the largest of each part: 40,000 draws beside the exact table."""
    made, logits, every = drawn(SPACES[0], 0)
    family, rng = ProductFamily(SPACES[0], PolicyConfig()), np.random.default_rng(0)
    out = np.repeat(logits[:1].numpy(), 40_000, axis=0)
    taken = family.act(out, rng.gumbel(size=out.shape), ())
    found = np.array([(taken == one).all(1).mean() for one in every])
    exact = probabilities(made, every)[0].numpy()
    assert np.abs(found - exact).max() < 4 * np.sqrt(0.25 / 40_000)
