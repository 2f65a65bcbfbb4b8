"""A file that is there whole or as it was before: written beside, flushed to the disk, renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Replace the content of `path`. Raises OSError, with the name of `path`."""
    with replacing(path) as part:
        part.write_bytes(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The path of a file to be written in the block, by whatever means; it takes the place of `path` at the block's end.

    If the block fails, the file is removed, and `path` is what it was; only a kill leaves the file behind. Raises
    OSError, with the name of `path`.
    """
    part = beside(path)
    try:
        yield part
        _flush(part)
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise


def beside(path: Path) -> Path:
    """A hidden name in the same folder, another one at each call: several processes may write one file at once."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def _flush(part: Path) -> None:
    """Bring a file's content to the disk."""
    with open(part, "rb") as file:
        os.fsync(file.fileno())
