"""scripts/cost_model.py finds the coefficients that made some points, and predicts points that it has not seen."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

import cost_model
from cost_model import Load, Measured, Model, Point, expected_largest, fit, levels

from trpo_gail.errors import UserError

TRUE = Model(a0=1.5e-4, a1=7e-5, b0=0.03, b1=2e-5, b2=6e-4, start=4e-6, alpha=6e-6, beta=2e-10, w=0.05)
MESSAGES, BYTES, ENVS = 75.0, 3e6, 16
SUMS = [
    (ranks, size, TRUE.start + TRUE.alpha * levels(ranks) + TRUE.beta * size * levels(ranks))
    for ranks in (2, 4, 8)
    for size in (8.0, 8192.0, 131072.0, 1048576.0)
]


def point(ranks: int, rows: int, model: Model = TRUE, weak: bool = False) -> Point:
    """`rows` are those of one rank's batch; a critic's minibatch has 512 of them."""
    times = ranks if weak else 1
    messages, size = (MESSAGES, BYTES) if ranks > 1 else (0.0, 0.0)
    load = Load(ranks, ENVS * times, rows * times, 10 * (rows // 512) + 4, messages, size)
    parts: dict[str, Any] = model.parts(load)
    return Point(**dataclasses.asdict(load), batch=rows, total=sum(parts.values()), **parts)


def grid(batches: Sequence[int], ranks: Sequence[int]) -> list[Point]:
    """As `bench scaling` measures: one rank, and both kinds of each other number."""
    found = []
    for rows in batches:
        found += [point(1, rows), *(point(n, rows, weak=weak) for n in ranks for weak in (False, True))]
    return found


POINTS = grid((2048, 8192), (2, 8))


def given(**flags: Any) -> Namespace:
    return Namespace(**{"held_out": None, "held_out_rows": None, "latency_us": None, "gigabytes_s": 10.0} | flags)


def test_the_fit_finds_the_coefficients() -> None:
    found = dataclasses.asdict(fit(POINTS, SUMS))
    assert found == pytest.approx(dataclasses.asdict(TRUE), rel=1e-6)


def test_two_cores_and_three_batches_are_enough() -> None:
    found = dataclasses.asdict(fit(grid((2048, 8192, 32_768), (2,)), SUMS))
    assert found == pytest.approx(dataclasses.asdict(TRUE), rel=1e-6)


def test_one_batch_leaves_the_small_updates_in_the_constant() -> None:
    found = fit(grid((2048,), (2,)), SUMS)
    assert found.b2 == 0.0 and found.b0 == pytest.approx(TRUE.b0 + 44 * TRUE.b2)
    assert (found.a0, found.a1) == pytest.approx((TRUE.a0, TRUE.a1))


def test_a_held_out_point_is_predicted() -> None:
    (row,) = cost_model.check(fit(POINTS, [one for one in SUMS if one[0] != 4]), [point(4, 4096)])
    assert row["error"] == pytest.approx(0.0, abs=1e-6)
    assert row["predicted"] == pytest.approx(row["measured"])


def test_noise_moves_the_prediction_little() -> None:
    rng = np.random.default_rng(0)

    def noisy(one: Point) -> Point:
        names = ("sampling", "updates", "communication", "waiting")
        return dataclasses.replace(one, **{name: getattr(one, name) * rng.uniform(0.97, 1.03) for name in names})

    model = fit([noisy(one) for one in POINTS], SUMS)
    (row,) = cost_model.check(model, [point(4, 4096)])
    assert abs(row["error"]) < 0.05


def test_coefficients_are_never_negative() -> None:
    shrinking = [dataclasses.replace(one, sampling=1e-4 * one.share - 3e-5 * one.steps) for one in POINTS]
    found = fit(shrinking, SUMS)
    assert found.a0 == 0.0 and found.a1 > 0.0
    assert min(dataclasses.asdict(found).values()) >= 0.0


def test_with_one_number_of_ranks_a_sum_costs_the_constant_and_its_bytes() -> None:
    found = fit(POINTS, [one for one in SUMS if one[0] == 2])
    assert found.alpha == 0.0 and found.start == pytest.approx(TRUE.start + TRUE.alpha)


@pytest.mark.parametrize("ranks", [(2,), (2, 4, 8)])
def test_a_network_is_never_faster_than_the_machines_memory(ranks: tuple[int, ...]) -> None:
    model = fit(POINTS, [one for one in SUMS if one[0] in ranks])
    for latency_us, gigabytes_s in ((0.0, 1e6), (1.0, 10.0), (50.0, 1.0)):
        slow, load = model.on_network(latency_us, gigabytes_s), point(8, 2048)
        assert slow.seconds(load) >= model.seconds(load)
    assert model.on_network(50.0, 1.0).seconds(load) > model.seconds(load)


def test_the_expected_largest_of_normal_numbers() -> None:
    assert expected_largest(1) == pytest.approx(0.0, abs=1e-9)
    assert expected_largest(2) == pytest.approx(1.0 / math.sqrt(math.pi), rel=1e-6)
    assert expected_largest(3) == pytest.approx(1.5 / math.sqrt(math.pi), rel=1e-6)
    assert [levels(ranks) for ranks in (1, 2, 3, 4, 5, 1024)] == [0, 1, 2, 2, 3, 10]


def test_one_rank_neither_sends_nor_waits() -> None:
    parts = TRUE.parts(Load(1, ENVS, 2048, 44, MESSAGES, BYTES))
    assert parts["communication"] == 0.0 and parts["waiting"] == pytest.approx(0.0, abs=1e-9)


def test_strong_scaling_ends_with_the_environments_and_weak_scaling_goes_on() -> None:
    one, several = point(1, 2048), point(2, 2048)
    slow = TRUE.on_network(500.0, 1.0)
    strong = cost_model.extended(slow, one, several, weak=False)
    weak = cost_model.extended(slow, one, several, weak=True)
    assert [row["ranks"] for row in strong] == [1, 2, 4, 8, 16] and strong[0]["times_one"] == 1.0
    assert [row["ranks"] for row in weak] == list(cost_model.EXTENDED)
    assert {row["rows"] for row in strong} == {2048} and weak[-1]["rows"] == 2048 * 1024
    assert 1 < cost_model.strongest(strong) < 16
    assert [row["times_one"] for row in weak] == sorted(row["times_one"] for row in weak)
    for row in strong + weak:
        parts = sum(row[name] for name in ("sampling", "updates", "communication", "waiting"))
        assert row["seconds"] == pytest.approx(parts)


def test_strong_scaling_ends_with_a_number_that_is_no_power_of_two() -> None:
    one, several = (dataclasses.replace(point(ranks, 2048), envs=24) for ranks in (1, 2))
    assert [row["ranks"] for row in cost_model.extended(TRUE, one, several, weak=False)] == [1, 2, 4, 8, 16, 24]


def as_found(points: Sequence[Point], cores: int = 8) -> dict[str, Any]:
    """As `bench scaling --json` writes them."""
    rows = [
        {
            "kind": "one" if p.ranks == 1 else "weak" if p.envs > ENVS else "strong", "ranks": p.ranks,
            "num_envs": p.envs, "timesteps_per_batch": p.batch * p.envs // ENVS, "rows": p.rows,
            "small_updates": p.small, "own_s": {"sample": p.sampling, "critic": p.updates},
            "communication_s": p.communication, "waiting_s": p.waiting, "iteration_s": p.total,
            "messages": p.messages, "summed_bytes": p.summed_bytes,
        }
        for p in points
    ]  # fmt: skip
    sums = [{"ranks": ranks, "sums": [{"bytes": size, "us": 1e6 * seconds}]} for ranks, size, seconds in SUMS]
    return {"bench": "scaling", "cores": cores, "points": rows, "messages": sums}


def read(tmp_path: Path, points: Sequence[Point], cores: int = 8) -> Measured:
    path = tmp_path / "scaling.json"
    path.write_text(json.dumps(as_found(points, cores)))
    return cost_model.read([path])


def test_from_a_file_to_tables(tmp_path: Path) -> None:
    measured = read(tmp_path, [*POINTS, point(4, 2048)])
    for there, here in zip(measured.points, [*POINTS, point(4, 2048)], strict=True):
        assert dataclasses.asdict(there) == pytest.approx(dataclasses.asdict(here))
    assert measured.crowded == []
    found = cost_model.result(measured, given(held_out=4, latency_us=2.0))
    assert found["held_out"][0]["error"] == pytest.approx(0.0, abs=1e-6) and len(found["fitted"]) == len(POINTS)
    said = "\n".join(cost_model.lines(found))
    assert (
        "held out" in said
        and "1,024" in said
        and "more ranks than cores" not in said
        and "see --latency_us" not in said
    )
    assert "strong scaling is fastest with" in said and "it ends at 16, one for each environment" in said


def test_a_network_without_a_latency_is_a_network(tmp_path: Path) -> None:
    found = cost_model.result(read(tmp_path, POINTS), given(latency_us=0.0))
    assert found["network"] == {"latency_us": 0.0, "gigabytes_s": 10.0}


def test_rows_of_a_batch_are_held_out_on_the_most_ranks(tmp_path: Path) -> None:
    measured = read(tmp_path, grid((2048, 8192, 32_768), (2,)))
    found = cost_model.result(measured, given(held_out_rows=8192))
    assert [(row["ranks"], row["rows"]) for row in found["held_out"]] == [(2, 8192), (2, 16_384)]
    assert [row["error"] for row in found["held_out"]] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert (1, 8192) in [(row["ranks"], row["rows"]) for row in found["fitted"]] and len(found["fitted"]) == 7


def test_more_ranks_than_cores_are_compared_only(tmp_path: Path) -> None:
    measured = read(tmp_path, grid((2048, 8192), (2, 4, 8)), cores=2)
    assert {point.ranks for point in measured.points} == {1, 2} and {ranks for ranks, *_ in measured.sums} == {2}
    assert [(point.ranks, cores) for point, cores in measured.crowded] == [(4, 2), (4, 2), (8, 2), (8, 2)] * 2
    found = cost_model.result(measured, given())
    assert len(found["fitted"]) == 6 and len(found["crowded"]) == 8
    said = "\n".join(cost_model.lines(found))
    assert "held out, more ranks than cores" in said and "see --latency_us" in said
    with pytest.raises(UserError, match="--held_out: 4 given, but no point that is used"):
        cost_model.result(measured, given(held_out=4))


def test_ranks_that_share_a_core_work_one_after_the_other() -> None:
    alone = point(8, 2048)
    parts = TRUE.parts(alone)
    shared = 4 * (parts["sampling"] + parts["updates"]) + parts["communication"]
    (row,) = cost_model.check_crowded(TRUE, [(dataclasses.replace(alone, total=2 * shared), 2)])
    assert row["predicted"] == pytest.approx(shared) and row["error"] == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no JSON", "not readable as JSON"),
        ('{"bench": "memory"}', "bench: 'scaling' expected"),
        (
            '{"bench": "scaling", "cores": 2, "points": [{"kind": "one", "ranks": 1}], "messages": [1]}',
            "num_envs: missing",
        ),
        ('{"bench": "scaling"}', "points: not there"),
        (json.dumps(as_found(POINTS) | {"cores": "4"}), "cores: not there"),
        (json.dumps(as_found(POINTS) | {"messages": []}), "messages: not there"),
        (json.dumps(as_found([dataclasses.replace(POINTS[0], total=float("nan"))])), "iteration_s: nan found"),
        (json.dumps(as_found([dataclasses.replace(POINTS[0], ranks=0)])), "ranks and num_envs from 1 on"),
    ],
)
def test_another_file_is_one_line(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        cost_model.read([path])


WEAK = [one for one in POINTS if one.ranks == 1 or one.envs > ENVS]


@pytest.mark.parametrize(
    ("points", "flags", "says"),
    [
        (WEAK, {}, "too alike to fit sampling"),
        ([point(1, 2048), point(1, 8192)], {}, "none has several ranks"),
        (POINTS, {"held_out": 3}, "--held_out: 3 given, but no point"),
        (POINTS, {"held_out": 1}, "one rank and another number must be left"),
        (POINTS, {"held_out_rows": 4096}, "--held_out_rows: 4096 given, but no point"),
        (grid((2048,), (2,)), {"held_out_rows": 2048}, "another number must be left"),
        (POINTS, {"gigabytes_s": 0.0}, "a rate above 0 expected"),
    ],
)
def test_what_cannot_be_fitted(points: list[Point], flags: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        cost_model.result(Measured(points, SUMS), given(**flags))
