"""What is computed on a CUDA device is what the CPU computes, wherever it is saved, loaded, resumed or shared out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import launch
import numpy as np
import pytest
import torch
from runs_on_device import CASES, WALK, arrays, config, learned, learner, train

from trpo_gail import algorithm as loop
from trpo_gail import cloning
from trpo_gail.adversaries.pay import Pay
from trpo_gail.build import make_policy
from trpo_gail.config.presets import changed
from trpo_gail.config.tree import CloningConfig, PolicyConfig
from trpo_gail.envs import vector
from trpo_gail.errors import RunError
from trpo_gail.optim.recorded import Recorded
from trpo_gail.parallel import Workers
from trpo_gail.policies.distributions import GaussianFamily, ProductFamily
from trpo_gail.runs import checkpoint

# One iteration. Adam moves a parameter by its step size whatever the size of its gradient, so that float32's rounding of
# a gradient near 0 may show as a part of that step.
ATOL = {"float32": 2e-3, "float64": 1e-9}
HERE = Path(__file__).parent


def check_near(a: dict[str, np.ndarray], b: dict[str, np.ndarray], atol: float) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=10 * atol, atol=atol, err_msg=name)


def tensors(value: Any, seen: set[int]) -> list[torch.Tensor]:
    """Every tensor that an object holds, directly or through objects of this package, modules and containers: but for a
    family's, which are first values of a policy's parameters, and a pay's, whose rewards are numpy's."""
    if isinstance(value, GaussianFamily | ProductFamily | Pay):
        return []
    if isinstance(value, torch.Tensor):
        return [value]
    if id(value) in seen:
        return []
    seen.add(id(value))
    if isinstance(value, torch.nn.Module):
        parts: list[Any] = [*value.parameters(), *value.buffers(), *vars(value).values()]
    elif isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, list | tuple):
        parts = list(value)
    elif type(value).__module__.startswith("trpo_gail") and hasattr(value, "__dict__"):
        parts = list(vars(value).values())
    else:
        return []
    return [tensor for part in parts for tensor in tensors(part, seen)]


@pytest.mark.parametrize("case", CASES)
def test_every_module_and_buffer_is_on_the_device(case: str, device: str) -> None:
    made = learner(config(case, device, "float32"))
    held = [t for part in (made.policy, made.critic, made.generator, made.adversary) for t in tensors(part, set())]
    assert len(held) > 10
    assert {tensor.device.type for tensor in held} == {device}


@pytest.mark.parametrize("dtype", ATOL)
@pytest.mark.parametrize("case", CASES)
def test_one_iteration_is_the_cpus(case: str, dtype: str, device: str) -> None:
    found = []
    for where in ("cpu", device):
        cfg = config(case, where, dtype)
        made = learner(cfg)
        row = train(made, cfg, 1)
        found.append(learned(made) | arrays(row, "row"))
    check_near(found[0], found[1], ATOL[dtype])


@pytest.mark.parametrize("dtype", ATOL)
def test_cloning_is_the_cpus(dtype: Literal["float32", "float64"], device: str) -> None:
    rng = np.random.default_rng(0)
    observations, actions = rng.standard_normal((100, 3)), rng.standard_normal((100, 2))
    cfg = CloningConfig(WALK, "any", iterations=20, eval_every=10, dtype=dtype)
    found = []
    for where in ("cpu", device):
        env = vector.make(WALK, 1, "gymnasium")
        policy = make_policy(cfg.run_config(), env.spec).to(where)
        best = cloning.clone(policy, observations, actions, cfg, lambda row: None)
        found.append(arrays(policy.state_dict()) | arrays(best, "best"))
    check_near(found[0], found[1], ATOL[dtype])


def test_products_keep_float32s_precision(device: str) -> None:
    """TF32 rounds factors to 10 bits: a product would be off by 1e-3."""
    rng = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=rng) for _ in range(2))
    learner(config("trpo", device, "float32"))  # whatever the package sets is set by now
    error = (a.to(device) @ b.to(device)).cpu().double() - a.double() @ b.double()
    assert error.abs().max() < 1e-4


def test_a_recorded_step_is_the_plain_one(device: str) -> None:
    """Of several sizes in turn: first called, then recorded, then replayed."""
    found = []
    for record in (False, True):
        net = torch.nn.Linear(3, 1).to(device)
        with torch.no_grad():
            net.weight.copy_(torch.tensor([[1.0, 2.0, 3.0]]))
            net.bias.zero_()

        @torch.no_grad()
        def step(count: int, x: torch.Tensor, net: torch.nn.Linear = net) -> None:
            net.weight.sub_(0.1 * (net(x) * x).sum(0, keepdim=True) / count)

        call = Recorded(step) if record else step
        rng = torch.Generator().manual_seed(0)
        for k in range(12):
            x = torch.randn(2 + k % 3, 3, generator=rng).to(device)
            call(len(x), x)
        found.append(net.weight.detach().cpu())
    assert torch.equal(*found)


@pytest.mark.parametrize("dtype", ATOL)
def test_two_ranks_on_one_device_are_one_rank(dtype: str, device: str, tmp_path: Path) -> None:
    if launch.mpirun() is None:
        pytest.skip("no mpirun beside this Python or on the PATH")
    cases = ["trpo", "ppo", "fem", "discrete"]
    found = []
    for ranks in (None, 2):
        out = tmp_path / f"{ranks}.npz"
        os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        launch.work(tmp_path / str(ranks), ranks, str(HERE / "worker_ranks.py"), str(out), device, dtype, *cases)
        found.append(dict(np.load(out)))
    check_near(found[0], found[1], {"float32": 1e-2, "float64": 1e-8}[dtype])


@pytest.mark.parametrize("directions", [("cpu", None), (None, "cpu")], ids=["to the device", "from the device"])
def test_a_checkpoint_moves_between_devices(directions: tuple[str | None, ...], device: str, tmp_path: Path) -> None:
    saver, loader = (where or device for where in directions)
    cfg, other = (config("trpo", where, "float64") for where in (saver, loader))
    made = learner(cfg)
    train(made, cfg, 2)
    path = checkpoint.save(tmp_path, made, cfg, made.sampler.env.spec, Workers())
    restored = learner(other)
    checkpoint.restore(path, restored)
    for name, value in learned(made).items():
        np.testing.assert_array_equal(learned(restored)[name], value, err_msg=name)
    saved, moved = ({**arrays(train(m, c, 1), "row"), **learned(m)} for m, c in ((made, cfg), (restored, other)))
    check_near(saved, moved, 1e-7)


@pytest.mark.parametrize("case", ["trpo", "ppo", "paper", "discrete", "replay"])
def test_a_resume_on_the_device_is_exact(case: str, device: str, tmp_path: Path) -> None:
    cfg = config(case, device, "float32")
    whole, first, second = (learner(cfg) for _ in range(3))
    train(whole, cfg, 3)
    train(first, cfg, 2)
    checkpoint.restore(checkpoint.save(tmp_path, first, cfg, first.sampler.env.spec, Workers()), second)
    train(second, cfg, 1)
    assert whole.progress.steps == second.progress.steps
    for name, value in learned(whole).items():
        np.testing.assert_array_equal(learned(second)[name], value, err_msg=name)


def test_a_device_that_is_full_is_told_in_one_line(device: str) -> None:
    if device != "cuda":
        pytest.skip("only a device can be full in good order")
    wide = PolicyConfig(hidden_sizes=(1024, 1024))  # their gradients do not fit into what is there already
    cfg = changed(config("trpo", device, "float32"), {"policy": wide, "steps": 1024})
    made = learner(cfg)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        with pytest.raises(RunError, match=r"cuda:0 is out of memory.*--timesteps_per_batch") as caught:
            loop.train(made, cfg, Workers(), lambda row: None)
        assert "\n" not in str(caught.value)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
