"""Demonstrations in an environment's own shapes as the rows that learners take.

N rows, O columns of an observation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import arrays, facts, structured
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Ends
from trpo_gail.experts.formats import csv_tables, json_lines
from trpo_gail.experts.numbers import FLAGS
from trpo_gail.spaces.layout import Layout, Part
from trpo_gail.spaces.resolution import rounding_shows
from trpo_gail.spaces.spec import EnvSpec

_OBSERVED = ("observations", "next_observations", "followers", "final_observations")


def as_rows(data: Demonstrations, spec: EnvSpec) -> Demonstrations:
    """The same demonstrations, observations [N, O] and actions as `spec.actions` has them, in the environment's units.

    Parts of observations are found by their names; those that the environment lacks are left out, with a note. An array
    of another shape than the environment's is left as it is, for `fit.check` to name. Raises UserError for parts that are
    missing or of another shape, and for labels that the environment does not have.
    """
    changes: dict[str, Any] = {}
    finer: tuple[np.ndarray, ...] | None = None
    for name in _OBSERVED:
        if (values := getattr(data, name)) is not None:
            rows = _observations(values, spec, f"{data.path}: dataset '{name}'")
            finer = _finer(rows, spec.observations) if finer is None else finer  # of the first, the observations
            rows = _as_given(rows, spec.observations, finer)
            if rows is not values:
                changes[name] = rows
    if "observations" in changes and len(spec.observations.parts) > 1:
        changes["columns"] = tuple((part.name, part.columns) for part in spec.observations.parts)
    acted = _actions(data.actions, spec)
    if acted.dtype.kind != data.actions.dtype.kind or not np.array_equal(acted, data.actions):
        changes["actions"] = acted
    for name in ("observations", "actions"):
        values = changes.get(name, getattr(data, name))
        if not values.flags.writeable:  # a view of a file's bytes, of which torch warns
            changes[name] = values.copy()
    told = (
        _left_out(data.observations, spec.observations),
        _of_one_array(data.observations, spec),
        _labels_for_floats(data, spec),
        _too_long(data, spec),
    )
    notes = [text for text in told if text]
    if new := [text for text in notes if text not in data.notes]:
        changes["notes"] = (*data.notes, *new)
    if (endings := _by_length(data, spec)) is not None:
        changes["whole"] = replace(data.facts, ends=Ends.of(endings, by_length=True))
        changes["episode_endings"] = np.append(endings, data.endings[data.finished :])
        # Rows say the same: else a discriminator that sees ends would see them on the learner's side alone. Flags in the
        # middle of an episode stay, to be warned of.
        ended = data.last & (changes["episode_endings"] == facts.TERMINAL)[data.episode_of]
        changes["terminals"] = data.terminals | ended
    return replace(data, **changes) if changes else data


def _of_one_array(observations: np.ndarray, spec: EnvSpec) -> str | None:
    """What to say of one array in place of several parts: nobody else can tell whether its columns are in their order."""
    layout = spec.observations
    if len(layout.parts) < 2 or observations.shape[1:] != (layout.size,):
        return None
    places = [f"{part.name} in {_spanned(part.columns)}" for part in layout.parts]
    return (
        f"'observations' are one array, taken for the parts in the order of the environment {spec.id!r}: {listed(places)}; "
        "stored by name, parts cannot be mistaken"
    )


def _spanned(which: slice) -> str:
    return f"column {which.start}" if which.stop - which.start == 1 else f"columns {which.start} to {which.stop - 1}"


def _too_long(data: Demonstrations, spec: EnvSpec) -> str | None:
    """What to say of episodes that the environment would have cut before: they may be several that were taken for one."""
    lengths, limit = data.episode_lengths, spec.max_episode_steps
    if limit is None or not (count := int((lengths > limit).sum())):
        return None
    return (
        f"{count} of {len(lengths)} episodes are longer than the {limit} steps after which the environment {spec.id!r} ends "
        f"them, the longest {lengths.max()}: are several taken for one?"
    )


def _by_length(data: Demonstrations, spec: EnvSpec) -> np.ndarray | None:
    """How the finished episodes end, by their lengths; None if the source says it, or if there is no time limit to go
    by."""
    lengths, limit, said = data.episode_lengths[: data.finished], spec.max_episode_steps, data.ends
    if limit is None or (said is not None and (said.terminal or said.limit)):
        return None
    endings = data.endings[: data.finished].copy()
    whole = (endings != facts.PART) | (lengths >= limit)  # the length of a part says nothing
    endings[whole] = facts.judged(lengths[whole], limit)
    return endings if whole.any() else None


def check_names(spec: EnvSpec) -> None:
    """Raise UserError if no file can hold the parts of the environment's observations by their names."""
    for part in spec.observations.parts:
        if wrong := [str(key) for key in part.path if arrays.no_name(str(key))]:
            raise UserError(
                f"environment {spec.id!r}: observations {part.name!r}: no file can hold a part by the name {wrong[0]!r}"
            )


