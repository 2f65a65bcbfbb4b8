"""Writes a file completely or not at all: to a part file beside it, which is flushed to the disk and renamed."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def write(path: Path, content: bytes) -> None:
    """Replace the content of `path`. Raises OSError, with the name of `path`."""
    with replacing(path) as part:
        part.write_bytes(content)


def write_json(path: Path, found: Any) -> None:
    """The same, of numbers and texts as JSON that is indented by one."""
    write(path, (json.dumps(found, indent=1) + "\n").encode())


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The path of a file that the block writes; at the block's end it replaces `path`.

    If the block fails, the file is removed and `path` is unchanged; only a kill leaves the file behind. Raises OSError,
    with the name of `path`.
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
    """A hidden name in the same folder, new at each call, since several processes may write one file at once."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def _flush(part: Path) -> None:
    """Flush a file's content to the disk."""
    with open(part, "rb") as file:
        os.fsync(file.fileno())
