"""An observation is a row of numbers, and a layout gives the meaning of its columns.

A Box of any rank is ravelled; Discrete and MultiDiscrete become one-hot codes; MultiBinary becomes bits; the parts of
Dict and Tuple are concatenated in the order of the space. N rows of O columns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text, Tuple

from trpo_gail.errors import UserError

Kind = Literal["vector", "image", "onehot"]
Path = tuple[str | int, ...]  # of keys and indices, from the outermost space

DIM = 31  # of 255: the brightest pixel of what is hardly a picture
MOST_ROWS = 1000  # that are looked at for it


class Place(int):
    """A part's place in a tuple. An integer may be a dictionary's key, too."""


@dataclass(frozen=True)
class Part:
    """Columns of the rows that belong together."""

    path: Path
    columns: slice
    shape: tuple[int, ...]  # the environment's
    dtype: np.dtype  # the environment's
    kind: Kind
    labels: tuple[int, ...] = ()  # of one-hot codes: number of labels for each of the environment's numbers
    starts: tuple[int, ...] = ()  # of one-hot codes: the first label of each
    white: float = 255.0  # of an image: the largest magnitude of a pixel

    @property
    def name(self) -> str:
        """The path as text: `robot.camera`; empty if the space has no parts."""
        return ".".join(map(str, self.path))

    @property
    def size(self) -> int:
        return self.columns.stop - self.columns.start

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Columns [N, size] of the environment's values [N, *shape]. Raises ValueError for what is no label, and no bit."""
        flat = values.reshape(len(values), math.prod(values.shape[1:]))
        if not self.labels:
            if self.kind == "onehot" and (wrong := (flat != 0) & (flat != 1)).any():
                raise ValueError(f"{flat[wrong][0]} is no bit")
            return flat
        codes = flat.astype(np.int64) - self.starts
        if (wrong := (codes < 0) | (codes >= self.labels) | (codes + self.starts != flat)).any():
            raise ValueError(f"{flat[wrong][0]} is no label")
        out = np.zeros((len(values), self.size))
        first = np.cumsum(self.labels) - self.labels
        np.put_along_axis(out, first + codes, 1.0, axis=1)
        return out

    def uncoded(self, columns: np.ndarray) -> np.ndarray:
        """Rows [N] bool of columns [N, size] that `encode` cannot have made: no codes where these are expected."""
        if self.kind != "onehot":
            return np.zeros(len(columns), bool)
        ones = columns == 1
        wrong = ~(ones | (columns == 0)).all(1)
        for group in np.split(ones, np.cumsum(self.labels)[:-1], axis=1) if self.labels else ():
            wrong |= group.sum(1) != 1
        return wrong

    def decode(self, columns: np.ndarray) -> np.ndarray:
        """The inverse of `encode`."""
        if not self.labels:
            return columns.astype(self.dtype).reshape(len(columns), *self.shape)
        edges = np.cumsum(self.labels)[:-1]
        codes = np.stack([part.argmax(1) for part in np.split(columns, edges, axis=1)], 1) + self.starts
        return codes.astype(self.dtype).reshape(len(columns), *self.shape)


