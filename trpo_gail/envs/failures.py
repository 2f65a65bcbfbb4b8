"""Failures of an environment, each in one line."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import gymnasium

from trpo_gail.errors import RunError, UserError, unstopped
from trpo_gail.system.terminal import warn

T = TypeVar("T")

# Failures of an environment. KeyboardInterrupt and other exceptions of signals are not failures, and pass.
RAISED = (Exception, SystemExit, GeneratorExit)

_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib"))
_OURS = str(Path(__file__).parents[1])


def described(error: BaseException) -> str:
    """An exception's kind and message, and the file and line of the user's own code that raised it."""
    text = unstopped(" ".join(str(error).split()))
    if isinstance(error, gymnasium.error.Error):
        return text
    if isinstance(error, SystemExit):
        said = f"it called sys.exit({error.code!r})"
    else:
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((*_LIBRARIES, _OURS))]
    return f"{said} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else said


def called(who: str, what: str, function: Callable[..., T], *arguments: Any, **keywords: Any) -> T:
    """Call an environment's own code. Raises RunError for any of its exceptions, even for sys.exit."""
    try:
        return function(*arguments, **keywords)
    except (UserError, RunError):
        raise
    except RAISED as error:
        raise RunError(f"{who}: {what}: {described(error)}") from error


def close(who: str, envs: Iterable[gymnasium.Env]) -> None:
    """Close environments. A failure is only a warning, one for all of them, since nothing depends on them any more."""
    said = None
    for env in envs:
        try:
            env.close()
        except RAISED as error:
            said = f"{who}: close: {described(error)}"
    if said:
        warn(said)
