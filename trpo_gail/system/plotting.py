"""matplotlib, imported whatever MPLBACKEND says."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without_backend() -> Iterator[None]:
    """Imports within may be of matplotlib: a notebook's MPLBACKEND may name what is not installed here, and nothing of ours
    needs a backend. Figures of the user's own have theirs afterwards."""
    if "matplotlib" in sys.modules:
        yield
        return
    name = os.environ.pop("MPLBACKEND", "")
    try:
        yield
    finally:
        if name:
            os.environ["MPLBACKEND"] = name
    if name and (found := sys.modules.get("matplotlib")):
        with contextlib.suppress(ValueError):  # as the import would have done
            found.rcParams["backend"] = name
