"""scripts/bench_peers.py: equal terms, and what it makes of what programs report; the peers themselves are not started."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

import bench_peers  # noqa: E402
import contestants  # noqa: E402
from bench_peers import Kept, entered, middle, wrong  # noqa: E402
from contestants import EQUAL, OURS, OWN, PEERS, STEPPED, Contestant, Pairs, Task, Terms, reached  # noqa: E402
from peers import common  # noqa: E402

from trpo_gail.bench.throughput import PHASES  # noqa: E402
from trpo_gail.commands.train import parse_flags  # noqa: E402
from trpo_gail.errors import UserError  # noqa: E402
from trpo_gail.experts.load import load  # noqa: E402

SCRIPT = ROOT / "scripts" / "bench_peers.py"
MACHINE = {"env": "Hopper-v4", "cores": 2, "processor": "a"}
PAIRS = Pairs(Path("raw.npz"), Path("clipped.npz"))
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

    some = {"to_expert_s": 30.0, "to_expert_steps": 30.0, "reached": 2, "failed": 0}
    assert middle(of(30.0, 10.0, None)) == some
    assert middle(of(None, 10.0, None)) == some | {"to_expert_s": None, "to_expert_steps": None, "reached": 1}


def test_a_run_that_failed_is_no_run_that_took_longest() -> None:
    failed = {"to_expert_s": None, "to_expert_steps": None, "error": "it fell"}
    good = {"to_expert_s": 10.0, "to_expert_steps": 100.0}
    assert middle([failed, good, failed]) == good | {"reached": 1, "failed": 2}
    assert middle([failed]) == {"to_expert_s": None, "to_expert_steps": None, "reached": 0, "failed": 1}


def test_who_takes_part() -> None:
    peer = "imitation PPO"
    both = [
        Contestant(OURS, 1),
        Contestant(OURS, 2),
        Contestant(peer, 1),
        Contestant(peer, 2, 1),
        Contestant(peer, 2, 2),
    ]
    assert entered([OURS, peer], [1, 2]) == both
    assert entered([OURS, peer], [1, 2], {peer: 1}) == both[:4]
    assert entered([peer], [2], {}) == [Contestant(peer, 2, 2)]


# ---- what is kept ----------------------------------------------------------------------------------------------------


ABOUT = {"bench": "peers", "date": "2030-01-01", "seconds": 60.0, "eval_every": 1000, "terms": {"batch": (4, 5)}}
PEER = Contestant("imitation PPO", 1)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """(who, seed) of each run to the expert; a peer's falls with seed 1."""
    asked: list[tuple[str, int]] = []

    def seconds_to_expert(task: Task, who: Contestant, seed: int) -> dict[str, float]:
        asked.append((who.name, seed))
        if who.is_peer and seed == 1:
            raise UserError("it fell")
        return {"to_expert_s": 10.0 * (seed + 1), "to_expert_steps": 100.0}

    monkeypatch.setattr(bench_peers, "seconds_to_expert", seconds_to_expert)
    return asked


