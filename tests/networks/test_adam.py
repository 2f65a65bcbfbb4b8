"""FlatAdam is torch's Adam on the module."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch

from trpo_gail.networks.mlp import MLP
from trpo_gail.optim.adam import Adam, FlatAdam
from trpo_gail.parallel import Workers


def test_steps_are_those_of_torchs_adam_on_the_mean_loss(torch_rng: torch.Generator) -> None:
    net = MLP(3, (4, 5), 2, out_scale=1.0, rng=torch_rng).double()
    twin = MLP(3, (4, 5), 2, out_scale=1.0, rng=torch_rng).double()
    twin.load_state_dict(net.state_dict())
    ours, theirs = FlatAdam(net, 1e-2, Workers()), torch.optim.Adam(twin.parameters(), lr=1e-2)
    start = ours.flat.vector.clone()
    for _ in range(20):
        x, y = (torch.randn(7, n, generator=torch_rng, dtype=torch.float64) for n in (3, 2))
        ours.step(x, lambda out, y=y: 2 * (out - y), 7)  # type: ignore[misc]
        theirs.zero_grad()
        (((twin(x) - y) ** 2).sum() / 7).backward()
        theirs.step()
    expected = torch.cat([p.detach().reshape(-1) for p in twin.parameters()])
    torch.testing.assert_close(ours.flat.vector.detach(), expected, rtol=1e-9, atol=1e-12)
    assert (expected - start).abs().max() > 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_functional_form_is_the_class_to_the_bit(dtype: torch.dtype, torch_rng: torch.Generator) -> None:
    start = torch.randn(50, generator=torch_rng, dtype=dtype)
    ours, twin = Adam(start.clone(), 1e-2, eps=1e-5), start.clone()
    theirs = torch.optim.Adam([twin], lr=1e-2, eps=1e-5, fused=True)
    for k in range(5):
        ours.stepsize = theirs.param_groups[0]["lr"] = 1e-2 / (k + 1)
        gradient = torch.randn(50, generator=torch_rng, dtype=dtype)
        twin.grad = gradient.clone()
        ours.step(gradient)
        theirs.step()
        assert torch.equal(ours.vector, twin)
    state, expected = ours.state_dict(), theirs.state_dict()
    assert state["param_groups"] == expected["param_groups"]
    assert all(torch.equal(state["state"][0][name], moment) for name, moment in expected["state"][0].items())
    assert state["state"][0].keys() == expected["state"][0].keys()


@pytest.mark.slow
def test_adam_loads_no_compiler() -> None:
    code = (
        "import sys, torch; from trpo_gail.optim.adam import Adam; a = Adam(torch.zeros(3), 0.1); a.step(torch.ones(3))"
    )
    done = subprocess.run([sys.executable, "-c", f"{code}; print('torch._dynamo' in sys.modules)"], capture_output=True)
    assert done.stdout == b"False\n", done.stderr


def test_the_gradient_is_divided_by_the_rows_of_all_ranks(torch_rng: torch.Generator) -> None:
    net = MLP(3, (), 1, out_scale=1.0, rng=torch_rng).double()
    adam = FlatAdam(net, 1e-2, Workers())
    adam.step(torch.ones(4, 3, dtype=torch.float64), torch.ones_like, 8)
    moment = adam.state_dict()["state"][0]["exp_avg"]  # a tenth of what Adam was given
    torch.testing.assert_close(moment, torch.full((4,), 0.05, dtype=torch.float64))


def test_a_step_sums_over_ranks_once(torch_rng: torch.Generator) -> None:
    """One message a step, and one division."""

    class Counting(Workers):
        sums = 0

        def sum_tensor(self, tensor: torch.Tensor) -> torch.Tensor:
            self.sums += 1
            return 2 * tensor  # as of two ranks that are alike

    workers = Counting()
    adam = FlatAdam(MLP(3, (), 1, out_scale=1.0, rng=torch_rng).double(), 1e-2, workers)
    adam.step(torch.ones(4, 3, dtype=torch.float64), torch.ones_like, 8)
    assert workers.sums == 1
    torch.testing.assert_close(adam.mean_gradient, torch.ones(4, dtype=torch.float64))


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
