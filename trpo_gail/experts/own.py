"""Demonstrations as users make, read and save them from Python: the container with its ways in and out.

N rows, E episodes, O observation size, A action size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import arrays, infos, trajectories
from trpo_gail.experts import load as loading
from trpo_gail.experts.check import checked
from trpo_gail.experts.data import Demonstrations as Held
from trpo_gail.experts.data import content_sha256
from trpo_gail.experts.save import save

_HERE = "demonstrations"  # what messages call what has no file


class Demonstrations(Held):
    """Rows, episode after episode, of an expert. Made by `from_arrays`, `from_trajectories` or `load`."""

    @classmethod
    def from_arrays(
        cls,
        observations: Any,
        actions: Any = None,
        *,
        episode_ends: Any = None,
        terminals: Any = None,
        timeouts: Any = None,
        episode_lengths: Any = None,
        rewards: Any = None,
        next_observations: Any = None,
        final_observations: Any = None,
        **origin: Any,
    ) -> Demonstrations:
        """All rows one after the other: observations [N, ...], or a mapping of such arrays, and actions [N, ...]. Without
        actions, `--discriminator.inputs state next_state` can imitate them.

        At least one of these must say where episodes end: `episode_ends`, which is [N] booleans, True in the last row
        of each episode, or [E] integers, the number of the first row after each episode, so that the last of them is N
        (not N - 1, which is refused); `terminals` and `timeouts`, [N] booleans that also say how episodes end;
        `episode_lengths` [E]. Rows after the last end are an unfinished episode, whose return is not known.

        Only the scaled score needs `rewards` [N]. `final_observations` [E, ...] are the observations after each
        episode's last action. `origin` holds facts by the names of `Provenance`, such as `env_id` and `action_view`.

        Raises UserError, naming the array, for what is missing or malformed.
        """
        seen = _rows(observations, "observations", actions)
        acted = np.zeros((len(seen), 0), np.float32) if actions is None else _rows(actions, "actions")
        lengths, unfinished = _lengths(episode_ends, episode_lengths, terminals, timeouts, len(acted))
        given = {
            "observations": seen,
            "actions": acted,
            "terminals": terminals,
            "timeouts": timeouts,
            "rewards": rewards,
            "next_observations": next_observations,
            "final_observations": final_observations,
            **origin,
        }
        if lengths is not None:
            steps = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            given |= {"episode_lengths": lengths, "steps": steps, "unfinished": unfinished}
        says = terminals is not None or timeouts is not None
        return cls.of(replace(arrays.demonstrations(given, _HERE), says_ends=says))

    @classmethod
    def from_trajectories(cls, episodes: Sequence[Any], **origin: Any) -> Demonstrations:
        """One item per episode: a mapping, or an object with attributes, of `obs` [T or T + 1, ...] and `acts` [T,
        ...].

        `rews`, `next_obs`, `terminal` (one flag, or one per step) and `truncated` are optional. `trajectories.CALLED`
        lists the names that each may have. If there is one observation more than actions, the last one is the
        observation after the last action. `origin` holds facts by the names of `Provenance`, such as `env_id`.

        Raises UserError, naming the episode, for what is missing or malformed.
        """
        if isinstance(episodes, (str, Mapping)) or not isinstance(episodes, Iterable):
            raise UserError(f"{_HERE}: {type(episodes).__name__} given, a list of episodes expected")
        given = list(episodes)
        if given and all(isinstance(one, Mapping) for one in given):
            given = infos.with_limits(given, True)
        read = [trajectories.of(one, f"{_HERE}: 'episode {i}'") for i, one in enumerate(given)]
        return cls.of(trajectories.joined(read, _HERE, known=origin))

    @classmethod
    def load(cls, source: str | Path | Held | Mapping[str, Any]) -> Demonstrations:
        """Everything that a file of any format holds. Raises UserError, naming file and field, if it is malformed."""
        return load(source)

    @classmethod
    def of(cls, held: Held) -> Demonstrations:
        """The same, looked at, with arrays of its own. Raises UserError for what is malformed."""
        held = replace(checked(held, _HERE), path=_HERE)
        # Copies, whatever becomes of the caller's arrays: the digest and the returns are of these numbers.
        own: dict[str, Any] = {
            field.name: values.copy()
            for field in fields(Held)
            if isinstance(values := getattr(held, field.name), np.ndarray)
        }
        held = replace(held, **own)
        return _public(replace(held, sha256=content_sha256(held)))

    def save(self, path: str | Path, format: str = "native") -> None:
        """Write a file in a format that can be written: native, d4rl, minari, paper, stable_baselines or
        datasets_folder.

        Atomic: `path` is what it was, or complete. Raises UserError for what the format cannot hold, a missing folder and
        a full disk.
        """
        save(path, self, format)


def load(
    source: str | Path | Held | Mapping[str, Any], trajectories: int | None = None, subsample: int = 1
) -> Demonstrations:
    """The first `trajectories` (default: all) of a source, with every `subsample`-th row of each from an offset, as in
    the paper.

    A source is a file or folder of any format that is read, the name of one that comes with the package, such as
    CartPole-v0, demonstrations, or arrays by the names of their fields.
    Raises UserError, naming file, field and what was expected.
    """
    return _public(loading.load(source, trajectories, subsample))


def _public(held: Held) -> Demonstrations:
    return Demonstrations(**{field.name: getattr(held, field.name) for field in fields(Held)})


def _rows(values: Any, name: str, actions: Any = None) -> np.ndarray:
    """[N, ...]. A tuple of as many rows as there are actions, as `zip(*pairs)` makes it, is no Tuple space's arrays."""
    if isinstance(values, tuple) and len(values) and hasattr(actions, "__len__") and len(values) == len(actions):
        values = list(values)
    found = arrays.array(values, f"{_HERE}: dataset '{name}'")
    if not found.ndim:
        raise UserError(f"{_HERE}: dataset '{name}': expected rows, found {values!r:.60}")
    return found