def test_a_peer_that_fails_ends_nothing_and_all_runs_are_on_the_disk(
    measured: list[tuple[str, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.json"
    found = bench_peers.to_expert(TASK, [Contestant(OURS, 1), PEER], range(3), Kept(path, ABOUT))
    assert measured == [(name, seed) for seed in range(3) for name in (OURS, PEER.name)]
    ours, peer = found["to_expert"]
    assert ours["to_expert_s"] == 20.0 and ours["reached"] == 3
    assert peer["runs"][1] == {"seed": 1, "to_expert_s": None, "to_expert_steps": None, "error": "it fell"}
    assert peer["to_expert_s"] == 20.0 and peer["reached"] == 2 and peer["failed"] == 1
    assert json.loads(path.read_text()) == json.loads(json.dumps(ABOUT | found))
    assert "it fell" in capsys.readouterr().err
    assert "failed" in bench_peers.lines(found)[0]


def test_a_file_is_gone_on_with_and_what_failed_is_made_again(measured: list[tuple[str, int]], tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    bench_peers.to_expert(TASK, [PEER], range(2), Kept(path, ABOUT))
    measured.clear()
    kept = Kept(path, ABOUT | {"date": "2030-01-02"})
    assert kept.about["date"] == "2030-01-01"
    found = bench_peers.to_expert(TASK, [Contestant(OURS, 1), PEER], range(3), kept)
    assert measured == [(OURS, 0), (OURS, 1), (PEER.name, 1), (OURS, 2), (PEER.name, 2)]
    assert {row["name"]: len(row["runs"]) for row in found["to_expert"]} == {OURS: 3, PEER.name: 3}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no JSON", "is none of `to_expert`"),
        ('{"bench": "peers", "rates": []}', "is none of `to_expert`"),
        (json.dumps(ABOUT | {"seconds": 30.0, "to_expert": []}), "is of another seconds"),
    ],
)
def test_a_file_of_something_else_is_left_alone(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        Kept(path, ABOUT)
    assert path.read_text() == text


def test_rates_are_saved_after_each_turn_and_paired_without_the_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {OURS: iter([200.0, 300.0, 400.0]), PEER.name: iter([100.0, None, 100.0])}

    def rate(task: Task, who: Contestant) -> float:
        if (found := next(rates[who.name])) is None:
            raise UserError("it fell")
        return found

    monkeypatch.setattr(bench_peers, "rate", rate)
    saved: list[dict[str, Any]] = []
    found = bench_peers.rates(TASK, [Contestant(OURS, 1), PEER], 3, saved.append)
    assert len(saved) == 3 and saved[-1] == found
    ours, peer = found["rates"]
    assert ours["steps_s"] == 300.0 and ours["ours_times"] == 1.0 and "errors" not in ours
    assert peer["all"] == [100.0, None, 100.0] and peer["steps_s"] == 100.0 and peer["errors"] == ["it fell"]
    assert peer["ours_times"] == 3.0  # of 2 and 4


def test_two_cores_take_the_threads_that_were_faster(tmp_path: Path) -> None:
    rows = [("a", 1, 1, 900.0), ("a", 2, 1, 80.0), ("a", 2, 2, 90.0), ("b", 2, 1, 70.0), ("b", 2, 2, None)]
    path = tmp_path / "rates.json"
    path.write_text(
        json.dumps(
            MACHINE | {"rates": [dict(zip(("name", "cores", "threads", "steps_s"), row, strict=True)) for row in rows]}
        )
    )
    assert bench_peers.faster_threads(path, MACHINE) == {"a": 2, "b": 1}
    with pytest.raises(UserError, match="is of another env"):
        bench_peers.faster_threads(path, MACHINE | {"env": "Ant-v4"})
    path.write_text("{}")
    with pytest.raises(UserError, match="not what `rates --json` writes"):
        bench_peers.faster_threads(path, MACHINE)


@pytest.mark.parametrize(("text", "good"), [('{"rates": []}', True), ('{"to_expert": []}', False), ("x", False)])
def test_rates_do_not_write_over_something_else(text: str, good: bool, tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    bench_peers.check_kind(path, "rates")
    path.write_text(text)
    if good:
        bench_peers.check_kind(path, "rates")
    else:
        with pytest.raises(UserError, match="is none of `rates`"):
            bench_peers.check_kind(path, "rates")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_runs(number: int, tmp_path: Path) -> None:
    """A stand-in for the program of a peer, which would go on for a minute."""
    python = tmp_path / "sb3" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\ntouch {tmp_path}/began\nexec sleep 60\n")
    python.chmod(0o755)
    words = [sys.executable, str(SCRIPT), "update", str(tmp_path), "--repeats", "1", "--rows", "64"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60.0
    while not (tmp_path / "began").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number and said.count("\n") == 1 and said.startswith("bench_peers.py: ")
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.parametrize(("what", "seconds"), [("rates", 30.0), ("to_expert", 1800.0)])
def test_a_rate_and_a_run_to_the_expert_last_differently(
    what: str, seconds: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench_peers.py", what, "no/such"])
    given = bench_peers.arguments()
    task, about = bench_peers.task_of(given, tmp_path)
    assert given.seconds == task.seconds == about["seconds"] == seconds
    assert about["eval_every"] == task.eval_every == 20_480 and len(about["pairs_sha256"]) == 64
    with pytest.raises(UserError, match="python: missing"):
        bench_peers.run(given, tmp_path)


@pytest.mark.parametrize("says", ["nothing", "words", "[1]"])
def test_a_program_that_reports_nothing_is_one_line(says: str, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{'' if says == 'nothing' else f'echo {says!r}'}\n")
    python.chmod(0o755)
    with pytest.raises(UserError, match="printed no result" if says == "nothing" else "its last line is no result"):
        contestants.reported(python, "sb3_trpo.py", {}, "sb3")


@pytest.mark.parametrize("name", PEERS)
def test_a_peers_program_reads_its_job(name: str) -> None:
    job = common.Job(**TASK.job(Contestant(name, 2, 1), 3, None, rows=64))
    assert job.seed == 3 and job.bar is None and (job.cores, job.threads, job.rows) == (2, 1, 64)
    assert job.batch == Terms().batch and job.kind in ("trpo", "ppo")
    assert (contestants.PROGRAMS / PEERS[name].program).exists()
    assert PEERS[name].venv in bench_peers.VENVS


@pytest.mark.parametrize(
    ("name", "file"),
    [("imitation TRPO", "clipped.npz"), ("imitation PPO", "clipped.npz"), ("Tianshou GAIL", "raw.npz")],
)
def test_a_peer_has_the_experts_actions_as_it_sees_its_own(name: str, file: str) -> None:
    assert TASK.job(Contestant(name, 1), 0, None)["pairs"] == file


def test_clipped_pairs_are_within_the_bounds_and_raw_ones_are_the_files(tmp_path: Path) -> None:
    expert = load("Hopper-v4", 4, 20)
    pairs = Pairs.written(tmp_path, expert, contestants.bounds_of("Hopper-v4"))
    held = {path: np.load(path) for path in (pairs.raw, pairs.clipped)}
    np.testing.assert_array_equal(held[pairs.raw]["actions"], expert.actions)
    np.testing.assert_array_equal(held[pairs.clipped]["actions"], expert.actions.clip(-1.0, 1.0))
    assert (abs(expert.actions) > 1.0).any(1).mean() > 0.5
    for path in held:
        np.testing.assert_array_equal(held[path]["observations"], expert.observations)


def test_actions_without_bounds_are_the_same_in_both_files(tmp_path: Path) -> None:
    assert contestants.bounds_of("CartPole-v1") is None
    pairs = Pairs.written(tmp_path, load("CartPole-v1", 1), None)
    np.testing.assert_array_equal(np.load(pairs.raw)["actions"], np.load(pairs.clipped)["actions"])


def test_the_bar_is_of_the_trajectories_that_are_given() -> None:
    few, many = (load(source, 4, 20) for source in ("Hopper-v4", ROOT / "expert_data" / "Hopper-v4.h5"))
    assert few.return_mean != many.return_mean
    assert contestants.bar_of(few, "x") == contestants.bar_of(many, "y") == pytest.approx(0.95 * 3544.0889, abs=1e-3)


@pytest.mark.parametrize(
    ("returns", "says"), [(None, "x.h5 holds no rewards"), (np.array([-150.0, -140.0]), "the mean return is -145")]
)
def test_a_return_that_sets_no_bar(returns: np.ndarray | None, says: str) -> None:
    expert = dataclasses.replace(load("Hopper-v4", 4, 20), episode_returns=returns)
    with pytest.raises(UserError, match=says):
        contestants.bar_of(expert, "x.h5")


def test_our_settings_on_their_terms() -> None:
    config, terms = TASK.config(EQUAL), Terms()
    assert config.num_envs == terms.num_envs and config.timesteps_per_batch == terms.batch
    assert config.critic.vf_iters == terms.vf_iters and config.critic.vf_batch_size == terms.vf_batch
    assert config.discriminator.d_batch_size == terms.d_batch and config.d_step == terms.d_step
    assert config.trpo.fvp_subsample == 1 and config.backend == "auto"
    assert TASK.config(OURS).num_envs != terms.num_envs


def test_their_simulator_is_the_only_other_difference() -> None:
    config = TASK.config(STEPPED)
    assert config.backend == "gymnasium"
    assert dataclasses.replace(config, backend="auto") == TASK.config(EQUAL)


@pytest.mark.parametrize("name", OWN)
def test_settings_as_flags_are_the_same_settings(name: str) -> None:
    flags = contestants.words(TASK.settings(name))
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
        contestants.of_peer(TASK, contestants.ALONE, {})


def test_a_watch_counts_training_and_stops_at_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("peers.common.time.perf_counter", lambda: now[0])
    returns = iter([50.0, 91.0])

    def evaluate(*arguments: object) -> float:
        now[0] += 100.0  # not counted
        return next(returns)

    monkeypatch.setattr(common, "evaluate", evaluate)
    job = dataclasses.replace(common.Job(**TASK.job(Contestant("imitation PPO", 1), 0, 90.0)), seconds=1000.0)
    watch = common.Watch(job, lambda observation: observation)
    for steps in (500, 1000, 1500):
        now[0] += 2.0
        watch.batch(steps)
    now[0] += 2.0
    with pytest.raises(common.Done):
        watch.batch(2000)
    assert watch.seconds == 8.0
    assert [e["steps"] for e in watch.evaluations] == [1000, 2000] and watch.evaluations[1]["seconds"] == 8.0
