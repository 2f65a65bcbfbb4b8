"""Demonstrations of the repository, from its raw files or a folder: checked by SHA-256, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from importlib import metadata
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import urlopen

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import catalogue
from trpo_gail.experts.files import hdf5
from trpo_gail.system import whole_file

_WAIT = 60.0  # seconds without a byte
_PIECE = 1 << 20
_LABEL = "Repository"  # of the project's URLs, in setup.cfg


def fetch(names: Sequence[str], source: str | None, to: Path) -> Iterator[tuple[Path, str]]:
    """Get the files NAME.h5 of a folder or URL into the folder `to`; yields each file and what was done.

    A file that is there already and is the right one stays. Raises UserError before anything is written for names that
    are not known and for other files in the way; later for what cannot be read, and for what is not the file expected.
    """
    _check(names, to)
    for name in names:
        file = to / f"{name}.h5"
        if file.exists():
            yield file, "there already"
        else:
            place = _repository() if source is None else source.rstrip("/")
            _copy(f"{place}/{name}.h5", file, catalogue.repository()[name])
            yield file, "fetched and checked"


def _check(names: Sequence[str], to: Path) -> None:
    if unknown := [name for name in names if name not in catalogue.repository()]:
        raise UserError(f"data fetch: {unknown[0]!r} given, expected names of {listed(catalogue.repository(), 99)}")
    for name in names:
        file = to / f"{name}.h5"
        if file.exists() and (file.is_dir() or hdf5.sha256(file) != catalogue.repository()[name]["sha256"]):
            raise UserError(f"{file}: exists, and is not the repository's; remove it or name another folder by --to")


def _repository() -> str:
    """The URL below which the repository shows its raw files, as the package's metadata name it."""
    for line in metadata.metadata("trpo_gail").get_all("Project-URL") or []:
        label, _, url = line.partition(", ")
        if label == _LABEL:
            return f"{url.rstrip('/')}/raw/HEAD/expert_data"
    raise UserError("--from: this package does not name its repository; expected the folder or URL of its expert_data")


def _copy(place: str, file: Path, expected: dict[str, Any]) -> None:
    """One file. Raises UserError, and leaves nothing."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file.replacing(file) as part, open(part, "wb") as out, _opened(place) as stream:
            _checked(place, stream, out, expected)
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}") from error


def _checked(place: str, stream: Any, out: IO[bytes], expected: dict[str, Any]) -> None:
    """Copy what is expected, and not a byte more."""
    digest, left = hashlib.sha256(), expected["bytes"]
    while piece := _read(place, stream, min(_PIECE, left + 1)):
        left -= len(piece)
        if left < 0:
            break
        digest.update(piece)
        out.write(piece)
    if left or digest.hexdigest() != expected["sha256"]:
        found = "more" if left < 0 else f"{expected['bytes'] - left} bytes" if left else "another SHA-256"
        raise UserError(f"{place}: expected {expected['bytes']} bytes of SHA-256 {expected['sha256']}, found {found}")


@contextlib.contextmanager
def _opened(place: str) -> Iterator[Any]:
    """A file's or a URL's bytes. Raises UserError if it cannot be opened."""
    remote = place.startswith(("http://", "https://"))
    try:
        stream = urlopen(quote(place, safe=":/?&=%"), timeout=_WAIT) if remote else open(place, "rb")  # noqa: SIM115
    except HTTPError as error:
        raise UserError(f"{place}: the server answers {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: of a URL that is none
        raise UserError(f"{place}: cannot be read: {_words(error)}") from error
    with stream:
        yield stream


def _read(place: str, stream: Any, size: int) -> bytes:
    try:
        return stream.read(size)
    except (OSError, HTTPException) as error:
        raise UserError(f"{place}: cannot be read: {_words(error)}") from error


def _words(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    return str(getattr(reason, "strerror", None) or reason or type(error).__name__)
