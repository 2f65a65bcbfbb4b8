"""D's closed forms: what it costs and pays at logit 0, and its optimum, the log density ratio."""

from __future__ import annotations

import copy
import dataclasses
import math
import multiprocessing
import threading
from typing import Any

import numpy as np
import pytest
import torch
import toys
from torch import Tensor
from torch.nn.functional import softplus

from trpo_gail.adversaries.discriminator import Discriminator
from trpo_gail.adversaries.draws import draws
from trpo_gail.adversaries.env_reward import EnvReward
from trpo_gail.adversaries.network import DiscriminatorNetwork
from trpo_gail.adversaries.rewards import FORMS
from trpo_gail.adversaries.view import View
from trpo_gail.config.tree import DiscriminatorConfig
from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import Rows

LOG2 = math.log(2)


def cross_entropy(logit: Tensor, learners: int, entcoeff: float) -> Tensor:
    """Sum of BCE over rows [B], the first `learners` of them the learner's, less entcoeff times D's entropy.

    The entropy of a Bernoulli variable with logit x is softplus(x) - x sigmoid(x).
    """
    bce = softplus(logit[:learners]).sum() + softplus(-logit[learners:]).sum()
    return bce - entcoeff * (softplus(logit) - logit * torch.sigmoid(logit)).sum()


Step = tuple[float, int, int]  # mean loss, rows that it was given, rows of all ranks


def random_rows(rng: np.random.Generator, n: int, discrete: int = 0) -> tuple[np.ndarray, np.ndarray]:
    actions = rng.integers(0, discrete, n) if discrete else rng.standard_normal((n, 1))
    return rng.standard_normal((n, 2)), actions


