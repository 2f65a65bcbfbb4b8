"""Pictures that are not painted, for tests of other things."""

from __future__ import annotations

import base64

from trpo_gail.reports import style

BLANK = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")


def blank(figure: object, dpi: int | None = None) -> bytes:
    """In place of `style.png`: one pixel. A picture takes a third of a second, most of it to be painted."""
    return BLANK


def blank_from_here() -> None:
    """Leave the pictures of this process blank, for a program that a test starts."""
    style.png = blank
