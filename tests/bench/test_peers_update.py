"""scripts/peers/ours_trpo.py: our TRPO on another library's rows and from its policy."""

from __future__ import annotations

import dataclasses
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "scripts"), str(ROOT / "scripts" / "peers")]

import bench_peers  # noqa: E402
from contestants import ALONE, Contestant, Pairs, Task, Terms  # noqa: E402

from trpo_gail.errors import UserError  # noqa: E402

ours_trpo = importlib.import_module("ours_trpo")
O, A, H, B = 11, 3, 8, 200


@pytest.fixture
def actor(torch_rng: torch.Generator) -> nn.Sequential:
    net = nn.Sequential(nn.Linear(O, H), nn.Tanh(), nn.Linear(H, H), nn.Tanh(), nn.Linear(H, A))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(generator=torch_rng).mul_(0.3)
    return net


@pytest.fixture
def rows(tmp_path: Path, actor: nn.Sequential, torch_rng: torch.Generator) -> Path:
    """As `peers/sb3.py` keeps them; observations are large, as they may be without a normaliser."""
    observations = 20.0 * torch.randn(B, O, generator=torch_rng)
    log_std = torch.tensor([-0.5, 0.0, 0.25])
    with torch.no_grad():
        actions = actor(observations) + log_std.exp() * torch.randn(B, A, generator=torch_rng)
    path = tmp_path / "rows.npz"
    parameters = torch.cat([log_std, *(p.detach().reshape(-1) for p in actor.parameters())])
    np.savez(
        path, observations=observations, actions=actions, advantages=torch.randn(B, generator=torch_rng),
        actor=parameters,
    )  # fmt: skip
    return path


def test_the_policy_is_theirs(rows: Path, actor: nn.Sequential) -> None:
    trpo, batch = ours_trpo.loaded(str(rows), H)
    z = trpo.policy.normaliser(batch.observations)
    assert z.equal(batch.observations)
    here = trpo.policy(z)
    torch.testing.assert_close(here.mean, actor(batch.observations))
    assert here.log_std.tolist() == [-0.5, 0.0, 0.25]
    assert trpo.config.fvp_subsample == 1 and batch.rows.total == B


def test_the_gradient_is_that_of_their_objective(rows: Path, actor: nn.Sequential) -> None:
    trpo, batch = ours_trpo.loaded(str(rows), H)
    mean = actor(batch.observations)
    here = torch.distributions.Normal(mean, torch.tensor([-0.5, 0.0, 0.25]).exp()).log_prob(batch.actions).sum(-1)
    objective = (torch.exp(here - here.detach()) * batch.advantages).mean()
    theirs = torch.cat([g.reshape(-1) for g in torch.autograd.grad(objective, list(actor.parameters()))])
    found: Tensor = trpo._gradient(batch, batch.observations)[0]
    torch.testing.assert_close(found[A:], theirs, atol=1e-5, rtol=1e-4)


def test_what_an_update_takes(rows: Path) -> None:
    found = ours_trpo.measured(str(rows), H)
    assert found["rows"] == B and found["update_ms"] > 0.0
    assert 0 < found["products"] <= 10 and found["step_accepted"] == 1.0 and 0.0 < found["kl"] <= 0.015


def test_networks_of_other_sizes_are_refused(rows: Path) -> None:
    with pytest.raises(RuntimeError):
        ours_trpo.loaded(str(rows), H + 1)


@pytest.mark.long
def test_it_runs_as_a_program_of_its_own(rows: Path) -> None:
    task = Task(Path("no/such"), "Hopper-v4", "x", Pairs(rows, rows), 1.0, 1.0, 1, 1, Terms(units=H))
    job = task.job(Contestant(ALONE, 1), 0, None, rows=B, rows_file=str(rows))
    command = [sys.executable, str(ROOT / "scripts" / "peers" / "ours_trpo.py"), json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["rows"] == B


def test_both_are_timed_on_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(Path("no/such"), "Hopper-v4", "x", Pairs(Path("a"), Path("b")), 1.0, 1.0, 1, 1, Terms())
    jobs: list[tuple[str, dict[str, Any]]] = []
    took = {"rows": 64, "products": 10, "backtracks": 0.0, "step_accepted": 1.0, "kl": 0.01}

    def report(who: str, ms: float) -> Any:
        return lambda *arguments: jobs.append((who, arguments[2])) or {"update_ms": ms * len(jobs), **took}

    monkeypatch.setattr(bench_peers, "of_peer", report("sb3", 30.0))
    monkeypatch.setattr(bench_peers, "reported", report("ours", 10.0))
    saved: list[dict[str, Any]] = []
    found = bench_peers.updates(task, 64, 2, saved.append)
    assert [who for who, _ in jobs] == ["sb3", "ours"] * 2 and len(saved) == 2
    assert jobs[0] == ("sb3", jobs[1][1]) and jobs[0][1]["seed"] != jobs[2][1]["seed"]
    assert all(job["cores"] == job["threads"] == 1 and job["rows"] == 64 for _, job in jobs)
    one = found["update"]
    assert one["ratio"] == pytest.approx((30.0 / 20.0 + 90.0 / 40.0) / 2) and one["rows"] == 64
    said = bench_peers.lines(found)
    assert "64 rows: ours 30 ms, sb3-contrib 60 ms" in said[0] and len(said) == 2 + 4


def test_other_numbers_of_rows_are_refused() -> None:
    theirs, ours = ({"rows": rows, "update_ms": 1.0} for rows in (64, 48))
    with pytest.raises(UserError, match="48 and 64 rows"):
        bench_peers.update_row([theirs], [ours])


def test_a_job_has_the_fields_that_the_programs_read() -> None:
    common = importlib.import_module("common")
    assert {"rows_file", "threads"} <= {field.name for field in dataclasses.fields(common.Job)}
