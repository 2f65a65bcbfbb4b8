"""Networks of the user's own: the part that they stand for learns through them, and whatever is wrong with one is said."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from torch import Tensor, nn

from trpo_gail import GAIL, PPO, TRPO, UserError
from trpo_gail.build import make_policy
from trpo_gail.config.presets import changed, preset
from trpo_gail.errors import RunError
from trpo_gail.exports.write_reward import export_reward
from trpo_gail.networks import own
from trpo_gail.networks.network import linearise
from trpo_gail.networks.placing import place
from trpo_gail.runs.evaluate import load_policy
from trpo_gail.spaces.layout import Layout

EXPERT = Path(__file__).parents[2] / "expert_data" / "CartPole-v0.h5"
SMALL: dict[str, Any] = {"num_envs": 4, "timesteps_per_batch": 256, "backend": "gymnasium", "vf_iters": 2, "d_step": 4}


class Residual(nn.Module):
    """A network with another path around its hidden layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(inputs, inputs), nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x + torch.relu(self.hidden(x)))


def small(inputs: int, outputs: int) -> nn.Module:
    """A function that makes one."""
    return nn.Sequential(nn.Linear(inputs, 8), nn.SiLU(), nn.Linear(8, outputs))


SHARED = nn.Linear(4, 8)


def sharing(inputs: int, outputs: int) -> nn.Module:
    """Its first layer is made once, for all that are made."""
    return nn.Sequential(SHARED, nn.Linear(8, outputs))


def none(inputs: int, outputs: int) -> None:
    """Makes nothing."""


def wide(inputs: int, outputs: int) -> nn.Module:
    return nn.Linear(inputs, outputs + 1)


def narrow(inputs: int, outputs: int) -> nn.Module:
    return nn.Linear(inputs + 1, outputs)


def fails(inputs: int, outputs: int) -> nn.Module:
    raise ZeroDivisionError("of mine")


class InPlace(nn.Module):
    """Scales its first input, in the batch that it is given."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.net = small(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x[:, 0] *= 3
        return self.net(x)


class NotInPlace(InPlace):
    """The same, in a batch of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.clone())


class Centred(InPlace):
    """Takes the batch's mean from each row."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x - x.mean(0))


class Attention(nn.Module):
    """Attention over the inputs of a row, each of them a token."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.embed, self.out = nn.Linear(1, 8), nn.Linear(8 * inputs, outputs)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layer(self.embed(x[..., None])).flatten(1))


class Mixing(Attention):
    """Attention over the rows of the batch, by mistake."""

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layer(self.embed(x[..., None]).transpose(0, 1)).transpose(0, 1).flatten(1))


class Draws(InPlace):
    """Draws, also in evaluation mode, and takes labels, so that random rows are nothing for it."""

    def forward(self, x: Tensor) -> Tensor:
        if not (x == 0).all():
            raise IndexError
        return self.net(x + torch.rand_like(x))


class Unlearned(InPlace):
    """Gives outputs without a gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).detach()


class Doubling(nn.Module):
    """Takes its input to float64, in which its parameters are when it is made."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, outputs).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.double())


class Positive(torch.autograd.Function):
    """A ReLU whose gradient torch cannot differentiate."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * (ctx.saved_tensors[0] > 0)


class Once(nn.Module):
    """A network with such a layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(inputs, 8), nn.Linear(8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(Positive.apply(self.hidden(x)))


def lazy(inputs: int, outputs: int) -> nn.Module:
    return nn.LazyLinear(outputs)


def compiled(inputs: int, outputs: int) -> nn.Module:
    made = nn.Linear(inputs, outputs)
    made._compiled_call_impl = made.__call__  # as `compile` does, which loads a compiler
    return made


def layout(size: int = 3) -> Layout:
    from gymnasium.spaces import Box

    return Layout.of(Box(-1, 1, (size,), np.float32))


def test_outputs_are_kept_in_other_units() -> None:
    net: Any = own.make("critic.network", "test_own_networks:small", layout(), 1, 2, torch.Generator().manual_seed(0))
    x = torch.randn(5, 4)
    before, after = (
        (torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])),
        (torch.tensor([0.5, 1.0]), torch.tensor([2.0, 8.0])),
    )
    value = net(x) * before[1] + before[0]
    for old, new in ((before, after), (after, before), (before, after)):
        net.keep_outputs(old, new)
    assert torch.allclose(net(x) * after[1] + after[0], value, atol=1e-5)


