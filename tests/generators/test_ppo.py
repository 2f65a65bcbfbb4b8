"""PPO's first gradient is the policy gradient and it is 0 outside the clip; what stops it, what it carries on."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import toys
from cases import KINDS, batch_of, case, judge, parameters, same_bits
from torch import Tensor

from trpo_gail.config.tree import PPOConfig
from trpo_gail.finite import NotFinite
from trpo_gail.generators.ppo import PPO, Part, adapted, clipped
from trpo_gail.optim.flat import FlatParameters
from trpo_gail.parallel import Workers
from trpo_gail.policies.policy import Policy
from trpo_gail.sampling.batch import Batch, Rows
from trpo_gail.schedules import RunLength

KL_PENALTY: dict[str, Any] = {"objective": "kl-penalty", "kl_coeff": 2.0}
VARIANTS: list[dict[str, Any]] = [{}, {"dual_clip": 3.0}, KL_PENALTY]


def ppo(policy: Policy, workers: Workers | None = None, *, run_steps: int = 1000, **config: Any) -> PPO:
    config = {"n_epochs": 1, "batch_size": 1000, "max_grad_norm": None, "target_kl": None} | config
    return PPO(PPOConfig(**config), policy, RunLength(run_steps), workers or Workers())


def step(made: PPO, batch: Batch, seed: int = 0) -> dict[str, float]:
    return made.step(batch, np.random.default_rng(seed))


def moved(policy: Policy, by: float, seed: int = 1) -> None:
    """Move all parameters a little."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in policy.parameters():
            p.add_(by * torch.randn(p.shape, generator=rng, dtype=p.dtype))


def by_autograd(policy: Policy, flat: FlatParameters, z: Tensor, of: Callable[[Any], Tensor]) -> Tensor:
    """Gradient [P] of the mean over rows of a function of the policy's distribution."""
    return flat.gradient(of(policy(z)).mean())