# --- Observations -------------------------------------------------------------------------------------------------


def _observations(values: np.ndarray, spec: EnvSpec, where: str) -> np.ndarray:
    layout = spec.observations
    if not structured.is_structured(values):
        only = layout.parts[0]
        whole = len(layout.parts) == 1 and not layout.is_plain and _shaped(values, only) is not None
        return _laid_out([values], layout, where, spec.id) if whole else values
    if len(layout.parts) == 1 and not layout.parts[0].path:
        return _side_by_side(values, layout, where, spec.id)
    found = [_part(values, part, where, spec) for part in layout.parts]
    return _laid_out(found, layout, where, spec.id)


def _finer(rows: np.ndarray, layout: Layout) -> tuple[np.ndarray, ...]:
    """Columns [K] of each part of float numbers that hardly vary, and have digits that the environment's own lack. They would
    tell the sides apart once they are standardised. Empty for rows of another shape, for `fit.check` to name."""
    if rows.shape[1:] != (layout.size,):
        return tuple(np.zeros(0, np.int64) for _ in layout.parts)
    floats = [part.dtype if part.dtype.kind == "f" else np.dtype(np.float64) for part in layout.parts]
    shows = [rounding_shows(rows[:, part.columns], dtype) for part, dtype in zip(layout.parts, floats, strict=True)]
    return tuple(part.columns.start + np.flatnonzero(which) for part, which in zip(layout.parts, shows, strict=True))


def _as_given(rows: np.ndarray, layout: Layout, finer: tuple[np.ndarray, ...]) -> np.ndarray:
    """The rows with the environment's digits in these columns."""
    if not any(map(len, finer)) or rows.shape[1:] != (layout.size,):
        return rows
    rows = rows.copy()
    for part, columns in zip(layout.parts, finer, strict=True):
        rows[:, columns] = rows[:, columns].astype(part.dtype)
    return rows


def _part(values: np.ndarray, part: Part, where: str, spec: EnvSpec) -> np.ndarray:
    """The array of records that is a part of the environment's observations."""
    for key in part.path:
        names = values.dtype.names or ()
        if str(key) not in names:
            held = f"the file holds {listed(names)}" if names else "the file holds an array without parts"
            raise UserError(f"{where}: expected the part '{part.name}' of the environment {spec.id!r}; {held}")
        values = values[str(key)]
    if structured.is_structured(values):
        inner = listed(name for name, _ in structured.parts(values))
        raise UserError(f"{where}: part '{part.name}': expected an array, found the parts {inner}")
    return values


def _side_by_side(values: np.ndarray, layout: Layout, where: str, env_id: str) -> np.ndarray:
    """All parts as one row, for an environment that flattens its observations."""
    rows = structured.columns(values)
    if not layout.is_plain or rows.shape[1] != layout.size:
        shape = list(layout.parts[0].shape)
        raise UserError(
            f"{where}: expected one array, rows of shape {shape} as the environment {env_id!r} has, "
            f"found the parts {structured.row(values)}"
        )
    return rows


def _laid_out(found: list[np.ndarray], layout: Layout, where: str, env_id: str) -> np.ndarray:
    """Rows [N, O] with the digits of the file; NaN if a row is not known."""
    columns = [
        _columns(values, part, f"{where}{_called(part)}", env_id)
        for values, part in zip(found, layout.parts, strict=True)
    ]
    floats = {v.dtype for v, part in zip(found, layout.parts, strict=True) if v.dtype.kind == "f" and not part.labels}
    unknown = layout.dtype.kind != "f" and any(np.isnan(c).any() for c in columns if c.dtype.kind == "f")
    dtype = np.float64 if unknown else layout.dtype
    if floats and layout.dtype.kind == "f":
        dtype = np.result_type(*floats)
    return np.concatenate([c.astype(dtype, copy=False) for c in columns], axis=1)


