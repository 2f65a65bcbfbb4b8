"""Writing demonstrations, in the native layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trpo_gail.errors import UserError
from trpo_gail.experts.check import checked
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import FORMATS, native


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
    checked(demonstrations, path)
    native.write(Path(path), demonstrations)
