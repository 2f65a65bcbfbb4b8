"""Rows at the ends of episodes that are zero throughout: which of them only fill arrays up to one length.

T steps of an episode; E episodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from trpo_gail.experts import structured

# [T, ...] by the names of `Demonstrations`; an observation may be more, or stand apart as `final` [1, ...]
Episode = Mapping[str, np.ndarray]


def without_padding(episode: Episode) -> int:
    """The steps of an episode before those at its end whose numbers are zero throughout; all if none is another."""
    return _filled(episode) or len(episode["actions"])


def lengths(episodes: Sequence[Episode]) -> list[int] | None:
    """The steps [E] of episodes up to their last flags, if all rows behind these are zero throughout, in observations,
    actions and rewards; of one without a flag, those before its zeros. None if no rows are such padding.

    One number an observation says nothing: a label may be 0.
    """
    return judged(episodes) if any(map(goes_on, episodes)) else None


def goes_on(episode: Mapping[str, Any]) -> bool:
    """Whether rows follow behind the last flag of an episode; only its flags are read."""
    return 0 < _last_flag(episode) < episode["actions"].shape[0]


def judged(episodes: Iterable[Episode]) -> list[int] | None:
    """As `lengths`, of episodes of which one goes on behind its last flag; they are taken one by one."""
    kept = []
    for episode in episodes:
        end = _last_flag(episode)
        if structured.columns(episode["observations"][:1]).size < 2 or (end and _filled(episode, end) > end):
            return None
        kept.append(end or without_padding(episode))
    return kept


def shortened(episode: Episode, steps: int) -> dict[str, np.ndarray]:
    """The first steps of an episode, whose `final` observation is the one that follows them."""
    kept = {name: values[:steps] if values.ndim else values for name, values in episode.items() if name != "final"}
    if "final" in episode and steps < len(episode["actions"]):
        return kept | {"final": episode["observations"][steps : steps + 1]}
    return kept | ({"final": episode["final"]} if "final" in episode else {})


def note(steps: Sequence[int], kept: Sequence[int]) -> str:
    """What to say of episodes of these steps [E], of which the first `kept` [E] are taken."""
    rows = sum(steps) - sum(kept)
    return f"{rows} rows behind the last flags of {len(steps)} sequences, zero throughout, are left out as padding"


def _last_flag(episode: Mapping[str, Any]) -> int:
    """The steps up to the last row that a flag ends; 0 if there is none."""
    rows, last = episode["actions"].shape[0], 0
    for name in ("terminals", "timeouts"):
        values = episode.get(name)
        if values is not None and values.size == rows and values.dtype.kind in "biuf":
            last = max(last, int(np.flatnonzero(values.reshape(-1))[-1:].sum()) + bool(values.any()))
    return last


def _filled(episode: Episode, end: int = -1) -> int:
    """The steps up to the last one that holds another number than 0. What follows step `end` may be its successor."""
    used = np.zeros(len(episode["actions"]), bool)
    for name in ("observations", "actions", "rewards"):
        values = np.asarray(episode.get(name))
        if not values.ndim or not set(structured.kinds(values)) <= set("biuf"):
            continue  # these are refused later
        if name == "observations" and "final" in episode:
            values = structured.concatenated([values, episode["final"]])
        filled = (structured.columns(values) != 0).any(axis=1)
        if len(filled) == len(used) + 1:  # an observation more than actions
            filled[end : end + 1] = False
            filled = filled[:-1] | np.r_[np.zeros(len(used) - 1, bool), filled[-1]]
        if len(filled) == len(used):
            used |= filled
    return int(np.flatnonzero(used)[-1]) + 1 if used.any() else 0
