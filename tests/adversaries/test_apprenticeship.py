"""FEM's and GTAL's closed forms: the worst linear reward is the normalised gap of feature means, or its largest entry."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import toys

from trpo_gail.adversaries.apprenticeship import Apprenticeship, Features
from trpo_gail.adversaries.inputs import Inputs
from trpo_gail.adversaries.rewards import FORMS
from trpo_gail.parallel import Workers

Pairs = tuple[np.ndarray, np.ndarray]
METHODS = ("fem", "gtal")
KINDS = ("-log(1-D)", "log(D)")


def pairs(rng: np.random.Generator, n: int, discrete: int = 0, shift: float = 0.0) -> Pairs:
    actions = rng.integers(0, discrete, n) if discrete else 3.0 * rng.standard_normal((n, 1)) - shift
    return 2.0 * rng.standard_normal((n, 2)) + [shift, 1.0], actions


def make(
    method: Any, expert: Pairs, kind: str = "-log(1-D)", *, discrete: int = 0, bounds: Any = None, rng: Any = None
) -> Apprenticeship:
    spec = toys.spec(expert[0].shape[1], discrete or expert[1].shape[1], discrete=bool(discrete), bounds=bounds)
    rng = rng or np.random.default_rng(0)
    return Apprenticeship(method, FORMS[kind].sign, spec, toys.pairs(*expert), rng, Workers())


def phi_by_hand(expert: Pairs, given: Pairs, discrete: int = 0) -> np.ndarray:
    """Features [B, F] as section 1.5 of the facts writes them, row by row."""
    observations, actions = given
    every = expert[0] if discrete else np.hstack(expert)
    mean, std = every.mean(0), every.std(0) + 1e-6
    found = []
    for o, a in zip(observations, actions, strict=True):
        z = ((o if discrete else np.concatenate([o, a])) - mean) / std
        block = [*z, *(0.01 * z) ** 2]
        if discrete:
            none = [0.0] * len(block)
            block = [x for k in range(discrete) for x in (block if k == a else none)]
        found.append([*block, 1.0])
    return np.array(found)


# ---- features --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("discrete", [0, 3])
def test_features_are_those_of_the_paper(discrete: int, rng: np.random.Generator) -> None:
    expert, given = pairs(rng, 40, discrete), pairs(rng, 30, discrete, shift=1.0)
    features = Features(Inputs(toys.spec(2, discrete or 1, discrete=bool(discrete))), *expert)
    assert features.size == (3 * 4 + 1 if discrete else 7)
    np.testing.assert_allclose(features(*given), phi_by_hand(expert, given, discrete), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("discrete", [0, 3])
def test_expert_features_have_mean_0_squares_the_scale_squared_and_1(discrete: int, rng: np.random.Generator) -> None:
    expert = pairs(rng, 60, discrete)
    features = Features(Inputs(toys.spec(2, discrete or 1, discrete=bool(discrete))), *expert)
    mean = features(*expert).mean(0)
    if discrete:
        mean = np.concatenate([mean[:-1].reshape(3, -1).sum(0), mean[-1:]])
    n = len(mean) // 2
    np.testing.assert_allclose(mean, [0.0] * n + [1e-4] * n + [1.0], rtol=1e-5, atol=1e-12)


def test_rows_beyond_a_block_are_rows_too(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    expert, learner = pairs(rng, 40), toys.pairs(*pairs(rng, 30))
    whole, parts = make("fem", expert), make("fem", expert)
    whole.fit(learner, rng)
    paid = whole.reward(learner)
    monkeypatch.setattr("trpo_gail.adversaries.apprenticeship.BLOCK", 7)
    parts.fit(learner, rng)
    np.testing.assert_allclose(parts.weights, whole.weights, rtol=1e-12)
    np.testing.assert_allclose(parts.reward(learner), paid, rtol=1e-12)


# ---- the worst reward ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("discrete", [0, 3])
def test_fems_weights_are_the_normalised_gap_of_means(discrete: int, rng: np.random.Generator) -> None:
    expert, learner = pairs(rng, 40, discrete), pairs(rng, 30, discrete, shift=1.0)
    adversary = make("fem", expert, discrete=discrete)
    stats = adversary.fit(toys.pairs(*learner), rng)
    gap = phi_by_hand(expert, expert, discrete).mean(0) - phi_by_hand(expert, learner, discrete).mean(0)
    distance = np.linalg.norm(gap)
    np.testing.assert_allclose(adversary.weights, gap / distance, atol=1e-7)
    assert stats["feature_distance"] == pytest.approx(distance, rel=1e-6)


@pytest.mark.parametrize(("step", "index", "sign"), [([5.0, 1.0, 0.0], 0, -1), ([0.0, -2.0, 1.0], 1, 1)])
def test_gtal_picks_the_feature_that_is_furthest_off(
    step: list[float], index: int, sign: int, rng: np.random.Generator
) -> None:
    observations, actions = pairs(rng, 50)
    expert = observations / observations.std(0), actions / actions.std(0)
    adversary = make("gtal", expert)
    stats = adversary.fit(toys.pairs(expert[0] + step[:2], expert[1] + step[2]), rng)
    assert np.flatnonzero(adversary.weights).tolist() == [index] and adversary.weights[index] == sign
    assert stats["feature_distance"] == pytest.approx(abs(step[index]), rel=1e-5)
    learner = toys.pairs(*pairs(rng, 20))
    paid, phi = adversary.reward(learner), phi_by_hand(expert, (learner.observations, learner.actions))
    np.testing.assert_allclose(np.diff(paid), np.diff(sign * phi[:, index]) / 14, rtol=1e-6)  # 7 features, 7 negations


@pytest.mark.parametrize("method", METHODS)
def test_an_expert_like_learner_leaves_nothing_to_pay_for(method: str, rng: np.random.Generator) -> None:
    expert = pairs(rng, 40)
    adversary = make(method, expert)
    stats = adversary.fit(toys.pairs(*(np.repeat(x, 2, 0) for x in expert)), rng)
    assert stats["feature_distance"] == pytest.approx(0.0, abs=1e-12)
    if method == "fem":
        np.testing.assert_allclose(adversary.weights, 0.0, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_executed_actions_are_clipped_before_they_are_seen(method: str, rng: np.random.Generator) -> None:
    bounds = np.array([-1.0]), np.array([0.5])
    expert, (observations, actions) = pairs(rng, 40), pairs(rng, 30, shift=4.0)
    clipped, raw = make(method, expert, bounds=bounds), make(method, expert)
    clipped.fit(toys.pairs(observations, actions), rng)
    raw.fit(toys.pairs(observations, np.clip(actions, *bounds)), rng)
    np.testing.assert_array_equal(clipped.weights, raw.weights)
    wild = toys.pairs(observations, 10 * actions)
    np.testing.assert_array_equal(
        clipped.reward(wild), raw.reward(toys.pairs(observations, np.clip(10 * actions, *bounds)))
    )


# ---- what is paid ----------------------------------------------------------------------------------------------------


def test_fem_pays_the_linear_reward_over_its_dimension(rng: np.random.Generator) -> None:
    expert, learner = pairs(rng, 40), pairs(rng, 30, shift=1.0)
    adversary = make("fem", expert)
    adversary.fit(toys.pairs(*learner), rng)
    linear = phi_by_hand(expert, learner) @ adversary.weights / 7
    assert linear.min() < 0
    np.testing.assert_allclose(adversary.reward(toys.pairs(*learner)), linear - linear.min(), rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_the_shift_gives_one_sign_and_remembers(method: str, kind: str, rng: np.random.Generator) -> None:
    """By the least (greatest) linear reward that was ever paid, and 0 at first: a wild batch moves all later ones."""
    sign = 1 if kind == "-log(1-D)" else -1
    adversary = make(method, pairs(rng, 40), kind)
    tame = toys.pairs(*pairs(rng, 30))
    adversary.fit(toys.pairs(*pairs(rng, 30, shift=2.0)), rng)
    before = sign * adversary.reward(tame)
    assert before.min() == pytest.approx(0.0, abs=1e-12) and before.max() > 0
    wild = sign * adversary.reward(toys.pairs(*(100.0 * x for x in pairs(rng, 30))))
    assert wild.min() == pytest.approx(0.0, abs=1e-12)
    after = sign * adversary.reward(tame)
    moved = after - before
    assert moved.min() > 0.1 and np.ptp(moved) < 1e-12
    bound = adversary.fit(tame, rng)["reward_bound"]
    assert sign * bound < 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_bound_begins_at_0(kind: str, rng: np.random.Generator) -> None:
    """Where all linear rewards have the sign wanted, none is moved: the constant feature alone pays 1 / dim."""
    sign = 1.0 if kind == "-log(1-D)" else -1.0
    adversary = make("fem", pairs(rng, 40), kind)
    adversary.weights = np.eye(7)[-1] * sign
    np.testing.assert_allclose(adversary.reward(toys.pairs(*pairs(rng, 30))), sign / 7, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_rows_that_are_no_transitions_are_neither_seen_nor_paid(method: str, rng: np.random.Generator) -> None:
    expert = pairs(rng, 40)
    rollout = toys.rollout(["..T_.", "....."], observations=2)
    adversary = make(method, expert)
    adversary.fit(toys.seen(rollout), rng)
    weights, paid = adversary.weights, adversary.reward(toys.seen(rollout))
    rollout.observations[3, 0] = 1e6
    adversary.fit(toys.seen(rollout), rng)
    np.testing.assert_array_equal(adversary.weights, weights)
    np.testing.assert_array_equal(adversary.reward(toys.seen(rollout)), paid)
    assert len(paid) == 9 and (paid > 0).sum() >= 8


@pytest.mark.parametrize("method", METHODS)
def test_the_first_weights_are_a_random_vertex_or_direction_of_the_seed(method: str, rng: np.random.Generator) -> None:
    expert = pairs(rng, 40)
    drawn = [make(method, expert, rng=np.random.default_rng(seed)).weights for seed in (0, 0, *range(1, 40))]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert len(np.unique(drawn, axis=0)) == 40 if method == "fem" else len(np.unique(drawn, axis=0)) > 8
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1.0, rtol=1e-6)
    assert np.min(drawn) < 0 < np.max(drawn)


def test_no_rows_at_all_is_no_error(rng: np.random.Generator) -> None:
    """A rank may have none: its environments all idle."""
    assert make("fem", pairs(rng, 40)).reward(toys.pairs(np.zeros((0, 2)), np.zeros((0, 1)))).tolist() == []


@pytest.mark.parametrize("method", METHODS)
def test_a_saved_adversary_goes_on_bit_for_bit(method: str, rng: np.random.Generator) -> None:
    expert, learner = pairs(rng, 40), toys.pairs(*pairs(rng, 30, shift=1.0))
    adversary, again = make(method, expert), make(method, expert, rng=rng)
    adversary.fit(learner, rng)
    adversary.reward(toys.pairs(*pairs(rng, 30, shift=9.0)))
    again.load_state_dict(copy.deepcopy(adversary.state_dict()))
    np.testing.assert_array_equal(adversary.reward(learner), again.reward(learner))
