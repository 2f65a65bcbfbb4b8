"""Writing demonstrations, in the native layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py

from trpo_gail.errors import UserError
from trpo_gail.experts.check import checked
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import FORMATS, native
from trpo_gail.system import whole_file


def writer(name: str) -> Callable[[Path, Demonstrations], None]:
    """What writes the format that a module of `formats` has, by the module's name. Raises UserError if none does."""
    found: dict[str, Callable[[Path, Demonstrations], None]] = {"native": save}
    for form in FORMATS:
        own = getattr(form, "__name__", form.NAME).rpartition(".")[2]
        if form is not native and hasattr(form, "write"):
            found[own] = form.write
    if name not in found:
        raise UserError(f"--to {name}: expected a format that is written: {', '.join(found)}")
    return found[name]


def save(path: str | Path, demonstrations: Demonstrations) -> None:
    """Write the native layout. The same content gives the same bytes.

    Atomic: `path` is what it was, or complete. A malformed set of arrays is a UserError and no file; so are a missing
    folder and a full disk.
    """
    path = Path(path)
    checked(demonstrations, path)
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:  # in memory
        native.write(file, demonstrations)
        file.flush()
        content = file.id.get_file_image()
    try:
        whole_file.write(path, content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error