def test_the_first_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    nets = [
        own.make("x", "test_own_networks:small", layout(), 0, 2, torch.Generator().manual_seed(s)) for s in (0, 0, 1)
    ]
    first, same, other = (net.net[0].weight for net in nets)
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("generator", ["trpo", "ppo"])
def test_policy_critic_and_discriminator_learn_through_networks_of_ones_own(generator: str, tmp_path: Path) -> None:
    model = GAIL(
        Residual, "CartPole-v0", EXPERT, critic__network=small, discriminator__network="test_own_networks:Residual",
        generator=generator, run_folder=tmp_path / "run", **SMALL,
    )  # fmt: skip
    assert (
        model.config.policy.network == "test_own_networks:Residual"
        and model.config.critic.network == "test_own_networks:small"
    )
    nets: Any = model.policy.net, model.learner.critic.network.net, model.discriminator.network.net
    assert [type(net.net).__name__ for net in nets] == ["Residual", "Sequential", "Residual"]
    first = [[p.clone() for p in net.parameters()] for net in nets]
    model.learn(500)
    for net, before in zip(nets, first, strict=True):
        assert any(not torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))
    model.save(tmp_path / "model")
    whole, again = model.learn(500), GAIL.load(tmp_path / "model").learn(500)
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    assert all(torch.equal(a, b) for a, b in zip(whole.policy.parameters(), again.policy.parameters(), strict=True))
    assert np.array_equal(load_policy(tmp_path / "run").predict(x), whole.predict(x, deterministic=True)[0])
    with pytest.raises(UserError, match=r"--discriminator.network test_own_networks:Residual is code of your own"):
        export_reward(tmp_path / "run", tmp_path / "reward.pt")


def noisy(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, outputs))


def frozen(inputs: int, outputs: int) -> nn.Module:
    net = small(inputs, outputs)
    next(net.parameters()).requires_grad_(False)
    return net


def test_buffers_of_ones_own_follow_the_dtype() -> None:
    net = own.make("x", "test_own_networks:noisy", layout(), 0, 2, torch.Generator().manual_seed(0))
    place(net, torch.device("cpu"), torch.float64)
    assert net(torch.randn(5, 3, dtype=torch.float64)).dtype == torch.float64


def test_dropout_and_batch_norm_of_ones_own_stay_in_evaluation_mode() -> None:
    net = own.make("x", "test_own_networks:noisy", layout(), 0, 2, torch.Generator().manual_seed(0))
    x, state = torch.randn(5, 3), torch.random.get_rng_state()
    net.train()
    first = net(x)
    assert torch.equal(net(x), first) and torch.equal(torch.random.get_rng_state(), state)


def test_the_trial_moves_no_statistics_and_draws_nothing() -> None:
    state = torch.random.get_rng_state()
    net: Any = own.make("x", "test_own_networks:noisy", layout(), 0, 2, torch.Generator().manual_seed(0))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert net.net[2].num_batches_tracked == 0 and not net.net[2].running_mean.any()


@pytest.mark.parametrize("algorithm", [TRPO, PPO])
def test_a_network_that_writes_into_its_input_learns_as_one_that_does_not(algorithm: Any) -> None:
    one, other = (
        algorithm(
            net, "CartPole-v0", critic__network=net, num_envs=4, timesteps_per_batch=256, backend="gymnasium"
        ).learn(512)
        for net in (InPlace, NotInPlace)
    )
    pairs = zip(one.policy.parameters(), other.policy.parameters(), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)
    assert max(one.logger.column("kl")) > 1e-5


def test_the_discriminators_network_may_write_into_its_input() -> None:
    GAIL(small, "CartPole-v0", EXPERT, discriminator__network=InPlace, **SMALL).learn(256)


@pytest.mark.parametrize("generator", ["trpo", "ppo"])
def test_attention_learns(generator: str) -> None:
    model = GAIL(
        Attention, "CartPole-v0", EXPERT, critic__network=Attention, discriminator__network=Attention, generator=generator,
        **SMALL,
    )  # fmt: skip
    before = [p.clone() for p in model.policy.parameters()]
    model.learn(512)
    assert any(not torch.equal(p, q) for p, q in zip(model.policy.parameters(), before, strict=True))


def test_what_draws_or_takes_labels_is_not_judged_by_random_rows() -> None:
    own.make("x", "test_own_networks:Draws", layout(), 0, 2, torch.Generator().manual_seed(0))


