"""AIRL: its network against autograd, its logit by hand, and a known reward recovered on a small tabular task."""

from __future__ import annotations

import copy
import dataclasses
from types import SimpleNamespace
from typing import Any

import beside
import numpy as np
import pytest
import test_variants
import torch
import toys
from gymnasium.spaces import Box, Discrete
from test_variants import batches, learned

from trpo_gail import algorithm
from trpo_gail.adversaries.airl import AIRL
from trpo_gail.adversaries.discriminator import Discriminator
from trpo_gail.build import make_adversary
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.networks.network import ByAutograd, linearise
from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import Rows
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec


def config_of(variant: dict[str, Any] | None = None, **given: Any) -> Config:
    sizes = {} if given.get("airl.shaping") is False else {"airl.hidden_sizes": (5,)}
    return test_variants.config_of(variant or {}, **{"adversary": "airl", **sizes, **given})


def made(config: Config, discrete: bool = False, workers: Workers | None = None) -> AIRL:
    adversary: AIRL = test_variants.made(config, discrete, workers)
    return adversary


PAPERS: dict[str, Any] = {"airl.entropy_weight": 1.0}
KINDS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({}, {}, False),
    ({}, {}, True),
    ({"inputs": ("state",)}, {}, False),
    ({"inputs": ("state", "action", "next_state", "done")}, {}, False),
    ({}, {"airl.shaping": False}, True),
    ({"spectral_norm": True, "gradient_penalty": 1.0, "dropout": 0.3}, {}, False),
]
every_kind = pytest.mark.parametrize(("variant", "given", "discrete"), KINDS)


@every_kind
def test_products_are_those_of_autograd(variant: dict[str, Any], given: dict[str, Any], discrete: bool) -> None:
    if variant.get("spectral_norm"):
        pytest.skip("autograd is used there")
    net = test_variants.awake(made(config_of(variant, **given), discrete)).network.net
    adversary = made(config_of(variant, **given), discrete)
    rows = torch.randn(7, adversary.network.inputs.size, generator=torch.Generator().manual_seed(3)).double()
    flat, products = adversary.adam.flat, []
    v = torch.randn(flat.vector.shape, generator=torch.Generator().manual_seed(4)).double()
    for here in (linearise(net, rows), ByAutograd(net, rows)):
        into, delta = torch.zeros_like(v), torch.linspace(-1, 1, here.output.numel()).double().view_as(here.output)
        here.pullback(delta, flat.split(into))
        products.append((here.output, here.pushforward(flat.split(v)), into))
    for ours, theirs in zip(*products, strict=True):
        torch.testing.assert_close(ours, theirs)


@every_kind
def test_two_ranks_learn_what_one_does(variant: dict[str, Any], given: dict[str, Any], discrete: bool) -> None:
    config, rollouts = config_of(variant, **given), batches(discrete)
    log_probs = [-np.linspace(0.5, 2.0, int(r.valid.sum())) for r in rollouts]

    def fitted(workers: Workers) -> torch.Tensor:
        adversary = test_variants.awake(made(config, discrete, workers))
        for k, (rollout, whole) in enumerate(zip(rollouts, log_probs, strict=True)):
            mine = test_variants.share(rollout, workers)
            seen = toys.seen(mine, workers=workers)
            assert seen.rows is not None
            own = whole[seen.rows.offset : seen.rows.offset + seen.rows.count]
            seen = dataclasses.replace(seen, log_prob=own)
            adversary.reward(seen)
            adversary.fit(seen, np.random.default_rng(k))
        return adversary.adam.flat.vector

    alone = fitted(Workers())
    for vector in beside.on_two_ranks(fitted):
        torch.testing.assert_close(vector, alone, rtol=1e-7, atol=1e-9)


def test_a_saved_one_goes_on_bit_for_bit() -> None:
    first, again = made(config_of()), made(config_of())
    learned(first, batches(False))
    again.load_state_dict(copy.deepcopy(first.state_dict()))
    for adversary in (first, again):
        learned(adversary, batches(False, 1), first=5)
    assert torch.equal(first.adam.flat.vector, again.adam.flat.vector)


