"""Every part of a discriminator that can be put in: alone, on two ranks, after a resume, and against a closed form."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import beside
import numpy as np
import pytest
import torch
import toys
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space

from trpo_gail import finite
from trpo_gail.adversaries.absorbing import Absorbing
from trpo_gail.adversaries.adversary import Parts
from trpo_gail.adversaries.discriminator import Discriminator
from trpo_gail.adversaries.inputs import Inputs
from trpo_gail.build import make_adversary
from trpo_gail.config.presets import changed
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.experts import facts
from trpo_gail.experts.facts import Ends
from trpo_gail.parallel import Workers
from trpo_gail.sampling.rollout import Rollout
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec

ALL = ("state", "action", "next_state", "done")
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "plain": {"gradient_penalty": 0.0},
    "least squares": {"loss": "least-squares"},
    "wasserstein": {"loss": "wasserstein", "gradient_penalty": 10.0},
    "penalty between": {"gradient_penalty": 1.0},
    "penalty at the expert": {"gradient_penalty": 1.0, "gradient_penalty_at": "expert", "gradient_penalty_target": 0.0},
    "penalty above": {"gradient_penalty": 5.0, "gradient_penalty_sides": "above", "gradient_penalty_target": 0.1},
    "penalty on both": {"gradient_penalty": 1.0, "gradient_penalty_at": "both"},
    "spectral norm": {"spectral_norm": True},
    "spectral norm, own network": {"spectral_norm": True, "network": "test_variants:own"},
    "dropout": {"dropout": 0.5},
    "weight decay": {"weight_decay": 0.1},
    "logit penalty": {"logit_penalty": 0.5},
    "smoothing": {"label_smoothing": 0.1},
    "mixup": {"mixup": 1.0},
    "mixup and dropout": {"mixup": 1.0, "dropout": 0.5},
    "positive-unlabelled": {"positive_prior": 0.3},
    "expert's batches": {"expert_batch_size": 7},
    "expert's batches of one": {"expert_batch_size": 1},
    "replay": {"replay_iterations": 2},
    "resting": {"rest_above": 0.5},
    "inputs": {"inputs": ALL},
    "states": {"inputs": ("state", "next_state")},
    "done alone": {"inputs": ("done",)},
    "absorbing": {"absorbing": True},
    "absorbing, next states": {"absorbing": True, "inputs": ALL},
    "relu": {"activation": "relu", "hidden_sizes": (6, 5, 4)},
    "leaky": {"activation": "leaky-relu"},
    "elu": {"activation": "elu"},
    "linear": {"hidden_sizes": ()},
    "normalised pay": {"reward_normalise": "standardise", "reward_clip": 2.0, "reward_scale": 0.5},
    "schedule": {"schedule": "linear"},
}  # fmt: skip
ENDS = ["..T_....", ".T_.T_T_", "....L_.."]


def own(inputs: int, outputs: int) -> torch.nn.Module:
    """A network of one's own, with parts that must stay in evaluation mode."""
    net = torch.nn.Sequential(
        torch.nn.Linear(inputs, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.5), torch.nn.Linear(8, outputs)
    )
    rng = torch.Generator().manual_seed(0)  # of its own: the ranks of these tests are threads, which share torch's
    with torch.no_grad():
        for layer in (net[0], net[3]):
            layer.weight.normal_(0.0, 0.3, generator=rng)
            layer.bias.zero_()
    return net


every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_kind = pytest.mark.parametrize("discrete", [False, True], ids=["box", "discrete"])


def demonstrations(discrete: bool, rows: int = 20) -> Transitions:
    rng = np.random.default_rng(5)
    actions = rng.integers(0, 2, rows) if discrete else rng.standard_normal((rows, 2)) + 1.0
    made = toys.pairs(rng.standard_normal((rows, 3)) + 1.0, actions)
    after = rng.standard_normal((rows, 3))
    terminated = np.arange(rows) % 10 == 9
    return dataclasses.replace(
        made, terminated=terminated, successors=lambda: after, ends=Ends(2, 0, 0), lengths=np.array([10, 10]),
        endings=np.array([facts.TERMINAL, facts.TERMINAL]),
    )  # fmt: skip