def test_a_learned_reward_does_not_name_the_policys_network(tmp_path: Path) -> None:
    model = GAIL(small, "CartPole-v0", EXPERT, run_folder=tmp_path / "run", **SMALL).learn(10)
    reward = export_reward(tmp_path / "run", tmp_path / "reward.pt")
    assert reward.config.policy.network is None
    paid = reward([0.0] * 4, 1, [0.0] * 4, False)
    assert paid == model.reward_test([0.0] * 4, 1, [0.0] * 4, False)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("nowhere:Net", "--policy.network: nowhere:Net: No module named 'nowhere'"),
        (
            "test_own_networks:nothing",
            "--policy.network: test_own_networks:nothing: module 'test_own_networks' has no attribute 'nothing'",
        ),
        (
            "test_own_networks:none",
            "--policy.network: test_own_networks:none made NoneType, a torch module with parameters expected",
        ),
        (
            "test_own_networks:frozen",
            "--policy.network: test_own_networks:frozen made a module with frozen parameters: expected parameters that all",
        ),
        ("test_own_networks:wide", "--policy.network: test_own_networks:wide: of [4, 4] gave [4, 3], [4, 2] expected"),
        (
            "test_own_networks:narrow",
            "--policy.network: test_own_networks:narrow: of [4, 4] raised RuntimeError('mat1 and mat2",
        ),
        (
            "test_own_networks:Centred",
            "--policy.network: test_own_networks:Centred: the output of a row changes with the other rows of its batch",
        ),
        (
            "test_own_networks:Mixing",
            "--policy.network: test_own_networks:Mixing: the output of a row changes with the other rows of its batch",
        ),
        (
            "test_own_networks:lazy",
            "--policy.network: test_own_networks:lazy made a module with lazy layers, whose sizes are not known: Linear",
        ),
        (
            "test_own_networks:compiled",
            "--policy.network: test_own_networks:compiled made a compiled module, whose gradient can be taken once: one",
        ),
        (
            "test_own_networks:Unlearned",
            "--policy.network: test_own_networks:Unlearned: its outputs have no gradient, as under torch.no_grad() or after",
        ),
        (
            "test_own_networks:fails",
            "--policy.network: test_own_networks:fails(4, 2) raised ZeroDivisionError('of mine')",
        ),
    ],
)
def test_what_is_wrong_with_a_network_is_one_clear_line(name: str, line: str) -> None:
    config = changed(preset("default", "CartPole-v0"), {"policy.network": name})
    with pytest.raises(UserError) as caught:
        make_policy(config, toys.spec_of("CartPole-v0"))
    assert str(caught.value).startswith(line), caught.value
    assert dataclasses.replace(config, seed=1).policy.network == name


def test_a_gradient_that_cannot_be_differentiated_again_serves_where_once_is_enough() -> None:
    made: list[Any] = [
        own.make("x", f"test_own_networks:{name}", layout(), 0, 2, torch.Generator().manual_seed(0))
        for name in ("Once", "Residual")
    ]
    once, again = (linearise(net, torch.randn(5, 3)) for net in made)
    for net, here in zip(made, (once, again), strict=True):
        here.pullback(torch.randn(5, 2), [torch.zeros_like(p) for p in net.parameters()])
    again.pushforward([torch.randn_like(p) for p in made[1].parameters()])
    with pytest.raises(UserError, match=r"^--x: .*:Once: its gradient cannot be differentiated again, as products"):
        once.pushforward([torch.randn_like(p) for p in made[0].parameters()])
    with pytest.raises(UserError, match=r"^discriminator__network: .*:Once: .* again, as gradient_penalty needs"):
        GAIL("MlpPolicy", "CartPole-v0", EXPERT, discriminator__network=Once, **SMALL)


def test_a_state_of_another_network_is_refused_in_one_line() -> None:
    config = changed(preset("default", "CartPole-v0"), {"policy.network": "test_own_networks:small"})
    policy = make_policy(config, toys.spec_of("CartPole-v0"))
    state = policy.state_dict()
    policy.load_state_dict(state)
    line = r"^--policy.network: .*:small: makes another network than the one that was saved: parameter "
    with pytest.raises(UserError, match=line + r"'2.weight': found \[2, 8\], expected \[2, 9\]$"):
        policy.load_state_dict(state | {"net.net.2.weight": torch.zeros(2, 9)})
    with pytest.raises(UserError, match=line + r"'3.weight': found none, expected \[2, 9\]$"):
        policy.load_state_dict(state | {"net.net.3.weight": torch.zeros(2, 9)})


def test_what_a_network_raises_later_is_one_clear_line() -> None:
    config = changed(preset("default", "CartPole-v0"), {"policy.network": "test_own_networks:Doubling"})
    policy = make_policy(config, toys.spec_of("CartPole-v0"))
    with pytest.raises(
        RunError, match=r"^--policy.network: .*:Doubling: of \[3, 4\] float32, cpu raised RuntimeError\('mat1"
    ):
        policy(torch.zeros(3, 4))


def test_a_layer_that_two_networks_share_is_refused_by_the_name_of_one() -> None:
    name = f"{__name__}:sharing"
    with pytest.raises(UserError, match=rf"^policy__network: {name}: some of its parameters learn already, in another"):
        GAIL(name, "CartPole-v0", EXPERT, critic__network=name, **SMALL)
