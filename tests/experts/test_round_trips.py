"""Property-based: what any format that is written holds comes back to the bit, or is refused in one line.

Episodes of any number and length from 1 on, the last perhaps unfinished; observations that are vectors, labels, images
or several parts; actions that are floats, labels or several labels; numbers of four dtypes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="hypothesis is not installed")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trpo_gail.errors import UserError
from trpo_gail.experts import structured
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.load import read
from trpo_gail.experts.save import save

ROWS = ("observations", "actions", "steps", "episode_lengths")
ENDS = ("terminals", "timeouts")

# By the names of formats: which fields come back; `None` in place of observations of several parts that are refused.
KEPT: dict[str, tuple[str, ...]] = {
    "native": (*ROWS, *ENDS, "rewards", "next_observations", "final_observations"),
    "d4rl": (*ROWS, *ENDS, "rewards"),
    "minari": (*ROWS, *ENDS, "rewards", "final_observations"),
    "paper": (*ROWS, "rewards"),
    "stable_baselines": (*ROWS, "rewards"),
    "datasets_folder": (*ROWS, *ENDS, "rewards", "final_observations"),
}

EXAMPLES = int(os.environ.get("TRPO_GAIL_EXAMPLES", "5"))  # for each format; results/data had many more
DTYPES = ["float32", "float64", "int64", "uint8"]


def numbers(dtype: str) -> st.SearchStrategy[Any]:
    if dtype == "uint8":
        return st.integers(0, 255)
    if dtype == "int64":
        return st.integers(-(2**62), 2**62)
    most, width = (2.0**100, 32) if dtype == "float32" else (2.0**300, 64)
    return st.floats(-most, most, width=width)  # type: ignore[arg-type]


def values(rows: int, shape: tuple[int, ...], dtype: str) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.dtype(dtype), (rows, *shape), elements=numbers(dtype))


@st.composite
def observations(draw: Callable[..., Any], rows: int) -> np.ndarray:
    """One more than rows, so that each has a successor."""
    kind = draw(st.sampled_from(["vector", "vector", "label", "image", "parts"]))
    if kind == "vector":
        dtype = draw(st.sampled_from(DTYPES))
        return draw(values(rows, (draw(st.integers(1, 3)),), dtype))
    if kind == "label":
        return draw(values(rows, (), "int64"))
    if kind == "image":
        return draw(values(rows, (2, 3, draw(st.sampled_from([1, 3]))), "uint8"))
    return structured.packed(
        {
            "camera": draw(values(rows, (2, 2, 3), "uint8")),
            "goal": structured.packed({"x": draw(values(rows, (2,), "float64")), "n": draw(values(rows, (), "int64"))}),
            "speed": draw(values(rows, (1,), "float32")),
        }
    )


@st.composite
def demonstrations(draw: Callable[..., Any]) -> Demonstrations:
    lengths = np.array(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    rows = int(lengths.sum())
    last = np.cumsum(lengths) - 1
    unfinished = draw(st.booleans())
    terminal = np.array(draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths))))
    ended = np.ones(len(lengths), bool)
    ended[-1] = not unfinished
    terminals, timeouts = np.zeros(rows, bool), np.zeros(rows, bool)
    terminals[last], timeouts[last] = terminal & ended, ~terminal & ended
    steps = np.arange(rows) - np.repeat(last + 1 - lengths, lengths)
    seen = draw(observations(rows + len(lengths)))
    shifted = np.arange(rows) + np.repeat(np.arange(len(lengths)), lengths)  # an episode has one more than rows
    kind = draw(st.sampled_from(["float32", "float64", "label", "labels"]))
    label = st.integers(0, 5)
    acted = (
        draw(arrays(np.int64, (rows,) if kind == "label" else (rows, 2), elements=label))
        if kind.startswith("label")
        else draw(values(rows, (2,), kind))
    )
    paid = draw(values(rows, (), draw(st.sampled_from(["float32", "float64"]))))
    return Demonstrations(
        observations=seen[shifted],
        actions=acted,
        terminals=terminals,
        timeouts=timeouts,
        steps=steps,
        episode_lengths=lengths,
        rewards=paid,
        final_observations=seen[last + np.arange(len(lengths)) + 1],
        next_observations=seen[shifted + 1] if draw(st.booleans()) else None,
        unfinished=unfinished,
        path="drawn",
    )


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """To the bit, so that -0.0 is not 0.0."""
    parts = list(zip(structured.parts(a), structured.parts(b), strict=True))
    return structured.alike(a, b) and all(
        one[0] == other[0] and one[1].dtype == other[1].dtype and one[1].tobytes() == other[1].tobytes()
        for one, other in parts
    )


def refused(name: str, held: Demonstrations) -> bool:
    """Whether a layout has no place for these."""
    parts = structured.is_structured(held.observations)
    if name == "paper":
        floats = held.observations.dtype.kind == "f" and held.observations.ndim == 2
        return held.unfinished or not floats or (held.actions.dtype.kind == "i" and held.actions.ndim == 2)
    if name == "stable_baselines":
        return parts or held.unfinished or held.rewards is None
    return parts and name == "datasets_folder"


@pytest.mark.parametrize("name", KEPT)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(held=demonstrations())
def test_from_native_and_back(name: str, held: Demonstrations) -> None:
    if name == "datasets_folder":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    with tempfile.TemporaryDirectory() as folder:
        native, other, again = (Path(folder) / each for each in ("native.h5", "other", "again.h5"))
        save(native, held)
        first = read(native)
        if refused(name, first):
            with pytest.raises(UserError, match="layout holds"):
                save(other, first, name)
            assert not other.exists()
            return
        save(other, first, name)
        save(again, read(other))
        for field in KEPT[name]:
            ours, theirs = getattr(first, field), getattr(read(again), field)
            assert (ours is None) == (theirs is None), field
            assert ours is None or same(ours, theirs), field


def none() -> Demonstrations:
    empty = np.zeros(0, int)
    return Demonstrations(np.zeros((0, 2)), np.zeros((0, 1)), empty > 0, empty > 0, empty, empty, rewards=np.zeros(0))


def test_the_table_names_every_format_that_is_written() -> None:
    with pytest.raises(UserError) as told:
        save(Path("x"), none(), "none")
    assert set(KEPT) == set(str(told.value).rpartition(": ")[2].split(", "))


def test_no_episode_is_no_dataset(tmp_path: Path) -> None:
    held = none()
    for name in KEPT:
        with pytest.raises(UserError):
            save(tmp_path / name, held, name)
        assert not (tmp_path / name).exists()