def make(
    expert: tuple[np.ndarray, np.ndarray],
    d_step: int = 1,
    *,
    discrete: int = 0,
    bounds: tuple[np.ndarray, np.ndarray] | None = None,
    logit: float | list[float] = 0.0,
    **config: Any,
) -> Discriminator:
    """A discriminator whose logit is `logit` everywhere (or one for each action), without a penalty."""
    cfg = DiscriminatorConfig(**{"hidden_size_adversary": 8, "gradient_penalty": 0.0} | config)
    spec = toys.spec(expert[0].shape[1], discrete or expert[1].shape[1], discrete=bool(discrete), bounds=bounds)
    network = DiscriminatorNetwork(cfg, spec, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        network.net.layers[-1].bias.copy_(torch.as_tensor(logit, dtype=torch.float64))
    demonstrations = toys.pairs(*expert)
    return Discriminator(cfg, d_step, network, View.of(spec, demonstrations), demonstrations, Workers())


def spied(discriminator: Discriminator) -> list[Step]:
    """Every update's mean loss and rows, as they come."""
    found: list[Step] = []
    step = discriminator.adam.step

    def spy(x: Tensor, slope: Any, count: int, more: Any = None) -> None:
        with torch.no_grad():
            logit = discriminator.network.net(x)[:, 0]
            loss = cross_entropy(logit, len(x) // 2, discriminator.config.adversary_entcoeff)
            found.append((float(loss) / count, len(x), count))
        step(x, slope, count, more)

    discriminator.adam.step = spy  # type: ignore[method-assign]
    return found


# ---- closed forms ----------------------------------------------------------------------------------------------------


def test_a_fresh_discriminator_knows_nothing(rng: np.random.Generator) -> None:
    rollout = toys.pairs(*random_rows(rng, 30))
    discriminator = make(random_rows(rng, 20), adversary_entcoeff=0.0)
    losses = spied(discriminator)
    np.testing.assert_allclose(discriminator.reward(rollout), LOG2, rtol=1e-12)
    stats = discriminator.fit(rollout, rng)
    assert losses == [(pytest.approx(2 * LOG2, rel=1e-12), 60, 30)]
    assert stats["d_loss"] == pytest.approx(2 * LOG2, rel=1e-12)
    assert stats["d_loss_learner"] == stats["d_loss_expert"] == stats["d_entropy"] == pytest.approx(LOG2, rel=1e-12)
    assert stats["d_logit_learner"] == stats["d_logit_expert"] == 0
    assert stats["d_accuracy_learner"] == stats["d_accuracy_expert"] == 0  # it has decided nothing


@pytest.mark.parametrize("x", [-100.0, -1.5, 0.0, 2.0, 100.0])
def test_rewards_are_finite_for_any_logit(x: float) -> None:
    logit = torch.tensor([x])
    D = 1 / (1 + math.exp(-x)) if x > -700 else 0.0
    alive, success = FORMS["-log(1-D)"].of_logit(logit).item(), FORMS["log(D)"].of_logit(logit).item()
    assert alive >= 0 >= success and math.isfinite(alive) and math.isfinite(success)
    if abs(x) < 10:
        assert alive == pytest.approx(-math.log(1 - D), rel=1e-5)
        assert success == pytest.approx(math.log(D), rel=1e-5)
    else:
        assert alive == pytest.approx(max(x, 0.0), abs=1e-30) and success == pytest.approx(min(x, 0.0), abs=1e-30)


@pytest.mark.parametrize("x", [-100.0, 100.0])
def test_losses_are_finite_for_any_logit(x: float, rng: np.random.Generator) -> None:
    discriminator = make(random_rows(rng, 20), logit=x)
    stats = discriminator.fit(toys.pairs(*random_rows(rng, 30)), rng)
    assert all(math.isfinite(value) for value in stats.values())
    assert stats["d_loss"] == pytest.approx(100.0) and stats["d_entropy"] == pytest.approx(0.0, abs=1e-30)
    assert torch.isfinite(discriminator.adam.flat.vector).all()
    assert (stats["d_accuracy_learner"], stats["d_accuracy_expert"]) == ((1, 0) if x < 0 else (0, 1))


@pytest.mark.slow
def test_its_optimum_is_the_log_density_ratio() -> None:
    """Expert N(0.5, 1), learner N(-0.5, 1): log N(x; 0.5, 1) - log N(x; -0.5, 1) = x."""
    rng, n = np.random.default_rng(0), 20_000
    none = np.zeros((n, 1))
    expert = (0.5 + rng.standard_normal((n, 1)), none)
    rollout = toys.pairs(-0.5 + rng.standard_normal((n, 1)), none)
    discriminator = make(
        expert, 300, adversary_entcoeff=0.0, d_stepsize=1e-2, hidden_size_adversary=16, d_batch_size=1000
    )
    discriminator.fit(rollout, rng)
    x = np.linspace(-1.5, 1.5, 13)[:, None]
    reward = discriminator.reward(toys.pairs(x, np.zeros((13, 1))))
    logit = np.log(np.expm1(reward))
    np.testing.assert_allclose(logit, x[:, 0], atol=0.2)


def test_its_optimum_over_actions_is_the_log_ratio_of_their_shares(rng: np.random.Generator) -> None:
    """The expert takes actions 0 and 1 in shares 8 and 2 of 10, the learner in 2 and 8."""
    expert = np.zeros((100, 2)), (np.arange(100) % 10 >= 8).astype(int)
    learner = toys.pairs(np.zeros((100, 2)), (np.arange(100) % 10 >= 2).astype(int))
    discriminator = make(expert, 400, discrete=2, adversary_entcoeff=0.0, d_stepsize=3e-2)
    discriminator.fit(learner, rng)
    reward = discriminator.reward(toys.pairs(np.zeros((2, 2)), np.arange(2)))
    np.testing.assert_allclose(np.log(np.expm1(reward)), [math.log(4), -math.log(4)], atol=0.4)


@pytest.mark.parametrize("x", [0.0, 1.3, -2.0])
def test_the_entropy_of_its_decisions_is_a_bonus(x: float, rng: np.random.Generator) -> None:
    D = 1 / (1 + math.exp(-x))
    entropy = -D * math.log(D) - (1 - D) * math.log(1 - D)
    cross_entropy = -math.log(D) - math.log(1 - D)
    for weight in (0.0, 0.25):
        discriminator = make(random_rows(rng, 20), adversary_entcoeff=weight, logit=x)
        losses = spied(discriminator)
        stats = discriminator.fit(toys.pairs(*random_rows(rng, 30)), rng)
        assert losses[0][0] == pytest.approx(cross_entropy - 2 * weight * entropy, rel=1e-9)  # of both sides
        assert stats["d_loss"] == pytest.approx(cross_entropy, rel=1e-9)
        assert stats["d_entropy"] == pytest.approx(entropy, rel=1e-9)


# ---- rows ------------------------------------------------------------------------------------------------------------


def test_a_discrete_action_chooses_its_output(rng: np.random.Generator) -> None:
    logits = [1.0, -2.0, 3.0]
    discriminator = make(random_rows(rng, 10, 3), discrete=3, logit=logits, d_stepsize=1e-9)
    actions = np.array([2, 0, 1, 1])
    reward = discriminator.reward(toys.pairs(rng.standard_normal((4, 2)), actions))
    np.testing.assert_allclose(reward, np.log1p(np.exp(np.array(logits)[actions])), rtol=1e-9)
    stats = discriminator.fit(toys.pairs(rng.standard_normal((4, 2)), actions), rng)
    assert stats["d_logit_learner"] == pytest.approx(0.0, abs=1e-6)  # (3 + 1 - 2 - 2) / 4
    assert stats["d_accuracy_learner"] == 0.5


def test_a_box_action_is_an_input(rng: np.random.Generator) -> None:
    expert = rng.standard_normal((500, 2)), np.ones((500, 1))
    learner = rng.standard_normal((500, 2)), -np.ones((500, 1))
    discriminator = make(expert, 200, d_stepsize=1e-2)
    stats = discriminator.fit(toys.pairs(*learner), rng)
    assert stats["d_accuracy_learner"] > 0.9 < stats["d_accuracy_expert"]
    assert discriminator.reward(toys.pairs(*expert)).mean() > 5 * discriminator.reward(toys.pairs(*learner)).mean()
    assert stats["d_logit_expert"] > 1 and stats["d_logit_learner"] < -1


def test_executed_actions_are_clipped_before_it_sees_them(rng: np.random.Generator) -> None:
    bounds = np.array([-1.0]), np.array([0.5])
    observations, actions = random_rows(rng, 40)
    actions *= 3
    expert = random_rows(rng, 30)
    seen = [make(expert, 5, bounds=b) for b in (bounds, None)]
    for discriminator in seen:
        discriminator.fit(toys.pairs(*random_rows(rng, 40)), np.random.default_rng(0))
    clipped, raw = (d.reward(toys.pairs(observations, actions)) for d in seen)
    np.testing.assert_array_equal(clipped, seen[0].reward(toys.pairs(observations, np.clip(actions, -1.0, 0.5))))
    assert (raw != seen[1].reward(toys.pairs(observations, np.clip(actions, -1.0, 0.5)))).any()


@pytest.mark.parametrize("clips", [True, False])
def test_it_learns_from_the_actions_that_it_pays(clips: bool, rng: np.random.Generator) -> None:
    """The fit and the pay see one action, clipped or raw: actions outside the bounds count in both, or in neither."""
    bounds = (np.array([-1.0]), np.array([0.5])) if clips else None
    expert, (observations, actions) = random_rows(rng, 30), random_rows(rng, 40)
    raw, executed = 3 * actions, np.clip(3 * actions, -1.0, 0.5)
    fitted = [make(expert, 5, bounds=bounds) for _ in range(2)]
    for discriminator, done in zip(fitted, (raw, executed), strict=True):
        discriminator.fit(toys.pairs(observations, done), np.random.default_rng(0))
    one, other = (d.adam.flat.vector for d in fitted)
    assert torch.equal(one, other) == clips
    of_raw, of_executed = (fitted[0].reward(toys.pairs(observations, done)) for done in (raw, executed))
    assert np.array_equal(of_raw, of_executed) == clips


def test_a_batch_is_paid_by_one_forward_pass(rng: np.random.Generator) -> None:
    """Not by one a step."""
    discriminator, passes = make(random_rows(rng, 20)), []
    discriminator.network.net.register_forward_hook(lambda net, given, out: passes.append(len(out)))
    discriminator.reward(toys.pairs(*random_rows(rng, 300)))
    assert passes == [300]


@pytest.mark.parametrize("size", [5, 10, 20, 40])
def test_no_batch_of_the_experts_is_empty(size: int, rng: np.random.Generator) -> None:
    """Also if the demonstrations are a multiple of it, or fewer."""
    config = DiscriminatorConfig(expert_batch_size=size)
    drawn = list(draws(config, 12, Rows(0, 40, 40), 20, rng, Workers()))
    assert [len(draw.expert) for draw in drawn] == [size] * 12
    discriminator = make(random_rows(rng, 20), 12, expert_batch_size=size)
    stats = discriminator.fit(toys.pairs(*random_rows(rng, 40)), rng)
    assert all(math.isfinite(value) for value in stats.values())


def test_demonstrations_are_drawn_by_this_process(rng: np.random.Generator) -> None:
    """No process is forked, which would hold a copy of MPI's state, and no thread waits for rows."""
    threads = threading.active_count()
    discriminator = make(random_rows(rng, 20), 5)
    discriminator.fit(toys.pairs(*random_rows(rng, 40)), rng)
    assert threading.active_count() == threads and not multiprocessing.active_children()


def test_it_sees_observations_as_the_demonstrations_were_kept(rng: np.random.Generator) -> None:
    """A constant that the file holds in float32 and the environment gives in float64 tells nothing of who acts."""
    observations, actions = random_rows(rng, 40)
    observations[:, 0] = 8.907462
    kept = observations.astype(np.float32)
    discriminator = make((kept, actions), 5)
    np.testing.assert_array_equal(
        discriminator.reward(toys.pairs(observations, actions)),
        discriminator.reward(toys.pairs(kept.astype(np.float64), actions)),
    )
    discriminator.fit(toys.pairs(observations, actions), np.random.default_rng(0))
    discriminator.fit(toys.pairs(observations, actions), np.random.default_rng(1))
    np.testing.assert_array_equal(
        discriminator.reward(toys.pairs(observations, actions)),
        discriminator.reward(toys.pairs(kept.astype(np.float64), actions)),
    )


def test_both_sides_are_normalised_by_the_same_statistics(rng: np.random.Generator) -> None:
    """Each side counts half, whatever its number of rows; Tianshou's example normalised one side alone."""
    expert, learner = random_rows(rng, 15), random_rows(rng, 60)
    expert = expert[0] + 4.0, expert[1]
    discriminator = make(expert)
    discriminator.fit(toys.pairs(*learner), rng)
    e, l = np.hstack(expert), np.hstack(learner)
    mean = (e.mean(0) + l.mean(0)) / 2
    std = np.sqrt(((e**2).mean(0) + (l**2).mean(0)) / 2 - mean**2)
    normaliser = discriminator.network.normaliser
    np.testing.assert_allclose(normaliser.mean.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(normaliser.std.numpy(), std, rtol=1e-12)
    assert normaliser.count == 120


def test_a_decay_of_0_takes_the_rows_of_the_last_iteration_alone(rng: np.random.Generator) -> None:
    """The expert's are there at each. With 1, as in the paper, far rows of an early policy stay."""
    expert, far, near = (random_rows(rng, 30) for _ in range(3))
    far = 100.0 * far[0], far[1]
    spreads = {}
    for decay in (0.0, 1.0):
        discriminator = make(expert, normalise_decay=decay)
        for learner in (far, near):
            discriminator.fit(toys.pairs(*learner), rng)
        spreads[decay] = discriminator.network.normaliser.std.numpy()
    both = np.concatenate([np.hstack(expert), np.hstack(near)])
    np.testing.assert_allclose(spreads[0.0], both.std(0), rtol=1e-12)
    observed = expert[0].shape[1]
    assert (spreads[1.0][:observed] > 10 * both.std(0)[:observed]).all()


@pytest.mark.parametrize("discrete", [0, 3])
def test_it_cannot_tell_a_row_from_itself(discrete: int, rng: np.random.Generator) -> None:
    """Learner and expert alike: whatever D has become, its mean logits of both sides are the same."""
    observations, actions = (np.repeat(x[:1], 30, 0) for x in random_rows(rng, 1, discrete))
    same = observations, actions
    discriminator = make(same, 20, discrete=discrete, d_stepsize=0.1, adversary_entcoeff=0.0)
    with torch.no_grad():
        discriminator.adam.flat.vector.normal_(generator=torch.Generator().manual_seed(1))
    stats = discriminator.fit(toys.pairs(*same), rng)
    assert stats["d_logit_learner"] == pytest.approx(stats["d_logit_expert"], rel=1e-9)
    assert stats["d_logit_learner"] != 0
    assert stats["d_accuracy_learner"] + stats["d_accuracy_expert"] == pytest.approx(1)


def test_accuracies_are_shares_of_rows(rng: np.random.Generator) -> None:
    """logit = 1 for action 0, -1 for action 1: the learner takes 1 in a quarter of its rows, the expert 0 in half."""
    expert = np.zeros((10, 2)), np.arange(10) % 2
    discriminator = make(expert, 1, discrete=2, logit=[1.0, -1.0])
    actions = (np.arange(400) % 4 == 0).astype(int)
    stats = discriminator.fit(toys.pairs(np.zeros((400, 2)), actions), rng)
    assert stats["d_accuracy_learner"] == 0.25
    assert stats["d_accuracy_expert"] == pytest.approx(0.5, abs=0.1)  # of 400 draws
    assert stats["d_logit_learner"] == pytest.approx(0.5)


# ---- updates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("d_step", "d_batch_size", "counts"),
    [
        (1, None, [100]),
        (8, None, [12, 13, 12, 13, 12, 13, 12, 13]),
        (3, 20, [20] * 3),
        (7, 20, [20] * 7),  # more than the rows hold: a second pass
        (2, 1000, [100] * 2),
        (150, None, [1] * 150),
    ],
)
def test_one_update_is_one_step_on_as_many_rows_of_each_side(
    d_step: int, d_batch_size: int | None, counts: list[int], rng: np.random.Generator
) -> None:
    discriminator = make(random_rows(rng, 7), d_step, d_batch_size=d_batch_size)
    steps = spied(discriminator)
    discriminator.fit(toys.pairs(*random_rows(rng, 100)), rng)
    assert [count for _, _, count in steps] == counts
    assert [given for _, given, _ in steps] == [2 * count for count in counts]


def test_minibatches_hold_each_learner_row_once_and_draw_the_experts(rng: np.random.Generator) -> None:
    number = np.arange(1.0, 101.0)[:, None]  # a row's name is its action
    expert = np.zeros((50, 2)), -number[:50]
    discriminator = make(expert, 4, normalise="none", input_clip=None)
    given: list[np.ndarray] = []
    step = discriminator.adam.step

    def spy(x: Tensor, slope: Any, count: int, more: Any = None) -> None:
        given.append(x[:, 2].numpy().copy())
        step(x, slope, count, more)

    discriminator.adam.step = spy  # type: ignore[method-assign]
    discriminator.fit(toys.pairs(np.zeros((100, 2)), number), rng)
    everything = np.concatenate(given)
    np.testing.assert_array_equal(np.sort(everything[everything > 0]), number[:, 0])
    drawn = -everything[everything < 0]
    assert len(drawn) == 100 and 30 < len(np.unique(drawn)) < 50 and drawn.min() >= 1 and drawn.max() <= 50


def test_ranks_together_meet_the_rows_of_one() -> None:
    """Learner rows and the expert rows drawn beside them, in the same updates, however the learner's are split."""

    def met(rows: Rows) -> list[list[tuple[int, int]]]:
        batches = draws(DiscriminatorConfig(d_batch_size=9), 5, rows, 50, np.random.default_rng(0), Workers())
        return [list(zip(draw.learner + rows.offset, draw.expert, strict=True)) for draw in batches]

    whole, *parts = (met(Rows(offset, count, 30)) for offset, count in [(0, 30), (0, 13), (13, 0), (13, 17)])
    assert len(whole) == 5
    for update, *shares in zip(whole, *parts, strict=True):
        assert sorted(update) == sorted(pair for share in shares for pair in share)


def test_a_saved_discriminator_goes_on_bit_for_bit(rng: np.random.Generator) -> None:
    expert, learner = random_rows(rng, 20), toys.pairs(*random_rows(rng, 30))
    discriminator, again = make(expert, 3), make(expert, 3, logit=1.0)
    discriminator.fit(learner, np.random.default_rng(0))
    again.load_state_dict(copy.deepcopy(discriminator.state_dict()))  # a checkpoint is a copy
    for d in (discriminator, again):
        d.fit(learner, np.random.default_rng(1))
    assert torch.equal(discriminator.adam.flat.vector, again.adam.flat.vector)
    np.testing.assert_array_equal(discriminator.reward(learner), again.reward(learner))


# ---- the environment's own reward ------------------------------------------------------------------------------------


def test_the_environments_reward_is_paid_for_transitions_alone() -> None:
    rollout = toys.rollout([".T_."])
    rollout = dataclasses.replace(rollout, rewards=np.array([[1.0], [2.0], [99.0], [4.0]]))
    adversary = EnvReward()
    np.testing.assert_array_equal(adversary.reward(toys.seen(rollout)), [1, 2, 4])
    assert adversary.fit(toys.seen(rollout), np.random.default_rng(0)) == {} == adversary.state_dict()


@pytest.mark.parametrize("discrete", [0, 3])
def test_observations_that_a_file_keeps_as_integers_are_numbers(discrete: int, rng: np.random.Generator) -> None:
    """The learner's between them are not cut off, and the statistics are not rounded."""
    observations, actions = rng.integers(-3, 4, (20, 2)), random_rows(rng, 20, discrete)[1]
    rollout = toys.pairs(*random_rows(rng, 30, discrete))
    stats, paid = [], []
    for kept in (observations.astype(np.int8), observations.astype(np.float64)):
        discriminator = make((kept, actions), 4, discrete=discrete, logit=[0.0] * max(1, discrete))
        stats.append(discriminator.fit(rollout, np.random.default_rng(1)))
        paid.append(discriminator.reward(rollout))
    assert stats[0] == stats[1] and len(np.unique(paid[0])) == 30
    np.testing.assert_array_equal(paid[0], paid[1])
