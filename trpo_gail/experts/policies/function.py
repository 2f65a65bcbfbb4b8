"""A policy of the user's own: `module:function`, which takes one observation and returns one action."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, shortened
from trpo_gail.sampling.rollout import Actor, Noise


@dataclass
class FunctionPolicy:
    """Calls the function once for each observation. Whatever is random in it is its own affair."""

    function: Callable[[np.ndarray], Any]
    description: str
    noise_kind: Noise = "normal"
    noise_size: int = 0
    action_view: str = "raw"

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions [n, A] or [n] int64 for observations [n, O]; noise is not used."""
        try:
            actions = np.asarray([self.function(row) for row in np.asarray(observations)])
        except Exception as error:
            raise UserError(f"--policy {self.description}: raised {shortened(repr(error), 120)}") from error
        if actions.dtype.kind == "f" and actions.ndim == 1:  # numbers of one dimension
            actions = actions[:, None]
        whole = actions.dtype.kind in "iub" and actions.ndim in (1, 2) and actions.size == len(actions)
        if not whole and (actions.dtype.kind not in "fiu" or actions.ndim != 2):
            found = f"{actions.dtype} {list(actions.shape[1:])}"
            raise UserError(
                f"--policy {self.description}: expected actions that are an integer or [A] floats, found {found}"
            )
        return actions.reshape(-1).astype(np.int64) if whole else actions.astype(np.float64)


def is_named(text: str) -> bool:
    """Whether a text has the form `module:function`."""
    return re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*", text) is not None


def load(text: str) -> Actor:
    """The function, or an object that has `act`, `noise_kind` and `noise_size` already. Raises UserError."""
    module, _, name = text.partition(":")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)  # a console script's does not have it
    try:
        found = getattr(import_module(module), name)
    except Exception as error:
        raise UserError(f"--policy {text}: cannot be imported: {shortened(repr(error), 120)}") from error
    if all(hasattr(found, attribute) for attribute in ("act", "noise_kind", "noise_size")):
        actor: Actor = found
        return actor
    if not callable(found):
        raise UserError(f"--policy {text}: expected a function of one observation, found {type(found).__name__}")
    return FunctionPolicy(found, text)
