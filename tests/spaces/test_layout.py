"""Rows of any observation space: each part at its columns, and back again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text, Tuple
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array

from trpo_gail.errors import UserError
from trpo_gail.networks.convolutions import Convolutions
from trpo_gail.spaces import given
from trpo_gail.spaces.known import known
from trpo_gail.spaces.layout import Layout, check, left_out

CAMERA = Box(0, 255, (4, 5, 3), np.uint8)
ROBOT = Dict(
    {
        "camera": CAMERA,
        "arm": Dict({"angles": Box(-1, 1, (2, 2), np.float32), "grip": MultiBinary(3)}),
        "mode": Discrete(3, start=-1),
        "dials": MultiDiscrete([2, 4], start=[5, 0]),
    }
)
SPACES: dict[str, Space] = {
    "vector": Box(-np.inf, np.inf, (4,), np.float64),
    "matrix": Box(-1, 1, (2, 3), np.float32),
    "number": Box(-1, 1, (), np.float32),
    "image": CAMERA,
    "label": Discrete(4, start=2),
    "labels": MultiDiscrete(np.array([[2, 3], [4, 5]])),
    "bits": MultiBinary((2, 2)),
    "dict": ROBOT,
    "tuple": Tuple((Discrete(2), Tuple((Box(0, 1, (3,), np.float64), Discrete(3))))),
}


def empty(space: Space, n: int) -> Any:
    return create_empty_array(space, n)


def batch_of(space: Space, n: int, seed: int = 0) -> Any:
    space.seed(seed)
    return concatenate(space, [space.sample() for _ in range(n)], empty(space, n))


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a.dtype == b.dtype and np.array_equal(a, b)


@pytest.mark.parametrize("name", SPACES)
def test_rows_go_back_to_what_the_environment_gave(name: str) -> None:
    space, layout = SPACES[name], Layout.of(SPACES[name])
    check(space, "here")
    batch = batch_of(space, 6)
    rows = layout.flatten(batch)
    assert rows.shape == (6, layout.size) and rows.dtype == layout.dtype
    assert same(layout.unflatten(rows), batch)
    assert batch_space(space, 6).contains(layout.unflatten(rows))


def test_each_part_has_its_columns() -> None:
    layout = Layout.of(ROBOT)
    assert [(p.name, p.columns.start, p.columns.stop, p.kind) for p in layout.parts] == [
        ("arm.angles", 0, 4, "vector"), ("arm.grip", 4, 7, "onehot"), ("camera", 7, 67, "image"),
        ("dials", 67, 73, "onehot"), ("mode", 73, 76, "onehot"),
    ]  # fmt: skip
    assert layout.columns("image", "vector").sum() == 64 and layout.size == 76


def test_labels_are_one_hot_from_their_start() -> None:
    layout = Layout.of(MultiDiscrete([2, 3], start=[5, 0]))
    np.testing.assert_array_equal(layout.flatten(np.array([[5, 2], [6, 0]])), [[1, 0, 0, 0, 1], [0, 1, 1, 0, 0]])
    with pytest.raises(ValueError, match="7 is no label"):
        layout.flatten(np.array([[7, 0]]))


@pytest.mark.parametrize(
    ("space", "dtype"),
    [
        (CAMERA, np.uint8),
        (Dict({"a": CAMERA, "b": Box(0, 255, (3,), np.uint8), "c": Discrete(2)}), np.uint8),
        (Dict({"a": CAMERA, "b": Box(0, 1, (3,), np.float32)}), np.float32),
        (Dict({"a": CAMERA, "b": Box(0, 1, (3,), np.float64)}), np.float64),
        (Box(0, 10, (2, 2), np.int32), np.float64),
        (Box(0, 10, (2, 2), np.int16), np.float32),
        (Box(0, 1, (3,), np.float64), np.float64),
        (Box(0, 255, (3,), np.uint8), np.uint8),
        (Discrete(3), np.float32),
    ],
)
def test_rows_have_the_least_dtype_that_holds_them(space: Space, dtype: Any) -> None:
    assert Layout.of(space).dtype == dtype


def test_a_plain_box_is_its_own_rows() -> None:
    layout, rows = Layout.of(SPACES["vector"]), np.ones((3, 4))
    assert layout.is_plain and layout.flatten(rows) is rows


def test_images_may_be_named() -> None:
    space = Dict({"depth": Box(0, 1, (8, 8), np.float32), "rest": Box(0, 1, (2,), np.float32)})
    assert [part.kind for part in Layout.of(space).parts] == ["vector", "vector"]
    parts = Layout.of(space, ["depth"]).parts
    assert [part.kind for part in parts] == ["image", "vector"] and parts[0].white == 1.0
    assert Layout.of(CAMERA).parts[0].white == 255.0
    net = Convolutions(parts[0], "small", torch.Generator())
    pixels, brightness = net.pixels(torch.ones(2, 64))
    assert brightness.tolist() == [[1.0], [1.0]] and not pixels.any()
    endless = Box(0, np.inf, (8, 8), np.float32)
    with pytest.raises(UserError, match=r"--policy\.images: 'the observation' is Box.*, without finite bounds"):
        Layout.of(endless, [""])


def test_codes_may_be_named() -> None:
    space = Dict({"view": Box(0, 255, (7, 7, 3), np.uint8), "camera": Box(0, 255, (8, 8, 3), np.uint8)})
    assert [part.kind for part in Layout.of(space, numbers=["view"]).parts] == ["image", "vector"]  # in order of keys


def test_pictures_of_small_numbers_are_told() -> None:
    rows = np.zeros((5, 9 + 9), np.uint8)
    space = Dict({"a": Box(0, 255, (3, 3), np.uint8), "b": Box(0, 255, (3, 3), np.uint8)})
    made = Layout.of(space)
    assert made.codes(rows) == [], "all black"
    rows[0, 0], rows[1, 10] = 10, 200
    (said,) = made.codes(rows)
    assert said.startswith("a has no pixel above 10 of 255") and "--policy.numbers a " in said
    assert Layout.of(space, numbers=["a"]).codes(rows) == []


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (Text(5), r"env: observations: Text\(.* cannot be numbers of a fixed shape"),
        (Dict({"words": Text(5)}), r"env: observations 'words': Text"),
        (Dict({}), "env: observations: an empty space"),
        (Box(0, 1, (0,)), "env: observations: a Box without numbers"),
    ],
)
def test_other_spaces_are_refused_by_name(space: Space, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check(space, "env")


class Mission(Space[str]):
    """A text space of a library's own, like MiniGrid's."""

    def __init__(self) -> None:
        super().__init__(dtype=str)


def test_texts_of_another_class_become_gymnasiums() -> None:
    inner = Tuple((Discrete(2), Mission()))
    made = known(Dict({"a": Box(-1, 1, (2,)), "inner": inner}), "env")
    assert isinstance(made, Dict)
    assert made["inner"][0] == Discrete(2) and isinstance(made["inner"][1], Text) and made["a"] == Box(-1, 1, (2,))
    assert left_out(made) == ["inner.1"]
    assert known(Text(7), "env") == Text(7)


def test_texts_beside_other_parts_are_left_out() -> None:
    space = Dict({"a": Discrete(2), "inner": Tuple((Box(-1, 1, (2,)), Text(3))), "mission": Text(5)})
    made = Layout.of(space)
    assert [part.name for part in made.parts] == ["a", "inner.0"] and made.size == 4
    assert left_out(space) == ["inner.1", "mission"] and left_out(Box(-1, 1, (2,))) == []
    batch = {"a": np.array([1]), "inner": (np.zeros((1, 2)), ("abc",)), "mission": ("go",)}
    assert made.flatten(batch).tolist() == [[0, 1, 0, 0]]
    check(space, "env")


class Angles(Box):
    """A kind of Box that a library brings along."""

    def __init__(self) -> None:
        super().__init__(-np.pi, np.pi, (2,), np.float32)


def test_a_librarys_kind_of_box_is_a_box() -> None:
    made = known(Tuple((Angles(), Discrete(2))), "env")
    assert isinstance(made, Tuple) and type(made[0]) is Box and made[0] == Box(-np.pi, np.pi, (2,))
    assert known(Box(-1, 1, (2,), np.longdouble), "env").dtype == np.float64
    swapped = known(Box(-1, 1, (2,), np.dtype(">f4")), "env")
    assert swapped.dtype is not None and swapped.dtype.isnative and swapped.dtype == np.float32


def test_a_text_between_parts_keeps_their_places() -> None:
    layout = Layout.of(Tuple((Discrete(2), Text(3), Box(-1, 1, (2,)))))
    rows = np.array([[0, 1, 0.5, -0.5]], np.float32)
    first, text, last = layout.unflatten(rows)
    assert first.tolist() == [1] and text.tolist() == [""] and last.tolist() == [[0.5, -0.5]]
    assert list(layout.named(rows)) == ["0", "2"]
    keys = Layout.of(Dict({3: Discrete(2), 4: Box(-1, 1, (2,))}))  # type: ignore[dict-item]
    assert list(keys.unflatten(rows)) == [3, 4]


def test_pixels_that_are_given_from_0_to_1_are_refused() -> None:
    """A network would see them as black."""
    part = Layout.of(Box(0, 255, (2, 2, 3), np.uint8)).parts[0]
    pixels = np.arange(12.0).reshape(1, 2, 2, 3)
    for good in (pixels, pixels.astype(np.uint8), pixels * 0.0, pixels + 0.5, np.minimum(pixels, 1.0)):
        assert np.array_equal(given.encoded(part, good, "observation"), good.reshape(1, 12))
    with pytest.raises(UserError, match=r"^observation: numbers from 0 to 1 given, pixels from 0 to 255 expected"):
        given.encoded(part, pixels / 255, "observation")


@pytest.mark.parametrize("name", ["vector", "label", "dict"])
def test_what_reset_returns_is_no_observation(name: str) -> None:
    space = SPACES[name]
    with pytest.raises(UserError, match=r"^observation: a pair with a mapping given, as `reset` returns it: the obs"):
        given.observed(Layout.of(space), (space.sample(), {}))


def test_a_pair_with_a_mapping_may_be_one_observation() -> None:
    space = Tuple((Discrete(3), Dict({"arm": Box(-1, 1, (2,), np.float32)})))
    parts, single = given.observed(Layout.of(space), (np.int64(2), {"arm": np.zeros(2, np.float32)}))
    assert single and [part.shape for part in parts] == [(1,), (1, 2)]


@pytest.mark.parametrize(
    ("observation", "line"),
    [
        (
            {"a": np.zeros((2, 2)), "b": [0]},
            "observation 'b' of shape (1,), () or (n,) expected; observation 'a' is a batch of 2",
        ),
        (
            {"a": np.zeros(2), "b": [0]},
            "observation 'b' of shape (1,), () or (n,) expected; observation 'a' is one alone",
        ),
        (
            [{"a": np.zeros(2), "b": 0}] * 2,
            "observation: expected an observation with the part 'a', found list of mappings: of",
        ),
    ],
)
def test_parts_that_are_no_batch_together_are_told_apart(observation: Any, line: str) -> None:
    with pytest.raises(UserError) as caught:
        given.observed(Layout.of(Dict(a=Box(-1, 1, (2,)), b=Discrete(3))), observation)
    assert str(caught.value).startswith(line)
