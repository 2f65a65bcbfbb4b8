"""The parts of an update are timed, and their times fit together."""

from __future__ import annotations

import os

import pytest

from trpo_gail.bench import update as module
from trpo_gail.bench.toys import toy
from trpo_gail.bench.update import update
from trpo_gail.config.presets import preset
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError

ALL = [
    "policy gradient",
    "Fisher set-up",
    "Fisher product",
    "TRPO update",
    "critic",
    "discriminator update",
    "line search",
]


@pytest.fixture(autouse=True)
def _shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_S", 0.0)


@pytest.mark.parametrize(("name", "critic"), [("default", "critic pass"), ("paper", "critic step")])
def test_every_part_has_its_times(name: str, critic: str) -> None:
    found = update(preset(name, "Toy"), [64], [8], (5, 2), 2)  # type: ignore[arg-type]
    assert [row["part"] for row in found["parts"]] == [critic if part == "critic" else part for part in ALL]
    for row in found["parts"]:
        assert row["width"] == 8 and row["rows"] in (48, 64) and row["operations"] > 0
        assert row["products_ms"] > 0 and row["products_float64_sums_ms"] > 0
        if row["part"] != "line search":  # a difference of times, which may be anything in so short a measurement
            assert row["ms"] > 0 and row["ratio"] > 0
    of = {row["part"]: row["operations"] for row in found["parts"]}
    forward = of["line search"]
    products = of["TRPO update"] - of["policy gradient"] - of["Fisher set-up"] - forward
    taken, rest = divmod(products, of["Fisher product"])
    assert rest == 0 and 1 <= taken <= preset(name, "Toy").trpo.cg_iters  # type: ignore[arg-type]
    assert found["observations"] == 5 and found["preset"] == name and "versions" in found


def test_the_whole_update_is_timed_from_the_same_policy() -> None:
    made = toy(module.of_width(Config("Toy"), 8, 64), 5, 2)
    vector = made.learner.generator.flat.vector  # type: ignore[attr-defined]
    step, before = module.parts(made)["TRPO update"], vector.clone()
    step.call()
    assert not vector.equal(before)
    step.before()
    assert vector.equal(before)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone keeps a process on a core")
def test_all_is_measured_on_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(module, "_measured", lambda made, repeats: seen.append(len(os.sched_getaffinity(0))) or [])
    found = update(preset("default", "Toy"), [64], [8], (5, 2), 1)
    assert seen == [1] and found["cores"] == len(os.sched_getaffinity(0))


def test_products_are_done_once_before_they_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def runner(passes: object, operands: object, *, float64_sums: bool) -> object:
        return lambda: called.append("floor")

    def clocked(call: object, least: float, before: object = None) -> float:
        called.append("clock")
        return 1.0

    monkeypatch.setattr(module, "runner", runner)
    monkeypatch.setattr(module, "clocked", clocked)
    update(preset("default", "Toy"), [64], [8], (5, 2), 1)
    clocks = called.index("clock")
    assert called[:clocks] == ["floor"] * 2 * (len(ALL) - 1)
    assert called[-2:] == ["floor", "clock"]  # the line search's


@pytest.mark.parametrize(
    ("change", "arguments", "says"),
    [
        ({}, ([], [8], (5, 2), 1), "--batches: nothing given"),
        ({}, ([64], [0], (5, 2), 1), "--widths: 0 given, at least 1 expected"),
        ({}, ([64], [8], (5, 0), 1), "--actions: 0 given"),
        ({}, ([64], [8], (5, 2), 0), "--repeats: 0 given"),
        ({}, ([8], [8], (5, 2), 1), "--batches: 8 given, at least 16 expected"),
        ({"generator": "ppo"}, ([64], [8], (5, 2), 1), "--flags: ppo and gail given"),
    ],
)
def test_mistakes_are_one_line(change: dict, arguments: tuple, says: str) -> None:
    with pytest.raises(UserError, match=says):
        update(preset("default", "Toy", **change), *arguments)