def shaped(adversary: AIRL, seen: Transitions) -> np.ndarray:
    """f [B]: the shaped reward."""
    columns, actions = adversary._tensors(seen, adversary._view.rows(seen))
    return Discriminator._outputs(adversary, columns, actions, None).double().numpy()


def test_the_reward_is_f_less_log_pi_and_f_is_shaped_by_potentials() -> None:
    adversary = made(config_of(gamma=0.9, **PAPERS))
    learned(adversary, batches(False))
    seen = dataclasses.replace(toys.seen(batches(False)[0]), log_prob=np.linspace(-3, -1, 19))
    f, g = shaped(adversary, seen), adversary.pays(seen)
    np.testing.assert_allclose(adversary.reward(seen), f - seen.log_prob, rtol=1e-12)
    net, normaliser = adversary.network.net, adversary.network.normaliser
    assert net.h is not None

    def h(observations: np.ndarray) -> np.ndarray:
        shift, scale = normaliser.shift_and_scale(torch.float64)
        z = ((torch.from_numpy(observations) - shift[:3]) / scale[:3]).clamp(-10, 10)
        with torch.no_grad():
            return net.h(z)[:, 0].numpy()  # type: ignore[misc]

    follows = ~seen.terminated
    np.testing.assert_allclose(f, g + 0.9 * follows * h(seen.next_observations) - h(seen.observations), rtol=1e-9)
    assert seen.terminated.any() and np.abs(f - g).max() > 1e-3


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_the_entropy_weighs_less_in_the_reward_but_not_in_the_judgement(weight: float) -> None:
    log_prob = np.linspace(-3, -1, 19)
    seen = dataclasses.replace(toys.seen(batches(False)[0]), log_prob=log_prob)
    given: dict[str, Any] = {"airl.entropy_weight": weight}
    whole, less = made(config_of(**PAPERS)), made(config_of(**given))
    for adversary in (whole, less):
        f = shaped(adversary, seen)
        paid = adversary.reward(seen)
        np.testing.assert_allclose(paid, f - (weight if adversary is less else 1.0) * log_prob, rtol=1e-12)
        adversary.fit(seen, np.random.default_rng(0))
    assert torch.equal(whole.adam.flat.vector, less.adam.flat.vector)
    np.testing.assert_array_equal(whole.logits(seen), less.logits(seen))
    assert not np.allclose(whole.training_pays(seen), less.training_pays(seen))


def test_other_forms_of_reward_are_of_d() -> None:
    log_prob = np.linspace(-3, -1, 19)
    seen = dataclasses.replace(toys.seen(batches(False)[0]), log_prob=log_prob)
    adversary = made(config_of({"reward": "-log(1-D)"}))
    np.testing.assert_allclose(adversary.reward(seen), np.logaddexp(0, shaped(adversary, seen) - log_prob))


def test_the_expert_is_judged_by_the_policy_that_acted() -> None:
    """The policy moves between the reward and the fit; log pi of the expert's rows must not."""
    found = []
    for moves in (False, True):
        adversary = made(config_of())
        seen = dataclasses.replace(toys.seen(batches(False)[0]), log_prob=np.full(19, -1.0))
        adversary.reward(seen)
        if moves:
            with torch.no_grad():
                for p in adversary._policy.parameters():
                    p.add_(1.0)
        adversary.fit(seen, np.random.default_rng(0))
        found.append(adversary.adam.flat.vector)
    assert torch.equal(*found)


def test_an_end_without_a_known_successor_gives_finite_numbers() -> None:
    expert = test_variants.demonstrations(False)
    after = expert.next_observations.copy()
    after[9] = np.nan
    adversary = test_variants.made(config_of(), expert=dataclasses.replace(expert, successors=lambda: after))
    assert all(np.isfinite(paid).all() for paid in learned(adversary, batches(False)))


