"""A folder of demonstration files of one kind, with an episode in each, or several: what many programs record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import editing, refusal, structured
from trpo_gail.experts.check import checked
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import damage, foreign, hdf5
from trpo_gail.experts.formats import Format, arrow_tables, csv_tables, holding, json_lines, numbered
from trpo_gail.experts.trajectories import NO_BREAK, NO_ENDS, NO_LIMIT

NAME = "a folder of files"

_KINDS = {
    ".npz": (".npz",),
    ".npy": (".npy",),
    ".pkl": (".pkl", ".pickle", ".p"),
    ".pt": (".pt", ".pth"),
    ".h5": (".h5", ".hdf5", ".hdf", ".he5"),
}
_KIND_OF = {end: kind for kind, ends in _KINDS.items() for end in ends}
_TABLES = (arrow_tables, json_lines, csv_tables)  # read from a folder by the ends of their names
_MOST_FILES = 100_000
_MOVE = "move what is no demonstration to another folder"


def holds(path: Path) -> bool:
    """Whether there are files of arrays, pickles, tensors or HDF5 in it, and it is nothing else that is known."""
    return path.is_dir() and bool(_files(path)) and foreign.folder(path) is None


def read(path: Path) -> Demonstrations:
    """The episodes of all files, in the order of the numbers in their names; one file alone as it is.

    Where a file marks ends, its last row is one: a time limit, if no flag says how, or a termination, if all flags are of
    time limits. Where nothing in a file marks ends,
    it is an episode, and it is not known how it ends. Raises UserError for files of several kinds, for one that holds no
    demonstrations or other columns than the first, for files of several environments, and for an episode that goes on
    in the next file.
    """
    files = _files(path)
    _check_kinds(files, path)
    held = [_read(file) for file in files]
    if len(held) == 1:
        return held[0]
    _check_origins(held)
    _check_whole(held)
    silent = [any(note in (NO_ENDS, NO_BREAK) for note in part.notes) for part in held]
    no_limit = [part.unfinished and NO_LIMIT in part.notes for part in held]
    cut = sum(part.unfinished and not unmarked for part, unmarked in zip(held, silent, strict=True)) - sum(no_limit)
    merged = editing.merge(_alike([_finished(part, unmarked) for part, unmarked in zip(held, silent, strict=True)]))
    notes = [f"{len(files)} files, from {files[0].name} to {files[-1].name}"]
    if any(silent):
        notes.append(f"nothing in {sum(silent)} of {len(files)} files marks episodes: each of these is taken for one")
    if cut:
        notes.append(f"{cut} of {len(files)} files end without a flag: these ends are taken for time limits")
    if any(no_limit):
        of_all = f"{sum(no_limit)} of {len(files)} files"
        notes.append(f"{of_all} have flags of time limits alone, and none at the end: taken for terminations")
    return replace(merged, notes=(*_shared(held), *merged.notes, *notes))


def _files(folder: Path) -> list[Path]:
    """Also links that lead nowhere, for which reading has a message."""
    found = (
        file
        for file in folder.iterdir()
        if file.suffix.lower() in _KIND_OF and not file.name.startswith(".") and not file.is_dir()
    )
    return numbered.ordered(found)


def _read(file: Path) -> Demonstrations:
    hdf5.require_file(file)
    form = holding(file)
    if form is None:
        raise UserError(f"{file}: {refusal.why(file)}")
    with damage.told(form.NAME, file):
        held = checked(form.read(file), file)
    return replace(held, path=str(file), format=form.NAME)


def check_beside(folder: Path, form: Format) -> None:
    """Raise UserError for a folder of tables with files of another kind, which the table's format leaves out.

    A file for each array says by its name what it is, and so do the folders of libraries.
    """
    if not folder.is_dir() or form not in _TABLES or (form is csv_tables and csv_tables.apart(folder)):
        return
    others = [file.name for file in _files(folder)]
    if form is not csv_tables and csv_tables.holds(folder):
        others.append(csv_tables.NAME)
    if others:
        raise UserError(f"{folder}: files of one kind expected, found {listed(others)} beside {form.NAME}: {_MOVE}")


# --- What belongs together ----------------------------------------------------------------------------------------


def _check_kinds(files: Sequence[Path], folder: Path) -> None:
    kinds: dict[str, list[str]] = {}
    for file in files:
        kinds.setdefault(_KIND_OF[file.suffix.lower()], []).append(file.name)
    if len(kinds) > 1:
        found = ", ".join(f"{len(names)} {kind} ({listed(names[:2])})" for kind, names in kinds.items())
        raise UserError(f"{folder}: files of one kind expected, found {found}: {_MOVE}")
    if len(files) > _MOST_FILES:
        raise UserError(f"{folder}: at most {_MOST_FILES} files expected, found {len(files)}")


def _check_origins(held: Sequence[Demonstrations]) -> None:
    first = next((part for part in held if part.env_id is not None), None)
    for part in held:
        if part.subsample != 1:
            raise UserError(f"{part.path}: subsampled, so that it cannot be put together with others: name one file")
        if first is not None and part.env_id not in (None, first.env_id):
            raise UserError(
                f"{part.path} is of {part.env_id}, but {Path(first.path).name} of {first.env_id}: name one file, not the "
                "folder"
            )


def _check_whole(held: Sequence[Demonstrations]) -> None:
    """Raise UserError for an unfinished episode whose last next observation is the first observation of the next file."""
    for part, following in pairwise(held):
        if part.unfinished and part.next_observations is not None:
            last, first = part.next_observations[-1:], following.observations[:1]
            if structured.alike(last, first) and last.tobytes() == first.astype(last.dtype).tobytes():
                raise UserError(
                    f"{part.path}: its last episode goes on in {Path(following.path).name}: put their rows into one file"
                )


def _alike(held: Sequence[Demonstrations]) -> list[Demonstrations]:
    """With observations of floats in all, if they are floats in some: texts write whole numbers without a point."""
    dtypes = {part.observations.dtype for part in held if part.observations.dtype.kind == "f"}
    if not dtypes or len({part.observations.dtype.kind for part in held} - {"f"} - {"i"}):
        return list(held)
    return [_floats(part, np.result_type(*dtypes)) for part in held]


def _floats(held: Demonstrations, dtype: np.dtype) -> Demonstrations:
    names = ("observations", "next_observations", "final_observations")
    values = {name: getattr(held, name) for name in names}
    return replace(held, **{name: array.astype(dtype) for name, array in values.items() if array is not None})


# --- What is said of it -------------------------------------------------------------------------------------------


def _finished(held: Demonstrations, unmarked: bool) -> Demonstrations:
    """With an end of the last episode, which no flag ends, and without notes."""
    if not held.unfinished:
        return replace(held, notes=())
    flags = "terminals" if NO_LIMIT in held.notes else "timeouts"
    ends, says_ends = getattr(held, flags).copy(), held.says_ends and not unmarked
    ends[-1] = says_ends
    return replace(held, **{flags: ends}, says_ends=says_ends, unfinished=False, notes=())


def _shared(held: Sequence[Demonstrations]) -> list[str]:
    """The notes of the files, without those that are summed up: the first, and of how many others there are some."""
    told = [(Path(part.path).name, [n for n in part.notes if n not in (NO_ENDS, NO_BREAK, NO_LIMIT)]) for part in held]
    told = [(name, notes) for name, notes in told if notes]
    if not told:
        return []
    (name, notes), *others = told
    more = f"; {len(others)} other files have notes, too" if others else ""
    return [f"{name}: {note}" for note in notes[:-1]] + [f"{name}: {notes[-1]}{more}"]
