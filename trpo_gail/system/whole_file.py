"""A file that is there whole or as it was before: written beside, flushed to the disk, renamed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write(path: Path, content: bytes, part: Path) -> None:
    """Write `path` by way of `part`, which only a kill leaves behind. Raises OSError, with the name of `path`."""
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
