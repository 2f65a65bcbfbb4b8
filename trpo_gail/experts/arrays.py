"""Demonstrations from arrays by name: what a flat file holds, and what a caller may give in place of a file.

N rows, E episodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, listed, shortened
from trpo_gail.experts import numbers, structured
from trpo_gail.experts.check import FIELDS, check_length
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Provenance
from trpo_gail.experts.files.pickle_machine import Record
from trpo_gail.system import typed

_ORIGIN = tuple(f.name for f in fields(Provenance))
_NAMES = (*FIELDS, "subsample", "unfinished", *_ORIGIN)


def demonstrations(given: Mapping[str, Any], path: str | Path = "arrays") -> Demonstrations:
    """`given` has `observations`, `actions` and whatever else is known; errors call it `path`.

    Names are those of `Demonstrations` and `Provenance`; None is the same as no value. Without `episode_lengths` and
    `steps`, episodes end where `terminals` or `timeouts` say, and the rows behind the last end are an unfinished one.
    Flags may be booleans, or numbers that are 0 or 1; flags, rewards and discrete actions may be columns [N, 1]. Raises
    UserError for names that are not known, for one that is missing, and for arrays that cannot be rows; `check.checked`
    looks at the rest.
    """
    known = {name: value for name, value in given.items() if value is not None}
    if strange := sorted(set(known) - set(_NAMES)):
        raise UserError(f"{path}: {listed(strange)}: expected names among {', '.join(_NAMES)}")
    held: dict[str, Any] = {name: array(known[name], f"{path}: dataset '{name}'") for name in FIELDS if name in known}
    for name in ("observations", "actions"):
        if name not in held:
            raise UserError(f"{path}: dataset '{name}' is missing, expected {FIELDS[name][1]}; found {listed(held)}")
    for name in ("observations", "next_observations", "final_observations"):
        if name in held and held[name].dtype.kind == "b":  # bits, as a MultiBinary space has them
            held[name] = held[name].astype(np.int8)
    observations, where = held["observations"], f"{path}: dataset 'observations'"
    if not structured.is_structured(observations):
        numbers.check_kind(observations.dtype, observations.shape, where, *FIELDS["observations"])
    held["actions"] = _labels(held["actions"])
    if "rewards" in held:
        held["rewards"] = _column(held["rewards"])
    for name in ("terminals", "timeouts"):
        given_flags = held.get(name, np.zeros(len(observations), bool))
        held[name] = flags(given_flags, len(observations), f"{path}: dataset '{name}'")
    facts: dict[str, Any] = {name: known[name] for name in ("subsample", "unfinished") if name in known}
    if not {"steps", "episode_lengths"} & set(held):
        held["episode_lengths"], held["steps"], facts["unfinished"] = _episodes(held["terminals"] | held["timeouts"])
    for name in ("steps", "episode_lengths"):
        if name not in held:
            raise UserError(f"{path}: dataset '{name}' is missing, expected {FIELDS[name][1]}; found {listed(held)}")
    return Demonstrations(**held, **facts, provenance=_provenance(known, path))


def _episodes(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """(lengths [E], steps [N], whether the last one is unfinished) of episodes that end in these rows [N] bool."""
    last = np.flatnonzero(ends)
    unfinished = bool(len(ends)) and not ends[-1]
    after = np.r_[last + 1, len(ends)] if unfinished else last + 1
    lengths = np.diff(after, prepend=0)
    return lengths, np.arange(len(ends)) - np.repeat(after - lengths, lengths), unfinished


def check_behind(ends: np.ndarray, rows: int, where: str) -> None:
    """Raise UserError, which begins with `where`, for numbers [E] of the episodes' last rows in place of those behind."""
    if len(ends) and ends[-1] == rows - 1:
        raise UserError(
            f"{where}: expected the number of the row behind each episode's last, {rows} at the end, found {rows - 1}, that "
            "of the last row itself: add 1 to each"
        )


def array(values: Any, where: str) -> np.ndarray:
    """An array of whatever holds numbers [N, ...]; records of a mapping or a tuple of arrays, or of a list of mappings.

    A tuple's parts are called 0, 1 and so on.

    Raises UserError, which begins with `where`, for rows of several shapes and for parts of several lengths.
    """
    if isinstance(values, (list, tuple)) and len(values) and isinstance(values[0], Mapping):
        values = _columns_of(values, where)
    if isinstance(values, tuple) and len(values) and all(isinstance(part, (np.ndarray, Mapping)) for part in values):
        values = dict(enumerate(values))  # of a Tuple space
    if isinstance(values, Mapping):
        return _records(values, where)
    if isinstance(values, (list, tuple)) and (text := _text(values)) is not None:
        raise UserError(
            f"{where}: expected numbers, found texts such as '{shortened(text, 40)}': write numbers or booleans"
        )
    check_read(values[0] if isinstance(values, (list, tuple)) and len(values) else values, where)
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        raise UserError(f"{where}: expected numbers, found masked ones, which would count as what is below the mask")
    try:
        found = np.asarray(values)
    except RuntimeError as error:  # a tensor that takes part in autograd
        raise UserError(f"{where}: expected an array, found {type(values).__name__}: {error}") from error
    except (ValueError, TypeError) as error:  # rows of several lengths
        if parts := _tuples(values):
            return _records(parts, where)
        raise UserError(f"{where}: expected an array, found {type(values).__name__} of several shapes") from error
    if found.dtype.names is not None:
        return _records({name: found[name] for name in found.dtype.names}, where)
    return found


