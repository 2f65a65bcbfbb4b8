"""scripts/cost_model.py finds the coefficients that made some points, and predicts points that it has not seen."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

import cost_model
from cost_model import Model, Point, expected_largest, fit, levels

from trpo_gail.errors import UserError

TRUE = Model(a0=0.002, a1=7e-5, b0=0.03, b1=2e-5, start=4e-6, alpha=6e-6, beta=2e-10, w=0.05)
MESSAGES, BYTES = 75.0, 3e6
SUMS = [
    (ranks, size, TRUE.start + TRUE.alpha * levels(ranks) + TRUE.beta * size * levels(ranks))
    for ranks in (2, 4, 8)
    for size in (8.0, 8192.0, 131072.0, 1048576.0)
]


def point(ranks: int, rows: float, model: Model = TRUE) -> Point:
    parts = model.parts(ranks, rows, MESSAGES, BYTES)
    messages, size = (MESSAGES, BYTES) if ranks > 1 else (0.0, 0.0)
    return Point(ranks, rows, total=sum(parts.values()), messages=messages, summed_bytes=size, **parts)


POINTS = [point(ranks, rows * scale) for rows in (2048, 8192) for ranks in (1, 2, 8) for scale in (1, ranks)]


def test_the_fit_finds_the_coefficients() -> None:
    found = dataclasses.asdict(fit(POINTS, SUMS))
    assert found == pytest.approx(dataclasses.asdict(TRUE), rel=1e-6)


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
    shrinking = [dataclasses.replace(one, sampling=1e-4 * one.rows / one.ranks - 0.05) for one in POINTS]
    found = fit(shrinking, SUMS)
    assert found.a0 == 0.0 and found.a1 > 0.0
    assert min(dataclasses.asdict(found).values()) >= 0.0


def test_with_one_number_of_ranks_the_steps_take_all_of_a_sum() -> None:
    found = fit(POINTS, [one for one in SUMS if one[0] == 2])
    assert found.start == 0.0 and found.alpha == pytest.approx(TRUE.start + TRUE.alpha)


def test_the_expected_largest_of_normal_numbers() -> None:
    assert expected_largest(1) == pytest.approx(0.0, abs=1e-9)
    assert expected_largest(2) == pytest.approx(1.0 / math.sqrt(math.pi), rel=1e-6)
    assert expected_largest(3) == pytest.approx(1.5 / math.sqrt(math.pi), rel=1e-6)
    assert [levels(ranks) for ranks in (1, 2, 3, 4, 5, 1024)] == [0, 1, 2, 2, 3, 10]


def test_one_rank_neither_sends_nor_waits() -> None:
    parts = TRUE.parts(1, 2048, MESSAGES, BYTES)
    assert parts["communication"] == 0.0 and parts["waiting"] == pytest.approx(0.0, abs=1e-9)


def test_strong_scaling_ends_and_weak_scaling_goes_on() -> None:
    one, several = point(1, 2048), point(2, 2048)
    slow = TRUE.on_network(50.0, 1.0)
    strong = cost_model.extended(slow, one, several, weak=False)
    weak = cost_model.extended(slow, one, several, weak=True)
    assert [row["ranks"] for row in strong] == list(cost_model.EXTENDED) and strong[0]["times_one"] == 1.0
    assert 1 < cost_model.strongest(strong) < 1024
    assert [row["times_one"] for row in weak] == sorted(row["times_one"] for row in weak)
    for row in strong + weak:
        parts = sum(row[name] for name in ("sampling", "updates", "communication", "waiting"))
        assert row["seconds"] == pytest.approx(parts)


def as_found(points: list[Point]) -> dict:
    """As `bench scaling --json` writes them."""
    rows = [
        {
            "ranks": p.ranks, "rows": p.rows, "own_s": {"sample": p.sampling, "critic": p.updates},
            "communication_s": p.communication, "waiting_s": p.waiting, "iteration_s": p.total,
            "messages": p.messages, "summed_bytes": p.summed_bytes,
        }
        for p in points
    ]  # fmt: skip
    sums = [{"ranks": ranks, "sums": [{"bytes": size, "us": 1e6 * seconds}]} for ranks, size, seconds in SUMS]
    return {"bench": "scaling", "points": rows, "messages": sums}


def test_from_a_file_to_tables(tmp_path: Path) -> None:
    path = tmp_path / "scaling.json"
    path.write_text(json.dumps(as_found([*POINTS, point(4, 4096)])))
    given = Namespace(held_out=4, latency_us=2.0, gigabytes_s=10.0)
    found = cost_model.result(*cost_model.read([path]), given)
    assert found["held_out"][0]["error"] == pytest.approx(0.0, abs=1e-6) and len(found["fitted"]) == len(POINTS)
    said = "\n".join(cost_model.lines(found))
    assert "held out" in said and "1,024" in said and "strong scaling is fastest with" in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no JSON", "not readable as JSON"),
        ('{"bench": "memory"}', "bench: 'scaling' expected"),
        ('{"bench": "scaling", "points": [{"ranks": 1}], "messages": []}', "points: rows: missing"),
    ],
)
def test_another_file_is_one_line(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        cost_model.read([path])


@pytest.mark.parametrize(
    ("points", "held_out", "says"),
    [
        ([point(1, 2048), point(2, 4096)], None, "same rows for a rank"),
        ([point(1, 2048), point(1, 4096)], None, "must be left"),
        (POINTS, 3, "no point has so many ranks"),
        (POINTS, 1, "one rank and another number must be left"),
    ],
)
def test_points_that_do_not_determine_the_model(points: list[Point], held_out: int | None, says: str) -> None:
    with pytest.raises(UserError, match=says):
        cost_model.result(points, SUMS, Namespace(held_out=held_out, latency_us=None, gigabytes_s=10.0))