def config_of(variant: dict[str, Any], **given: Any) -> Config:
    base = Config("Hand-v0", d_step=3, steps=1000, dtype="float64", num_envs=3)
    fields = {f"discriminator.{name}": value for name, value in variant.items()}
    plain = {"discriminator.d_stepsize": 0.01, "discriminator.absorbing": False}
    return changed(base, {**plain, **fields, **given})


def made(
    config: Config, discrete: bool = False, workers: Workers | None = None, expert: Transitions | None = None
) -> Any:
    spec = toys.spec(3, 2, discrete=discrete, limit=30)
    return make_adversary(config, spec, expert or demonstrations(discrete), toys.policy(spec), workers or Workers())


def awake(adversary: Any) -> Any:
    """With other weights than a new one's, whose first gradients are 0 but for rounding: Adam makes steps of those."""
    with torch.no_grad():
        vector = adversary.adam.flat.vector
        vector += 0.2 * torch.randn(vector.shape, generator=torch.Generator().manual_seed(1), dtype=vector.dtype)
    return adversary


def batches(discrete: bool, number: int = 3) -> list[Rollout]:
    return [toys.rollout(ENDS, observations=3, actions=2, discrete=discrete, seed=k) for k in range(number)]


def learned(
    adversary: Any, rollouts: list[Rollout], workers: Workers | None = None, first: int = 0
) -> list[np.ndarray]:
    """Pay before each fit, and after the last."""
    paid = []
    for k, rollout in enumerate(rollouts):
        seen = toys.seen(rollout, workers=workers)
        if adversary.needs_log_prob:
            rows = seen.rows
            assert rows is not None
            of_all = np.linspace(-2.0, -0.5, rows.total)
            seen = dataclasses.replace(seen, log_prob=of_all[rows.offset : rows.offset + rows.count])
        paid.append(adversary.reward(seen))
        adversary.fit(seen, np.random.default_rng(first + k))
    return [*paid, adversary.reward(seen)]


def share(rollout: Rollout, workers: Workers) -> Rollout:
    mine = workers.block(len(ENDS))
    return Rollout(*(getattr(rollout, f.name)[:, mine.start : mine.stop] for f in dataclasses.fields(rollout)))


# ---- all of them -----------------------------------------------------------------------------------------------------


@every_kind
@every_variant
def test_it_learns_and_pays_finite_numbers(variant: str, discrete: bool) -> None:
    adversary = made(config_of(VARIANTS[variant]), discrete)
    before = adversary.adam.flat.vector.clone()
    paid = learned(adversary, batches(discrete))
    assert all(np.isfinite(x).all() for x in paid) and len(np.unique(paid[-1])) > 1
    assert not torch.equal(adversary.adam.flat.vector, before)


@every_kind
@every_variant
def test_two_ranks_learn_what_one_does(variant: str, discrete: bool) -> None:
    config, rollouts = config_of(VARIANTS[variant]), batches(discrete)
    alone = awake(made(config, discrete))
    paid = learned(alone, rollouts)

    def on_rank(workers: Workers) -> Any:
        adversary = awake(made(config, discrete, workers))
        own = learned(adversary, [share(rollout, workers) for rollout in rollouts], workers)
        return adversary.adam.flat.vector, own

    found = beside.on_two_ranks(on_rank)
    for vector, _ in found:
        torch.testing.assert_close(vector, alone.adam.flat.vector, rtol=1e-7, atol=1e-9)
    for whole, *parts in zip(paid, *(own for _, own in found), strict=True):
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-8, atol=1e-10)


