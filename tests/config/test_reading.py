"""From words to values: the flags of a small tree, every way to write them, and every way to get them wrong."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from trpo_gail.config.help_page import page
from trpo_gail.config.leaves import build, flatten, leaves, sections, texts
from trpo_gail.config.marks import AtLeast, Commas, OncePerItem, OneOf, Positional, Short, Unprefixed
from trpo_gail.config.reading import Given, complete, read
from trpo_gail.errors import UserError


@dataclass(frozen=True)
class Oven:
    """What bakes."""

    heat: Annotated[float, AtLeast(0)] = 180.0
    """Temperature
    in degrees."""
    fan: bool = True
    """Move the air."""


@dataclass(frozen=True)
class Recipe:
    """What is baked."""

    cake: Annotated[str, Positional("CAKE")]
    """Name of the cake."""
    eggs: int | None = None
    """Eggs; None takes as many as there are."""
    size: Literal["small", "large"] = "small"
    """Size of the form."""
    layers: tuple[int, ...] = (1, 2)
    """Millimetres of each layer."""
    baker: Annotated[str, OneOf({"me": 1, "you": 2})] = "me"
    """Who bakes."""
    oven: Annotated[Oven, Short("heat")] = dataclasses.field(default_factory=Oven)


@dataclass(frozen=True)
class Arguments:
    """All of a command line."""

    recipe: Annotated[Recipe, Unprefixed()]
    note: Annotated[tuple[str, ...], OncePerItem()] = ()
    """A remark; the flag is given once for each."""
    out: str | None = None
    """File to write; None writes none."""
    guests: Annotated[str, Commas()] = ""
    """Who comes."""


def given(line: str) -> dict[str, Any]:
    return read(Arguments, line.split()).values


def test_words_become_values_by_path() -> None:
    line = "tart --eggs 3 --heat 2e2 --oven.no_fan --layers 4 -5 --size=large --note a --out x --note b"
    found = read(Arguments, line.split())
    assert found.values == {
        "cake": "tart", "eggs": 3, "oven.heat": 200.0, "oven.fan": False, "layers": (4, -5), "size": "large",
        "note": ("a", "b"), "out": "x",
    }  # fmt: skip
    assert found.typed["oven.heat"] == "--heat" and found.typed["oven.fan"] == "--oven.no_fan"
    recipe = Recipe("tart", 3, "large", (4, -5), oven=Oven(200.0, False))
    assert build(Arguments, found.values) == Arguments(recipe, ("a", "b"), "x")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--eggs None", {"eggs": None}), ("--eggs=2e3", {"eggs": 2000}), ("--eggs 1 --eggs -7", {"eggs": -7}),
        ("--heat -.5", {"oven.heat": -0.5}), ("--oven.heat -1e-3", {"oven.heat": -0.001}), ("--layers", {"layers": ()}),
        ("--layers=3", {"layers": (3,)}), ("--oven.no-fan", {"oven.fan": False}),
        ("--oven.no_fan --oven.fan", {"oven.fan": True}), ("--out -log(1-D)", {"out": "-log(1-D)"}),
        ("tart", {"cake": "tart"}), ("--out=", {"out": ""}), ("", {}),
    ],
)  # fmt: skip
def test_each_way_to_write_a_value(line: str, expected: dict[str, Any]) -> None:
    assert given(line) == expected


def test_flags_may_be_the_value_of_a_flag() -> None:
    assert read(Arguments, ["--out", "--eggs 3 --heat=4"]).values == {"out": "--eggs 3 --heat=4"}
    assert read(Arguments, ["--note=--eggs 3", "--note=--eggs"]).values == {"note": ("--eggs 3", "--eggs")}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--eggs many", "Error parsing --eggs: 'many' given, a whole number expected"),
        ("--eggs 2.5", "Error parsing --eggs: '2.5' given, a whole number expected"),
        ("--layers 1 b", "Error parsing --layers: 'b' given, a whole number expected"),
        ("--heat=warm", "Error parsing --heat: 'warm' given, a number expected"),
        ("--oven.heat None", "Error parsing --oven.heat: 'None' given, a number expected"),
        ("--size huge", "invalid choice 'huge' for argument '--size'. Expected one of ('small', 'large')"),
        ("--eggs", "Missing value for argument '--eggs'. Expected 1 value"),
        ("--eggs --size small", "Missing value for argument '--eggs'. Expected 1 value"),
        ("--note", "Missing value for argument '--note'. Expected 1 value"),
        ("--oven.fan=no", "--oven.fan: 'no' given, but it takes no value: --oven.fan, --oven.no_fan"),
        ("--guests a b", "--guests: a b given, expected in one word, with commas: --guests a,b"),
        ("--guests a, b --eggs 3", "--guests: a, b given, expected in one word, with commas: --guests a,b"),
        ("tart --oven.fan False", "--oven.fan: 'False' given, but it takes no value: --oven.fan, --oven.no_fan"),
        ("tart pie", "Unrecognized options: pie"),
        ("--egs 3", "Unrecognized options: --egs, 3; did you mean --eggs?"),
        ("--hea=3", "Unrecognized options: --hea=3; did you mean --heat?"),
        ("--oven.nofan", "Unrecognized options: --oven.nofan; did you mean --oven.no_fan?"),
        ("-e 3", "Unrecognized options: -e, 3"),
        ("-eggs 3 tart", "Unrecognized options: -eggs, 3, tart; did you mean --eggs?"),
        ("--zzz --yyy 1", "Unrecognized options: --zzz, --yyy, 1"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(line: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        given(line)
    assert str(caught.value) == says


def test_items_with_commas_are_one_word() -> None:
    assert given("--guests a,b") == given("--guests=a,b") == {"guests": "a,b"}


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UserError, match=r"^no CAKE given: Name of the cake$"):
        complete(Arguments, Given())
    assert complete(Arguments, Given({"cake": "tart"})) == {"cake": "tart"}


def test_a_tree_is_flat_and_back() -> None:
    tree = Recipe("tart", oven=Oven(fan=False))
    flat = flatten(tree)
    assert flat.keys() == leaves(Recipe).keys() and flat["oven.fan"] is False
    assert build(Recipe, flat) == tree
    assert build(Recipe, {"cake": "pie"}) == Recipe("pie"), "what is left out is at its default"


def test_help_texts_stand_under_their_fields() -> None:
    assert texts(Oven) == {"heat": "Temperature in degrees.", "fan": "Move the air."}
    assert sections(Arguments) == {"": "", "oven": "What bakes."}


def test_the_page_has_every_flag_with_its_default_and_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = page(Arguments, "bake", "bake a cake", {"eggs": 6})
    assert shown.startswith("usage: bake [-h] [OPTIONS] CAKE\n\nbake a cake\n\npositional arguments:\n  CAKE\n")
    assert "  --eggs {None}|INT\n      Eggs; None takes as many as there are. (default: 6)\n" in shown
    assert "  --size {small,large}\n" in shown and "  --baker {me,you}|MODULE:FUNCTION\n" in shown
    assert "  --layers [INT [INT ...]]\n      Millimetres of each layer. (default: 1 2)\n" in shown
    assert "oven options:\n  What bakes.\n  --heat FLOAT, --oven.heat FLOAT\n" in shown
    assert "  --oven.fan, --oven.no_fan\n      Move the air. (default: True)" in shown
    assert "(required)" in shown and "(repeatable)" in shown and max(map(len, shown.splitlines())) <= 80