# ---- the gradient ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_bandits_first_gradient_is_the_vanilla_policy_gradient(variant: dict[str, Any]) -> None:
    """By hand: mean A (a - mean) / std^2 for the mean, mean A (z^2 - 1) for log std."""
    policy = toys.policy(toys.spec(1, 1), hidden=(), log_std=-0.5)
    mean, std = float(policy.net.layers[0].bias.detach()), math.exp(-0.5)
    a = mean + std * torch.linspace(-2, 2.5, 64, dtype=torch.float64)
    A = torch.sin(3 * a) + a
    batch = batch_of(policy, torch.zeros(64, 1, dtype=torch.float64), A, a[:, None])
    made = ppo(policy, **variant)
    gradient, kl = made.gradient(made._rows(batch))
    z = (a - mean) / std
    expected = torch.stack([(A * (z**2 - 1)).mean(), torch.zeros((), dtype=torch.float64), (A * z / std).mean()])
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)
    assert kl == 0.0


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_minibatchs_gradient_is_the_vanilla_policy_gradient(kind: str, variant: dict[str, Any]) -> None:
    policy, batch = case(kind)
    made = ppo(policy, batch_size=50, **variant)
    first = next(made._minibatches(batch, made._rows(batch), np.random.default_rng(0)))
    vanilla = by_autograd(policy, made.flat, first.z, lambda pi: pi.log_prob(first.actions) * first.advantages)
    assert len(first.z) == first.total == 50 and vanilla.norm() > 0.1
    torch.testing.assert_close(made.gradient(first)[0], vanilla, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("ratio", "advantage", "dual_clip", "slope"),
    [
        (1.0, 2.0, None, 2.0), (1.0, -2.0, None, -2.0),  # the vanilla gradient
        (1.1, 2.0, None, 2.0), (0.9, -2.0, None, -2.0),
        (1.3, 2.0, None, 0.0), (0.7, -2.0, None, 0.0),  # gained enough
        (0.7, 2.0, None, 2.0), (1.3, -2.0, None, -2.0),  # lost, and may come back
        (9.0, -2.0, None, -2.0),
        (2.9, -2.0, 3.0, -2.0), (3.1, -2.0, 3.0, 0.0), (9.0, -2.0, 3.0, 0.0),  # lost enough, with the dual clip
        (0.7, -2.0, 3.0, 0.0), (1.3, 2.0, 3.0, 0.0), (0.7, 2.0, 3.0, 2.0),
    ],
)  # fmt: skip
def test_the_gradient_is_zero_outside_the_clip(
    ratio: float, advantage: float, dual_clip: float | None, slope: float
) -> None:
    r = torch.tensor([ratio], dtype=torch.float64, requires_grad=True)
    A = torch.tensor([advantage], dtype=torch.float64)
    surrogate = clipped(r, A, 0.2, dual_clip)
    assert torch.autograd.grad(surrogate.sum(), r)[0].item() == slope
    reached = {0.7: 0.8, 1.3: 1.2, 9.0: 3.0, 3.1: 3.0}.get(ratio, ratio) if slope == 0 else ratio
    assert surrogate.item() == pytest.approx(reached * advantage)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_outside_the_clip_move_no_parameter(kind: str, sign: int) -> None:
    """Rows within it make the whole gradient; none within it, and it is exactly 0."""
    policy, batch = case(kind)
    made = ppo(policy, clip_range=0.05)
    whole = made._rows(batch)
    moved(policy, 0.3)
    ratio = torch.exp(policy(whole.z).log_prob(whole.actions).detach() - whole.old_log_prob)
    A = torch.full_like(ratio, float(sign))
    outside = (ratio > 1.05) if sign > 0 else (ratio < 0.95)
    assert 20 < outside.sum() < len(ratio) - 20
    part = whole._replace(advantages=A)
    expected = by_autograd(
        policy, made.flat, whole.z,
        lambda pi: torch.exp(pi.log_prob(whole.actions) - whole.old_log_prob) * torch.where(outside, 0.0, A),
    )  # fmt: skip
    torch.testing.assert_close(made.gradient(part)[0], expected, rtol=1e-10, atol=1e-14)
    alone = Part(
        whole.z[outside], whole.actions[outside], A[outside], whole.old.rows(outside), whole.old_log_prob[outside], 7
    )
    assert not made.gradient(alone)[0].any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_penaltys_gradient(kind: str) -> None:
    policy, batch = case(kind)
    made = ppo(policy, entcoeff=0.1, **KL_PENALTY)
    part = made._rows(batch)
    moved(policy, 0.3)

    def objective(pi: Any) -> Tensor:
        ratio = torch.exp(pi.log_prob(part.actions) - part.old_log_prob)
        return ratio * part.advantages - 2.0 * part.old.kl(pi) + 0.1 * pi.entropy()

    gradient, kl = made.gradient(part)
    torch.testing.assert_close(gradient, by_autograd(policy, made.flat, part.z, objective), rtol=1e-10, atol=1e-14)
    assert kl == pytest.approx(float(part.old.kl(policy(part.z)).mean().detach()), rel=1e-12) and kl > 0.01


def test_the_entropys_gradient_belongs_to_the_clip_too() -> None:
    policy, batch = case("categorical")
    batch = dataclasses.replace(batch, advantages=torch.zeros_like(batch.advantages))
    made = ppo(policy, entcoeff=0.3)
    expected = by_autograd(policy, made.flat, batch.observations, lambda pi: 0.3 * pi.entropy())
    torch.testing.assert_close(made.gradient(made._rows(batch))[0], expected, rtol=1e-10, atol=1e-14)


