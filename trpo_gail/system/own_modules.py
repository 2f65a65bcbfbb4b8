"""Modules of the user's own, by their names."""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import import_module
from types import ModuleType


def search_here() -> None:
    """Have modules found in the current folder, as with `python -m`, by console scripts and by scripts of other folders, too;
    behind all others, so that none is hidden."""
    with contextlib.suppress(FileNotFoundError):  # the folder is gone
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())


def imported(name: str) -> ModuleType:
    """A module that is also looked for in the current folder. Raises whatever its code raises."""
    search_here()
    return import_module(name)
