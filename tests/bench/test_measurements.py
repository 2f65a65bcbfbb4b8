"""What is made of measured runs: ratios, shares, scaling, against closed forms; no process is started."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trpo_gail.bench import child, jobs, memory, overview, scaling, start, tables, throughput
from trpo_gail.bench.collectives import Spent, TimedWorkers, spent
from trpo_gail.bench.pictures import picture
from trpo_gail.bench.throughput import PHASES
from trpo_gail.config.presets import changed, preset
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError

CONFIG = Config("CartPole-v0", expert="CartPole-v0", num_envs=8)
PNG = b"\x89PNG"


def rank(sample: float = 3.0, waiting: float = 0.5) -> dict[str, Any]:
    """A rank's part of a run of 10 s: sampling, 1 s in each other phase, of which some waiting, the rest between them."""
    others = dict.fromkeys(PHASES[1:], 1.0)
    own = {name: seconds - waiting / 4 for name, seconds in others.items()}
    return {
        "wall_s": {"sample": sample, **others}, "own_s": {"sample": sample, **own}, "resident_mib": 300 + 10 * sample,
        "at_start_mib": 200.0, "waiting_s": waiting, "communication_s": 0.2, "messages": 40, "summed_bytes": 4000,
    }  # fmt: skip


def run(*ranks: dict[str, Any], steps: float = 1000, seconds: float = 10.0) -> dict[str, Any]:
    """What a process tells of a training of two iterations."""
    return {
        "steps": steps, "seconds": seconds, "steps_s": steps / seconds, "iterations": 2, "ranks": list(ranks),
    }  # fmt: skip


# ---- collectives -----------------------------------------------------------------------------------------------------


def test_waiting_ends_when_the_last_rank_arrives() -> None:
    times = [[(0.0, 3.5), (5.0, 6.5)], [(3.0, 3.25), (4.0, 6.25)]]  # rank 1 is late, then rank 0
    assert spent(times, 0, 80) == Spent(3.0, 0.5 + 1.5, 2, 80)
    assert spent(times, 1, 80) == Spent(1.0, 0.25 + 1.25, 2, 80)


def test_without_collectives_nothing_is_spent() -> None:
    assert spent([[]], 0, 0) == Spent(0.0, 0.0, 0, 0)


def test_workers_note_their_collectives_and_still_count_the_seconds() -> None:
    workers = TimedWorkers()
    with workers.pulse.during("critic"), workers.pulse.waits:
        assert workers.pulse.waits.now
    assert not workers.pulse.waits.now
    ((began, ended),) = workers.times
    assert ended - began >= 0.0 and workers.pulse.waits.seconds > 0.0
    assert workers.pulse.take_seconds()["critic"] >= 0.0
    workers.forget()
    assert workers.times == [] and workers.summed_bytes == 0


# ---- throughput ------------------------------------------------------------------------------------------------------


def test_shares_of_phases_add_up_to_one() -> None:
    found = throughput.shares([run(rank(5.0), steps=2000)])
    assert list(found) == [*PHASES, "other"]
    assert sum(phase["share"] for phase in found.values()) == pytest.approx(1.0)
    assert found["sample"]["share"] == pytest.approx(0.5)
    assert found["sample"]["us_per_step"] == pytest.approx(1e6 * 5.0 / 2000)
    assert sum(phase["us_per_step"] for phase in found.values()) == pytest.approx(1e6 * 10.0 / 2000)


def test_shares_are_medians_that_one_disturbed_turn_does_not_move() -> None:
    quiet, disturbed = run(rank()), run(rank(9.0))
    assert throughput.shares([quiet, disturbed, quiet]) == throughput.shares([quiet])


def test_shares_are_the_mean_over_ranks() -> None:
    found = throughput.shares([run(rank(2.0), rank(4.0))])
    assert found["sample"]["share"] == pytest.approx(0.3)
    assert found["critic"]["collectives"] == pytest.approx(0.125 / 10.0)


