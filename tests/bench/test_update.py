"""The parts of an update are timed, and their times fit together."""

from __future__ import annotations

import os
from typing import Any

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from trpo_gail.bench import update as module
from trpo_gail.bench.products import operations
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


class _Products(TorchDispatchMode):
    """Additions and multiplications of all matrix products that torch is asked for."""

    operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name in ("mm", "addmm", "addmm_"):
            left, right = args[-2:]
            self.operations += 2 * left.shape[0] * left.shape[1] * right.shape[1]
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("default", {}), ("paper", {}), ("default", {"critic.clip_range_vf": 0.2}),
        ("default", {"discriminator.gradient_penalty_at": "both"}), ("default", {"discriminator.mixup": 0.2}),
        ("default", {"discriminator.gradient_penalty_at": "expert"}),
    ],
)  # fmt: skip
def test_the_products_that_are_counted_are_those_that_are_made(name: str, change: dict[str, Any]) -> None:
    config = preset(name, "Toy", **change)  # type: ignore[arg-type]
    for part, of in module.parts(toy(module.of_width(config, 8, 96), 5, 2)).items():
        of.before()
        with _Products() as made:
            of.call()
        searched = part in ("TRPO update", "critic step")  # a line search may look at more than one step
        forward = 2 * 96 * (5 * 8 + 8 * 8 + 8 * (1 if part == "critic step" else 2)) if searched else 0
        more = made.operations - operations(of.passes)
        assert more == 0 or (searched and more > 0 and more % forward == 0), (part, more)


def test_each_fit_is_timed_from_the_same_networks() -> None:
    made = toy(module.of_width(Config("Toy"), 8, 64), 5, 2)
    for name, net in (("critic pass", made.learner.critic), ("discriminator update", made.learner.adversary)):
        part, taken = module.parts(made)[name], []
        for _ in range(2):
            part.before()
            part.call()
            taken.append(net.adam.flat.vector.clone())
        assert taken[0].equal(taken[1])


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
        ({"discriminator.rest_above": 0.8}, ([64], [8], (5, 2), 1), "--flags: --discriminator.rest_above given"),
    ],
)
def test_mistakes_are_one_line(change: dict, arguments: tuple, says: str) -> None:
    with pytest.raises(UserError, match=says):
        update(preset("default", "Toy", **change), *arguments)
