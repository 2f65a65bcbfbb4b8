"""Other demonstrations from demonstrations: some of their episodes, or those of several sources together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, listed
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
    _check_numbers(wanted, total, held.path)
    rows = np.isin(held.episode_of, wanted)
    kept: dict[str, Any] = {n: values[rows] for n in ROWS if (values := getattr(held, n)) is not None}
    kept |= {name: getattr(held, name)[wanted] for name in _of_episodes(held)}
    return replace(
        held,
        **kept,
        unfinished=held.unfinished and int(wanted[-1]) == total - 1,
        whole=None,
    )


def selected(
    pieces: Iterable[Demonstrations],
    returns: tuple[float | None, float | None] = (None, None),
    lengths: tuple[int | None, int | None] = (None, None),
    episodes: Sequence[int] = (),
) -> Iterator[Demonstrations]:
    """Of one source in pieces, the episodes that `matching` finds, and that are among `episodes` if some are named.

    Raises UserError as `pick` does, when all pieces have been seen.
    """
    total, found, path = 0, False, ""
    for piece in pieces:
        _whole(piece)
        kept = matching(piece, returns, lengths)
        if episodes:
            kept = kept[np.isin(kept + total, episodes)]
        total, path = total + piece.trajectories, piece.path
        if len(kept):
            found = True
            yield pick(piece, kept)
    _check_numbers(np.asarray(episodes, np.int64), total, path)
    if not found:
        raise UserError(f"{path}: none of its {total} episodes is selected")


def _check_numbers(wanted: np.ndarray, total: int, path: str) -> None:
    if len(beyond := wanted[(wanted < 0) | (wanted >= total)]):
        raise UserError(f"{path}: episodes: expected numbers from 0 to {total - 1}, found {beyond[0]}")


Source = Callable[[], Iterator[Demonstrations]]  # its pieces, from the beginning at each call


def merge(sources: Sequence[Demonstrations]) -> Demonstrations:
    """`merged`, of demonstrations that are held already."""
    return joined(merged([partial(iter, [held]) for held in sources]))


def merged(sources: Sequence[Source]) -> Iterator[Demonstrations]:
    """All episodes of the sources in pieces, one source after the other; of their origin what they agree on. Notes on a
    source begin with its path.

    What not all have (rewards, next observations) is left out, and that is noted, as are several environments. Raises
    UserError for sources of other columns than the first, and for an unfinished episode anywhere but at the end.
    """
    heads = [_head(source) for source in sources]
    for held in heads:
        for name in ("observations", "actions"):
            expected, found = getattr(heads[0], name), getattr(held, name)
            if not structured.alike(found, expected) or structured.kinds(found) != structured.kinds(expected):
                said = f"rows of {structured.row(expected)} as {heads[0].path} has"
                raise UserError(f"{held.path}: '{name}': expected {said}, found {structured.row(found)}")
    _check_views(heads)
    names = dict.fromkeys((*ROWS, *(name for held in heads for name in _of_episodes(held))))
    dtypes = {name: _dtype(heads, name) for name in names}
    facts: dict[str, Any] = {
        "provenance": _common([held.provenance for held in heads]),
        "says_ends": all(held.says_ends for held in heads),
        "path": heads[0].path,
        "format": heads[0].format,
        "whole": None,
    }
    notes = _departures(heads, [name for name, dtype in dtypes.items() if dtype is None])
    for source in sources:
        for piece in source():
            if piece.unfinished and source is not sources[-1]:
                raise UserError(
                    f"{piece.path}: its last episode is unfinished: name this file last, or leave the episode out by "
                    "`trpo-gail data select`"
                )
            arrays: dict[str, Any] = {name: _as(getattr(piece, name), dtype) for name, dtype in dtypes.items()}
            if piece.says_ends and not facts["says_ends"]:  # one of the others does not, so that lengths judge all
                arrays["timeouts"] = np.zeros_like(piece.timeouts)  # they would be parts there
                arrays["terminals"] = np.zeros_like(piece.terminals)
            told = [f"{piece.path}: {note}" if piece.path else note for note in piece.notes]
            yield replace(piece, **facts, **arrays, notes=(*told, *notes))


def _departures(heads: Sequence[Demonstrations], lacking: Sequence[str]) -> list[str]:
    """What a person should know of sources that are put together; `lacking` are the fields that not all have."""
    notes = []
    if len(ids := dict.fromkeys(held.env_id for held in heads if held.env_id is not None)) > 1:
        notes.append(f"of several environments: {listed(ids)}")
    if lost := [name for name in lacking if any(getattr(held, name) is not None for held in heads)]:
        notes.append(f"not in all sources, and so left out: {listed(lost)}")
    if len({held.says_ends for held in heads}) > 1:
        silent = next(held.path for held in heads if not held.says_ends)
        notes.append(f"how episodes end is left out, since {silent or 'one source'} does not say it")
    return notes


def _check_views(heads: Sequence[Demonstrations]) -> None:
    """Raise UserError for raw and executed actions together: a learner of both would be shown one of the two wrongly."""
    stated = [held for held in heads if held.provenance.action_view is not None]
    for held in stated:
        expected, found = stated[0].provenance.action_view, held.provenance.action_view
        if found != expected:
            raise UserError(
                f"{held.path}: 'action_view': expected {expected!r} as {stated[0].path} has, found {found!r}: these are "
                "different numbers"
            )


def _head(source: Source) -> Demonstrations:
    """The first episode: all sources' are held at once."""
    return pick(next(source()), [0])


def _dtype(heads: Sequence[Demonstrations], name: str) -> np.dtype | None:
    """What holds this field of all; None if one of them lacks it."""
    found = [getattr(held, name) for held in heads]
    return None if any(values is None for values in found) else structured.promoted(*(values.dtype for values in found))


def _as(values: Any, dtype: np.dtype | None) -> Any:
    return None if dtype is None else structured.cast(values, dtype)


def joined(pieces: Iterable[Demonstrations]) -> Demonstrations:
    """The pieces of one source, at least one, as a whole."""
    held = list(pieces)
    if len(held) == 1:
        return held[0]
    names = (*ROWS, *_of_episodes(held[0]))
    whole: dict[str, Any] = {name: None if getattr(held[0], name) is None else _joined(held, name) for name in names}
    notes = tuple(dict.fromkeys(note for piece in held for note in piece.notes))
    return replace(held[0], **whole, unfinished=held[-1].unfinished, notes=notes, whole=None)


def _of_episodes(held: Demonstrations) -> list[str]:
    """The fields that hold an element an episode: every array that does not hold one a row."""
    return [f.name for f in fields(held) if f.name not in ROWS and isinstance(getattr(held, f.name), np.ndarray)]


def _joined(pieces: Sequence[Demonstrations], name: str) -> Any:
    return structured.concatenated([getattr(piece, name) for piece in pieces])


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