def test_sampling_limits_only_by_what_is_beyond_the_simulator() -> None:
    phases = {"sample": {"us_per_step": 70.0}, "critic": {"us_per_step": 20.0}, "reward": {"us_per_step": 5.0}}
    assert throughput.limit(phases, 60.0) == "critic"
    assert throughput.limit(phases, 40.0) == "sample"


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """(what, ranks, environments) of every measurement; the third turn is of a slower machine."""
    asked: list[tuple[str, int, int]] = []
    raw, training = (iter(rates) for rates in ([400.0, 400.0, 100.0] * 3, [1000, 3000, 500] * 9))

    def measured(what: str, config: Config, ranks: int, *args: float, **more: float) -> dict[str, Any]:
        asked.append((what, ranks, config.num_envs))
        if what == "raw":
            return {"steps_s": next(raw)}
        if what == "messages":
            return {"messages": [{"bytes": 8, "us": 5.0}]}
        return run(*[rank()] * ranks, steps=next(training))

    for module in (throughput, scaling, memory, overview):
        monkeypatch.setattr(module, "measured", measured)
    return asked


def test_numbers_of_ranks_take_turns(measurements: list[Any]) -> None:
    found = throughput.throughput(CONFIG, [1, 2], 1.0, 2)
    assert measurements == [("raw", 1, 8), ("training", 1, 8), ("raw", 2, 8), ("training", 2, 8)] * 2
    assert [one["ranks"] for one in found["ranks"]] == [1, 2]
    assert found["ranks"][0]["raw"] == [400.0, 100.0] and found["ranks"][1]["raw"] == [400.0, 400.0]


def test_one_rank_spends_nothing_in_collectives() -> None:
    found = throughput.shares([run(rank())])
    assert {phase["collectives"] for phase in found.values()} == {0.0}


def test_throughput_is_of_medians_and_paired_ratios(measurements: list[Any]) -> None:
    found = throughput.throughput(CONFIG, [1], 1.0, 3)
    (one,) = found["ranks"]
    assert [what for what, *_ in measurements] == ["raw", "training"] * 3
    assert one["raw"] == [400.0, 400.0, 100.0] and one["training"] == [100.0, 300.0, 50.0]
    assert one["raw_steps_s"] == 400.0 and one["training_steps_s"] == 100.0
    assert one["ratio"] == 0.5  # of 0.25, 0.75 and 0.5
    assert one["simulator_us_per_step"] == pytest.approx(2500.0)
    assert found["env"] == "CartPole-v0" and found["demonstrations"] == "CartPole-v0"


# ---- scaling ---------------------------------------------------------------------------------------------------------


def test_weak_scaling_multiplies_the_totals_and_leaves_each_ranks_work() -> None:
    config = preset("default", "Hopper-v4")
    grown = scaling.grown(config, 4)
    for name in ("num_envs", "timesteps_per_batch"):
        assert getattr(grown, name) == 4 * getattr(config, name)
    assert grown.critic.vf_batch_size == 4 * config.critic.vf_batch_size
    assert grown.d_step == config.d_step
    given = {"generator": "ppo", "discriminator.d_batch_size": 32}
    with_ppo = changed(config, given)
    assert scaling.grown(with_ppo, 2).ppo.batch_size == 2 * with_ppo.ppo.batch_size
    assert scaling.grown(with_ppo, 2).discriminator.d_batch_size == 64


def test_small_updates_are_those_that_an_iteration_makes() -> None:
    config = dataclasses.replace(CONFIG, d_step=4)
    assert scaling.small_updates(config, 2040.0) == 10 * 4 + 4  # passes times minibatches of 512, and 4
    assert scaling.small_updates(scaling.grown(config, 2), 4080.0) == 10 * 4 + 4
    assert scaling.small_updates(dataclasses.replace(config, g_step=3), 3 * 2040.0) == 3 * 10 * 4 + 4
    assert scaling.small_updates(preset("paper", "Hopper-v4"), 50_000.0) == 1


def test_one_rank_comes_first_in_each_turn(measurements: list[Any]) -> None:
    found = scaling.scaling(CONFIG, [1, 2], 1.0, 3)
    assert measurements == [("training", 1, 8), ("training", 2, 8), ("training", 2, 16)] * 3 + [("messages", 2, 8)]
    one, strong, weak = found["points"]
    assert [one["kind"], strong["kind"], weak["kind"]] == ["one", "strong", "weak"]
    assert one["times_one"] == one["efficiency"] == 1.0
    assert strong["times_one"] == 3.0 and strong["efficiency"] == 1.5
    assert weak["num_envs"] == 16 and weak["times_one"] == 0.5
    assert found["messages"] == [{"ranks": 2, "sums": [{"bytes": 8, "us": 5.0}]}]