def test_clipped_actions_are_judged_as_they_were_executed() -> None:
    bounds = -0.5 * np.ones(2), 0.5 * np.ones(2)
    spec = toys.spec(3, 2, bounds=bounds, limit=30)
    policy = toys.policy(spec)
    adversary: Any = make_adversary(config_of(**PAPERS), spec, test_variants.demonstrations(False), policy, Workers())
    assert adversary.needs_clipped_log_prob and not adversary.needs_log_prob
    seen = policy.judged(toys.seen(batches(False)[0]), False, spec.clipped_to)
    assert seen.log_prob is None
    executed = np.clip(seen.actions, *bounds)
    assert (executed != seen.actions).any()
    expected = shaped(adversary, seen) - policy.log_prob(seen.observations, executed, bounds)
    np.testing.assert_allclose(adversary.reward(seen), expected, rtol=1e-9)
    with torch.no_grad():  # as with critic.after_adversary: the policy has moved, and was not the one that acted
        for p in policy.parameters():
            p.add_(1.0)
    np.testing.assert_allclose(adversary.reward(seen), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("needs", "causal", "expected"),
    [
        ({"needs_log_prob": False, "needs_clipped_log_prob": True}, 0.0, (False, True)),  # AIRL's, with clipped actions
        ({"needs_log_prob": False, "needs_clipped_log_prob": True}, 0.1, (True, True)),
        ({"needs_log_prob": True, "needs_clipped_log_prob": False}, 0.0, (True, False)),
        ({"needs_log_prob": True}, 0.0, (True, True)),  # of before there were two
        ({"needs_log_prob": False}, 0.1, (True, False)),
        ({"needs_log_prob": False}, 0.0, (False, False)),
    ],
)
def test_log_pi_is_computed_where_it_is_asked_for(
    needs: dict[str, bool], causal: float, expected: tuple[bool, bool]
) -> None:
    """Each costs a pass over the policy, and must be finite."""
    spec = toys.spec(3, 2, bounds=(-0.5 * np.ones(2), 0.5 * np.ones(2)))
    policy, rollout = toys.policy(spec), batches(False)[0]
    sampler = SimpleNamespace(env=SimpleNamespace(spec=spec))
    learner: Any = SimpleNamespace(adversary=SimpleNamespace(**needs), policy=policy, sampler=sampler)
    seen = algorithm._seen(learner, config_of(causal_entcoeff=causal), rollout, toys.numbered(rollout))
    assert (seen.log_prob is not None, seen.clipped_log_prob is not None) == expected
    if seen.log_prob is not None:
        np.testing.assert_array_equal(seen.log_prob, policy.log_prob(seen.observations, seen.actions))


def test_the_reward_to_keep_asks_for_no_next_observation_that_it_does_not_see() -> None:
    def none() -> np.ndarray:
        raise AssertionError("asked for")

    adversary = made(config_of())
    seen = toys.seen(batches(False)[0])
    expected = adversary.pays(seen)
    np.testing.assert_array_equal(adversary.pays(dataclasses.replace(seen, successors=none)), expected)


@pytest.mark.parametrize(
    ("name", "value"), [("loss", "least-squares"), ("mixup", 1.0), ("replay_iterations", 2), ("absorbing", True)]
)
def test_what_is_not_defined_with_log_pi_is_refused(name: str, value: Any) -> None:
    with pytest.raises(
        UserError, match=rf"--discriminator.{name}: {value} given, but --adversary airl has a logit with"
    ):
        config_of({name: value})


# ---- a known reward --------------------------------------------------------------------------------------------------

STATES, GAMMA = 5, 0.9
REWARD = np.array([0.0, 1.0, -0.5, 2.0, 0.3])
NEXT = np.array([[1, 2], [2, 3], [3, 0], [4, 1], [0, 2]])  # where each of two actions leads


def soft_policy() -> np.ndarray:
    """log pi [S, 2] of the maximum-entropy expert: Q = r + gamma V(s'), V = log sum exp Q."""
    value = np.zeros(STATES)
    for _ in range(2000):
        q = REWARD[:, None] + GAMMA * value[NEXT]
        value = np.logaddexp(q[:, 0], q[:, 1])
    return q - value[:, None]


