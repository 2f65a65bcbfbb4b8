"""Tables in a Parquet or Arrow file: a row a step (`columns`), or a row an episode, whose cells are lists of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import trajectories
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import arrow
from trpo_gail.experts.files.arrow import Table
from trpo_gail.experts.formats import columns, marks, numbered

NAME = "a table (Parquet or Arrow)"


def holds(path: Path) -> bool:
    """Whether it begins as a file of Parquet, of Arrow, or as a stream of Arrow does; or a folder of Parquet files."""
    if path.is_dir():
        return bool(_parquet(path))
    return path.is_file() and arrow.is_table(path)


def read(path: Path) -> Demonstrations:
    """All rows, of a folder file after file."""
    if not path.is_dir():
        return of_table(arrow.read([path], path), path)
    files = _parquet(path)
    held = of_table(arrow.read(files, path), path)
    return replace(
        held, notes=(*held.notes, f"{len(files)} files in the order of their names: {listed(f.name for f in files)}")
    )


def _parquet(folder: Path) -> list[Path]:
    """As a dataset of the HuggingFace Hub comes: in the folder, or in its `data`."""
    return numbered.ordered(folder.glob("*.parquet")) or numbered.ordered(folder.glob("data/*.parquet"))


def of_table(table: Table, path: Path, known: Mapping[str, Any] | None = None) -> Demonstrations:
    """All rows; lists of equal lengths are rows of an array, others the steps of an episode."""
    if not table.rows:
        raise UserError(f"{path}: expected at least 1 row, found 0")
    lists = {name: column for name, column in table.columns.items() if column.lengths is not None}
    named = trajectories.picked(lists)
    if {"observations", "actions"} <= named.keys():
        observed, acted = named["observations"].lengths, named["actions"].lengths
        surely = named["observations"].values.ndim > 1 or "infos" in table.skipped
        if surely and ((observed == acted) | (observed == acted + 1)).all():
            return _of_episodes(table, path, known)
    return marks.table(_rows(table, path), path, known)


def _rows(table: Table, path: Path) -> dict[str, np.ndarray]:
    """Columns [N, ...] of a table with a row a step; of texts those alone that may name an episode."""
    found, others = {}, list(table.skipped)
    for name, column in table.columns.items():
        values = column.rows
        if values is None or (column.is_text and name.lower() not in trajectories.NAMING):
            others.append(name)
        else:
            found[name] = values
    for name in others:
        if columns.is_field(name):
            what = "texts: write numbers or booleans" if _is_text(table, name) else "others"
            raise UserError(
                f"{path}: column '{name}': expected numbers, or lists of one length, of each row, found {what}"
            )
    return found


def _is_text(table: Table, name: str) -> bool:
    return name in table.columns and table.columns[name].is_text


def _of_episodes(table: Table, path: Path, known: Mapping[str, Any] | None) -> Demonstrations:
    columns.check_names(table.columns, path)
    found = trajectories.picked(dict(table.columns))
    cells = {name: _cells(column) for name, column in found.items()}
    episodes = [trajectories.with_ends({name: values[i] for name, values in cells.items()}) for i in range(table.rows)]
    try:
        return trajectories.joined(episodes, path, known=known)
    except UserError as error:
        if table.skipped:
            raise UserError(f"{error}; columns that are not read: {listed(table.skipped)}") from error
        raise


def _cells(column: arrow.Column) -> list[np.ndarray]:
    """What each row holds: a list, or one value."""
    return list(column.values) if column.lengths is None else column.lists()
