"""Whether the arrays of demonstrations are numbers of the right shapes that agree with one another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import numbers, structured
from trpo_gail.experts.data import ROWS, Demonstrations
from trpo_gail.experts.facts import LEFT_OUT, PART
from trpo_gail.experts.numbers import FLAGS, FLOATS, INTEGERS, NUMBERS
from trpo_gail.experts.streams import Rows
from trpo_gail.experts.subsampling import paper_counts, paper_rows

_OBSERVED = (1, 2, 3, 4, 5)  # dimensions: of labels, vectors, images and stacks of them
_ACTED = (1, 2, 3, 4)

# What every field may hold: kinds of dtype, the shape in words, numbers of dimensions.
FIELDS: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "observations": (NUMBERS, "[rows, observation size]", _OBSERVED),
    "next_observations": (NUMBERS, "[rows, observation size]", _OBSERVED),
    "actions": (NUMBERS, "[rows, action size], or integers [rows]", _ACTED),
    "rewards": (NUMBERS, "[rows]", (1,)),
    "terminals": (FLAGS, "[rows]", (1,)),
    "timeouts": (FLAGS, "[rows]", (1,)),
    "steps": (INTEGERS, "[rows]", (1,)),
    "episode_lengths": (INTEGERS, "[episodes]", (1,)),
    "episode_returns": (NUMBERS, "[episodes]", (1,)),
    "episode_endings": (INTEGERS, "[episodes]", (1,)),
    "final_observations": (NUMBERS, "[episodes, observation size]", _OBSERVED),
}
_OBSERVATIONS = ("observations", "next_observations", "final_observations")
# Those that are computed with in one dtype.
_DTYPES = {
    "terminals": np.bool_,
    "timeouts": np.bool_,
    "steps": np.int64,
    "episode_lengths": np.int64,
    "episode_returns": np.float64,
}


def checked(held: Demonstrations, path: str | Path, first: int = 0) -> Demonstrations:
    """The same in dtypes to compute with, with the returns that its rewards add up to, if it states no others.

    Raises UserError, naming `path`, the field, what was expected and what was found. `first` is the number of the first
    row if `held` is a piece.
    """
    given = {name: values for name in FIELDS if (values := getattr(held, name)) is not None}
    fields: dict[str, Any] = {name: _field(name, values, path) for name, values in given.items()}
    held = replace(held, **fields)
    _check_rows(held, path, first)
    if held.episode_returns is None and held.rewards is not None and held.subsample == 1:
        return replace(held, episode_returns=returns(held.rewards, held.episode_lengths))
    return held


def check_length(values: Rows, rows: int, where: str) -> None:
    """Raise UserError, which begins with `where`, unless there is one of the values for each row of observations."""
    if values.shape[0] != rows:
        raise UserError(f"{where}: expected {rows} rows as in 'observations', found {values.shape[0]}")


def _field(name: str, values: np.ndarray, path: str | Path) -> np.ndarray:
    where = f"{path}: dataset '{name}'"
    if structured.is_structured(values):
        return _parts(name, values, where)
    numbers.check_kind(values.dtype, values.shape, where, *FIELDS[name])
    if name in _OBSERVATIONS and values.ndim == 1 and values.dtype.kind not in INTEGERS:
        raise UserError(f"{where}: expected numbers {FIELDS[name][1]}, found shape {list(values.shape)}")
    values = numbers.good(values, where)
    if name == "actions":
        return _actions(values, where)
    return values.astype(_DTYPES[name], copy=False) if name in _DTYPES else values


def _parts(name: str, values: np.ndarray, where: str) -> np.ndarray:
    """Records, which observations alone may be, of parts of any shape."""
    if name not in _OBSERVATIONS:
        found = listed(part for part, _ in structured.parts(values))
        raise UserError(f"{where}: expected one array {FIELDS[name][1]}, found the parts {found}")

    def good(part: str, held: np.ndarray) -> np.ndarray:
        inner = f"{where}, part '{part}'"
        numbers.check_kind(held.dtype, held.shape, inner, FLAGS + FLOATS, "[rows, ...]", range(1, 10))
        return numbers.good(held, inner)

    return structured.changed(values, good)


def _actions(values: np.ndarray, where: str) -> np.ndarray:
    whole = values.dtype.kind in INTEGERS
    if values.ndim == 1 and not whole:
        raise UserError(
            f"{where}: expected floats [rows, action size], or integers [rows] where actions are labels, as of a Discrete "
            f"space, found {values.dtype} {list(values.shape)}"
        )
    return values.astype(np.int64) if whole else values


def returns(rewards: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Sums over episodes [E] float64, of rewards [N] of which none is left out."""
    return np.add.reduceat(rewards, np.cumsum(lengths) - lengths, dtype=np.float64)