# ---- the step --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_update_is_adams(kind: str) -> None:
    """Its first step is the gradient over its own magnitude, entry by entry."""
    policy, batch = case(kind)
    before, made = parameters(policy), ppo(policy, learning_rate=0.01)
    g, _ = made.gradient(made._rows(batch))
    stats = step(made, batch)
    torch.testing.assert_close(parameters(policy) - before, 0.01 * g / (g.abs() + 1e-5), rtol=1e-9, atol=1e-12)
    assert stats["updates"] == stats["epochs"] == 1 and stats["gradient_norm"] == pytest.approx(float(g.norm()))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_surrogate_rises(kind: str, variant: dict[str, Any]) -> None:
    policy, batch = case(kind)
    old = {k: v.clone() for k, v in policy.state_dict().items()}
    entropy = float(policy(batch.observations).entropy().mean().detach())
    stats = step(ppo(policy, n_epochs=8, batch_size=50, learning_rate=3e-3, **variant), batch)
    surrogate, kl = judge(policy, batch, old)
    assert stats["improvement"] == pytest.approx(surrogate - float(batch.advantages.mean()), rel=1e-9)
    assert stats["kl"] == pytest.approx(kl, rel=1e-9)
    assert stats["improvement"] > 0.01 and kl > 0
    assert stats["entropy"] == pytest.approx(entropy, rel=1e-12)
    assert stats["epochs"] == 8 and stats["updates"] == 32


