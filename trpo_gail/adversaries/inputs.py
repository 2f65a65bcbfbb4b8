"""How transitions become a discriminator's input, and how its output becomes one logit per row."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from trpo_gail.errors import UserError
from trpo_gail.spaces.actions import Label
from trpo_gail.spaces.layout import Layout
from trpo_gail.spaces.spec import EnvSpec

OURS = ("state", "action")  # the paper's
_STATES = ("state", "next_state")


class Inputs:
    """What is seen of a transition, in the order of `blocks`. B rows, I inputs, K outputs.

    A Discrete action is no input but chooses one of the outputs, one per label, as in the paper; any other stands
    beside the state. With `absorbing`, each state has one more column, which is 1 in the absorbing state.
    """

    def __init__(
        self, spec: EnvSpec, seen: Collection[str] = OURS, ignore: Collection[str] = (), absorbing: bool = False
    ) -> None:
        """Raises UserError for parts to ignore that the environment does not have."""
        state, self._columns = _without(spec, ignore)
        actions = spec.actions if "action" in seen else None
        self._chosen = isinstance(actions, Label)
        self._encode = None if actions is None else actions.encode
        states = [name for name in _STATES if name in seen]
        sizes = dict.fromkeys(states, state.size)
        sizes["action"] = 0 if actions is None or self._chosen else actions.inputs
        sizes |= {"done": int("done" in seen), "marks": len(states) if absorbing else 0}
        self.blocks = {name: size for name, size in sizes.items() if size or name in states}  # columns of each
        self.observed = state if "state" in states else Layout((), state.dtype)  # of the columns that are observations'
        if self.needs_next:
            self.observed = self.observed.beside(state, "next")
        self.size = sum(self.blocks.values())  # I
        self.outputs = spec.actions.size if self._chosen else 1  # K

    @property
    def needs_labels(self) -> bool:
        """Whether actions choose among the network's outputs."""
        return self._chosen

    @property
    def needs_next(self) -> bool:
        """Whether next observations are seen."""
        return "next_state" in self.blocks

    @property
    def exempt(self) -> np.ndarray:
        """The inputs [I] bool that must not be standardised: pixels, codes, bits, ends and marks."""
        behind = [np.full(self.blocks[name], name != "action") for name in self.blocks if name not in _STATES]
        return np.concatenate([self.observed.exempt, *behind])

    @property
    def whites(self) -> np.ndarray:
        """What networks divide each input [I] by: pixels by the largest that there can be, others by 1."""
        found = np.ones(self.size)
        for part in self.observed.parts:
            if part.kind == "image":
                found[part.columns] = part.white
        return found

    @property
    def places(self) -> dict[str, slice]:
        """Columns of each block."""
        ends = np.cumsum([0, *self.blocks.values()]).tolist()
        return {name: slice(*place) for name, place in zip(self.blocks, pairwise(ends), strict=True)}

    @property
    def twins(self) -> tuple[slice, slice] | None:
        """Columns of the state and of the next state, if both are seen."""
        places = self.places
        return (places["state"], places["next_state"]) if places.keys() >= set(_STATES) else None

    def columns_of(self, fewer: Inputs) -> Tensor:
        """Where the inputs of `fewer`, which sees less of the same transitions, are among these: int64."""
        every, places = torch.arange(self.size), self.places
        return torch.cat([every[:0], *(every[places[name]] for name in fewer.blocks)])

    def features(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        following: np.ndarray | None = None,
        terminated: np.ndarray | None = None,
    ) -> list[np.ndarray]:
        """The blocks [B, .], [B, I] together, of rows [B, ...]; the last two may be None if nothing of them is seen. The
        state that follows a termination is the absorbing one, if there is such a state."""

        def made(name: str) -> np.ndarray:
            if name == "state":
                return observations[:, self._columns]
            if name == "next_state":
                assert following is not None
                return self._gone(following[:, self._columns], terminated)
            if name == "action":
                assert self._encode is not None
                return self._encode(actions)
            if name == "marks":
                return self._marked(len(observations), terminated)
            assert terminated is not None
            return terminated[:, None].astype(np.float64)

        return [made(name) for name in self.blocks]

    def _gone(self, seen: np.ndarray, terminated: np.ndarray | None) -> np.ndarray:
        if "marks" not in self.blocks or terminated is None:
            return seen
        return np.where(terminated[:, None], np.zeros((), seen.dtype), seen)

    def _marked(self, rows: int, terminated: np.ndarray | None) -> np.ndarray:
        marks = np.zeros((rows, self.blocks["marks"]))
        if self.needs_next and terminated is not None:
            marks[:, -1] = terminated
        return marks

    def absorbed(self, dtype: np.dtype) -> list[np.ndarray]:
        """The input of a step within the absorbing state, in the blocks [1, .] of `features`: zeros, no action, and marks
        of 1."""
        of_states = [np.zeros((1, size), dtype) for name, size in self.blocks.items() if name in _STATES]
        others = [
            np.full((1, size), float(name == "marks")) for name, size in self.blocks.items() if name not in _STATES
        ]
        return of_states + others

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
