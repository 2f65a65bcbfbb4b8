"""Writes a file completely or not at all: to a part file beside it, which is flushed to the disk and renamed."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError


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

    If the block fails, the file is removed and `path` is unchanged; only a kill leaves the file behind. A link stays, and
    the file behind it is replaced; a device or a pipe, such as /dev/stdout, gets the content. Raises OSError, with the
    name of `path`.
    """
    if path.is_dir():  # whose name may be none, as of "."
        raise _is_folder(path)
    if path.exists() and not path.is_file():
        with naming(path), tempfile.TemporaryDirectory() as folder, open(path, "wb") as stream:
            yield Path(folder) / "content"
            with open(Path(folder) / "content", "rb") as content:
                shutil.copyfileobj(content, stream)
        return
    target = path.resolve() if path.is_symlink() else path
    part = beside(target)
    with naming(path):
        try:
            yield part
            flush(part)
            os.replace(part, target)
            with contextlib.suppress(OSError):  # not every file system flushes a folder
                flush(target.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError of the block tells the name of `path`, and not that of a part of it, or of what is copied."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A folder that the block fills, whose files become those of `path` at the block's end: others there stay.

    If the block fails, nothing is left of it, and `path` is unchanged. Raises OSError, with the name of `path`.
    """
    named = path.absolute()  # the current folder has no name of its own
    made, above = beside(named), named.parent
    try:
        with naming(path):
            above.mkdir(parents=True, exist_ok=True)
            made.mkdir()
            yield made
            if not path.exists():
                made.rename(path)
            for file in sorted(made.rglob("*")) if made.exists() else []:
                target = path / file.relative_to(made)
                if file.is_dir():
                    target.mkdir(exist_ok=True)
                else:
                    os.replace(file, target)
            with contextlib.suppress(OSError):  # as above
                flush(above)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def kept_copy(path: Path) -> Path:
    """Keep a file as it is beside it, as NAME.old, or as NAME.old2 and so on, so that a copy of before stays; a folder in its
    place is moved there. Returns the copy's path. Raises OSError."""
    names = (path.with_name(f"{path.name}.old{'' if number == 1 else number}") for number in itertools.count(1))
    copy = next(name for name in names if not os.path.lexists(name))
    if path.is_dir():
        return path.rename(copy)
    write(copy, path.read_bytes())
    return copy


def named(flag: str, given: object, what: str = "file") -> Path:
    """The path that a user gives. Raises UserError for what names nothing, such as an empty variable of the shell, and for
    what a shell would have replaced, as it does not in a file of flags: a folder of that name would be made."""
    with contextlib.suppress(UnicodeEncodeError):
        if isinstance(given, str | os.PathLike) and os.fspath(given) and b"\0" not in os.fsencode(given):
            path = Path(given)
            first = path.parts[0] if path.parts else ""
            if re.fullmatch(r"~|\$[A-Za-z_]\w*|\$\{\w+\}", first) and not os.path.lexists(first):
                raise UserError(
                    f"{flag}: {given!s:.60} given, but only a shell replaces {first}: the whole path expected"
                )
            return path
    raise UserError(f"{flag}: {given!r:.60} given, the name of a {what} expected")


def check(flag: str, path: Path) -> None:
    """Before the work, and not after it: raise UserError if a file cannot be written there."""
    if path.is_dir():
        raise UserError(f"{flag} {path}: a folder, expected the name of a file")
    if not path.parent.is_dir():
        raise UserError(f"{flag} {path}: the folder {path.parent} does not exist")
    if not os.access(path if path.exists() and not path.is_file() else path.parent, os.W_OK):
        raise UserError(f"{flag} {path}: nothing can be written there")


def beside(path: Path) -> Path:
    """A hidden name in the same folder, new at each call, since several processes may write one file at once."""
    if not path.name:  # the root, which is in no folder
        raise _is_folder(path)
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def _is_folder(path: Path) -> IsADirectoryError:
    return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def make_folder(path: Path) -> None:
    """Make a folder, if it is not there, and those above it; their names outlive a loss of power, as files within do."""
    new = [above for above in (path, *path.parents) if not above.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for made in reversed(new):
        with contextlib.suppress(OSError):  # as above
            flush(made.parent)


def flush(path: Path) -> None:
    """Have a file's content, or the names in a folder, on the disk, so that they outlive a loss of power. Raises OSError,
    with the name of `path`."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(handle)
    finally:
        os.close(handle)