def test_the_clip_fraction_is_of_the_rows_that_end_outside() -> None:
    policy, batch = case("gaussian")
    made = ppo(policy, n_epochs=20, batch_size=50, learning_rate=5e-3, clip_range=0.1)
    old = made._rows(batch).old_log_prob
    stats = step(made, batch)
    ratio = torch.exp(policy(batch.observations).log_prob(batch.actions).detach() - old)
    assert 0.1 < stats["clip_fraction"] == pytest.approx(float(((ratio - 1).abs() > 0.1).double().mean()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_entropy_coefficient_raises_entropy(kind: str) -> None:
    policy, batch = case(kind)
    batch = dataclasses.replace(batch, advantages=torch.zeros_like(batch.advantages))
    before = float(policy(batch.observations).entropy().mean().detach())
    step(ppo(policy, n_epochs=10, entcoeff=1e-2, learning_rate=1e-2), batch)
    assert float(policy(batch.observations).entropy().mean().detach()) > before + 0.01


@pytest.mark.parametrize("limit", [0.05, 1e3])
def test_the_gradients_norm_is_limited(limit: float) -> None:
    policy, batch = case("gaussian")
    made = ppo(policy, max_grad_norm=limit)
    norm = step(made, batch)["gradient_norm"]
    first_moment = float(made.state_dict()["adam"]["state"][0]["exp_avg"].norm())  # 0.1 times what Adam was given
    assert norm > 0.1 and first_moment == pytest.approx(0.1 * min(norm, limit), rel=1e-4)


def test_the_step_size_falls_with_the_runs_steps() -> None:
    policy, batch = case("gaussian", rows=100)
    falls, stays = (ppo(policy, run_steps=250, schedule=s, learning_rate=0.01) for s in ("linear", "constant"))
    assert [step(stays, batch)["learning_rate"] for _ in range(4)] == [0.01] * 4
    assert [step(falls, batch)["learning_rate"] for _ in range(4)] == pytest.approx([0.01, 0.006, 0.002, 0.0])
    before = parameters(policy)
    step(falls, batch)
    assert same_bits(parameters(policy), before)  # nothing is left


@pytest.mark.long
def test_the_penaltys_weight_steers_the_kl() -> None:
    assert [adapted(1.0, kl, 0.01) for kl in (0.0, 0.0066, 0.0067, 0.0149, 0.0151, 9.0)] == [0.5, 0.5, 1, 1, 2, 2]
    assert [adapted(1.0, math.nan, 0.01), adapted(1e6, 1.0, 0.01), adapted(1e-6, 0.0, 0.01)] == [1.0, 1e6, 1e-6]
    policy, batch = case("gaussian")
    made = ppo(policy, n_epochs=10, batch_size=50, learning_rate=3e-3, kl_target=0.005, **KL_PENALTY)
    rows = [step(made, batch, seed) for seed in range(40)]
    assert np.median([row["kl"] for row in rows[20:]]) == pytest.approx(0.005, rel=0.7)
    assert rows[0]["kl_coeff"] == 2.0 != made.kl_coeff


# ---- what stops it ---------------------------------------------------------------------------------------------------


def test_the_target_kl_ends_all_epochs() -> None:
    policy, batch = case("gaussian")
    settings: dict[str, Any] = {"n_epochs": 10, "batch_size": 50, "learning_rate": 0.02, "clip_range": 0.2}
    free = step(ppo(policy, **settings), batch)
    assert free["updates"] == 40 and free["kl"] > 0.05
    policy, batch = case("gaussian")
    made = ppo(policy, target_kl=0.01, **settings)
    kls: list[float] = []
    true = made.gradient
    made.gradient = lambda part: (kls.append(true(part)[1]), true(part))[1]  # type: ignore[assignment,method-assign]
    stats = step(made, batch)
    assert kls[0] < 1e-20 and max(kls[:-1]) <= 0.015 < kls[-1]
    assert 1 <= stats["updates"] == len(kls) - 1 < 40 and stats["epochs"] == stats["updates"] // 4
    assert step(made, batch)["updates"] >= 1  # the next batch's KL begins at 0


class WithAnother(Workers):
    """A rank whose only companion's share of every sum is given."""

    def __init__(self, theirs: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.size, self.theirs = 2, theirs

    def sum_tensor(self, tensor: Tensor) -> Tensor:
        return tensor + self.theirs(tensor)


def test_the_stop_is_decided_on_what_is_reduced() -> None:
    """Another rank's rows have left far, while this one's have a KL of 0."""

    def theirs(tensor: Tensor) -> Tensor:
        more = torch.zeros_like(tensor)
        if tensor.ndim == 1 and len(tensor) > 4:  # a gradient with its KL, not the final statistics
            more[-1] = 200 * 0.016
        return more

    policy, batch = case("gaussian")
    before = parameters(policy)
    stats = step(ppo(policy, WithAnother(theirs), target_kl=0.01), batch)
    assert stats["updates"] == stats["epochs"] == 0 and same_bits(parameters(policy), before)
    assert step(ppo(policy, WithAnother(theirs), target_kl=0.011), batch)["updates"] == 1


@pytest.mark.parametrize(
    ("what", "value"), [("advantages", math.nan), ("actions", math.inf), ("observations", math.nan)]
)
def test_what_is_not_finite_is_named(what: str, value: float) -> None:
    policy, batch = case("gaussian")
    getattr(batch, what)[7] = value
    before, made = parameters(policy), ppo(policy)
    with pytest.raises(NotFinite, match=r"(gradient|KL.*) of the policy (at|before) update 1 is (nan|-?inf)"):
        step(made, batch)
    assert same_bits(parameters(policy), before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_advantage_no_step(dtype: str) -> None:
    policy, kind = toys.policy(toys.spec(3, 2), dtype=dtype), getattr(torch, dtype)
    batch = batch_of(policy, torch.ones(50, 3, dtype=kind), torch.zeros(50, dtype=kind))
    before = parameters(policy)
    stats = step(ppo(policy, n_epochs=3, batch_size=10), batch)
    assert same_bits(parameters(policy), before)
    assert stats["gradient_norm"] == stats["kl"] == 0


# ---- advantages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["batch", "minibatch"])
def test_advantages_are_standardised_again_in_each_minibatch_if_asked_for(where: str) -> None:
    policy, batch = case("gaussian")
    batch = dataclasses.replace(batch, advantages=5.0 + 3.0 * batch.advantages)
    made = ppo(policy, batch_size=50, normalise_advantages=where)
    parts = list(made._minibatches(batch, made._rows(batch), np.random.default_rng(0)))
    assert len(parts) == 4
    for part in parts:
        mean, std = float(part.advantages.mean()), float(part.advantages.std(unbiased=False))
        assert (mean, std) == pytest.approx((0.0, 1.0), abs=1e-6) if where == "minibatch" else mean > 3 and std > 2
    whole = torch.cat([part.advantages for part in parts]).sort()[0]
    assert torch.equal(whole, batch.advantages.sort()[0]) == (where == "batch")


def test_advantages_are_computed_anew_between_epochs_if_asked_for() -> None:
    policy, batch = case("gaussian")
    calls: list[Tensor] = []

    def readvantage(rng: np.random.Generator) -> Tensor:
        calls.append(parameters(policy))
        return torch.zeros_like(batch.advantages)

    batch = dataclasses.replace(batch, readvantage=readvantage)
    step(ppo(policy, n_epochs=3), batch)
    assert calls == []
    made = ppo(policy, n_epochs=3, recompute_advantages=True)
    norms: list[float] = []
    true = made.gradient
    made.gradient = lambda part: (norms.append(float(true(part)[0].norm())), true(part))[1]  # type: ignore[assignment,method-assign]
    step(made, batch)
    assert len(calls) == 2  # none after the last
    assert norms[0] > 0.1 and norms[1:] == [0.0, 0.0]


# ---- ranks, and what is carried on -----------------------------------------------------------------------------------


def shared(batch: Batch, offset: int, stop: int) -> Batch:
    """Rows of one of several ranks."""
    mine = slice(offset, stop)
    return dataclasses.replace(
        batch, rows=Rows(offset, stop - offset, batch.rows.total), observations=batch.observations[mine],
        actions=batch.actions[mine], advantages=batch.advantages[mine],
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_share_the_minibatches_of_one(kind: str) -> None:
    policy, batch = case(kind)
    edges = [0, 37, 37, 150, 200]
    ranks = [shared(batch, start, stop) for start, stop in pairwise(edges)]

    def minibatches(part: Batch) -> list[tuple[Tensor, float]]:
        made = ppo(policy, target_kl=1.0, batch_size=48)
        rows = made._rows(part)
        with torch.no_grad():
            made.flat.vector.add_(0.05)
        found = [made.gradient(p) for p in made._minibatches(part, rows, np.random.default_rng(4))]
        with torch.no_grad():
            made.flat.vector.sub_(0.05)
        return found

    alone, together = minibatches(batch), [minibatches(rank) for rank in ranks]
    assert len(alone) == 4
    for k, (gradient, kl) in enumerate(alone):
        torch.testing.assert_close(sum(rank[k][0] for rank in together), gradient, rtol=1e-9, atol=1e-12)
        assert 0 < kl == pytest.approx(sum(rank[k][1] for rank in together), rel=1e-9)


@pytest.mark.parametrize("more", [{"schedule": "linear"}, KL_PENALTY])
def test_what_is_saved_goes_on_bit_for_bit(more: dict[str, Any]) -> None:
    policy, batch = case("gaussian")
    settings = {"n_epochs": 2, "batch_size": 50, **more}
    made = ppo(policy, **settings)
    step(made, batch)
    twin = copy.deepcopy(policy)
    fresh, again = ppo(copy.deepcopy(policy), **settings), ppo(twin, **settings)
    again.load_state_dict(copy.deepcopy(made.state_dict()))
    rows = [step(x, batch, 1) for x in (made, again, fresh)]
    assert same_bits(parameters(policy), parameters(twin)) and rows[0] == rows[1]
    assert not same_bits(parameters(policy), parameters(fresh.policy)), "a blind control"


@pytest.mark.parametrize("objective", ["clip", "kl-penalty"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_rest_moves_nothing_but_the_schedule(kind: str, objective: str) -> None:
    policy, batch = case(kind)
    made = ppo(policy, run_steps=1000, schedule="linear", objective=objective)
    before = parameters(policy)
    rested = made.rest(batch)
    assert same_bits(parameters(policy), before) and made.run.steps == 200 and made.kl_coeff == 1.0
    taken = step(made, batch)
    assert list(rested) == list(taken) and taken["kl"] > 0 and rested["entropy"] == taken["entropy"]
    assert taken["learning_rate"] == pytest.approx(0.8 * rested["learning_rate"])
    silent = ("kl", "improvement", "clip_fraction", "epochs", "updates", "gradient_norm")
    assert {rested[name] for name in silent} == {0.0}
