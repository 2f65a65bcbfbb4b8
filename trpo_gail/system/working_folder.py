"""The working directory, kept from code that is not ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept() -> Iterator[None]:
    """Go back to the working directory, if an environment has gone elsewhere: the paths that a user gave are relative to
    it."""
    try:
        here = os.getcwd()
    except OSError:  # it was deleted
        yield
        return
    try:
        yield
    finally:
        os.chdir(here)
