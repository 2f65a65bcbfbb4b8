"""A folder of demonstration files of one kind, with an episode in each, or several: what many programs record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trpo_gail.errors import UserError
from trpo_gail.experts import editing
from trpo_gail.experts.check import checked
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import damage, hdf5
from trpo_gail.experts.formats import FORMATS, Format, numbered
from trpo_gail.experts.trajectories import NO_BREAK, NO_ENDS

NAME = "a folder of files"

_KINDS = {".npz": ".npz", ".pkl": ".pkl", ".pickle": ".pkl", ".pt": ".pt", ".pth": ".pt", ".h5": ".h5", ".hdf5": ".h5"}
_MOST_FILES = 100_000


def holds(path: Path) -> bool:
    """Whether there are files of arrays, pickles, tensors or HDF5 in it, of which a format holds the first."""
    files = _files(path) if path.is_dir() else []
    return bool(files) and _format(files[0]) is not None


def read(path: Path) -> Demonstrations:
    """The episodes of all files, in the order of the numbers in their names.

    A file's last row ends an episode: by a time limit if no flag is set there but one is elsewhere; without any flag it is
    not known how. Raises UserError for files of several kinds, for one that is of no format or of other columns than the
    first, and for files of several environments.
    """
    files = _files(path)
    kinds = Counter(_KINDS[file.suffix.lower()] for file in files)
    if len(kinds) > 1:
        found = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        raise UserError(f"{path}: files of one kind expected, found {found}: name one of them, or a folder for each")
    held = [_read(file) for file in files]
    _check_environments(held)
    flags = any(bool((part.terminals | part.timeouts).any()) for part in held)
    cut = sum(part.unfinished for part in held) if flags else 0
    merged = editing.merge([_finished(part, flags) for part in held])
    notes = [f"{len(files)} files, in the order of the numbers in their names"] if len(files) > 1 else []
    if cut:
        notes.append(f"{cut} of {len(files)} files end without a flag: their ends are taken for time limits")
    return replace(merged, notes=(*merged.notes, *notes))


def _files(folder: Path) -> list[Path]:
    found = (
        file
        for file in folder.iterdir()
        if file.suffix.lower() in _KINDS and not file.name.startswith(".") and file.is_file()
    )
    return numbered.ordered(found)[:_MOST_FILES]


def _format(file: Path) -> Format | None:
    return next((form for form in FORMATS if form.holds(file)), None)


def _read(file: Path) -> Demonstrations:
    hdf5.require_file(file)
    form = _format(file)
    if form is None:
        raise UserError(f"{file}: of no format that is read, expected demonstrations as in the files beside it")
    with damage.told(form.NAME, file):
        held = checked(form.read(file), file)
    return replace(held, path=str(file), format=form.NAME)


def _check_environments(held: Sequence[Demonstrations]) -> None:
    first = next((part for part in held if part.env_id is not None), None)
    for part in held:
        if first is not None and part.env_id not in (None, first.env_id):
            raise UserError(
                f"{part.path}: of {part.env_id}, expected {first.env_id} as {Path(first.path).name}: name the file that is "
                "meant, not their folder"
            )


def _finished(held: Demonstrations, flags: bool) -> Demonstrations:
    """With an end of the last episode, which no flag ends; `flags` is whether any file has some."""
    notes = tuple(note for note in held.notes if note not in (NO_ENDS, NO_BREAK))
    if not held.unfinished:
        return replace(held, notes=notes)
    timeouts = held.timeouts.copy()
    timeouts[-1] = flags
    return replace(held, timeouts=timeouts, says_ends=flags, unfinished=False, notes=notes)
