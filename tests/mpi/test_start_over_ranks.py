"""A run that begins with a policy that has learnt is the same on any number of ranks."""

from __future__ import annotations

from pathlib import Path

import pytest
from bad_input import EXPERT
from launch import PROGRAM, start
from run_files import apart, differing, metrics, state

HOPPER = str(Path(EXPERT).with_name("Hopper-v4.h5"))
LINE = (
    "train", "Hopper-v4", "--expert", HOPPER, "--trajectories", "4", "--subsample", "20", "--num_envs", "4",
    "--timesteps_per_batch", "320", "--iterations", "3", "--save_every", "9", "--eval_every", "320",
    "--eval_episodes", "2", "--final_episodes", "1", "--dtype", "float64", "--quiet",
)  # fmt: skip
CLONE = ("--init_policy", "bc", "--cloning.iterations", "60", "--cloning.eval_every", "20")
WARM = ("--warmup_iterations", "1")


def train(folder: Path, ranks: int | None, name: str, *more: str) -> Path:
    job = start(folder / f"{name}.job", ranks, PROGRAM, *LINE, *more, "--out", str(folder / name))
    assert job.wait(200.0) == 0, job.err
    return folder / name


@pytest.mark.long
@pytest.mark.parametrize("kind", ["bc", "run"])
def test_two_ranks_are_as_one(kind: str, tmp_path: Path) -> None:
    more = CLONE if kind == "bc" else ("--init_policy", str(train(tmp_path, 2, "source", "--policy.hidden_sizes", "8")))
    alone, shared = (train(tmp_path, ranks, str(ranks), *more, *WARM) for ranks in (None, 2))
    first, last = (f"checkpoints/iteration_{iteration:07d}.pt" for iteration in (0, 3))
    begun = [_policy(run / first) for run in (alone, shared)]
    assert differing(*begun) == [] and len(begun[0]) > 5
    gaps = {name: gap for name, gap in apart(state(alone / last), state(shared / last)).items() if "idle" not in name}
    worst = max(gaps, key=lambda name: gaps[name])
    assert gaps[worst] <= 1e-8, f"{worst}: {gaps[worst]:.1e}"
    assert [row["warmup"] for row in metrics(shared)] == ["1", "0", "0"]
    if kind == "run":
        assert differing(begun[0], _policy(tmp_path / "source" / last)) == []


def _policy(path: Path) -> dict:
    return {name: values for name, values in state(path).items() if name.startswith("policy.")}
