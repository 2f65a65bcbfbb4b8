"""Modules of the user's own, by their names, and what their code raises."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import sysconfig
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType

from trpo_gail.errors import unstopped


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


def described(error: BaseException) -> str:
    """An exception's kind and message, and the file and line of the user's own code that raised it."""
    text = unstopped(" ".join(str(error).split()))
    if isinstance(error, SystemExit):
        said = f"it called sys.exit({error.code!r})"
    else:
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, SyntaxError):  # its message names the place
        return said
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_not_theirs())]
    return f"{said} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else said


@functools.cache
def _not_theirs() -> tuple[str, ...]:
    """How names of files begin that are not the user's; Python's own importer has no file."""
    libraries = (sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib"))
    return *libraries, str(Path(__file__).parents[1]), "<frozen "
