"""GAE's closed forms, ends of episodes, and rows that are no transitions."""

from __future__ import annotations

import dataclasses
from typing import Any

import beside
import numpy as np
import pytest
import torch
import toys

from trpo_gail.adversaries.discriminator import Discriminator
from trpo_gail.adversaries.network import DiscriminatorNetwork
from trpo_gail.adversaries.view import View
from trpo_gail.config.tree import Config, CriticConfig, DiscriminatorConfig
from trpo_gail.critic import Critic
from trpo_gail.networks.value import ValueNetwork
from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import number_rows
from trpo_gail.sampling.returns import gae
from trpo_gail.sampling.rollout import Rollout
from trpo_gail.sampling.transitions import flat_rows

GAMMA = 0.9


def arrays(rng: np.random.Generator, T: int = 12, N: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """reward, value, terminated, boundary; some boundaries are truncations."""
    end, both = rng.random((T, N)) < 0.3, rng.random((T, N)) < 0.5
    return rng.standard_normal((T, N)), rng.standard_normal((T + 1, N)), end & both, end


# ---- closed forms ----------------------------------------------------------------------------------------------------


def test_lambda_0_is_the_td_error(rng: np.random.Generator) -> None:
    reward, value, terminated, boundary = arrays(rng)
    expected = reward + GAMMA * np.where(terminated, 0.0, value[1:]) - value[:-1]
    np.testing.assert_allclose(gae(reward, value, terminated, boundary, GAMMA, 0.0), expected, atol=1e-12)


def test_lambda_1_is_the_monte_carlo_return_minus_the_value(rng: np.random.Generator) -> None:
    reward, value, terminated, boundary = arrays(rng)
    expected = np.empty_like(reward)
    for t, n in np.ndindex(*reward.shape):
        end = next((k for k in range(t, len(reward)) if boundary[k, n]), len(reward) - 1)
        ret = sum(GAMMA ** (k - t) * reward[k, n] for k in range(t, end + 1))
        ret += 0.0 if terminated[end, n] else GAMMA ** (end + 1 - t) * value[end + 1, n]
        expected[t, n] = ret - value[t, n]
    np.testing.assert_allclose(gae(reward, value, terminated, boundary, GAMMA, 1.0), expected, atol=1e-12)


def test_between_it_is_the_discounted_sum_of_td_errors(rng: np.random.Generator) -> None:
    reward, value, terminated, boundary = arrays(rng)
    lam, delta, expected = 0.7, gae(reward, value, terminated, boundary, GAMMA, 0.0), np.zeros_like(reward)
    for t, n in np.ndindex(*reward.shape):
        for k in range(t, len(reward)):
            expected[t, n] += (GAMMA * lam) ** (k - t) * delta[k, n]
            if boundary[k, n]:
                break
    np.testing.assert_allclose(gae(reward, value, terminated, boundary, GAMMA, lam), expected, atol=1e-12)


def test_a_value_that_is_right_leaves_no_advantage() -> None:
    """A reward of 1 for ever is worth 1 / (1 - gamma), and a time limit takes nothing from it."""
    T, N = 10, 2
    boundary = np.zeros((T, N), bool)
    boundary[4] = True
    value = np.full((T + 1, N), 1 / (1 - GAMMA))
    nothing = np.zeros((T, N), bool)
    np.testing.assert_allclose(gae(np.ones((T, N)), value, nothing, boundary, GAMMA, 0.95), 0.0, atol=1e-12)
    ended = gae(np.ones((T, N)), value, boundary, boundary, GAMMA, 0.95)
    assert (ended[:5] < -1).all() and np.allclose(ended[5:], 0)


def test_a_boundary_lets_nothing_through(rng: np.random.Generator) -> None:
    """toshikwa's implementation lets the next episode's advantages leak over a time limit."""
    reward, value, terminated, _ = arrays(rng)
    boundary = np.zeros_like(terminated)
    boundary[5] = True
    before = gae(reward, value, terminated & boundary, boundary, GAMMA, 0.95)
    reward[6:], value[7:] = rng.standard_normal(reward[6:].shape), rng.standard_normal(value[7:].shape)
    after = gae(reward, value, terminated & boundary, boundary, GAMMA, 0.95)
    np.testing.assert_array_equal(before[:6], after[:6])
    assert (before[6:] != after[6:]).all()


# ---- the critic's use of it ------------------------------------------------------------------------------------------


def critic(
    lam: float = 0.95,
    *,
    time_input: bool = False,
    weights: tuple[float, ...] = (1.0,),
    limit: int | None = None,
    target_lam: float | None = None,
    **config: Any,
) -> Critic:
    """V(s) = weights . (observation, time): linear, so that every value is known."""
    settings = CriticConfig(hidden_sizes=(), time_input=time_input, target_lam=target_lam)
    network = ValueNetwork(settings, toys.spec(len(weights) - time_input, 1), torch.Generator()).double()
    made = Critic(Config("toys:any", critic=settings, gamma=GAMMA, lam=lam, **config), network, limit, Workers())
    with torch.no_grad():
        network.net.layers[0].weight.copy_(torch.tensor([weights]))
    return made


def targets(made: Critic, rollout: Rollout, reward: np.ndarray | None = None) -> np.ndarray:
    """advantage + V of every valid row."""
    return made.batch(rollout, rollout.rewards if reward is None else reward, toys.numbered(rollout)).targets.numpy()


def test_a_time_limit_bootstraps_and_a_termination_does_not() -> None:
    limited, terminated = toys.rollout(["..L_.."]), toys.rollout(["..T_.."])
    np.testing.assert_array_equal(limited.observations, terminated.observations)
    v, r = limited.observations[:, 0, 0], limited.rewards[:, 0]
    expected = r[[0, 1, 2, 4, 5]] + GAMMA * v[[1, 2, 3, 5, 6]]  # row 3 holds the true last observation
    np.testing.assert_allclose(targets(critic(lam=0.0), limited), expected, atol=1e-12)
    expected[2] = r[2]
    np.testing.assert_allclose(targets(critic(lam=0.0), terminated), expected, atol=1e-12)
    assert abs(v[3]) > 0.1, "the control would be blind"


def test_a_time_limit_may_end_all_as_a_termination_does() -> None:
    limited, terminated = toys.rollout(["..L_.."]), toys.rollout(["..T_.."])
    terminal = targets(critic(lam=0.5, time_limits="terminal"), limited)
    np.testing.assert_array_equal(terminal, targets(critic(lam=0.5), terminated))
    assert terminal[2] != targets(critic(lam=0.5), limited)[2]


def test_targets_with_lambda_1_are_discounted_returns() -> None:
    rollout = toys.rollout(["..T_.L"])
    r = rollout.rewards[:, 0]
    made = critic(lam=0.0, target_lam=1.0, time_limits="terminal")
    returns = [r[0] + GAMMA * (r[1] + GAMMA * r[2]), r[1] + GAMMA * r[2], r[2], r[4] + GAMMA * r[5], r[5]]
    np.testing.assert_allclose(targets(made, rollout), returns, atol=1e-12)
    np.testing.assert_array_equal(
        made.batch(rollout, rollout.rewards, toys.numbered(rollout)).advantages,
        critic(lam=0.0, time_limits="terminal").batch(rollout, rollout.rewards, toys.numbered(rollout)).advantages,
    )


def test_a_batch_may_get_targets_for_another_reward() -> None:
    rollout, other = toys.rollout(["..T_.L"]), toys.rollout(["..T_.L"]).rewards + 1.0
    made = critic()
    batch = made.batch(rollout, rollout.rewards, toys.numbered(rollout))
    changed = made.retarget(batch, rollout, other)
    assert torch.equal(changed.targets, made.batch(rollout, other, toys.numbered(rollout)).targets)
    assert changed.advantages is batch.advantages and not torch.equal(changed.targets, batch.targets)


def test_advantages_are_standardised_over_valid_rows_alone() -> None:
    rollout = toys.rollout(["..L_..", ".T_.__"])
    made = critic()
    batch = made.batch(rollout, rollout.rewards, toys.numbered(rollout))
    assert batch.rows.total == batch.rows.count == 8 == len(batch.advantages)
    raw = batch.targets - made.network.value(batch.observations, batch.times).detach()
    expected = (raw - raw.mean()) / raw.std(unbiased=False)
    torch.testing.assert_close(batch.advantages, expected, rtol=1e-6, atol=1e-6)


def test_advantages_are_standardised_over_all_ranks() -> None:
    """Two ranks whose rewards differ by much get the advantages of one rank that has all rows."""
    ends = ["..L_..", ".T_.__", "......"]
    rollout = toys.rollout(ends)
    rollout.rewards[:, 1:] += 100.0 * rollout.valid[:, 1:]

    def advantages(workers: Workers) -> torch.Tensor:
        mine, made = workers.block(len(ends)), critic()
        made.workers = workers
        part = Rollout(*(getattr(rollout, f.name)[:, mine.start : mine.stop] for f in dataclasses.fields(rollout)))
        return made.batch(part, part.rewards, number_rows(int(part.valid.sum()), workers)).advantages

    alone = advantages(Workers())
    torch.testing.assert_close(torch.cat(beside.on_two_ranks(advantages)), alone, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(alone.mean(), torch.zeros_like(alone.mean()), atol=1e-6, rtol=0)


def test_rows_are_in_the_order_of_environment_then_time() -> None:
    rollout = toys.rollout(["..L_..", ".T_.__"], observations=1)
    batch = critic().batch(rollout, rollout.rewards, toys.numbered(rollout))
    expected = np.concatenate([rollout.observations[[0, 1, 2, 4, 5], 0], rollout.observations[[0, 1, 3], 1]])
    np.testing.assert_array_equal(batch.observations.numpy(), expected)
    np.testing.assert_array_equal(batch.actions.numpy(), flat_rows(rollout, rollout.actions))


def test_the_time_is_that_of_the_state_also_where_an_episode_meets_its_limit() -> None:
    rollout, limit = toys.rollout(["..L_.."]), 3
    made = critic(lam=0.0, time_input=True, weights=(0.0, 1.0), limit=limit)  # V(s) = time / limit
    batch = made.batch(rollout, rollout.rewards, toys.numbered(rollout))
    np.testing.assert_allclose(batch.times.numpy(), np.array([0, 1, 2, 0, 1]) / limit)
    successor = np.array([1, 2, 3, 1, 2]) / limit
    np.testing.assert_allclose(batch.targets.numpy(), rollout.rewards[[0, 1, 2, 4, 5], 0] + GAMMA * successor)


# ---- rows that are no transitions ------------------------------------------------------------------------------------

ENDS = ["..L_...T_.", ".T_..L____", "....T_.L__"]


def perturbed(rollout: Rollout) -> Rollout:
    """Everything else in rows that are not valid; only a true last observation stays, to which a time limit bootstraps."""
    invalid = ~rollout.valid
    last = np.zeros_like(invalid)
    last[1:] = rollout.truncated[:-1]
    observations, actions, rewards = rollout.observations.copy(), rollout.actions.copy(), rollout.rewards.copy()
    observations[:-1][invalid & ~last] += 50.0
    actions[invalid] = 1 - actions[invalid] if actions.dtype.kind == "i" else actions[invalid] + 50.0
    rewards[invalid] += 50.0
    return dataclasses.replace(
        rollout,
        observations=observations,
        actions=actions,
        rewards=rewards,
        terminated=rollout.terminated ^ invalid,
        truncated=rollout.truncated | (invalid & (np.arange(len(invalid)) % 2 == 0)[:, None]),
        steps=np.where(invalid, 77, rollout.steps),
    )


@pytest.mark.parametrize("time_input", [False, True])
def test_rows_that_are_not_valid_have_no_influence_on_a_batch(time_input: bool) -> None:
    rollout = toys.rollout(ENDS)
    other = perturbed(rollout)
    weights = (1.0, 0.5) if time_input else (1.0,)
    a, b = (
        critic(time_input=time_input, weights=weights).batch(r, r.rewards, toys.numbered(r)) for r in (rollout, other)
    )
    for field in (
        f for f in dataclasses.fields(a) if f.name not in ("values", "readvantage")
    ):  # values are of all rows
        x, y = getattr(a, field.name), getattr(b, field.name)
        assert torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y, field.name
    valid_changed = dataclasses.replace(rollout, rewards=rollout.rewards + rollout.valid)
    assert not torch.equal(
        critic().batch(valid_changed, valid_changed.rewards, toys.numbered(rollout)).targets, a.targets
    ), "a blind control"


@pytest.mark.parametrize("discrete", [False, True])
def test_rows_that_are_not_valid_have_no_influence_on_the_discriminator(discrete: bool) -> None:
    rollout = toys.rollout(ENDS, observations=2, actions=2, discrete=discrete)
    expert = toys.rollout(["." * 9], observations=2, actions=2, discrete=discrete, seed=1)
    results = []
    for r in (rollout, perturbed(rollout)):
        config = DiscriminatorConfig(hidden_size_adversary=8)
        network = DiscriminatorNetwork(
            config, toys.spec(2, 2, discrete=discrete), torch.Generator().manual_seed(0)
        ).double()
        demonstrations = toys.seen(expert)
        view = View.of(toys.spec(2, 2, discrete=discrete), demonstrations)
        discriminator = Discriminator(config, 3, network, view, demonstrations, Workers())
        stats = discriminator.fit(toys.seen(r), np.random.default_rng(0))
        results.append((stats, discriminator.reward(toys.seen(r)), network.state_dict()))
    (stats, reward, state), (stats_, reward_, state_) = results
    assert stats == stats_
    np.testing.assert_array_equal(reward, reward_)
    assert len(reward) == rollout.valid.sum() and (reward > 0).all()
    assert all(torch.equal(state[name], state_[name]) for name in state)