@every_variant
def test_a_saved_one_goes_on_bit_for_bit(variant: str) -> None:
    config, rollouts = config_of(VARIANTS[variant]), batches(False, 4)
    first, again = made(config), made(config)
    learned(first, rollouts[:3])
    again.load_state_dict(copy.deepcopy(first.state_dict()))
    for adversary in (first, again):
        paid = learned(adversary, rollouts[3:], first=3)
        if adversary is first:
            expected = paid
    assert torch.equal(first.adam.flat.vector, again.adam.flat.vector)
    for x, y in zip(expected, paid, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("variant", ["plain", "replay", "absorbing", "resting", "mixup"])
def test_the_environments_reward_changes_nothing(variant: str) -> None:
    """Poison: whatever the environment pays, every bit of the adversary and of its pay stays."""
    found = []
    for poison in (0.0, math.nan):
        adversary = made(config_of(VARIANTS[variant]))
        rollouts = [dataclasses.replace(r, rewards=np.full_like(r.rewards, poison)) for r in batches(False)]
        found.append((learned(adversary, rollouts), adversary.adam.flat.vector))
    assert torch.equal(found[0][1], found[1][1])
    for x, y in zip(found[0][0], found[1][0], strict=True):
        np.testing.assert_array_equal(x, y)


# ---- closed forms ----------------------------------------------------------------------------------------------------


def linear(weights: list[float], **variant: Any) -> Discriminator:
    """A discriminator whose logit is w . z, on inputs that are not normalised."""
    config = config_of(
        {"hidden_sizes": (), "normalise": "none", "input_clip": None, "adversary_entcoeff": 0.0} | variant
    )
    adversary: Discriminator = made(config)
    with torch.no_grad():
        adversary.adam.flat.vector.copy_(torch.tensor([*weights, 0.0], dtype=torch.float64))
    return adversary


@pytest.mark.parametrize("at", ["between", "expert", "both"])
@pytest.mark.parametrize(
    ("target", "sides"), [(0.0, "both"), (1.0, "both"), (7.0, "both"), (1.0, "above"), (7.0, "above")]
)
def test_the_gradient_penalty_of_a_linear_net(at: str, target: float, sides: str) -> None:
    """The gradient is w at every point, so the penalty is (|w| - target)^2, and its gradient 2 (|w| - target) w / |w|; 0
    below the target if only gradients above it are penalised."""
    w = [3.0, 0.0, 4.0, 0.0, 0.0]
    given = {"gradient_penalty_at": at, "gradient_penalty_target": target, "gradient_penalty_sides": sides}
    off = max(5.0 - target, 0.0) if sides == "above" else 5.0 - target
    steps = []
    for coefficient in (1.0, 1e-9):
        adversary = linear(w, gradient_penalty=coefficient, **given)
        adversary.d_step = 1
        stats = adversary.fit(toys.seen(batches(False)[0]), np.random.default_rng(0))
        steps.append(adversary.adam.mean_gradient)
        assert stats["d_gradient_penalty"] == pytest.approx(off**2, rel=1e-9, abs=1e-12)
    expected = 2 * off * torch.tensor([*w, 0.0], dtype=torch.float64) / 5.0
    torch.testing.assert_close(steps[0] - steps[1], expected, rtol=1e-6, atol=1e-6)


def test_the_gradient_penalty_is_the_derivative_of_its_value() -> None:
    """Of a net with hidden layers, by finite differences of the reported value."""
    config = config_of({"gradient_penalty": 1.0, "hidden_size_adversary": 4, "gradient_penalty_at": "both"}, d_step=1)
    plain = config_of({"gradient_penalty": 1e-12, "hidden_size_adversary": 4, "gradient_penalty_at": "both"}, d_step=1)
    seen = toys.seen(batches(False)[0])
    start = 0.5 * torch.randn(made(config).adam.flat.vector.shape, generator=torch.Generator().manual_seed(2)).double()

    def at(vector: torch.Tensor, which: Config) -> tuple[float, torch.Tensor]:
        adversary = made(which)
        with torch.no_grad():
            adversary.adam.flat.vector.copy_(vector)
        stats = adversary.fit(seen, np.random.default_rng(0))
        return float(stats["d_gradient_penalty"]), adversary.adam.mean_gradient

    gradient = at(start, config)[1] - at(start, plain)[1]
    v = torch.randn(start.shape, generator=torch.Generator().manual_seed(3)).double()
    slope = (at(start + 1e-5 * v, config)[0] - at(start - 1e-5 * v, config)[0]) / 2e-5
    assert float(gradient @ v) == pytest.approx(slope, rel=1e-5)


def test_mixing_numbers_are_drawn_one_a_row() -> None:
    """TorchRL draws one for each number of a row, so that its points leave the line between the two rows."""
    from trpo_gail.adversaries.update import Rows, _mixed

    adversary = made(config_of({}))
    ours, theirs = (Rows(torch.full((6, 5), x).double(), None) for x in (0.0, 1.0))
    shares = torch.rand(6, generator=torch.Generator().manual_seed(0)).double()
    points = _mixed(ours, theirs, shares, adversary.network).z
    torch.testing.assert_close(points, shares[:, None].expand(6, 5))


@pytest.mark.parametrize("variant", ["spectral norm", "spectral norm, own network"])
def test_spectral_norms_are_one(variant: str) -> None:
    adversary = made(config_of({**VARIANTS[variant], "d_stepsize": 0.05}, d_step=60))
    state = torch.random.get_rng_state()
    learned(adversary, batches(False))
    layers = [m for m in adversary.network.net.modules() if isinstance(m, torch.nn.Linear)]
    norms = [float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) for layer in layers]
    assert len(norms) == (3 if variant == "spectral norm" else 2) and all(0.9 < norm < 1.1 for norm in norms)
    assert torch.equal(torch.random.get_rng_state(), state)  # dropout of one's own drew nothing
    counts = [m.num_batches_tracked for m in adversary.network.net.modules() if isinstance(m, torch.nn.BatchNorm1d)]
    assert not any(counts)


