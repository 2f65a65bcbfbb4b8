"""Demonstrations from whatever holds them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError
from trpo_gail.experts import arrays, catalogue, file_folders, refusal
from trpo_gail.experts.check import checked
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import damage, hdf5
from trpo_gail.experts.formats import Format, holding
from trpo_gail.system import whole_file


def load(
    source: str | Path | Demonstrations | Mapping[str, Any], trajectories: int | None = None, subsample: int = 1
) -> Demonstrations:
    """The first `trajectories` (default: all) of a source, every `subsample`-th row from an offset, as in the paper.

    A source is a file or folder of one of `formats.FORMATS`, told apart by its content; the name of one that comes with
    the package (`catalogue`); demonstrations; or arrays by the names of their fields (`arrays.demonstrations`). Raises
    UserError, naming file, field and what was expected, for a file that is missing, damaged or malformed, for more
    trajectories than it holds, and for subsampling what was subsampled before.
    """
    if isinstance(source, Mapping):
        held = arrays.demonstrations(source)
        return replace(checked(held, "arrays"), path="arrays").select(trajectories, subsample)
    if isinstance(source, Demonstrations):
        name = source.path or "demonstrations"
        return replace(checked(source, name), path=name).select(trajectories, subsample)
    return read(whole_file.named("demonstrations", source, "file or folder")).select(trajectories, subsample)


def read(path: str | Path) -> Demonstrations:
    """Everything that a file holds, checked. Raises UserError as `load` does."""
    path = catalogue.located(whole_file.named("demonstrations", path, "file or folder"))
    form = _format(path)
    with damage.told(form.NAME, path):
        held = checked(form.read(Path(path)), path)
    return replace(held, path=str(path), sha256=hdf5.sha256(path), format=form.NAME)


def pieces(path: str | Path) -> Iterator[Demonstrations]:
    """The same in pieces of whole episodes, for whoever need not hold all; at once if the format is not read in pieces.

    A piece's `unfinished` is of its own last episode. Raises UserError when a piece is malformed, after those before it.
    """
    path = catalogue.located(whole_file.named("demonstrations", path, "file or folder"))
    form: Any = _format(path)
    rows = 0
    with damage.told(form.NAME, path):
        made = form.pieces(Path(path)) if hasattr(form, "pieces") else iter([form.read(Path(path))])
    while True:
        with damage.told(form.NAME, path):
            if (piece := next(made, None)) is None:
                return
            piece = replace(checked(piece, path, rows), path=str(path), format=form.NAME)
        yield piece
        rows += len(piece.observations)


def _format(path: str | Path) -> Format:
    catalogue.require(path)
    if Path(path).is_dir() and not os.access(path, os.R_OK | os.X_OK):
        raise UserError(f"{path}: a folder that may not be read: permission denied")
    if refusal.is_run(Path(path)):  # its metrics are a table, too
        raise UserError(f"{path}: {refusal.why(Path(path))}")
    if not Path(path).is_dir():
        hdf5.require_file(path)
    form = holding(Path(path)) or (file_folders if file_folders.holds(Path(path)) else None)
    if form is None:
        raise UserError(f"{path}: {refusal.why(Path(path))}")
    file_folders.check_beside(Path(path), form)
    return form
