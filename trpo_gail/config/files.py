"""A tree as JSON holds it, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, get_type_hints

from trpo_gail.config import idle
from trpo_gail.config.leaves import build
from trpo_gail.config.tree import CloningStartConfig, Config
from trpo_gail.errors import UserError
from trpo_gail.system import typed

_SINCE_0_1_0: dict[str, Any] = {
    "action_scaling": False, "max_episode_steps": None, "encoder": "auto", "images": [], "numbers": [], "ignore": [],
    "init_policy": None, "warmup_iterations": 0, "cloning": dataclasses.asdict(CloningStartConfig()),
}  # fmt: skip


def to_dict(config: Any) -> dict[str, Any]:
    """As JSON holds it."""
    return dataclasses.asdict(config)


def from_dict(cls: type, values: Any, source: str) -> Any:
    """Build a tree from what `to_dict` gave; unknown and missing keys are errors that name the source.

    Keys that came later than the file's version may be missing: they are as things were then. Values that decide nothing,
    which older versions accepted, become defaults.
    """
    flat = dict(_flat(cls, values, source))
    try:
        return idle.settled(cls, flat) if cls is Config else build(cls, flat)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error


def _flat(cls: type, values: Any, source: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a tree that a file holds, each of its field's type."""
    hints = get_type_hints(cls)
    typed.check(values, dict, source)
    values = {**{name: value for name, value in _SINCE_0_1_0.items() if name in hints}, **values}
    if wrong := set(values) ^ set(hints):
        raise UserError(f"{source}: the config has keys that this version does not know or lacks: {sorted(wrong)}")
    for name, value in values.items():
        if dataclasses.is_dataclass(hints[name]):
            yield from _flat(hints[name], value, source, f"{prefix}{name}.")
        else:
            typed.check(value, hints[name], f"{source}: field {name!r}")
            yield prefix + name, tuple(value) if isinstance(value, list) else value
