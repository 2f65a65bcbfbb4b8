"""Writing demonstrations, in the native layout."""

from __future__ import annotations

from pathlib import Path

from trpo_gail.experts.check import checked
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import native


def save(path: str | Path, demonstrations: Demonstrations) -> None:
    """Write the native layout. The same content gives the same bytes.

    Atomic: `path` is what it was, or complete. A malformed set of arrays is a UserError and no file; so are a missing
    folder and a full disk.
    """
    checked(demonstrations, path)
    native.write(Path(path), demonstrations)
