"""Policies of others whose episodes may be recorded: one module and one row of the table each."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from trpo_gail.experts.policies import berkeley, linear, stable_baselines3
from trpo_gail.sampling.rollout import Actor


class Kind(Protocol):
    """A module that reads one kind of policy file."""

    @property
    def NAME(self) -> str:
        """How the kind is called in messages."""
        ...

    def holds(self, path: Path) -> bool:
        """Whether a file is of this kind; told by its content, of which it need read little."""
        ...

    def read(self, path: Path) -> Actor:
        """The policy. Raises UserError, with the reason, if it cannot be had."""
        ...


# The first that holds a file reads it.
KINDS: list[Kind] = [stable_baselines3, linear, berkeley]