def is_unread(value: Any) -> bool:
    """Whether it stands for an array or a tensor of a kind that cannot be read."""
    return isinstance(value, Record) and value.name.startswith(("torch.", "numpy.ndarray of "))


def check_read(value: Any, where: str) -> None:
    """Raise UserError, which begins with `where`, for what stands for an array that cannot be read."""
    if is_unread(value):
        raise UserError(f"{where}: expected numbers, found {value.name}, which is not read: write float32 or integers")


def _tuples(values: Any) -> dict[str, list[Any]] | None:
    """A list for each part, of a tuple for each step, as a Tuple space's environment gives them; None of anything else."""
    if not isinstance(values, (list, tuple)) or not values or not all(isinstance(step, tuple) for step in values):
        return None
    if len({len(step) for step in values}) > 1:
        return None
    return {str(i): [step[i] for step in values] for i in range(len(values[0]))}


def _text(values: Sequence[Any]) -> str | None:
    """A text that a list holds at any depth, for which NumPy would give each item the room of the longest; None if it
    holds none."""
    kinds = set(map(type, values))
    if any(issubclass(kind, (str, bytes)) for kind in kinds):
        return str(next(value for value in values if isinstance(value, (str, bytes))))
    if any(issubclass(kind, np.ndarray) for kind in kinds):
        texts = (v for v in values if isinstance(v, np.ndarray) and v.dtype.kind in "SU")
        return next((str(v.reshape(-1)[0]) if v.size else "" for v in texts), None)
    if not kinds & {list, tuple}:
        return None
    return next((text for v in values if isinstance(v, (list, tuple)) and (text := _text(v)) is not None), None)


def no_name(part: str) -> bool:
    """Whether a file cannot hold a part of observations by this name: to HDF5, it is a path."""
    return part in ("", ".", "..") or "/" in part


def _columns_of(steps: Sequence[Any], where: str) -> dict[str, list[Any]]:
    """A list for each part, of a mapping for each step."""
    names = list(steps[0])
    for i, step in enumerate(steps):
        if not isinstance(step, Mapping) or set(step) != set(names):
            found = listed(step) if isinstance(step, Mapping) else type(step).__name__
            raise UserError(f"{where}: expected the parts {listed(names)} in row {i} as in row 0, found {found}")
    return {name: [step[name] for step in steps] for name in names}


def _records(values: Mapping[Any, Any], where: str) -> np.ndarray:
    found = {str(name): array(part, f"{where}, part '{name}'") for name, part in values.items()}
    if not found or any(map(no_name, found)):
        raise UserError(f"{where}: expected parts with names without '/', found {listed(found) or 'no part'}")
    for name, part in found.items():
        if not part.ndim:
            raise UserError(f"{where}, part '{name}': expected an array [rows, ...], found one value")
    lengths = {name: len(part) for name, part in found.items()}
    if len(set(lengths.values())) > 1:
        said = listed(f"{name} {rows}" for name, rows in lengths.items())
        raise UserError(f"{where}: expected as many rows of each part, found {said}")
    return structured.packed(found)


def _column(values: np.ndarray) -> np.ndarray:
    """[N] of [N, 1]; others as they are."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _labels(actions: np.ndarray) -> np.ndarray:
    if actions.dtype.kind == "f" and actions.ndim == 1:
        return actions[:, None]
    if actions.dtype.kind == "b":
        actions = actions.astype(np.int64)
    return _column(actions) if actions.dtype.kind in numbers.INTEGERS else actions


def flags(values: np.ndarray, rows: int, where: str) -> np.ndarray:
    """[N] bool of booleans, or of numbers that are 0 or 1."""
    values = _column(values)
    numbers.check_kind(values.dtype, values.shape, where, "biuf", "0 or 1 [rows]", (1,))
    check_length(values, rows, where)
    wrong = (values != 0) & (values != 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UserError(f"{where}: expected 0 or 1, found {values[row]!s} in row {row}{_other_flags(values)}")
    return values.astype(bool)


def _other_flags(values: np.ndarray) -> str:
    """What to do with flags that are not 0 and 1, as far as it is known."""
    if values.dtype.kind == "f" and np.isnan(values).any():
        return ": write 0 where a flag is empty"
    found = np.unique(values)
    return f": write 0 and 1 in place of {found[0]:g} and {found[1]:g}" if len(found) == 2 else ""


def _provenance(known: Mapping[str, Any], path: str | Path) -> Provenance:
    facts = {name: known[name] for name in _ORIGIN if name in known}
    if (view := facts.get("action_view")) not in (None, "raw", "executed"):
        raise UserError(f"{path}: 'action_view': expected 'raw' or 'executed', found {view!r:.60}")
    stated = Provenance(**{name: typed.plain(value) for name, value in facts.items()})
    hints = typed.hints(Provenance)
    for name in facts:
        typed.check(getattr(stated, name), hints[name], f"{path}: '{name}'")
    return stated
