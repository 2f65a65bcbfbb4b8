"""`trpo-gail bench scaling`, whose measurements start mpirun themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bad_input import EXPERT
from launch import WAITING, is_open_mpi

from trpo_gail.bench.throughput import PHASES
from trpo_gail.cli import main

TINY = "--num_envs 2 --timesteps_per_batch 64 --d_step 1 --vf_iters 1 --backend gymnasium --trajectories 1"


@pytest.mark.long
@pytest.mark.skipif(is_open_mpi(), reason="Open MPI needs flags to start more ranks than there are cores")
def test_scaling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WAITING.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "found.json"
    words = ["scaling", "CartPole-v0", "--expert", EXPERT, "--seconds", "0.05", "--repeats", "1", "--flags", TINY]
    assert main(["bench", *words, "--json", str(path)]) == 0
    found = json.loads(path.read_text())
    one, strong, weak = found["points"]
    assert one["communication_s"] == one["waiting_s"] == one["messages"] == 0
    for point, rows in ((strong, 64), (weak, 128)):
        assert point["ranks"] == 2 and point["timesteps_per_batch"] == rows
        assert point["times_one"] == pytest.approx(point["steps_s"] / one["steps_s"])
        assert point["messages"] > 10 and point["summed_bytes"] > 1000
        spent = point["communication_s"] + point["waiting_s"] + sum(point["own_s"][name] for name in PHASES)
        assert 0 < spent <= 1.1 * point["iteration_s"]  # rank 0's; the other's may begin a moment before
    assert [one["bytes"] for one in found["messages"][0]["sums"]] == [8, 8 << 10, 8 << 14, 8 << 17]
