"""Training depends on the seed and the environments and, up to rounding, not on the number of ranks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from launch import work
from run_files import apart

# [preset:]environment/dtype/steps of each environment and batch/environments over all ranks/mode[/g_step or ppo]
SHORT = (
    "CartPole-v0/float32/256/8/steps",
    "CartPole-v0/float32/256/8/episodes",
    "CartPole-v0/float64/64/8/steps/2",
    "Hopper-v4/float32/128/5/steps",
    "Hopper-v4/float64/128/8/episodes",
    "paper:Hopper-v4/float64/64/8/episodes",
    "CartPole-v0/float64/128/8/steps/ppo",
    "Hopper-v4/float64/128/5/episodes/ppo",
)
LONG = (
    "CartPole-v0/float64/256/8/steps",
    "CartPole-v0/float64/64/5/steps",
    "Hopper-v4/float32/256/8/steps",
    "Hopper-v4/float64/256/8/steps",
    "paper:CartPole-v0/float64/64/8/episodes",
    "Hopper-v4/float32/128/8/steps/ppo",
)
CASES = [*SHORT, *(pytest.param(case, marks=pytest.mark.long) for case in LONG)]
ON_THREE = ("CartPole-v0/float32/256/8/steps", "Hopper-v4/float64/128/8/episodes")  # 8 environments as 2, 3 and 3
BOUND = {"float32": 1e-4, "float64": 1e-8}
# If a minibatch has all rows, the critic's first targets have mean 0, and the gradient of its output's bias is rounding.
# Adam's first step divides it by 1e-8, and the next steps remember that.
CRITICS_BOUND = 1e-6
# At the paper's zero output layer one eigenvalue of the Fisher matrix stands far above the others, and conjugate gradient
# carries roundings of 1e-15 to 1e-7 of the step within its 10 iterations.
PAPER_BOUND = 1e-5

Tensors = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int | None], Tensors]:
    """The tensors after three epochs of each case that this session's tests ask for, by number of ranks; None is a process
    without mpirun."""
    given = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    asked = {params["case"] for params in given if "case" in params}

    @cache
    def results(ranks: int | None) -> Tensors:
        folder = tmp_path_factory.mktemp("ranks")
        cases = [case for case in (ON_THREE if ranks == 3 else (*SHORT, *LONG)) if case in asked]
        work(folder, ranks, "worker_invariance.py", "out.npz", *cases)
        with np.load(Path(folder) / "out.npz") as file:
            assert file["ranks"] == (ranks or 1)
            return {name: file[name] for name in file.files if name != "ranks"}

    return results


def of(tensors: Tensors, case: str, part: str) -> Tensors:
    prefix = f"{case}.{part}."
    return {name.removeprefix(prefix): values for name, values in tensors.items() if name.startswith(prefix)}


@pytest.mark.parametrize("case", CASES)
def test_the_policy_moves_and_the_discriminator_learns(case: str, trained: Callable[[int | None], Tensors]) -> None:
    row = of(trained(None), case, "row")
    assert row["iteration"] == 3 and row["d_logit_expert"] != 0.0
    if case.endswith("ppo"):
        assert row["updates"] > 4 and row["epochs"] < 10  # stopped by its KL
    else:
        assert row["step_accepted"] == 1.0


@pytest.mark.parametrize(
    ("ranks", "case"),
    [(2, case) for case in SHORT]
    + [pytest.param(2, case, marks=pytest.mark.long) for case in LONG]
    + [pytest.param(4, case, marks=pytest.mark.long) for case in (*SHORT, *LONG)]  # they spin on fewer cores
    + [pytest.param(3, case, marks=pytest.mark.long) for case in ON_THREE],
)
def test_parameters(ranks: int, case: str, trained: Callable[[int | None], Tensors]) -> None:
    alone, shared = trained(None), trained(ranks)
    bounds = dict.fromkeys(
        ("policy", "critic", "discriminator"), PAPER_BOUND if case.startswith("paper:") else BOUND[case.split("/")[1]]
    )
    bounds["critic"] = max(bounds["critic"], CRITICS_BOUND)
    for network, bound in bounds.items():
        a, b = of(alone, case, network), of(shared, case, network)
        assert {"net.layers.2.bias", "normaliser.mean"} <= a.keys()
        gaps = apart(a, b)
        worst = max(gaps, key=lambda name: gaps[name])
        assert gaps[worst] <= bound, f"{network}.{worst}: max|a - b| / max|a| = {gaps[worst]:.1e}, not {bound}"
    for count in ("steps", "episodes", "cut_episodes", "updates" if case.endswith("ppo") else "backtracks"):
        assert of(alone, case, "row")[count] == of(shared, case, "row")[count], count
