"""A policy of the user's own: `module:function`, which takes one observation and returns one action."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, shortened
from trpo_gail.sampling.rollout import Actor, Noise
from trpo_gail.spaces.actions import unknown
from trpo_gail.spaces.spec import EnvSpec


@dataclass
class FunctionPolicy:
    """Calls the function once for each observation. Whatever is random in it is its own affair."""

    function: Callable[[np.ndarray], Any]
    description: str
    noise_kind: Noise = "normal"
    noise_size: int = 0
    action_view: str = "raw"
    spec: EnvSpec | None = None  # of the environment whose observations and actions the function knows

    def for_env(self, spec: EnvSpec) -> FunctionPolicy:
        """The same, with observations in the environment's own structure, and actions as the environment takes them."""
        return replace(self, spec=spec)

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions [n, A] or [n] int64 for observations [n, O]; noise is not used."""
        try:
            actions = np.asarray([self.function(one) for one in self._seen(np.asarray(observations))])
        except Exception as error:
            raise UserError(f"--policy {self.description}: raised {shortened(repr(error), 120)}") from error
        if self.spec is not None and self._is_own(actions):
            return self._inward(actions)
        if self.spec is not None and not self.spec.executed.whole and actions.dtype.kind in "iub":
            actions = actions.astype(np.float64)  # whole numbers where the environment takes floats
        if actions.dtype.kind == "f" and actions.ndim == 1:  # numbers of one dimension
            actions = actions[:, None]
        whole = actions.dtype.kind in "iub" and actions.ndim in (1, 2) and actions.size == len(actions)
        if not whole and (actions.dtype.kind not in "fiu" or actions.ndim != 2):
            found = f"{actions.dtype} {list(actions.shape[1:])}"
            raise UserError(
                f"--policy {self.description}: expected actions that are an integer or [A] floats, found {found}"
            )
        return actions.reshape(-1).astype(np.int64) if whole else actions.astype(np.float64)

    def _inward(self, actions: np.ndarray) -> np.ndarray:
        """Rows of the environment's own actions. Raises UserError for labels that it does not have."""
        assert self.spec is not None
        kind = self.spec.executed
        rows = kind.inward(actions.astype(np.int64) if kind.whole else actions)
        if kind.whole and (wrong := unknown(kind, rows)).any():
            found, space = actions.reshape(rows.shape)[wrong][0], self.spec.executed_space
            raise UserError(f"--policy {self.description}: {found} is no label of {space}")
        return rows

    def _seen(self, rows: np.ndarray) -> Iterator[Any]:
        """Each observation, in the environment's own structure if that is known."""
        if self.spec is None or self.spec.observations.is_plain:
            yield from rows
            return
        batch = self.spec.observations.unflatten(rows)
        for i in range(len(rows)):
            yield _one(batch, i)

    def _is_own(self, actions: np.ndarray) -> bool:
        """Whether they have the shape of the environment's actions, and are whole numbers if those are labels."""
        assert self.spec is not None
        shaped = actions.shape[1:] == tuple(self.spec.executed_space.shape or ())
        return shaped and actions.dtype.kind in ("iub" if self.spec.executed.whole else "f")


def _one(batch: Any, i: int) -> Any:
    """One observation of a batch in nested dictionaries and tuples."""
    if isinstance(batch, dict):
        return {key: _one(inner, i) for key, inner in batch.items()}
    if isinstance(batch, tuple):
        return tuple(_one(inner, i) for inner in batch)
    return np.asarray(batch[i]) if isinstance(batch[i], np.floating) else batch[i]  # of a Box without dimensions


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