def test_a_points_seconds_are_an_iterations_and_in_the_mean_over_ranks() -> None:
    runs = [run(rank(2.0, 0.4), rank(4.0, 1.2))]
    found = scaling.point("strong", 2, CONFIG, runs, [50.0])
    assert found["iteration_s"] == 5.0 and found["rows"] == 500.0
    assert found["num_envs"] == 8 and found["small_updates"] == 10 * 1 + CONFIG.d_step
    assert found["own_s"]["sample"] == pytest.approx(1.5)
    assert found["waiting_s"] == pytest.approx(0.4) and found["waiting_share"] == pytest.approx(0.08)
    assert found["communication_s"] == pytest.approx(0.1) and found["messages"] == 20
    assert found["times_one"] == 2.0


# ---- memory, overview, pictures --------------------------------------------------------------------------------------


def test_memory_is_that_of_the_largest_rank(measurements: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "measured", lambda *args, **more: run(rank(2.0), rank(4.0)))
    (row,) = memory.memory(CONFIG, [2], [512], 1)["rows"]
    assert row["peak_mib"] == 340.0 and row["peak_mib_by_rank"] == [320.0, 340.0] and row["at_start_mib"] == 200.0
    assert row["timesteps_per_batch"] == 512 and row["seconds_per_iteration"] == 5.0
    assert row["rows"] == 500.0  # the true number


def test_the_overview_keeps_its_names(measurements: list[Any]) -> None:
    found = overview.overview(CONFIG, 1.0, 1, 1)
    assert found["training / random"] == 0.25 and "ranks" not in found
    assert found["all rates"] == {"random": [400], "training": [100]}


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ranks of every start, 0 for `--help`; each takes a second longer."""
    asked: list[int] = []

    def took(ranks: int = 0) -> float:
        asked.append(ranks)
        return float(len(asked))

    monkeypatch.setattr(start, "help_", took)
    monkeypatch.setattr(start, "first_iteration", took)
    return asked


def test_starts_take_turns(starts: list[int]) -> None:
    found = start.start([1, 2], 3)
    assert starts == [0, 1, 2] * 3
    assert [(row["what"], row["ranks"]) for row in found["rows"]] == [
        ("--help", 1), ("first iteration", 1), ("first iteration", 2),
    ]  # fmt: skip
    assert found["rows"][0] == {"what": "--help", "ranks": 1, "seconds": 4.0, "all": [1.0, 4.0, 7.0]}


@pytest.mark.long
def test_a_start_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "ENV", "NoSuchTask-v0")
    with pytest.raises(UserError, match=r"^bench: training on 1 rank\(s\) failed: .*NoSuchTask"):
        start.first_iteration(1)


# ---- the machine -----------------------------------------------------------------------------------------------------


def test_how_ranks_wait_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in jobs.waiting_by():
        monkeypatch.delenv(name)
    assert jobs.machine()["waiting"] == {}
    monkeypatch.setenv("MPIR_CVAR_CH4_PROGRESS_THROTTLE", "1")
    found = {"bench": "start", **jobs.machine(), "repeats": 1, "rows": []}
    assert found["waiting"] == {"MPIR_CVAR_CH4_PROGRESS_THROTTLE": "1"}
    assert "ranks wait by MPIR_CVAR_CH4_PROGRESS_THROTTLE=1" in list(tables.lines(found))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone keeps a process on a core")
def test_a_measurement_in_this_process_keeps_to_one_core_and_gives_the_others_back() -> None:
    before = os.sched_getaffinity(0)
    with jobs.on_one_core():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


@pytest.fixture
def all_found(measurements: list[Any], starts: list[int]) -> Iterator[dict[str, Any]]:
    more = dataclasses.replace(CONFIG, expert=None)
    part: dict[str, Any] = {"width": 64, "rows": 2048, "operations": 1, "ms": 2.0, "products_ms": 1.0, "ratio": 2.0}
    part |= {"part": "critic pass", "products_float64_sums_ms": 1.5, "ratio_float64_sums": 1.3, "all_ms": [2.0]}
    conversion = {
        "from": "native",
        "to": "d4rl",
        "seconds": 1.0,
        "start_s": 0.5,
        "megabytes_s": 9.0,
        "ratio": 0.5,
        "peak_mib": 90,
    }
    loading = {"rows": 10, "bytes": 100, "h5py_s": 1.0, "load_s": 2.0, "ratio": 0.5}
    return iter(
        [
            throughput.throughput(CONFIG, [1, 2], 1.0, 1),
            scaling.scaling(more, [2, 4], 1.0, 1, [1024, 2048]),
            memory.memory(more, [1, 2], [1024], 1),
            start.start([1, 2], 2),
            {"bench": "update", "preset": "paper", "observations": 4, "actions": 1, "repeats": 1, **jobs.machine(),
             "parts": [part, part | {"part": "TRPO update"}, part | {"width": 128}]},
            {"bench": "data", **jobs.machine(), "repeats": 1, "loading": loading, "converted_bytes": 100,
             "conversions": [conversion, conversion | {"megabytes_s": None, "ratio": None}]},
        ]
    )  # fmt: skip


def test_everything_found_is_json_text_and_a_picture(all_found: Iterator[dict[str, Any]]) -> None:
    for found in all_found:
        assert json.loads(json.dumps(found)) == found
        said = list(tables.lines(found))
        assert len(said) > 3 and max(map(len, said)) <= 160
        assert picture(found).startswith(PNG)


def test_the_batches_that_were_measured_are_told(measurements: list[Any], starts: list[int]) -> None:
    found = [
        scaling.scaling(CONFIG, [2], 1.0, 1, [512, 1024]),
        memory.memory(CONFIG, [1], [512], 1),
        start.start([1], 1),
    ]
    said = [next(line for line in tables.lines(one) if "preset default" in line) for one in found]
    for line, batches in zip(said, ("512, 1024", "512", "2048"), strict=True):
        assert f"batches of {batches} steps" in line


def test_columns_of_numbers_stand_to_the_right() -> None:
    assert list(tables.table(["what", "n"], [["a", 5], ["bcd", 12345.6]])) == [
        "what       n", "a          5", "bcd   12,346",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ranks", "seconds", "repeats", "says"),
    [
        ([0], 1.0, 1, "--ranks: 0 given, different numbers from 1 on expected"),
        ([], 1.0, 1, "--ranks: nothing given"),
        ([2, 2], 1.0, 1, "--ranks: 2 2 given"),
        ([9], 1.0, 1, "--ranks: 9 given, at most 8 expected"),
        ([1], 0.0, 1, "--seconds: 0 given, more than 0 expected"),
        ([1], 1.0, 0, "--repeats: 0 given, at least 1 expected"),
    ],
)
def test_numbers_that_cannot_be_meant(ranks: list[int], seconds: float, repeats: int, says: str) -> None:
    with pytest.raises(UserError, match=says):
        jobs.check(CONFIG, ranks, seconds, repeats)


RULE = 74 * "-"
SLOTS = f"""{RULE}
There are not enough slots available in the system to satisfy the 2
slots that were requested by the application:

  python

