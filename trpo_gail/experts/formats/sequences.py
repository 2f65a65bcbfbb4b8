"""Arrays [E, T, ...]: sequences of one length, each an episode, padded or not, or several that flags end.

E sequences, T steps of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import batches, blanks, time_first, trajectories
from trpo_gail.experts.arrays import demonstrations
from trpo_gail.experts.data import Demonstrations

Arrays = Mapping[str, np.ndarray]

_FLAGS = ("terminals", "timeouts")


def are_here(fields: Mapping[str, Any]) -> bool:
    """Whether values by the names of `Demonstrations` are arrays of numbers [E, T, ...], or flags [E]."""
    if not all(isinstance(values, np.ndarray) and values.dtype.kind in "biuf" for values in fields.values()):
        return False
    shape = fields["actions"].shape[:2]
    return len(shape) == 2 and all(_fits(name, values, shape) for name, values in fields.items())


def _fits(name: str, values: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether an array has a row for each step of each sequence; of observations there may be one more, and one flag a
    sequence is of its last step."""
    more = (shape[0], shape[1] + 1) if name == "observations" else shape
    return values.shape[:2] in (shape, more) or (name in _FLAGS and values.shape == shape[:1])


def read(fields: Arrays, lengths: np.ndarray | None, path: str | Path) -> Demonstrations:
    """Episodes of arrays [E, T, ...], without what pads them: rows that are NaN, or beyond their lengths."""
    count, steps = fields["actions"].shape[:2]
    for name, values in fields.items():
        if not _fits(name, values, (count, steps)):
            raise UserError(
                f"{path}: {name}: expected [{count}, {steps}, ...] as of actions, found {list(values.shape)}"
            )
    if not count or not steps:
        raise UserError(f"{path}: expected at least 1 step of 1 episode, found actions {list(fields['actions'].shape)}")
    if lengths is None:
        lengths = np.array([_filled(fields["actions"][i]) for i in range(count)])
    if len(lengths) != count:
        raise UserError(f"{path}: lengths: expected {count} of 1 to {steps}, found {listed(lengths.tolist())}")
    for i, length in enumerate(lengths.tolist()):
        batches.check_length(length, steps, f"{path}: episode {i}")
    fields = {
        name: _of_each_step(values, lengths, steps) if values.ndim == 1 else values for name, values in fields.items()
    }
    more = fields["observations"].shape[1] - steps
    turned = time_first.note(fields["observations"][:, :steps])
    notes: tuple[str, ...] = () if turned is None else (turned,)
    time_first.check(fields["observations"], fields.get("next_observations"), path)
    sequences = _sequences(fields, lengths, more)
    if (kept := blanks.lengths(sequences)) is not None:
        lengths, notes = np.array(kept), (*notes, blanks.note([len(one["actions"]) for one in sequences], kept))
    flags = [fields[name].reshape(count, steps, -1)[..., 0] != 0 for name in _FLAGS if name in fields]
    ended = [np.any([values[i, : lengths[i]] for values in flags], axis=0) for i in range(count)] if flags else []
    if any(values[:-1].any() for values in ended):
        if not all((values[1:] >= values[:-1]).all() for values in ended):
            return _with_ends(fields, lengths, path, notes)
        lengths = np.array([int(np.argmax(values)) + 1 if values.any() else len(values) for values in ended])
        notes += ("flags stay set behind the first end of a sequence: these rows are left out as padding",)
    return trajectories.joined(_sequences(fields, lengths, more), path, notes=notes)


def _of_each_step(flags: np.ndarray, lengths: np.ndarray, steps: int) -> np.ndarray:
    """Flags [E, T] of one [E] for each sequence, which is its last step's."""
    return np.where(np.arange(steps) == lengths[:, None] - 1, flags[:, None], np.zeros_like(flags)[:, None])


def _sequences(fields: Arrays, lengths: np.ndarray, more: int) -> list[dict[str, np.ndarray]]:
    """Each sequence by itself, of observations with the one that is `more`."""
    return [
        {name: column(values[i, : length + more * (name == "observations")], name) for name, values in fields.items()}
        for i, length in enumerate(lengths)
    ]


def _with_ends(fields: Arrays, lengths: np.ndarray, path: str | Path, notes: tuple[str, ...]) -> Demonstrations:
    """Episodes that end within the rows, after which others begin: what vector environments record."""
    parts = {
        name: np.concatenate([column(values[i, : lengths[i]], name) for i in range(len(lengths))])
        for name, values in fields.items()
    }
    last = np.zeros(int(lengths.sum()), bool)
    last[np.cumsum(lengths) - 1] = True
    cut = last & ~np.any([parts[name] != 0 for name in _FLAGS if name in parts], axis=0)
    parts["timeouts"] = cut | (parts["timeouts"] != 0 if "timeouts" in parts else False)
    note = f"flags end episodes within the {len(lengths)} sequences; the ends of these are taken for time limits"
    return replace(demonstrations(parts, path), notes=(*notes, note))


def _filled(actions: np.ndarray) -> int:
    """Rows before those at the end that are NaN."""
    if actions.dtype.kind != "f":
        return len(actions)
    there = np.flatnonzero(~np.isnan(actions.reshape(len(actions), -1)).all(axis=1))
    return int(there[-1]) + 1 if len(there) else 0


def column(values: np.ndarray, name: str) -> np.ndarray:
    """[T] of rewards and flags [T, 1]; float actions [T] as [T, 1]."""
    if name in ("rewards", "terminals", "timeouts") and values.ndim == 2 and values.shape[1] == 1:
        return values[:, 0]
    return values[:, None] if name == "actions" and values.ndim == 1 and values.dtype.kind == "f" else values
