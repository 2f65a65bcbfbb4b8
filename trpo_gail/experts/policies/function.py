"""A policy of the user's own: `module:function`, which takes one observation and returns one action."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, shortened
from trpo_gail.sampling.rollout import Actor, Noise
from trpo_gail.spaces.actions import unknown
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.system.own_modules import imported

_MOST = 2.0**53  # of a label: beyond, not every whole number is a float


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
        """Actions [n, A] or [n] int64 for observations [n, O]; noise is not used. Raises UserError for what is no action."""
        assert self.spec is not None, "for_env comes first"
        given = [self._called(one) for one in self._seen(np.asarray(observations))]
        actions = np.stack([self._shaped(action) for action in given])
        kind = self.spec.executed
        if not kind.whole:
            return kind.inward(actions.astype(np.float64))
        rows = kind.inward(actions.astype(np.int64))
        if (wrong := unknown(kind, rows)).any():
            raise self._refused(f"{actions.reshape(rows.shape)[wrong][0]} is no label of")
        return rows

    def _called(self, observation: Any) -> np.ndarray:
        try:
            return np.array(self.function(observation))  # a copy: it may return the same array for each observation
        except Exception as error:
            raise UserError(f"--policy {self.description}: raised {shortened(repr(error), 120)}") from error

    def _shaped(self, action: np.ndarray) -> np.ndarray:
        """An action in the shape of the environment's, such as a label of `[label]`. Raises UserError for another size, for
        what is no number, and for fractions in place of labels."""
        assert self.spec is not None
        shape = tuple(self.spec.executed_space.shape or ())
        if action.dtype.kind not in "biuf":
            raise self._refused(f"{shortened(repr(action.tolist()), 60)} is no action of")
        if action.size != math.prod(shape):
            raise self._refused(f"an action of shape {list(action.shape)} is none of")
        odd = ~np.isfinite(action)
        if self.spec.executed.whole:
            odd |= (action != np.floor(action)) | (np.abs(action) > _MOST)
        if odd.any():
            what = "label" if self.spec.executed.whole else "number"
            raise self._refused(f"{action[odd][0]} is no {what} of")
        return action.reshape(shape)

    def _refused(self, what: str) -> UserError:
        assert self.spec is not None
        space = " ".join(str(self.spec.executed_space).split())
        return UserError(f"--policy {self.description}: {what} {shortened(space, 80)}")

    def _seen(self, rows: np.ndarray) -> Iterator[Any]:
        """Each observation, in the environment's own structure if that is known."""
        if self.spec is None or self.spec.observations.is_plain:
            yield from rows
            return
        batch = self.spec.observations.unflatten(rows)
        for i in range(len(rows)):
            yield _one(batch, i)


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


def is_own(actor: Any) -> bool:
    """Whether it is the user's own code, which must see no observation that no environment made, and is asked once for
    each row that is recorded. An object with `begin` keeps its rows: it may hold a state for each of them.
    """
    if isinstance(actor, FunctionPolicy):
        return True
    ours = type(actor).__module__.partition(".")[0] == __name__.partition(".")[0]
    return not ours and not hasattr(actor, "begin")


def load(text: str) -> Actor:
    """The function, or an object that has `act`, `noise_kind` and `noise_size` already. Raises UserError."""
    module, _, name = text.partition(":")
    try:
        found = getattr(imported(module), name)
    except Exception as error:
        raise UserError(f"--policy {text}: cannot be imported: {shortened(repr(error), 120)}") from error
    if all(hasattr(found, attribute) for attribute in ("act", "noise_kind", "noise_size")):
        actor: Actor = found
        return actor
    if not callable(found):
        raise UserError(f"--policy {text}: expected a function of one observation, found {type(found).__name__}")
    return FunctionPolicy(found, text)
