"""Other demonstrations from demonstrations: some of their episodes, or those of several sources together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import structured
from trpo_gail.experts.data import ROWS, Demonstrations
from trpo_gail.experts.facts import Provenance


def matching(
    held: Demonstrations,
    returns: tuple[float | None, float | None] = (None, None),
    lengths: tuple[int | None, int | None] = (None, None),
) -> np.ndarray:
    """The episodes whose return and length are within these ends, None for no end: [K] int64, in their order.

    An unfinished episode has no return. Raises UserError if returns are asked for and not known.
    """
    good = _within(held.episode_lengths, lengths)
    if returns != (None, None):
        if held.episode_returns is None:
            raise UserError(f"{held.path}: returns are not known (the file has no rewards)")
        good &= _within(held.episode_returns, returns)
        if held.unfinished:
            good[-1] = False
    return np.flatnonzero(good)


def _within(values: np.ndarray, ends: tuple[float | None, float | None]) -> np.ndarray:
    low, high = ends
    return (values >= (-np.inf if low is None else low)) & (values <= (np.inf if high is None else high))


def pick(held: Demonstrations, episodes: Sequence[int] | np.ndarray) -> Demonstrations:
    """These episodes, in the order of the source. Raises UserError for numbers that it lacks, and if none is left."""
    _whole(held)
    total, wanted = held.trajectories, np.unique(np.asarray(episodes, np.int64))
    if not len(wanted):
        raise UserError(f"{held.path}: none of its {total} episodes is selected")
    if wanted[0] < 0 or wanted[-1] >= total:
        beyond = wanted[0] if wanted[0] < 0 else wanted[-1]
        raise UserError(f"{held.path}: episodes: expected numbers from 0 to {total - 1}, found {beyond}")
    rows = np.isin(held.episode_of, wanted)
    kept: dict[str, Any] = {n: values[rows] for n in ROWS if (values := getattr(held, n)) is not None}
    kept |= {name: getattr(held, name)[wanted] for name in _of_episodes(held)}
    return replace(
        held,
        **kept,
        unfinished=held.unfinished and int(wanted[-1]) == total - 1,
        whole=None,
    )


def merge(sources: Sequence[Demonstrations]) -> Demonstrations:
    """All episodes of the sources, one source after the other; of their origin what they agree on.

    What not all have (rewards, next observations) is left out. Raises UserError for sources of other columns than the
    first, and for an unfinished episode anywhere but at the end.
    """
    first = sources[0]
    for held in sources:
        _whole(held)
        for name in ("observations", "actions"):
            expected, found = getattr(first, name), getattr(held, name)
            if not structured.alike(found, expected) or structured.kinds(found) != structured.kinds(expected):
                said = f"rows of {structured.row(expected)} as {first.path} has"
                raise UserError(f"{held.path}: '{name}': expected {said}, found {structured.row(found)}")
        if held.unfinished and held is not sources[-1]:
            raise UserError(
                f"{held.path}: its last episode is unfinished: name this file last, or leave the episode out by "
                "`trpo-gail data select`"
            )
    whole = {name: _joined(sources, name) for name in (*ROWS, *_of_episodes(first))}
    return replace(
        first,
        **whole,
        provenance=_common([held.provenance for held in sources]),
        says_ends=all(held.says_ends for held in sources),
        unfinished=sources[-1].unfinished,
        whole=None,
    )


def _of_episodes(held: Demonstrations) -> list[str]:
    """The fields that hold an element an episode: every array that does not hold one a row."""
    return [f.name for f in fields(held) if f.name not in ROWS and isinstance(getattr(held, f.name), np.ndarray)]


def _joined(sources: Sequence[Demonstrations], name: str) -> Any:
    parts = [getattr(held, name) for held in sources]
    return None if any(part is None for part in parts) else np.concatenate(parts)


def _common(origins: Sequence[Provenance]) -> Provenance:
    """What all say alike; what they differ in is not known of the whole."""
    agreed: dict[str, Any] = {}
    for field in fields(Provenance):
        values = [getattr(origin, field.name) for origin in origins]
        if all(value == values[0] for value in values):
            agreed[field.name] = dict(values[0]) if isinstance(values[0], Mapping) else values[0]
    return Provenance(**agreed)


def _whole(held: Demonstrations) -> None:
    if held.subsample != 1:
        raise UserError(
            f"{held.path}: subsample: expected 1, found {held.subsample}: which rows are kept depends on an episode's "
            "number, so that episodes cannot be taken out or put together"
        )
