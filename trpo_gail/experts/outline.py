"""What is to be said of demonstrations as a whole, gathered from their pieces; rows are not held. E episodes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trpo_gail.experts import structured
from trpo_gail.experts.checks import padding
from trpo_gail.experts.checks.fit import outside
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Ends
from trpo_gail.magnitudes import too_large
from trpo_gail.spaces.as_json import bounds_from_json

Bounds = tuple[np.ndarray, np.ndarray]


@dataclass
class Outline:
    """Of all pieces together; names are those of `Demonstrations`."""

    last: Demonstrations  # the last piece, whose facts are those of all
    rows: int = 0
    terminals: int = 0
    timeouts: int = 0
    ends: Ends | None = None
    lowest: float = np.inf  # of the actions
    highest: float = -np.inf
    outside: int = 0  # how many action coordinates are
    too_large: dict[str, float] = field(default_factory=dict)  # fields with a value that float32 does not hold
    lengths: list[np.ndarray] = field(default_factory=list)
    returns: list[np.ndarray | None] = field(default_factory=list)
    zeros: list[np.ndarray] = field(default_factory=list)  # rows at each episode's end, see `padding.zeros`
    notes: tuple[str, ...] = ()

    @property
    def unfinished(self) -> bool:
        return self.last.unfinished

    @property
    def path(self) -> str:
        return self.last.path

    @property
    def episode_lengths(self) -> np.ndarray:
        """[E]"""
        return np.concatenate(self.lengths)

    @property
    def finished(self) -> int:
        return sum(map(len, self.lengths)) - self.unfinished

    @property
    def episode_returns(self) -> np.ndarray | None:
        """[E], or None"""
        known = [values for values in self.returns if values is not None]
        return np.concatenate(known) if len(known) == len(self.returns) else None

    def described(self, name: str) -> str:
        """Dtype and shape of `observations` or `actions`."""
        one = np.zeros((), getattr(self.last, name).dtype)
        return structured.described(np.broadcast_to(one, (self.rows, *getattr(self.last, name).shape[1:])))


def outline(pieces: Iterable[Demonstrations]) -> Outline:
    """Of at least one piece."""
    found: Outline | None = None
    for piece in pieces:
        found = found or Outline(piece)
        found.last = piece
        _add(found, piece)
    assert found is not None, "no piece"
    return found


def bounds(held: Demonstrations) -> Bounds | None:
    """Those that a source states of its actions, if they are of the actions' shape."""
    stated = bounds_from_json(held.provenance.action_space or {})
    if stated is None or held.actions.shape[1:] != stated[0].shape or stated[0].shape != stated[1].shape:
        return None
    return stated


def _add(found: Outline, piece: Demonstrations) -> None:
    found.rows += len(piece.observations)
    found.terminals += int(piece.terminals.sum())
    found.timeouts += int((piece.timeouts & ~piece.terminals).sum())  # d3rlpy's flags of ends are set at both
    found.ends = _sum(found.ends, piece.ends)
    found.lengths.append(piece.episode_lengths)
    found.returns.append(piece.episode_returns)
    found.zeros.append(padding.zeros(piece))
    found.notes = tuple(dict.fromkeys((*found.notes, *piece.notes)))
    if piece.actions.size:
        found.lowest = min(found.lowest, piece.actions.min())
        found.highest = max(found.highest, piece.actions.max())
    if (limits := bounds(piece)) is not None:
        found.outside += int(outside(piece.actions, *limits).sum())
    for name in ("observations", "actions"):
        values: Any = (too_large(part, "float32") for _, part in structured.parts(getattr(piece, name)))
        if (first := next((value for value in values if value is not None), None)) is not None:
            found.too_large.setdefault(name, first)


def _sum(one: Ends | None, other: Ends | None) -> Ends | None:
    if one is None or other is None:
        return other or one
    return Ends(one.terminal + other.terminal, one.limit + other.limit, one.unsaid + other.unsaid)