def test_dropout_leaves_out_its_share_and_makes_up_for_it() -> None:
    network = made(config_of({"dropout": 0.25})).network
    kept = network.kept_units(0.25, [(np.arange(400), 400), (np.arange(100), 100)], np.random.default_rng(0))
    assert [tuple(k.shape) for k in kept] == [(500, 100), (500, 100)]
    for k in kept:
        assert set(k.unique().tolist()) == {0.0, 1 / 0.75} and float(k.mean()) == pytest.approx(1.0, abs=0.02)


def test_weights_decay_by_the_step_size() -> None:
    """With the gradient's step known, what is more is the decay: w (1 - stepsize * decay)."""
    found = [linear([2.0] * 5, weight_decay=decay) for decay in (0.0, 0.5)]
    for adversary in found:
        adversary.d_step = 1
        adversary.fit(toys.seen(batches(False)[0]), np.random.default_rng(0))
    difference = found[0].adam.flat.vector - found[1].adam.flat.vector
    torch.testing.assert_close(difference[:5], torch.full((5,), 2.0 * 0.01 * 0.5, dtype=torch.float64))


def test_the_logit_penalty_is_of_the_mean_square() -> None:
    steps = []
    for weight in (0.0, 0.7):
        adversary = linear([1.0, -1.0, 0.5, 0.0, 2.0], logit_penalty=weight)
        adversary.d_step = 1
        adversary.fit(seen := toys.seen(batches(False)[0]), np.random.default_rng(0))
        steps.append(adversary.adam.mean_gradient)
    drawn = np.random.default_rng(0).integers(0, 20, len(seen))
    expert = demonstrations(False)
    rows = torch.from_numpy(
        np.concatenate(
            [np.hstack([seen.observations, seen.actions]), np.hstack([expert.observations, expert.actions])[drawn]]
        )
    )
    w = torch.tensor([1.0, -1.0, 0.5, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(0.7 * ((rows @ w) ** 2).mean(), w)
    torch.testing.assert_close((steps[1] - steps[0])[:5], expected)


def test_it_rests_while_it_is_right() -> None:
    """At logit 0 it is never right, so it learns; once it is sure, it rests, and moves no more."""
    adversary = made(config_of({"rest_above": 0.9, "d_stepsize": 0.05, "gradient_penalty": 0.0}, d_step=200))
    seen = toys.seen(batches(False)[0])
    first = adversary.fit(seen, np.random.default_rng(0))
    assert 0 < first["d_updates"] < 200
    before = adversary.adam.flat.vector.clone()
    adversary.d_step = 1
    while adversary.fit(seen, np.random.default_rng(1))["d_updates"]:
        before = adversary.adam.flat.vector.clone()
    assert torch.equal(adversary.adam.flat.vector, before)
    resting = adversary.fit(seen, np.random.default_rng(1))  # what it rests for is in the metrics
    assert resting["d_accuracy_learner"] + resting["d_accuracy_expert"] > 1.8 and resting["d_gradient_norm"] == 0.0


def test_mixtures_do_not_switch_the_logit_penalty_off() -> None:
    steps = []
    for weight in (0.0, 0.7):
        adversary = linear([1.0, -1.0, 0.5, 0.0, 2.0], mixup=1.0, logit_penalty=weight)
        adversary.d_step = 1
        adversary.fit(toys.seen(batches(False)[0]), np.random.default_rng(0))
        steps.append(adversary.adam.mean_gradient)
    assert (steps[1] - steps[0])[:5].abs().max() > 0.1


def test_replay_takes_its_share_from_the_last_iterations() -> None:
    """A row's observation names its iteration; what is not normalised reaches the update as it is."""
    config = config_of({"replay_iterations": 2, "replay_share": 0.5, "normalise": "none", "input_clip": None}, d_step=2)
    adversary, met = made(config), []
    step = adversary._updater.step
    adversary._updater.step = lambda both, *rest: met.append(both.sides()[0].z[:, 0].clone()) or step(both, *rest)
    for k in range(4):
        rollout = toys.rollout(["." * 400] * 3, observations=3, actions=2, seed=k)
        named = dataclasses.replace(rollout, observations=np.full_like(rollout.observations, float(k)))
        met.clear()
        adversary.fit(toys.seen(named), np.random.default_rng(k))
        found = torch.cat(met)
        shares = {int(name): float((found == name).double().mean()) for name in found.unique()}
        assert set(shares) == set(range(max(0, k - 2), k + 1))
        assert shares[k] == pytest.approx(1.0 if k == 0 else 0.5, abs=0.06)
    assert len(adversary._replay.held) == 2


def test_the_check_of_finite_numbers_sends_no_replayed_rows() -> None:
    """It looks at each iteration's state; but the parameters are still looked at."""
    adversary = made(config_of({"replay_iterations": 2}))
    adversary.fit(toys.seen(batches(False)[0]), np.random.default_rng(0))
    adversary._replay.state_dict = lambda: pytest.fail("all ranks would send their rows")
    assert finite.checked("adversary", {}, adversary) == {}
    with torch.no_grad():
        adversary.adam.flat.vector[0] = math.nan
    with pytest.raises(finite.NotFinite, match="parameters of the adversary"):
        finite.checked("adversary", {}, adversary)


def test_a_step_size_falls_over_the_run() -> None:
    adversary = made(config_of({"schedule": "linear"}, steps=100))
    rollout = batches(False)[0]
    count = int(rollout.valid.sum())
    sizes = []
    for k in range(8):
        adversary.fit(toys.seen(rollout), np.random.default_rng(k))
        sizes.append(adversary.adam.stepsize)
    np.testing.assert_allclose(sizes, [0.01 * max(0.0, 1 - k * count / 100) for k in range(8)], atol=1e-15)


# ---- absorbing states ------------------------------------------------------------------------------------------------


def test_an_end_is_paid_what_the_absorbing_state_is_worth() -> None:
    """At step t of 20 an end leaves 19 - t steps, whose pay r is discounted: gamma + ... + gamma^(19 - t) times r. The time
    limit is 30, but 20 is twice the length of the expert's episodes."""
    adversary = made(config_of({"absorbing": True}, gamma=0.9))
    seen = toys.seen(batches(False)[0])
    learned(adversary, batches(False))
    with_ends = adversary.reward(seen)
    without = adversary.reward(dataclasses.replace(seen, terminated=np.zeros(len(seen), bool)))
    pay = float(adversary._of_absorbing()[0])
    assert pay != 0.0
    expected = [sum(0.9**k for k in range(1, 20 - step)) * pay if end else 0.0
                for step, end in zip(seen.steps, seen.terminated, strict=True)]  # fmt: skip
    np.testing.assert_allclose(with_ends - without, expected, rtol=1e-9, atol=1e-12)


def test_both_sides_are_absorbed_for_their_share_of_the_time() -> None:
    """Of the expert's episodes of 10 steps, 10 of 20 steps; the mark is the last input, and only theirs."""
    adversary = made(config_of({"absorbing": True, "normalise": "none", "input_clip": None}, d_step=1))
    met: list[Any] = []
    step = adversary._updater.step
    adversary._updater.step = lambda both, *rest: (
        met.append(tuple(side.z for side in both.sides())) or step(both, *rest)
    )
    seen = toys.seen(toys.rollout(["........T_" * 100] * 3, observations=3, actions=2))
    adversary.fit(seen, np.random.default_rng(0))
    ours, theirs = (z[:, -1] for z in met[0])
    assert set(ours.tolist()) == set(theirs.tolist()) == {0.0, 1.0}
    assert float(theirs.mean()) == pytest.approx(1 / 2, abs=0.04)
    assert float(ours.mean()) == pytest.approx(11 / 20, abs=0.04)
    assert torch.equal(met[0][0][ours == 1.0][:, :-1], torch.zeros_like(met[0][0][ours == 1.0][:, :-1]))


@pytest.mark.parametrize(("limit", "to", "share"), [(15, 15, 1 / 3), (20, 20, 0.5), (100_000, 20, 0.5)])
def test_under_a_far_limit_the_expert_spends_half_of_its_time_absorbed(limit: int, to: int, share: float) -> None:
    """Its episodes have 10 steps."""
    spec = toys.spec(3, 2, limit=limit)
    parts = Parts(spec, demonstrations(False), toys.policy(spec), Workers())
    found = Absorbing.of(config_of({"absorbing": True}), parts)
    assert found is not None and found.limit == to and found.expert == pytest.approx(share)


def absorbing_of(lengths: np.ndarray, endings: np.ndarray) -> Absorbing:
    """Of an expert with such episodes, under a far limit."""
    expert = dataclasses.replace(demonstrations(False), ends=Ends.of(endings), lengths=lengths, endings=endings)
    spec = toys.spec(3, 2, limit=1000)
    found = Absorbing.of(config_of({"absorbing": True}), Parts(spec, expert, toys.policy(spec), Workers()))
    assert found is not None and found.limit == math.ceil(2 * lengths.mean())
    return found


@pytest.mark.parametrize(
    "ended", [[0, 0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0]]
)
def test_episodes_that_were_cut_are_not_absorbed(ended: list[int]) -> None:
    """By how each of them ended, whatever its length."""
    lengths, did = np.array([50, 50, 50, 10, 12, 9, 8]), np.array(ended, bool)
    for other in (facts.LIMIT, facts.UNSAID):
        found = absorbing_of(lengths, np.where(did, facts.TERMINAL, other))
        absorbed = np.maximum(found.limit - lengths[did], 0).sum()
        assert found.expert == pytest.approx(absorbed / (absorbed + lengths.sum()))


def test_one_time_limit_leaves_the_others_ends_as_they_are() -> None:
    lengths, endings = np.array([100] * 15 + [37]), np.array([facts.TERMINAL] * 15 + [facts.LIMIT])
    assert absorbing_of(lengths, endings).expert == pytest.approx(15 * 93 / (15 * 93 + 1537))


def test_episodes_whose_last_row_is_left_out_are_not_counted() -> None:
    lengths = np.array([20, 20, 50])
    found = absorbing_of(lengths, np.array([facts.TERMINAL, facts.LIMIT, facts.LEFT_OUT]))
    assert found.limit == 60 and found.expert == pytest.approx(40 / (40 + 40))


def test_without_a_finished_episode_the_limit_is_the_environments() -> None:
    none = np.zeros(0, np.int64)
    expert = dataclasses.replace(demonstrations(False), ends=None, lengths=none, endings=none)
    spec = toys.spec(3, 2, limit=30)
    found = Absorbing.of(config_of({"absorbing": True}), Parts(spec, expert, toys.policy(spec), Workers()))
    assert found is not None and found.limit == 30 and found.expert == 0.0


@pytest.mark.parametrize(
    "seen", [("state", "action"), ("state", "next_state"), ("state", "next_state", "action", "done")]
)
@pytest.mark.parametrize("acts", [Discrete(2), Box(-1.0, 1.0, (2,)), MultiDiscrete([2, 3])])
def test_the_absorbing_state_has_the_blocks_of_other_rows(seen: tuple[str, ...], acts: Space) -> None:
    spec = EnvSpec("Seen-v0", "gymnasium", {}, Box(0, 255, (6, 5, 3), np.uint8), acts)
    inputs = Inputs(spec, seen, absorbing=True)
    frames, no = np.zeros((4, 90), np.uint8), np.zeros(4, bool)
    blocks = inputs.features(frames, spec.actions.zeros(4), frames, no)
    absorbed = inputs.absorbed(np.dtype(np.uint8))
    assert [block.shape[1] for block in absorbed] == [block.shape[1] for block in blocks]
    assert [block.dtype == np.uint8 for block in absorbed] == [block.dtype == np.uint8 for block in blocks]


def test_absorbing_states_need_a_time_limit() -> None:
    spec = toys.spec(3, 2)
    with pytest.raises(UserError, match=r"--discriminator.absorbing: the environment 'Hand-v0' has no time limit"):
        make_adversary(config_of({"absorbing": True}), spec, demonstrations(False), toys.policy(spec), Workers())


# ---- inputs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [{}, {"adversary": "airl", "airl.shaping": False}])
def test_labels_alone_are_nothing_to_see(given: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"^--discriminator.inputs: action given alone, but Discrete\(2\) chooses"):
        made(config_of({"inputs": ("action",)}, **given), discrete=True)
    made(config_of({"inputs": ("action",)}, **given))


def test_next_states_are_standardised_as_states_are() -> None:
    adversary = made(config_of({"inputs": ("state", "next_state")}))
    learned(adversary, batches(False))
    shift, scale = adversary.network.normaliser.shift_and_scale(torch.float64)
    assert torch.equal(shift[:3], shift[3:]) and torch.equal(scale[:3], scale[3:]) and not torch.equal(shift, shift * 0)


def test_pairs_without_a_known_successor_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    expert = demonstrations(False)
    after = expert.next_observations.copy()
    after[[3, 9]] = np.nan  # row 9 ends its episode: nothing follows
    expert = dataclasses.replace(expert, successors=lambda: after)
    adversary = made(config_of({"inputs": ALL, "absorbing": True}), expert=expert)
    assert len(adversary._expert) == 19
    assert len(made(config_of({"inputs": ALL}), expert=expert)._expert) == 18  # there the end is seen by its successor
    assert len(made(config_of({}, adversary="airl"), expert=expert)._expert) == 19
    nothing = dataclasses.replace(expert, successors=lambda: np.full_like(after, np.nan), terminated=np.zeros(20, bool))
    with pytest.raises(UserError, match=r"next observations are seen, but the demonstrations hold none that is known"):
        made(config_of({"inputs": ALL}), expert=nothing)


def test_what_is_not_seen_is_not_seen() -> None:
    """State-only: another action is paid the same; with the next state, another next state is not."""
    adversary = made(config_of({"inputs": ("state", "next_state")}))
    learned(adversary, batches(False))
    seen = toys.seen(batches(False)[0])
    paid = adversary.reward(seen)
    other = dataclasses.replace(seen, actions=seen.actions + 1.0, steps=seen.steps + 1, terminated=~seen.terminated)
    np.testing.assert_array_equal(adversary.reward(other), paid)
    moved = seen.next_observations + 0.5
    assert (adversary.reward(dataclasses.replace(seen, successors=lambda: moved)) != paid).all()
