"""A disk without room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trpo_gail.system import whole_file


@contextmanager
def full_disk() -> Iterator[None]:
    """For files that are written whole."""
    beside = whole_file.beside

    def full(path: Path) -> Path:
        part = beside(path)
        part.symlink_to("/dev/full")
        return part

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_file, "beside", full)
        yield
