"""The same Python script alone and under mpirun: nothing in it is written for ranks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ending import ENDS, check_ends, check_whole
from launch import start, work


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int | None, dict[str, Any]]:
    """What the script finds, by number of ranks; None is a process without mpirun."""
    results = {}
    for ranks in (None, 2):
        folder = tmp_path_factory.mktemp(f"ranks_{ranks}")
        work(folder, ranks, "worker_api.py", str(folder / "found.json"))
        results[ranks] = json.loads((folder / "found.json").read_text())
        results[ranks]["printed"] = (folder / "stdout").read_text()
    return results


def test_a_model_does_not_depend_on_the_number_of_ranks(found: dict[int | None, dict[str, Any]]) -> None:
    alone, shared = (found[ranks]["snippet"] for ranks in (None, 2))
    assert np.allclose(alone["actions"], shared["actions"], atol=1e-6) and alone["steps"] == shared["steps"]
    assert np.allclose(alone["returns"], shared["returns"], rtol=1e-6) and len(alone["returns"]) == 3


def test_its_cousins_neither(found: dict[int | None, dict[str, Any]]) -> None:
    alone, shared = (found[ranks]["cousins"] for ranks in (None, 2))
    assert set(alone) == {"TRPO", "PPO", "BC", "pretrained", "differing", "returns", "limits"}
    for name in alone:
        assert np.allclose(alone[name], shared[name], atol=1e-6), name
    assert alone["limits"][0] == 260  # steps: the longest of all ranks' environments


def test_one_rank_prints(found: dict[int | None, dict[str, Any]]) -> None:
    alone, shared = (found[ranks]["printed"].splitlines() for ranks in (None, 2))
    assert [line.replace("2 rank(s)", "1 rank(s)") for line in shared] == alone != []


def test_a_callback_that_says_no_on_one_rank_stops_all(found: dict[int | None, dict[str, Any]]) -> None:
    assert [found[ranks]["stops"]["iterations"] for ranks in (None, 2)] == [1, 1]


def test_an_error_of_one_rank_is_raised_on_all(found: dict[int | None, dict[str, Any]]) -> None:
    assert found[None]["stops"]["refused"] == ["", ""]
    env, expert = found[2]["stops"]["refused"]
    assert env == "env: the function made int, expected a gymnasium.Env"
    assert expert.startswith("expert: 3 given, ")


def test_a_callback_that_raises_on_all_ranks_costs_no_row(found: dict[int | None, dict[str, Any]]) -> None:
    assert [found[ranks]["raises"] for ranks in (None, 2)] == [[1, 2, 3, 4], [1, 2, 3, 4]]


def test_a_method_that_one_rank_alone_calls_is_named(found: dict[int | None, dict[str, Any]]) -> None:
    assert found[None]["differ"] == []
    [told] = found[2]["differ"]
    assert told.startswith("rank 0 calls save, and rank 1 calls learn: each is to be called on every rank")


RAISE = "raise ZeroDivisionError('of mine')"


@pytest.mark.parametrize(
    ("raises", "around", "says"),
    [
        pytest.param(RAISE, "", "ZeroDivisionError: of mine", id="uncaught", marks=pytest.mark.long),
        pytest.param("sys.exit(3)", "", "SystemExit: 3", id="leaves", marks=pytest.mark.long),
        pytest.param(RAISE, "except ZeroDivisionError: sys.exit(4)", "ZeroDivisionError: of mine", id="caught"),
    ],
)
def test_what_one_rank_alone_raises_ends_all_ranks(raises: str, around: str, says: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from trpo_gail import TRPO\n"
        "model = TRPO('MlpPolicy', 'CartPole-v1', num_envs=2, timesteps_per_batch=64)\n"
        "def fails(model, record):\n"
        "    if model.workers.rank == 1:\n"
        f"        {raises}\n"
        "try:\n"
        "    model.learn(10_000, callback=fails)\n"
        f"{around or 'finally: pass'}\n"
    )
    job = start(tmp_path, 2, sys.executable, str(script))
    assert job.wait(120.0) != 0
    assert says in job.err and "[rank 1]" in job.err and job.left() == []


@pytest.mark.parametrize(
    ("ended", "ends", "calls", "name"),
    [
        pytest.param(1, "sys.exit(0)", "model.save('model')", "save", id="sys.exit"),
        pytest.param(
            0, "import os; from mpi4py import MPI; MPI.Finalize(); os._exit(0)", "model.learn(64)", "learn",
            id="MPI.Finalize", marks=pytest.mark.long,
        ),
        pytest.param(
            1, "sys.exit(0)", "TRPO('MlpPolicy', 'CartPole-v1')", "a constructor", id="constructor", marks=pytest.mark.long
        ),
        pytest.param(
            0, "sys.exit(0)", "generate_expert_traj(model)", "generate_expert_traj", id="record", marks=pytest.mark.long
        ),
        pytest.param(
            1, "sys.exit(0)", "train(Config(env='CartPole-v1', adversary='env_reward'))", "train", id="train",
            marks=pytest.mark.long,
        ),
    ],
)  # fmt: skip
def test_a_script_that_ends_on_one_rank_alone_ends_all_ranks_at_once(
    ended: int, ends: str, calls: str, name: str, tmp_path: Path
) -> None:
    check_ends(tmp_path, ENDS.format(ended=ended, ends=ends, calls=calls), ended, name)


@pytest.mark.long
def test_a_script_that_ends_on_all_ranks_waits_for_the_last(tmp_path: Path) -> None:
    check_whole(tmp_path)