@dataclass(frozen=True)
class Layout:
    """The parts of a row, in the order of their columns."""

    parts: tuple[Part, ...]
    dtype: np.dtype  # of the rows

    @classmethod
    def of(cls, space: Space, images: Collection[str] = (), numbers: Collection[str] = ()) -> Layout:
        """The layout of an observation space that passes `check`.

        `images`: names of parts that are images although their dtype is not uint8; `numbers`: of parts that are none
        although it is.
        """
        parts, column = [], 0
        for path, leaf in leaves(space):
            part = _part(path, leaf, column, images, numbers)
            parts.append(part)
            column = part.columns.stop
        return cls(tuple(parts), _dtype(parts))

    @cached_property
    def size(self) -> int:
        """Columns of a row: O."""
        return self.parts[-1].columns.stop if self.parts else 0

    @cached_property
    def is_plain(self) -> bool:
        """Whether rows are the environment's own arrays: one Box of one dimension."""
        if len(self.parts) != 1:
            return False
        only = self.parts[0]
        return not only.path and len(only.shape) == 1 and not only.labels

    def without(self, names: Collection[str]) -> tuple[Layout, np.ndarray]:
        """The layout that is left without these parts, and its columns [O'] int64 in this one.

        Of rows that are one vector, a name is a column's number, or a range of them: `10:13` are 10, 11 and 12. Raises
        UserError for names that are none, and if nothing is left.
        """
        kept, whole = np.ones(self.size, bool), {part.name: part.columns for part in self.parts}
        for name in names:
            columns = whole.get(name) or (self._slice(name) if self.is_plain else None)
            if columns is None:
                expected = f"columns 0 to {self.size - 1}, or ranges" if self.is_plain else f"parts {', '.join(whole)}"
                raise UserError(f"{name!r} is no part of the observation, which has the {expected}")
            kept[columns] = False
        if not kept.any():
            raise UserError("nothing of the observation is left")
        found = np.flatnonzero(kept)
        if self.is_plain:
            only = replace(self.parts[0], columns=slice(0, len(found)), shape=(len(found),))
            return Layout((only,), self.dtype), found
        parts, column = [], 0
        for part in self.parts:
            if kept[part.columns.start]:
                parts.append(replace(part, columns=slice(column, column + part.size)))
                column += part.size
        return Layout(tuple(parts), self.dtype), found

    def beside(self, other: Layout, name: str) -> Layout:
        """The layout of this one's columns, followed by another's, whose parts are called by `name` first."""
        moved = [
            replace(
                part,
                path=(name, *part.path),
                columns=slice(self.size + part.columns.start, self.size + part.columns.stop),
            )
            for part in other.parts
        ]
        return Layout((*self.parts, *moved), np.promote_types(self.dtype, other.dtype))

    def _slice(self, name: str) -> slice | None:
        """The columns of `7` or `10:13`; None if they are none."""
        match = re.fullmatch(r"(\d{1,9})(?::(\d{1,9}))?", name)
        first, last = (int(match[1]), int(match[2] or int(match[1]) + 1)) if match else (0, 0)
        return slice(first, last) if 0 <= first < last <= self.size else None

    def columns(self, *kinds: Kind) -> np.ndarray:
        """The columns, [O] bool, of parts of these kinds."""
        found = np.zeros(self.size, bool)
        for part in self.parts:
            found[part.columns] = part.kind in kinds
        return found

    @cached_property
    def exempt(self) -> np.ndarray:
        """The columns, [O] bool, that must not be standardised: pixels, one-hot codes and bits."""
        return self.columns("image", "onehot")

    def codes(self, rows: np.ndarray) -> list[str]:
        """What to warn of if rows [N, O] show that an image holds small numbers: they are codes rather than pixels."""
        some = rows[:: max(1, len(rows) // MOST_ROWS)]
        tops = {part.name: some[:, part.columns].max() for part in self.parts if part.kind == "image"}
        dtypes = {part.name: part.dtype for part in self.parts}
        return [
            f"{name or 'the observation'} has no pixel above {int(top)} of 255: if these are codes and no picture, "
            f"--policy.numbers {name or repr(name)} lets networks tell them apart"
            for name, top in tops.items()
            if 0 < top <= DIM and dtypes[name] == np.uint8
        ]

    def flatten(self, batch: Any) -> np.ndarray:
        """Rows [N, O] of a batch in the environment's own structure, with arrays [N, *shape]."""
        if self.is_plain:
            return np.asarray(batch)
        columns = [part.encode(np.asarray(at(batch, part.path))) for part in self.parts]
        return np.concatenate([c.astype(self.dtype, copy=False) for c in columns], axis=1)

    def unflatten(self, rows: np.ndarray) -> Any:
        """The inverse of `flatten`: arrays [N, *shape], in the environment's own dictionaries and tuples."""
        return _nest({part.path: part.decode(rows[:, part.columns]) for part in self.parts}, len(rows))

    def named(self, rows: np.ndarray) -> Any:
        """As `unflatten`, but tuples are dictionaries, too: places are names, and keep the gaps of texts that are left
        out."""
        found: dict[Path, np.ndarray] = {
            tuple(map(str, part.path)): part.decode(rows[:, part.columns]) for part in self.parts
        }
        return _nest(found, len(rows))


def leaves(space: Space) -> Iterator[tuple[Path, Space]]:
    """The spaces within a space, in its order; without texts beside other parts, which no network can take."""
    found = list(_leaves(space))
    texts = [path for path, leaf in found if isinstance(leaf, Text)]
    yield from (item for item in found if item[0] not in texts or len(texts) == len(found))


def left_out(space: Space) -> list[str]:
    """Names of the parts of observations that no network sees: texts beside other parts."""
    kept = {path for path, _ in leaves(space)}
    return [".".join(map(str, path)) for path, _ in _leaves(space) if path not in kept]


def _leaves(space: Space, path: Path = ()) -> Iterator[tuple[Path, Space]]:
    if isinstance(space, Dict):
        for key, inner in space.spaces.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(space, Tuple):
        for place, inner in enumerate(space.spaces):
            yield from _leaves(inner, (*path, Place(place)))
    else:
        yield path, space


def at(batch: Any, path: Path) -> Any:
    """The value at a path of nested dictionaries and sequences."""
    for key in path:
        batch = batch[key]
    return batch


def _nest(found: Mapping[Path, np.ndarray], rows: int) -> Any:
    """Dictionaries and tuples of what is at these paths. A text of a tuple, which is left out, is an empty text."""
    if () in found:
        return found[()]
    keys = dict.fromkeys(path[0] for path in found)
    inner = {key: _nest({path[1:]: v for path, v in found.items() if path[0] == key}, rows) for key in keys}
    if not all(isinstance(key, Place) for key in keys):
        return inner
    return tuple(inner[place] if place in inner else np.full(rows, "") for place in range(int(max(keys)) + 1))


def _part(path: Path, leaf: Space, column: int, images: Collection[str], numbers: Collection[str]) -> Part:
    labels, starts = _labels(leaf)
    shape = tuple(leaf.shape or ())
    size = sum(labels) if labels else math.prod(shape)
    kind: Kind = "onehot" if labels or isinstance(leaf, MultiBinary) else "vector"
    name = ".".join(map(str, path))
    pixels = (leaf.dtype == np.uint8 and name not in numbers) or name in images
    white = 255.0
    if isinstance(leaf, Box) and len(shape) in (2, 3, 4) and pixels:
        kind = "image"
        white = 255.0 if leaf.dtype == np.uint8 else _white(leaf, name)
    return Part(path, slice(column, column + size), shape, np.dtype(leaf.dtype), kind, labels, starts, white)


def _white(leaf: Box, name: str) -> float:
    """The largest magnitude of a pixel, by the bounds. Raises UserError if there is none."""
    found = float(max(np.abs(leaf.low.astype(np.float64)).max(), np.abs(leaf.high.astype(np.float64)).max()))
    if not (np.isfinite(found) and found > 0.0):
        raise UserError(
            f"--policy.images: {name or 'the observation'!r} is {leaf}, without finite bounds, by which pixels are divided"
        )
    return found


def _labels(leaf: Space) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(leaf, Discrete):
        return (int(leaf.n),), (int(leaf.start),)
    if isinstance(leaf, MultiDiscrete):
        return tuple(map(int, leaf.nvec.ravel())), tuple(map(int, leaf.start.ravel()))
    return (), ()


def _dtype(parts: Collection[Part]) -> np.dtype:
    """uint8 if every part is uint8; float64 if a part has more digits than float32; else float32. Codes fit any
    dtype."""
    held = [part.dtype for part in parts if part.kind != "onehot"]
    if len(parts) == 1 and held:
        only = next(iter(parts))
        if not only.path and len(only.shape) == 1:
            return only.dtype  # a row is the environment's own array
    if held and all(dtype == np.uint8 for dtype in held):
        return np.dtype(np.uint8)
    wide = any(not np.can_cast(dtype, np.float32) for dtype in held)
    return np.dtype(np.float64 if wide else np.float32)


def check(space: Space, where: str) -> None:
    """Raise UserError, beginning with `where`, for a space (`known`) whose observations cannot be rows."""
    found = list(leaves(space))
    if not found:
        raise UserError(f"{where}: observations: an empty space, {space}")
    for path, leaf in found:
        said = None
        if not isinstance(leaf, (Box, Discrete, MultiDiscrete, MultiBinary)):
            said = f"{leaf} cannot be numbers of a fixed shape"
        elif math.prod(leaf.shape or ()) == 0:
            said = f"a {type(leaf).__name__} without numbers"
        if said:
            name = f" {'.'.join(map(str, path))!r}" if path else ""
            raise UserError(f"{where}: observations{name}: {said}")