def _columns(values: np.ndarray, part: Part, where: str, env_id: str) -> np.ndarray:
    """[N, columns of the part]."""
    shaped = _shaped(values, part)
    if shaped is None:
        expected, found = list(part.shape), list(values.shape[1:])
        raise UserError(f"{where}: expected rows of shape {expected} as the environment {env_id!r} has, found {found}")
    if part.dtype == np.uint8 and values.dtype.kind in "fiu":
        shaped = _pixels(shaped, where)
    known = np.isfinite(structured.columns(shaped)).all(axis=1)
    out = np.full((len(shaped), part.size), np.nan) if not known.all() else None
    try:
        rows = part.encode(shaped[known] if out is not None else shaped)
    except ValueError as error:
        raise UserError(f"{where}: {error} of the environment {env_id!r}") from error
    if out is None:
        return rows
    out[known] = rows
    return out


def _shaped(values: np.ndarray, part: Part) -> np.ndarray | None:
    """In the environment's shape, of which a label may lack or have a dimension of 1; None for another shape."""
    if values.shape[1:] == part.shape:
        return values
    one = part.shape in ((), (1,)) and values.shape[1:] in ((), (1,))
    return values.reshape(len(values), *part.shape) if one else None


def _pixels(values: np.ndarray, where: str) -> np.ndarray:
    """Numbers that are pixels, as they are. Raises UserError for others: nobody can know their scale."""
    known = values[np.isfinite(values)]
    if ((known < 0) | (known > 255) | (known != np.round(known))).any():
        scaled = known.min() >= 0 and known.max() <= 1
        found = "0 to 1: multiply them by 255 and round them" if scaled else f"{known.min():.4g} to {known.max():.4g}"
        raise UserError(
            f"{where}: expected whole numbers from 0 to 255 as the environment has, found numbers from {found}"
        )
    return values if len(known) < values.size else values.astype(np.uint8)


def _called(part: Part) -> str:
    return f", part '{part.name}'" if part.path else ""


def _left_out(values: np.ndarray, layout: Layout) -> str | None:
    """What becomes of a file's parts, if they are not the environment's."""
    if not structured.is_structured(values):
        return None
    held = [name for name, _ in structured.parts(values)]
    if len(layout.parts) == 1 and not layout.parts[0].path:
        return f"an observation is the parts {listed(held, 20)} side by side, in this order"
    extra = [name for name in held if name not in {part.name for part in layout.parts}]
    return (
        f"the parts {listed(extra)} of observations are left out: the environment has no such parts" if extra else None
    )


# --- Actions ------------------------------------------------------------------------------------------------------

_TEXTS = (csv_tables.NAME, json_lines.NAME)  # whose whole numbers may be floats: they need no point


def _labels_for_floats(data: Demonstrations, spec: EnvSpec) -> str | None:
    """What to say of integers, or of booleans, which readers make integers, where an environment has floats."""
    if spec.actions.whole or data.actions.dtype.kind not in FLAGS or not data.has_actions or data.format in _TEXTS:
        return None
    shape = list(data.actions.shape[1:])
    return (
        f"'actions': expected rows of {spec.actions.size} floats as the environment {spec.id!r} has, found integers or "
        f"booleans {shape}, which are taken for floats: labels of another space?"
    )


def _actions(values: np.ndarray, spec: EnvSpec) -> np.ndarray:
    """Rows if the values have the shape and the kind of the environment's actions; else as they are.

    Labels may be floats that are whole numbers, and one number a row may be a column.
    """
    actions, shape = spec.executed, tuple(spec.executed_space.shape or ())
    if values.shape[1:] != shape and shape in ((), (1,)) and values.shape[1:] in ((), (1,)):
        values = values.reshape(len(values), *shape)
    if values.shape[1:] != shape:
        return values
    if actions.whole and values.dtype.kind == "f":
        if (values != np.round(values)).any():
            return values
        values = values.astype(np.int64)
    elif not actions.whole and values.dtype.kind in FLAGS:
        values = values.astype(np.float64)
    return actions.inward(values)