class Known:
    """A policy of which only log pi(a|s) is asked."""

    def __init__(self, log_pi: np.ndarray) -> None:
        self._log_pi = log_pi

    def log_prob(self, observations: np.ndarray, actions: np.ndarray, bounds: object = None) -> np.ndarray:
        found: np.ndarray = self._log_pi[observations.argmax(1), actions]
        return found


def test_a_known_reward_is_recovered_up_to_a_constant() -> None:
    """The learner has become the expert, so D is 1/2 everywhere, and f = log pi: g of the state is r and a constant. In
    this task every state is reached from several others, as the theorem asks (Fu et al. 2018, theorem 5.1)."""
    log_pi = soft_policy()
    states, actions = (x.ravel() for x in np.meshgrid(np.arange(STATES), np.arange(2), indexing="ij"))
    codes = np.eye(STATES)
    no, after = np.zeros(2 * STATES, bool), codes[NEXT[states, actions]]
    pairs = Transitions(
        codes[states], actions, no, no, np.zeros(2 * STATES, np.int64), lambda: after,
        log_prob=log_pi[states, actions], rows=Rows(0, 2 * STATES, 2 * STATES),
    )  # fmt: skip
    spec = EnvSpec("Tabular-v0", "gymnasium", {}, Discrete(STATES), Discrete(2))
    config = config_of(
        {"inputs": ("state",), "hidden_sizes": (), "adversary_entcoeff": 0.0, "expert_batch_size": 300},
        **{"airl.hidden_sizes": (), "gamma": GAMMA, "d_step": 1},
    )
    adversary: Any = make_adversary(config, spec, pairs, toys.policy(spec), Workers())
    adversary._policy = Known(log_pi)
    for rate in (0.1, 0.03, 0.005):
        adversary.adam.stepsize = rate
        for k in range(400):
            adversary.reward(pairs)
            adversary.fit(pairs, np.random.default_rng(k))
    one = dataclasses.replace(pairs, observations=codes[states])
    g = adversary.pays(one)[::2]
    np.testing.assert_allclose(g - g.mean(), REWARD - REWARD.mean(), atol=0.04)
    np.testing.assert_allclose(shaped(adversary, pairs), log_pi[states, actions], atol=0.06)


def test_images_and_labels_go_through() -> None:
    """The parts of a row keep their places beside those of the next state."""
    from gymnasium.spaces import Dict

    space = Dict({"camera": Box(0, 255, (6, 5, 3), np.uint8), "mode": Discrete(3)})
    spec = EnvSpec("Seen-v0", "gymnasium", {}, space, Discrete(2))
    rng = np.random.default_rng(0)
    rows = spec.observations.flatten({"camera": rng.integers(0, 256, (9, 6, 5, 3), np.uint8), "mode": np.arange(9) % 3})
    side = dataclasses.replace(toys.pairs(rows, np.arange(9) % 2), successors=lambda: rows[::-1].copy())
    adversary: Any = make_adversary(config_of(), spec, side, toys_policy(spec), Workers())
    seen = dataclasses.replace(side, log_prob=np.full(9, -0.7))
    before = adversary.reward(seen)
    adversary.fit(seen, np.random.default_rng(0))
    assert np.isfinite(adversary.reward(seen)).all() and (adversary.reward(seen) != before).any()


def toys_policy(spec: EnvSpec) -> Any:
    """A policy for pictures."""
    from trpo_gail.build import make_policy

    return make_policy(Config("Seen-v0", dtype="float64"), spec)


def test_its_statistics_do_not_forget_by_default() -> None:
    """Its reward is for other learners, too, which begin far from where this one ends."""
    assert [made(config_of(given)).config.normalise_decay for given in ({}, {"normalise_decay": 0.5})] == [1.0, 0.5]
    plain = test_variants.made(test_variants.config_of({}))
    assert (plain.config.normalise_decay, plain.config.gradient_penalty) == (0.0, 1.0)
    assert made(config_of()).config.gradient_penalty == 3.0