def _check_rows(held: Demonstrations, path: str | Path, first: int) -> None:
    """That the arrays agree with one another."""
    rows, episodes = len(held.observations), len(held.episode_lengths)
    if not rows or not episodes:
        raise UserError(f"{path}: dataset 'observations': expected at least 1 row of 1 episode, found {rows}")
    for name in ROWS:
        if (values := getattr(held, name)) is not None:
            check_length(values, rows, f"{path}: dataset '{name}'")
    if held.next_observations is not None and not structured.alike(held.next_observations, held.observations):
        expected, found = (structured.row(v) for v in (held.observations, held.next_observations))
        raise UserError(
            f"{path}: dataset 'next_observations': expected rows of {expected} as 'observations', found {found}"
        )
    for name in ("episode_returns", "episode_endings"):
        if (values := getattr(held, name)) is not None and len(values) != episodes:
            raise UserError(f"{path}: dataset '{name}': expected {episodes} as 'episode_lengths', found {len(values)}")
    endings = held.episode_endings
    if endings is not None and len(wrong := endings[(endings < LEFT_OUT) | (endings > PART)]):
        raise UserError(f"{path}: dataset 'episode_endings': expected {LEFT_OUT} to {PART}, found {wrong[0]}")
    last = held.final_observations
    if last is not None and not (len(last) == episodes and structured.alike(last, held.observations)):
        expected = f"{episodes} rows of {structured.row(held.observations)}, one an episode"
        found = f"{len(last)} of {structured.row(last)}"
        raise UserError(f"{path}: dataset 'final_observations': expected {expected}, found {found}")
    if held.subsample < 1:
        raise UserError(f"{path}: 'subsample': expected an integer of at least 1, found {held.subsample}")
    if held.episode_lengths.min() < 1:
        raise UserError(f"{path}: dataset 'episode_lengths': expected 1 or more, found {held.episode_lengths.min()}")
    _check_lengths(held, path, first)


def _check_lengths(held: Demonstrations, path: str | Path, first: int) -> None:
    """That lengths and steps are those of the rows. Absurd lengths are counted: their rows are never made."""
    rows, episodes, k = len(held.observations), len(held.episode_lengths), held.subsample
    counts = paper_counts(held.episode_lengths, k)
    if counts.max() > rows or counts.sum() != rows:
        kept = "all" if k == 1 else f"one in {k}"
        raise UserError(
            f"{path}: dataset 'episode_lengths': expected lengths that make {rows} rows as in 'observations', "
            f"found {sum(counts.tolist())} ({kept} of {sum(held.episode_lengths.tolist())} steps)"
        )
    steps = paper_rows(held.episode_lengths, k)[1]
    if not np.array_equal(held.steps, steps):
        row = int(np.argmax(held.steps != steps))
        rule = "" if k == 1 else f" (rows start[i]::{k} with start = RandomState(0).randint(0, {k}, {episodes}))"
        raise UserError(
            f"{path}: dataset 'steps': expected {steps[row]} in row {first + row}{rule}, found {held.steps[row]}"
        )
