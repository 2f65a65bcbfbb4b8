"""matplotlib, imported whatever the environment says, which stays as it is."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from trpo_gail.errors import UserError


@contextlib.contextmanager
def without_backend() -> Iterator[None]:
    """Imports within may be of matplotlib: a notebook's MPLBACKEND may name what is not installed here, and nothing of ours
    needs a backend. Figures of the user's own have theirs afterwards. Raises UserError for a matplotlibrc with which nobody
    can import it."""
    loaded = "matplotlib" in sys.modules
    before = {name: os.environ.pop(name, None) for name in ("MPLBACKEND", "MPLCONFIGDIR")}
    # Empty, both count as missing for matplotlib, but not for EnvPool, which would set them: figures of the user's own
    # would not be shown any more, and matplotlib's folder would be one in /tmp, which may be another user's or read-only.
    os.environ.update(MPLBACKEND="", MPLCONFIGDIR=before["MPLCONFIGDIR"] or "")
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(f"matplotlib: its file matplotlibrc is not written in UTF-8: {error}") from error
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    if before["MPLBACKEND"] and not loaded and (found := sys.modules.get("matplotlib")):
        with contextlib.suppress(ValueError):  # as the import would have done
            found.rcParams["backend"] = before["MPLBACKEND"]
