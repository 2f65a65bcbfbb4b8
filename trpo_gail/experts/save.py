"""Writing demonstrations, at once or in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError
from trpo_gail.experts import editing
from trpo_gail.experts.check import checked
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import FORMATS, native
from trpo_gail.experts.streams import Append
from trpo_gail.system import whole_file

# What a format that is written is, and the ends of names that say so; nothing is known of formats from outside.
_HDF5, _NUMPY, _FOLDER = ("HDF5", ".h5", ".hdf5", ".hdf", ".he5"), ("a NumPy archive", ".npz"), ("a folder",)
_WRITTEN = {
    "native": _HDF5, "paper": _HDF5, "d4rl": _HDF5, "minari": _FOLDER, "stable_baselines": _NUMPY,
    "datasets_folder": _FOLDER,
}  # fmt: skip
_UNWRITTEN = (
    ".npy", ".csv", ".tsv", ".txt", ".json", ".jsonl", ".pkl", ".pickle", ".p", ".pt", ".pth", ".parquet", ".arrow", ".zip",
)  # fmt: skip


def save(path: str | Path, demonstrations: Demonstrations, to: str = "native") -> None:
    """Write a format that is written, by the name of its module. The same content gives the same bytes.

    Atomic: `path` is what it was, or complete. A malformed set of arrays is a UserError and no file; so are a missing
    folder and a full disk.
    """
    writing, out = writer(to), whole_file.named("path", path)
    check_ending(out, to)
    checked(demonstrations, path)
    with writing(out) as append:
        append(demonstrations)


def check_ending(path: Path, to: str = "native") -> None:
    """Raise UserError for a name whose end says that the file is of another format than the one that is written."""
    ending = path.suffix.lower()
    kind, *own = _WRITTEN.get(to, ("", ending))
    other = next((name for name, (_, *ends) in _WRITTEN.items() if ending in ends), None)
    if ending in own or not (other or ending in _UNWRITTEN):
        return
    instead = f"data convert --to {other} writes {ending}" if other else f"no format that is written ends in {ending}"
    expected = f"a name that ends in {own[0]}" if own else "a name without such an end"
    raise UserError(f"{path}: the format {to} is {kind}, expected {expected}; {instead}")


def writer(name: str) -> Callable[[Path], AbstractContextManager[Append]]:
    """What writes the format that a module of `formats` has, by the module's name; pieces are appended within its block.

    The file is there when the block ends, the same as if all were written at once. Raises UserError if no format that is
    written has that name.
    """
    found: dict[str, Callable[[Path], AbstractContextManager[Append]]] = {}
    for form in sorted(FORMATS, key=lambda form: form is not native):
        own, any_form = getattr(form, "__name__", form.NAME).rpartition(".")[2], _any(form)
        if hasattr(form, "write"):
            found[own] = any_form.writing if hasattr(form, "writing") else partial(_at_once, any_form.write)
    if name not in found:
        raise UserError(f"--to {name}: expected a format that is written: {', '.join(found)}")
    return found[name]


def _any(form: Any) -> Any:
    return form


@contextmanager
def _at_once(write: Callable[[Path, Demonstrations], None], path: Path) -> Iterator[Append]:
    """For a format that is not written in pieces: they are held until all are there."""
    held: list[Demonstrations] = []
    yield held.append
    write(path, editing.joined(held))
