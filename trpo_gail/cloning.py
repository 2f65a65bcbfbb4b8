"""Behavioural cloning, a baseline of Ho & Ermon (2016): supervised learning of the expert's actions, no environment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from trpo_gail.config.tree import CloningConfig
from trpo_gail.errors import RunError
from trpo_gail.finite import NotFinite, checked
from trpo_gail.optim import flat as views
from trpo_gail.optim.adam import Adam
from trpo_gail.optim.flat import FlatParameters
from trpo_gail.policies.policy import Policy
from trpo_gail.records import Stats
from trpo_gail.sampling.batch import action_tensor
from trpo_gail.seeding import CLONING, stream
from trpo_gail.spaces.resolution import rounding_shows


def steps_per_pass(pairs: int, train_share: float, batch_size: int) -> int:
    """Steps of Adam for one pass over the pairs to learn from."""
    return max(1, int(train_share * pairs) // batch_size)


def clone(
    policy: Policy,
    observations: np.ndarray,
    actions: np.ndarray,
    config: CloningConfig,
    log: Callable[[Stats], None],
    section: str = "",
    each: Callable[[], None] = lambda: None,
) -> Stats:
    """Fit a fresh policy to pairs, observations [M, O] and actions [M, A] or [M], at least two of them.

    Minimises mean -log pi(a|s) over a random share of the pairs, also in the log standard deviation. At regular
    intervals the other pairs score the policy, and `log` gets the record. At the end the policy has the parameters of
    its best score; that record is returned. As in the original code, the number of steps is fixed; the paper's text
    stops when validation stops improving. Raises RunError if a score or a parameter is not finite; `section` is that of
    the flags which it names. `each` is called after each step.
    """
    assert len(observations) >= 2
    observations = _as_acting(policy, observations)
    # The statistics include the validation pairs, and never change again.
    rows = torch.from_numpy(observations.astype(np.float64)).to(policy.normaliser.mean.device)
    policy.normaliser.add(policy.normaliser.sums(rows))
    rng = stream(config.seed, CLONING)
    order = rng.permutation(len(observations))
    edge = min(max(int(config.train_share * len(order)), 1), len(order) - 1)
    train, validation = (_Pairs(policy, observations[part], actions[part]) for part in (order[:edge], order[edge:]))
    flat = views.of(policy)
    adam = Adam(flat.vector, config.stepsize)
    best: Stats | None = None
    for iteration in range(1, config.iterations + 1):
        drawn = torch.from_numpy(rng.integers(0, edge, config.batch_size))
        adam.step(loss_gradient(policy, flat, train.z[drawn], train.actions[drawn]))
        each()
        if iteration % config.eval_every == 1 % config.eval_every or iteration == config.iterations:
            row = {"iteration": iteration, **_finite_scores(policy, train, validation, iteration, config, section)}
            log(row)
            if best is None or row["validation_score"] > best["validation_score"]:
                best, theta = row, flat.vector.clone()
    flat.vector.copy_(theta)
    assert best is not None
    return best


def _as_acting(policy: Policy, observations: np.ndarray) -> np.ndarray:
    """Observations [M, O] with the digits that the policy sees when it acts, in columns where others would show: far from
    a mean of more digits, a constant would be an input from which it has never learned."""
    dtype = np.dtype(str(next(policy.parameters()).dtype).removeprefix("torch."))
    shows = rounding_shows(observations, dtype)
    return np.where(shows, observations.astype(dtype), observations) if shows.any() else observations


class _Pairs:
    """Normalised observations [B, O] and actions [B, A] or int64 [B]."""

    def __init__(self, policy: Policy, observations: np.ndarray, actions: np.ndarray) -> None:
        like = next(policy.parameters())
        self.z = policy.normaliser(torch.as_tensor(observations, dtype=torch.float64, device=like.device)).to(
            like.dtype
        )
        self.actions = action_tensor(actions, like.dtype, like.device)


@torch.no_grad()
def loss_gradient(policy: Policy, flat: FlatParameters, z: Tensor, actions: Tensor) -> Tensor:
    """Gradient [P] of mean -log pi(a|s) over rows: normalised observations [B, O] and actions [B, A] or [B].

    Computed by hand: with so few rows, autograd would take most of the time.
    """
    gradient = torch.zeros_like(flat.vector)
    parts = flat.split(gradient)
    here = policy.linearise(z)
    slope, *own = policy.distribution(here.output).nll_slopes(actions)
    for part, by_row in zip(parts, own, strict=False):  # a policy's own parameters come before its network's
        part.add_(by_row.sum(0))
    here.pullback(slope, parts[len(own) :])
    return gradient.div_(len(z))


def _finite_scores(
    policy: Policy, train: _Pairs, validation: _Pairs, iteration: int, config: CloningConfig, section: str
) -> dict[str, float]:
    try:
        return checked("policy", _scores(policy, train, validation), policy)
    except NotFinite as error:
        advice = f"a smaller --{section}stepsize than {config.stepsize:g} or --dtype float64 may help"
        raise RunError(f"step {iteration}: {error}; {advice}") from error


@torch.no_grad()
def _scores(policy: Policy, train: _Pairs, validation: _Pairs) -> dict[str, float]:
    fitted, held = policy(train.z), policy(validation.z)
    return {
        "train_nll": -float(fitted.log_prob(train.actions).double().mean()),  # nats
        "validation_nll": -float(held.log_prob(validation.actions).double().mean()),
        "validation_score": float(held.fitness(validation.actions).mean()),
    }