Either request fewer procs for your application.
{RULE}
"""
ENDED = f"{RULE}\nprterun detected that one or more processes exited with non-zero status\n{RULE}\n"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (SLOTS, "There are not enough slots .* requested by the application:"),
        (f"root is refused\n\nIt is dangerous.\n{RULE}\n", "root is refused"),
        (f"a note\ntrpo-gail: a mistake\n{ENDED}", "trpo-gail: a mistake"),
        (f"ValueError: no\n{ENDED}", "ValueError: no"),
        ("a note\nkilled\n", "killed"),
        ("", "ended by SIGKILL"),
    ],
)
def test_the_reason_of_a_failure_is_no_rule_of_dashes(said: str, reason: str) -> None:
    assert re.fullmatch(f"bench: it failed: {reason}", str(jobs.what_failed("it", said, -9)))


def test_a_measured_process_ends_with_the_one_that_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr("trpo_gail.bench.child.os._exit", lambda code: ended.set())
    with subprocess.Popen(["sleep", "60"]) as measures:
        child.end_with(measures.pid, look_s=0.01)
        assert not ended.wait(0.05)
        measures.kill()
    assert ended.wait(10.0)
    ended.clear()
    child.end_with(measures.pid, look_s=0.01)  # another host's
    assert not ended.wait(0.05)


def test_an_interrupted_measurement_leaves_nobody_behind(tmp_path: Path) -> None:
    launcher = f"trap 'touch {tmp_path}/ended; exit' TERM; touch {tmp_path}/begun; while :; do sleep 0.01; done"
    try:
        with jobs.started(["bash", "-c", launcher]) as process:
            while not (tmp_path / "begun").exists():
                time.sleep(0.01)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert process.poll() == 0 and (tmp_path / "ended").exists()  # SIGKILL would not let it end its ranks
