"""How transitions become a discriminator's input, and how its output becomes one logit per row."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from trpo_gail.errors import UserError
from trpo_gail.spaces.actions import Label
from trpo_gail.spaces.layout import Layout
from trpo_gail.spaces.spec import EnvSpec

OURS = ("state", "action")  # the paper's


class Inputs:
    """What is seen of a transition, in this order: state, next state, action, done. B rows, I inputs, K outputs.

    A Discrete action is no input but chooses one of the outputs, one per label, as in the paper; any other stands
    beside the state. With `absorbing`, each state has one more column behind them, which is 1 in the absorbing state.
    """

    def __init__(
        self, spec: EnvSpec, seen: Collection[str] = OURS, ignore: Collection[str] = (), absorbing: bool = False
    ) -> None:
        """Raises UserError for parts to ignore that the environment does not have."""
        state, self._columns = _without(spec, ignore)
        self._state, self._next, self._done = "state" in seen, "next_state" in seen, "done" in seen
        self._actions = spec.actions if "action" in seen else None
        self._chosen = isinstance(self._actions, Label)
        self._marks = absorbing * (self._state + self._next)
        empty = Layout((), state.dtype)
        self._size_of_state = state.size
        self.observed = state if self._state else empty  # of the columns that are observations'
        if self._next:
            self.observed = self.observed.beside(state, "next")
        self._acted = self._actions.inputs if self._actions is not None and not self._chosen else 0
        self.size = self.observed.size + self._acted + self._done + self._marks  # I
        self.outputs = spec.actions.size if self._chosen else 1  # K

    @property
    def needs_labels(self) -> bool:
        """Whether actions choose among the network's outputs."""
        return self._chosen

    @property
    def needs_next(self) -> bool:
        """Whether next observations are seen."""
        return self._next

    @property
    def needs_actions(self) -> bool:
        """Whether actions are seen."""
        return self._actions is not None

    @property
    def exempt(self) -> np.ndarray:
        """The inputs [I] bool that must not be standardised: pixels, codes, bits, ends and marks."""
        return np.concatenate(
            [self.observed.exempt, np.zeros(self._acted, bool), np.ones(self._done + self._marks, bool)]
        )

    @property
    def twins(self) -> tuple[slice, slice] | None:
        """Columns of the state and of the next state, if both are seen."""
        return self.places[:2] if self._state and self._next else None

    @property
    def places(self) -> tuple[slice, slice, int]:
        """Columns of the state and of the next state, and the one of done, if all three are seen."""
        size = self.observed.size // 2
        return slice(0, size), slice(size, 2 * size), 2 * size + self._acted

    def columns_of(self, fewer: Inputs) -> Tensor:
        """Where the inputs of `fewer`, which sees less of the same transitions, are among these: int64."""
        parts = [(self._state, fewer._state, self._size_of_state), (self._next, fewer._next, self._size_of_state)]
        parts += [(True, fewer._acted > 0, self._acted), (self._done, fewer._done, 1)]
        found: list[int] = []
        column = 0
        for held, wanted, size in parts:
            if wanted:
                found += range(column, column + size)
            column += size if held else 0
        return torch.tensor(found, dtype=torch.int64)

    def features(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        following: np.ndarray | None = None,
        terminated: np.ndarray | None = None,
    ) -> list[np.ndarray]:
        """Columns of the input, [B, .] each, [B, I] together, of rows [B, ...]; the last two may be None if nothing of
        them is seen. The state that follows a termination is the absorbing one, if there is such a state."""
        found = [observations[:, self._columns]] if self._state else []
        if self._next:
            assert following is not None
            seen = following[:, self._columns]
            found.append(self._gone(seen, terminated))
        if self._acted:
            assert self._actions is not None
            found.append(self._actions.encode(actions))
        if self._done:
            assert terminated is not None
            found.append(terminated[:, None].astype(np.float64))
        if self._marks:
            found.append(self._marked(len(observations), terminated))
        return found

    def _gone(self, seen: np.ndarray, terminated: np.ndarray | None) -> np.ndarray:
        if not self._marks or terminated is None:
            return seen
        return np.where(terminated[:, None], np.zeros((), seen.dtype), seen)

    def _marked(self, rows: int, terminated: np.ndarray | None) -> np.ndarray:
        marks = np.zeros((rows, self._marks))
        if self._next and terminated is not None:
            marks[:, -1] = terminated
        return marks

    def absorbed(self, dtype: np.dtype) -> list[np.ndarray]:
        """The input of a step within the absorbing state, in the blocks [1, .] of `features`: zeros, no action, and marks
        of 1."""
        found = [np.zeros((1, self._size_of_state), dtype) for _ in range(self._state + self._next)]
        found += [np.zeros((1, size)) for size in (self._acted, int(self._done)) if size]
        return [*found, np.ones((1, self._marks))] if self._marks else found

    def choose(self, out: Tensor, actions: Tensor | None) -> Tensor:
        """A logit [B] from the network's output [B, K], for labels [B] or weights of labels [B, K]; None where actions
        do not choose."""
        if not self._chosen:
            return out[:, 0]
        assert actions is not None
        return (out * actions).sum(1) if actions.dim() == 2 else out.gather(1, actions[:, None])[:, 0]

    def choose_back(self, slope: Tensor, out: Tensor, actions: Tensor | None) -> Tensor:
        """The transpose of `choose`: from one number per row [B] to the network's output [B, K]."""
        if not self._chosen:
            return slope[:, None]
        assert actions is not None
        if actions.dim() == 2:
            return slope[:, None] * actions
        return torch.zeros_like(out).scatter_(1, actions[:, None], slope[:, None])

    def mixable(self, labels: Tensor, like: Tensor) -> Tensor:
        """What mixtures can be made of: weights [B, K] of labels [B]."""
        return torch.nn.functional.one_hot(labels, self.outputs).to(like)


def _without(spec: EnvSpec, ignore: Collection[str]) -> tuple[Layout, slice | np.ndarray]:
    """The layout of what an adversary sees of an observation, and its columns."""
    if not ignore:
        return spec.observations, slice(None)
    try:
        return spec.observations.without(ignore)
    except UserError as error:
        raise UserError(f"--discriminator.ignore: {error} (environment {spec.id!r})") from error
