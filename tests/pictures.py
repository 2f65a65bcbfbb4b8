"""Pictures that are not painted, for tests of other things."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from trpo_gail.reports import plots, style

if TYPE_CHECKING:  # the programs that tests start need no pytest
    import pytest

BLANK = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")


def blank(figure: object, dpi: int | None = None) -> bytes:
    """In place of `style.png`: one pixel."""
    return BLANK


def no_curve(runs: object, expert: object) -> bytes:
    """In place of `plots.learning_curve`, which takes half a second: as much as the short run that it is of."""
    return BLANK


def blank_from_here(patch: pytest.MonkeyPatch | None = None) -> None:
    """Leave the pictures of this process blank, or those of one test, and do not lay out learning curves at all."""
    replace = patch.setattr if patch else setattr
    replace(style, "png", blank)
    replace(plots, "learning_curve", no_curve)
