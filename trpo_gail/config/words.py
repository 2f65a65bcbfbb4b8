"""A config as the words of a command line that gives it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trpo_gail.config import idle, presets
from trpo_gail.config.flags import Flag, flags
from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import CloningConfig, Config


def of_training(config: Config) -> list[str]:
    """The words after `trpo-gail train`: what differs from the defaults of the preset."""
    values, defaults = flatten(config), presets.values(config.preset, config.env)
    told = {path for path in values if values[path] != defaults[path] and not idle.reason(values, path)}
    if config.preset != Config("").preset:
        told.add("preset")
    return list(_words(Config, values, told))


def of_cloning(config: CloningConfig) -> list[str]:
    """The words after `trpo-gail clone`."""
    values, defaults = flatten(config), flatten(CloningConfig(config.env, config.expert))
    return list(_words(CloningConfig, values, {"expert"} | {path for path in values if values[path] != defaults[path]}))


def _words(cls: type, values: Mapping[str, Any], told: set[str]) -> Iterator[str]:
    made = flags(cls)
    yield from (str(values[flag.leaf.path]) for flag in made if flag.positional)
    for flag in made:
        if flag.leaf.path in told and not flag.positional:
            yield from _flag(flag, values[flag.leaf.path])


def _flag(flag: Flag, value: Any) -> list[str]:
    name = flag.names[-1]
    if flag.switch:
        return [name if value else flag.opposites[-1]]
    items = value if isinstance(value, tuple) else (value,)
    if flag.once_per_item:
        return [word for item in items for word in (name, str(item))]
    if len(items) == 1 and str(items[0]).startswith("-"):
        return [f"{name}={items[0]}"]
    return [name, *map(str, items)]