def _lengths(ends: Any, lengths: Any, terminals: Any, timeouts: Any, rows: int) -> tuple[np.ndarray | None, bool]:
    """Lengths [E] of episodes, and whether the last is unfinished; None if flags alone tell them."""
    if ends is None and lengths is None:
        if terminals is None and timeouts is None:
            raise UserError(
                f"{_HERE}: expected episode_ends, terminals, timeouts or episode_lengths, found nothing that tells where "
                "episodes end"
            )
        return None, False
    if lengths is not None:
        found = _integers(lengths, "episode_lengths")
        if ends is not None:
            raise UserError(f"{_HERE}: expected episode_ends or episode_lengths, found both")
        return found, False
    ends = np.asarray(ends)
    if ends.dtype == bool or (ends.shape == (rows,) and set(np.unique(ends)) <= {0, 1} and rows > 1):
        if ends.shape != (rows,):
            raise UserError(f"{_HERE}: 'episode_ends': expected {rows} booleans as actions, found {list(ends.shape)}")
        after = np.flatnonzero(ends) + 1
    else:
        after = _integers(ends, "episode_ends")
        arrays.check_behind(after, rows, f"{_HERE}: 'episode_ends'")
        if not len(after) or after[0] < 1 or after[-1] > rows or (np.diff(after) < 1).any():
            raise UserError(f"{_HERE}: 'episode_ends': expected increasing rows from 1 to {rows}, found others")
    unfinished = not len(after) or after[-1] < rows
    return np.diff(np.r_[after, rows] if unfinished else after, prepend=0), bool(unfinished)


def _integers(values: Any, name: str) -> np.ndarray:
    found = np.asarray(values)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise UserError(f"{_HERE}: '{name}': expected integers [episodes], found {found.dtype} {list(found.shape)}")
    if name == "episode_lengths" and len(found) and found.min() < 1:
        raise UserError(f"{_HERE}: '{name}': expected 1 or more, found {found.min()}")
    return found.astype(np.int64)
