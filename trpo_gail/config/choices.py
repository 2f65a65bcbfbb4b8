"""Who may improve the policy, and who may pay it: one row each, with the module that makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Choice:
    """One value of --adversary or --generator."""

    module: str  # within the package; its `build(config, parts)` makes it
    reads: tuple[str, ...]  # the flags that decide something with it: paths of fields, or of sections that end in a dot
    imitates: bool = False  # whether it needs demonstrations

    def load(self) -> Callable[..., Any]:
        """Its `build(config, parts)`."""
        built: Callable[..., Any] = import_module(f"trpo_gail.{self.module}").build
        return built


ADVERSARIES = {
    "gail": Choice("adversaries.discriminator", ("discriminator.", "d_step"), imitates=True),
    "fem": Choice("adversaries.apprenticeship", ("discriminator.reward",), imitates=True),
    "gtal": Choice("adversaries.apprenticeship", ("discriminator.reward",), imitates=True),
    "constant": Choice("adversaries.constant", ("discriminator.reward",)),
    "env_reward": Choice("adversaries.env_reward", ()),
}
GENERATORS = {
    "trpo": Choice("generators.trpo", ("trpo.",)),
    "ppo": Choice("generators.ppo", ("ppo.",)),
}


def find(table: Mapping[str, Choice], name: str) -> Choice:
    """The row of a name."""
    return table[name]
