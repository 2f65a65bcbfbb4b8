"""CSV: a row a step, in one file (`columns`), in a file an episode, or in `observations.csv` beside `actions.csv`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from trpo_gail.errors import UserError, listed, shortened
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import cells, text_tables
from trpo_gail.experts.formats import columns, marks, numbered, sidecar
from trpo_gail.experts.trajectories import ENDS, EPISODES, NAMES, NAMING

NAME = "CSV"

_ENDS = (".csv", ".tsv", ".txt", ".dat")
_MOST_FILES = 100_000
_FIELDS = {name: name for names in NAMES.values() for name in names} | {name: name for name in EPISODES}


def holds(path: Path) -> bool:
    """Whether it is a text file of numbers in columns, or a folder of such."""
    if not path.is_dir():
        return text_tables.start(path) is not None
    return bool(apart(path)) or bool(_episodes(path))


def read(path: Path) -> Demonstrations:
    """All rows. Raises UserError for columns without names, and as `columns.read` and `text_tables.read` do."""
    if not path.is_dir():
        return marks.table(_columns(path), path)
    if files := apart(path):
        return columns.read({name: _array(file) for name, file in files.items()}, path)
    files_of = _episodes(path)
    parts = [_columns(file) for file in files_of]
    for file, part in zip(files_of, parts, strict=True):
        if part.keys() != parts[0].keys():
            raise UserError(
                f"{file}: expected the columns {listed(parts[0])} as in {files_of[0].name}, found {listed(part)}"
            )
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    lengths = [len(next(iter(part.values()))) for part in parts]
    file_of = np.repeat(np.arange(len(parts)), lengths)
    if (own := next((name for name in joined if name.strip().lower() in EPISODES), None)) is None:
        held, note = columns.read(joined | {"episode": file_of}, path), f"{len(parts)} files, one an episode"
    else:  # a name counts within its file
        ids = np.array([f"{i} {name}" for i, name in zip(file_of, joined.pop(own), strict=True)])
        held, note = (
            columns.read(joined | {"episode": ids}, path),
            f"{len(parts)} files, of the episodes that they name",
        )
    return replace(held, notes=(*held.notes, f"{note}, in the order of their numbers"))


def _columns(path: Path) -> dict[str, np.ndarray]:
    """Columns by their names; of texts those alone that may name an episode."""
    begins = text_tables.start(path)
    if begins is None:
        raise UserError(f"{path}: {text_tables.rows_lacking(path)}")
    if (stated := sidecar.names(path, begins.width)) is None and begins.names is None:
        raise sidecar.missing(path, f"a table of {begins.width} columns")
    table = text_tables.read(path, begins)
    names = stated or begins.names or ()
    if not table.rows:
        raise UserError(f"{path}: expected at least 1 row, found 0")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: two columns are called '{twice:.60}', expected names of their own")
    _check_named(names, begins, path)
    for i, (row, cell) in table.texts.items():
        if columns.is_field(names[i]):
            raise UserError(f"{path}: column '{names[i]:.60}', {_no_number(row, cell, names[i])}")
    read = enumerate(zip(names, table.columns, strict=True))
    return {name: values for i, (name, values) in read if i not in table.texts or name.strip().lower() in NAMING}


def _check_named(names: Sequence[str], begins: text_tables.Start, path: Path) -> None:
    """Raise UserError if a file's own names tell no observations or actions: names beside it do."""
    lacking = [name for name in ("observations", "actions") if name not in map(columns.field, names)]
    if lacking and begins.names is not None:
        raise UserError(
            f"{path}: no column is called {lacking[0]}: expected {columns.EXPECTED}; found {listed(names)}; names of all "
            f"columns may stand in {sidecar.path_of(path).name}, such as `obs*4 action reward`"
        )


def _no_number(row: int, cell: str, name: str | None = None) -> str:
    hint = cells.hint(cell, name)
    if not hint and name is not None and columns.field(name) in ENDS:
        hint = ": write 0 and 1, or true and false"
    return f"row {row}: expected a number, found '{shortened(cell, 40)}'{hint}"


def _array(path: Path) -> np.ndarray:
    """All columns of a file side by side; one alone as [N]."""
    begins = text_tables.start(path)
    if begins is None:
        raise UserError(f"{path}: {text_tables.rows_lacking(path)}")
    table = text_tables.read(path, begins)
    if table.texts:
        i, (row, cell) = next(iter(table.texts.items()))
        raise UserError(f"{path}: column {i}, {_no_number(row, cell)}")
    if len(table.columns) == 1:
        return table.columns[0]
    if any(values.ndim > 1 for values in table.columns):
        raise UserError(f"{path}: expected a number in each cell, found lists")
    return np.stack(table.columns, axis=1)


# --- Folders ------------------------------------------------------------------------------------------------------


def _files(folder: Path) -> list[Path]:
    """Files of tables by their names, numbers in them as numbers."""
    found = (file for file in folder.iterdir() if file.suffix.lower() in _ENDS and file.is_file())
    return numbered.ordered(found)[:_MOST_FILES]


def apart(folder: Path) -> dict[str, Path]:
    """A file for each array by its name, if there are observations and actions among them."""
    found = {file.stem.lower(): file for file in _files(folder) if file.stem.lower() in _FIELDS}
    wanted = [any(name in found for name in NAMES[field]) for field in ("observations", "actions")]
    return found if all(wanted) else {}


def _episodes(folder: Path) -> list[Path]:
    """Files that hold an episode each, as far as the first tells."""
    files = [file for file in _files(folder) if not file.name.endswith(".columns")]
    if not files or (begins := text_tables.start(files[0])) is None or begins.names is None:
        return []
    fields = {columns.field(name) for name in begins.names}
    return files if {"observations", "actions"} <= fields else []
