"""Observations and actions that a user gives, in an environment's own structure, as arrays [n, ...]: one, or a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, listed, shortened
from trpo_gail.spaces.actions import unknown
from trpo_gail.spaces.layout import Layout, Part, at
from trpo_gail.spaces.spec import EnvSpec


def observed(layout: Layout, given: Any, name: str = "observation") -> tuple[list[np.ndarray], bool]:
    """The parts [n, *shape] of an observation, or of a batch of them; and whether it is a single one.

    Raises UserError for another structure or another shape, beginning with `name`.
    """
    of_reset = isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping)
    if of_reset and not any(isinstance(number, int) for part in layout.parts for number in part.path[:1]):
        raise UserError(f"{name}: a pair with a mapping given, as `reset` returns it: the observation alone expected")
    parts = [_array(_found(given, part.path, name), name) for part in layout.parts]
    names = [_called(part, name) for part in layout.parts]
    single = _single(parts, [part.shape for part in layout.parts], names)
    return [x[None] if single else x for x in parts], single


def acted(spec: EnvSpec, given: Any, name: str = "action") -> tuple[np.ndarray, bool]:
    """Rows [n, A] or [n] in the policy's units of one of the environment's actions, or of a batch; whether it is one.

    Raises UserError for another shape, and for what the environment's space cannot hold.
    """
    values, kind = _array(given, name), spec.executed
    single = _single([values], [tuple(spec.executed_space.shape or ())], [name])
    values = finite(values[None] if single else values, name)
    if not kind.whole:
        rows = kind.inward(values if values.dtype.kind == "f" else values.astype(np.float64))
        return spec.action_scaling.normalised(rows) if spec.action_scaling else rows, single
    rows = kind.inward(as_dtype(values, np.dtype(np.int64), name))
    if (wrong := unknown(kind, rows)).any():
        where = wrong.reshape(values.shape)
        raise UserError(f"{name}: {values[where][0]} is no label of {spec.executed_space}")
    return rows, single


def rows_of(layout: Layout, parts: Sequence[np.ndarray], name: str) -> np.ndarray:
    """The environment's own rows [n, O] of parts [n, *shape]: each as its space keeps it, so that a float64 copy of
    float32 numbers gives the same. Raises UserError for numbers that are not finite, or that a part cannot hold."""
    columns = []
    for part, values in zip(layout.parts, parts, strict=True):
        called = _called(part, name)
        kept = as_dtype(finite(values, called), part.dtype, called)
        columns.append(encoded(part, kept, name).astype(layout.dtype, copy=False))
    return np.concatenate(columns, axis=1)


def encoded(part: Part, values: np.ndarray, name: str) -> np.ndarray:
    """The columns of a part of observations. Raises UserError, naming it, for numbers that are not finite, and for what is
    no label or no bit of its space."""
    called = _called(part, name)
    try:
        return part.encode(_pixels(part, finite(values, called), called))
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{called}: {error}") from error


def _pixels(part: Part, values: np.ndarray, name: str) -> np.ndarray:
    """The same. Raises UserError for an image of bytes that is given from 0 to 1: a network would see it as black."""
    bytewise = part.kind == "image" and part.dtype == np.uint8 and part.white > 1
    if bytewise and values.dtype.kind == "f" and ((values >= 0) & (values <= 1)).all() and (values % 1 != 0).any():
        raise UserError(f"{name}: numbers from 0 to 1 given, pixels from 0 to 255 expected: multiply them by 255")
    return values


def _called(part: Part, name: str) -> str:
    return f"{name} {part.name!r}" if part.name else name


def as_dtype(values: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """In a dtype, rounded only if that is one of floats. Raises UserError for numbers that it cannot hold."""
    with np.errstate(over="ignore", invalid="ignore"):
        kept = values.astype(dtype, copy=False)
    wrong = np.isinf(kept) if dtype.kind == "f" else kept != values
    if wrong.any():
        raise UserError(f"{name}: {values[wrong][0]} given, numbers of {dtype} expected")
    return kept


def finite(values: np.ndarray, name: str) -> np.ndarray:
    """The same. Raises UserError for a number that is not finite."""
    if values.dtype.kind == "f" and not (good := np.isfinite(values)).all():
        raise UserError(f"{name}: {values[~good][0]} in {good.size - good.sum()} of {good.size} numbers")
    return values


def _found(given: Any, path: tuple[str | int, ...], name: str) -> Any:
    try:
        return at(given, path)
    except (LookupError, TypeError) as error:
        wanted = ".".join(map(str, path))
        found = listed(given) if isinstance(given, Mapping) else type(given).__name__
        if isinstance(given, (list, tuple)) and given and isinstance(given[0], Mapping):
            found += " of mappings: of a batch, each part is an array [n, ...]"
        raise UserError(f"{name}: expected an observation with the part {wanted!r}, found {found}") from error


def _array(given: Any, name: str) -> np.ndarray:
    if isinstance(given, np.ma.MaskedArray) and np.ma.getmaskarray(given).any():
        raise UserError(f"{name}: masked numbers given, numbers expected")
    try:
        values = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists; tensors that are elsewhere
        raise UserError(f"{name}: no array of numbers: {shortened(str(error), 100)}") from error
    if values.dtype.kind not in "fiub":
        raise UserError(f"{name}: values of {values.dtype}, numbers expected")
    return values


def _single(parts: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]], names: Sequence[str]) -> bool:
    """Whether arrays have these shapes. Raises UserError if they have neither these nor, all alike, a batch's."""
    single = parts[0].shape == shapes[0]
    for x, shape, name in zip(parts, shapes, names, strict=True):
        if x.shape != (shape if single else (*parts[0].shape[:1], *shape)):
            wanted = " or ".join(str(s) for s in (shape, ("n", *shape))).replace("'", "")
            said = f"{name} of shape {x.shape}, {wanted} expected"
            if x is not parts[0]:
                said += f"; {names[0]} is {'one alone' if single else f'a batch of {len(parts[0])}'}"
            raise UserError(said)
    return single
