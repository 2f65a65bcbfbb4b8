"""The SHA-256 of a zip file, kept as the archive's comment at its end. Any reader of zip files can still read it."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from io import BytesIO

_MARK = b"sha256:"
_SIZE = len(_MARK) + 64  # bytes of the comment
_FOLDER = 0x10  # of a member's attributes
_NO_COMMENT = struct.pack("<H", 0)  # the last bytes of an archive without a comment: the comment's length


def seal(archive: bytes) -> bytes:
    """The archive with the digest of all bytes before the comment."""
    assert archive.endswith(_NO_COMMENT), "it has a comment already"
    body = archive[: -len(_NO_COMMENT)] + struct.pack("<H", _SIZE)
    return body + _digest(body)


def check(archive: bytes) -> None:
    """Raise ValueError, with the reason, if a byte of the content has changed.

    Earlier versions wrote archives without a seal; in these, the CRC-32 of each member is checked.
    """
    body, comment = archive[:-_SIZE], archive[-_SIZE:]
    if comment.startswith(_MARK):
        if comment != _digest(body):
            raise ValueError("its SHA-256 differs")
        return
    try:
        with zipfile.ZipFile(BytesIO(archive)) as file:
            bad = file.testzip()
            folders = [member.filename for member in file.infolist() if member.external_attr & _FOLDER]
    except Exception as error:  # zipfile raises many kinds; all of them mean damage
        raise ValueError(str(error).split("\n")[0] or type(error).__name__) from error
    if bad is not None:
        raise ValueError(f"the CRC-32 of its part {bad} differs")
    if folders:  # PyTorch would take whatever is in memory for the content of one
        raise ValueError(f"its part {folders[0]} is marked as a folder")


def _digest(body: bytes) -> bytes:
    return _MARK + hashlib.sha256(body).hexdigest().encode()
