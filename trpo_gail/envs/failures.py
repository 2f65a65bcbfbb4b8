"""Failures of an environment, each in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import gymnasium

from trpo_gail.errors import RunError, UserError, unstopped
from trpo_gail.system import own_modules
from trpo_gail.system.terminal import warn

T = TypeVar("T")

# Failures of an environment. KeyboardInterrupt and other exceptions of signals are not failures, and pass.
RAISED = (Exception, SystemExit, GeneratorExit)


def described(error: BaseException) -> str:
    """As `own_modules.described`; of gymnasium's own errors the message alone, which says all."""
    if isinstance(error, gymnasium.error.Error):
        return unstopped(" ".join(str(error).split()))
    return own_modules.described(error)


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
