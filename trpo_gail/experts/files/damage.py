"""What a reader raises on a file that is not what it was taken for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trpo_gail.errors import UserError, shortened


@contextmanager
def told(kind: str, path: str | Path) -> Iterator[None]:
    """A damaged file may hold anything where a reader expects something; what it then raises means the same to a person,
    whatever its type. `kind` is what the file was taken for."""
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        raise UserError(
            f"{path}: taken for {kind}, but damaged or of another kind ({type(error).__name__}: "
            f"{shortened(str(error), 100)}); docs/expert_data.md says what is read"
        ) from error
