"""FlatAdam is torch's Adam on the module."""

from __future__ import annotations

import copy

import torch

from trpo_gail.networks.mlp import MLP
from trpo_gail.optim.adam import FlatAdam
from trpo_gail.parallel import Workers


def test_steps_are_those_of_torchs_adam_on_the_mean_loss(torch_rng: torch.Generator) -> None:
    net = MLP(3, (4, 5), 2, out_scale=1.0, rng=torch_rng).double()
    twin = MLP(3, (4, 5), 2, out_scale=1.0, rng=torch_rng).double()
    twin.load_state_dict(net.state_dict())
    ours, theirs = FlatAdam(net, 1e-2, Workers()), torch.optim.Adam(twin.parameters(), lr=1e-2)
    start = ours.flat.vector.clone()
    for _ in range(20):
        x, y = (torch.randn(7, n, generator=torch_rng, dtype=torch.float64) for n in (3, 2))
        ours.step(x, lambda out, y=y: 2 * (out - y), 7)
        theirs.zero_grad()
        (((twin(x) - y) ** 2).sum() / 7).backward()
        theirs.step()
    expected = torch.cat([p.detach().reshape(-1) for p in twin.parameters()])
    torch.testing.assert_close(ours.flat.vector.detach(), expected, rtol=1e-9, atol=1e-12)
    assert (expected - start).abs().max() > 0.05


def test_the_gradient_is_divided_by_the_rows_of_all_ranks(torch_rng: torch.Generator) -> None:
    net = MLP(3, (), 1, out_scale=1.0, rng=torch_rng).double()
    adam = FlatAdam(net, 1e-2, Workers())
    adam.step(torch.ones(4, 3, dtype=torch.float64), torch.ones_like, 8)
    assert adam.flat.vector.grad.tolist() == [0.5] * 4


def test_state_goes_on_where_it_was(torch_rng: torch.Generator) -> None:
    x = torch.randn(7, 3, generator=torch_rng, dtype=torch.float64)

    def steps(adam: FlatAdam, n: int) -> None:
        for _ in range(n):
            adam.step(x, lambda out: 2 * out, 7)

    net = MLP(3, (4,), 2, out_scale=1.0, rng=torch_rng).double()
    adam = FlatAdam(net, 1e-2, Workers())
    steps(adam, 3)
    again = MLP(3, (4,), 2, out_scale=1.0, rng=torch_rng).double()
    resumed = FlatAdam(again, 1e-2, Workers())
    again.load_state_dict(net.state_dict())
    resumed.load_state_dict(copy.deepcopy(adam.state_dict()))  # a checkpoint is a copy
    steps(adam, 3)
    steps(resumed, 3)
    assert torch.equal(adam.flat.vector, resumed.flat.vector)
