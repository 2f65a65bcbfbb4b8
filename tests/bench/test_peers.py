"""scripts/bench_peers.py: equal terms, and what it makes of what programs report; the peers themselves are not started."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

import bench_peers  # noqa: E402
from bench_peers import OURS, PEERS, Task, Terms, middle, reached, wrong  # noqa: E402
from peers import common  # noqa: E402

from trpo_gail.bench.throughput import PHASES  # noqa: E402
from trpo_gail.commands.train import parse_flags  # noqa: E402
from trpo_gail.errors import UserError  # noqa: E402
from trpo_gail.experts.load import load  # noqa: E402

PAIRS = bench_peers.Pairs(Path("raw.npz"), Path("clipped.npz"))
TASK = Task(Path("no/such"), "Hopper-v4", "Hopper-v4", PAIRS, 90.0, 60.0, 1000, 2, Terms())


def row(steps: int, returned: float | None) -> dict[str, float | None]:
    return {
        "steps": steps,
        "eval_return_mean": returned,
        "eval_s": 7.0,
        **dict.fromkeys((f"{p}_s" for p in PHASES), 1.0),
    }


def test_the_bar_is_reached_after_seconds_of_training_alone() -> None:
    rows = [row(100, 10.0), row(200, None), row(300, 90.0), row(400, 95.0)]
    assert reached(rows, 90.0, 60.0) == {"to_expert_s": 15.0, "to_expert_steps": 300}


def test_neither_the_bar_nor_the_end() -> None:
    assert reached([row(100, 10.0)], 90.0, 60.0) is None
    assert reached([row(100, 10.0)], 90.0, 5.0) == {"to_expert_s": None, "to_expert_steps": None}


def test_a_seed_that_does_not_get_there_took_longest() -> None:
    def of(*seconds: float | None) -> list[dict[str, float | None]]:
        return [{"to_expert_s": s, "to_expert_steps": s} for s in seconds]

    assert middle(of(30.0, 10.0, None)) == {"to_expert_s": 30.0, "to_expert_steps": 30.0, "reached": 2}
    assert middle(of(None, 10.0, None)) == {"to_expert_s": None, "to_expert_steps": None, "reached": 1}


@pytest.mark.parametrize("name", PEERS)
def test_a_peers_program_reads_its_job(name: str) -> None:
    job = common.Job(**TASK.job(name, 1, 3, None))
    assert job.seed == 3 and job.bar is None and job.batch == Terms().batch and job.kind in ("trpo", "ppo")
    assert (bench_peers.PROGRAMS / PEERS[name].program).exists()
    assert PEERS[name].venv in bench_peers.VENVS


@pytest.mark.parametrize(
    ("name", "file"),
    [("imitation TRPO", "clipped.npz"), ("imitation PPO", "clipped.npz"), ("Tianshou GAIL", "raw.npz")],
)
def test_a_peer_has_the_experts_actions_as_it_sees_its_own(name: str, file: str) -> None:
    assert TASK.job(name, 1, 0, None)["pairs"] == file


def test_clipped_pairs_are_within_the_bounds_and_raw_ones_are_the_files(tmp_path: Path) -> None:
    expert = load("Hopper-v4", 4, 20)
    pairs = bench_peers.Pairs.written(tmp_path, expert, bench_peers.bounds_of("Hopper-v4"))
    held = {path: np.load(path) for path in (pairs.raw, pairs.clipped)}
    np.testing.assert_array_equal(held[pairs.raw]["actions"], expert.actions)
    np.testing.assert_array_equal(held[pairs.clipped]["actions"], expert.actions.clip(-1.0, 1.0))
    assert (abs(expert.actions) > 1.0).any(1).mean() > 0.5
    for path in held:
        np.testing.assert_array_equal(held[path]["observations"], expert.observations)


def test_actions_without_bounds_are_the_same_in_both_files(tmp_path: Path) -> None:
    assert bench_peers.bounds_of("CartPole-v1") is None
    pairs = bench_peers.Pairs.written(tmp_path, load("CartPole-v1", 1), None)
    np.testing.assert_array_equal(np.load(pairs.raw)["actions"], np.load(pairs.clipped)["actions"])


def test_the_bar_is_of_the_trajectories_that_are_given() -> None:
    few, many = (load(source, 4, 20) for source in ("Hopper-v4", ROOT / "expert_data" / "Hopper-v4.h5"))
    assert few.return_mean != many.return_mean
    assert bench_peers.bar_of(few, "x") == bench_peers.bar_of(many, "y") == pytest.approx(0.95 * 3544.0889, abs=1e-3)


@pytest.mark.parametrize(
    ("returns", "says"), [(None, "x.h5 holds no rewards"), (np.array([-150.0, -140.0]), "the mean return is -145")]
)
def test_a_return_that_sets_no_bar(returns: np.ndarray | None, says: str) -> None:
    expert = dataclasses.replace(load("Hopper-v4", 4, 20), episode_returns=returns)
    with pytest.raises(UserError, match=says):
        bench_peers.bar_of(expert, "x.h5")


def test_our_settings_on_their_terms() -> None:
    config, terms = TASK.config(bench_peers.EQUAL), Terms()
    assert config.num_envs == terms.num_envs and config.timesteps_per_batch == terms.batch
    assert config.critic.vf_iters == terms.vf_iters and config.critic.vf_batch_size == terms.vf_batch
    assert config.discriminator.d_batch_size == terms.d_batch and config.d_step == terms.d_step
    assert config.trpo.fvp_subsample == 1 and config.backend == "auto"
    assert TASK.config(OURS).num_envs != terms.num_envs


def test_their_simulator_is_the_only_other_difference() -> None:
    config = TASK.config(bench_peers.STEPPED)
    assert config.backend == "gymnasium"
    assert dataclasses.replace(config, backend="auto") == TASK.config(bench_peers.EQUAL)


@pytest.mark.parametrize("name", bench_peers.OWN)
def test_settings_as_flags_are_the_same_settings(name: str) -> None:
    flags = bench_peers.words(TASK.settings(name))
    assert parse_flags(["Hopper-v4", *flags]).config == TASK.config(name)


def test_pins_are_compared_with_what_is_installed(tmp_path: Path) -> None:
    freeze = tmp_path / "python"
    freeze.write_text("#!/bin/sh\nprintf 'Torch==2.13.0+cpu\\nimitation==1.0.0\\nsb3_contrib==2.9.2\\n'\n")
    freeze.chmod(0o755)
    assert wrong(freeze, ["torch==2.13.0", "sb3-contrib==2.9.2", "imitation==1.0.1", "mujoco==4.0.0"]) == [
        "imitation 1.0.0, expected 1.0.1", "mujoco missing, expected 4.0.0",
    ]  # fmt: skip


def test_a_peer_that_is_not_there_is_one_line() -> None:
    with pytest.raises(UserError, match="no/such/sb3/bin/python: missing"):
        bench_peers.of_peer(TASK, bench_peers.ALONE, {})


def test_a_watch_counts_training_and_stops_at_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("peers.common.time.perf_counter", lambda: now[0])
    returns = iter([50.0, 91.0])

    def evaluate(*arguments: object) -> float:
        now[0] += 100.0  # not counted
        return next(returns)

    monkeypatch.setattr(common, "evaluate", evaluate)
    job = dataclasses.replace(common.Job(**TASK.job("imitation PPO", 1, 0, 90.0)), seconds=1000.0)
    watch = common.Watch(job, lambda observation: observation)
    for steps in (500, 1000, 1500):
        now[0] += 2.0
        watch.batch(steps)
    now[0] += 2.0
    with pytest.raises(common.Done):
        watch.batch(2000)
    assert watch.seconds == 8.0
    assert [e["steps"] for e in watch.evaluations] == [1000, 2000] and watch.evaluations[1]["seconds"] == 8.0
