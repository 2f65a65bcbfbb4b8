"""Whether a policy for one environment's spaces can act in another's, and how messages show spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Space, Tuple

from trpo_gail.errors import UserError, shortened
from trpo_gail.spaces.layout import leaves
from trpo_gail.spaces.spec import EnvSpec


def columns(spec: EnvSpec) -> list[Any]:
    """What must be equal of two environments' observations."""
    return [(part.path, part.shape, part.kind, part.labels) for part in spec.observations.parts]


def acts(spec: EnvSpec) -> tuple[Any, ...]:
    """What must be equal of their actions, but for units."""
    return type(spec.action_space), spec.actions.shape, spec.actions.labels


def difference(found: EnvSpec, own: EnvSpec) -> tuple[str, str, str] | None:
    """What an environment has that another one has not, in words, and both as a message shows them; None if nothing differs
    that a run depends on."""
    for what, same, attribute in (
        ("other observations", columns(found) == columns(own), "observation_space"),
        ("other actions", _same_actions(found, own), "executed_space"),
        ("another time limit", found.max_episode_steps == own.max_episode_steps, "max_episode_steps"),
        ("another backend", found.backend == own.backend, "backend"),
        ("another view of actions", found.action_view == own.action_view, "action_view"),
    ):
        if not same:
            return what, *contrast(getattr(found, attribute), getattr(own, attribute))
    return None


def _same_actions(found: EnvSpec, own: EnvSpec) -> bool:
    return acts(found) == acts(own) and same_space(found.executed_space, own.executed_space)


def same_space(here: Space, there: Space) -> bool:
    """Whether two spaces hold the same actions, whatever their dtype, which files do not keep of labels."""
    if here.shape != there.shape or isinstance(here, Box) != isinstance(there, Box):
        return False
    if isinstance(here, Box) and isinstance(there, Box):
        return np.allclose(here.low, there.low) and np.allclose(here.high, there.high)
    return all(np.array_equal(getattr(here, name, 0), getattr(there, name, 0)) for name in ("n", "nvec", "start"))


def check_fits(found: EnvSpec, wanted: EnvSpec, whose: str) -> None:
    """Raise UserError, beginning with `whose`, unless a policy for the spec `wanted` can act in the environment of
    `found`."""
    _check(found, wanted, whose, _acts(found) == _acts(wanted))


def _acts(spec: EnvSpec) -> tuple[Any, ...]:
    return *acts(spec), spec.action_scaling is None


def check_same(found: EnvSpec, own: EnvSpec, whose: str) -> None:
    """Raise UserError, beginning with `whose`, unless an environment shows what a model's own shows, and takes its actions
    within the same bounds, by which the policy's units are converted."""
    _check(found, own, whose, _same_actions(found, own))


def _check(found: EnvSpec, own: EnvSpec, whose: str, same_actions: bool) -> None:
    for name, same in (("observation_space", columns(found) == columns(own)), ("executed_space", same_actions)):
        if not same:
            here, there = contrast(*(getattr(spec, name) for spec in (found, own)))
            raise UserError(f"{whose}: {name.replace('executed', 'action')} {here}, expected {there} as the model has")


def contrast(here: Any, there: Any) -> tuple[str, str]:
    """Two spaces that differ, as a message shows them: of many parts the names, or the first that differs."""
    if not any(isinstance(space, (Dict, Tuple)) for space in (here, there)):
        return shown(here), shown(there)
    parts = [{".".join(map(str, path)): leaf for path, leaf in leaves(space)} for space in (here, there)]
    if list(parts[0]) != list(parts[1]):
        one, other = (shortened(f"of {', '.join(names)}", 60) if any(names) else "of one array" for names in parts)
        return one, other
    differing = next((name for name in parts[0] if parts[0][name] != parts[1][name]), None)
    if differing is None:  # not in what makes columns
        return shown(here), shown(there)
    return f"with {differing} {shown(parts[0][differing])}", shown(parts[1][differing])


def shown(space: object) -> str:
    """Bounds are printed in columns, whose blanks a message has no room for."""
    return shortened(" ".join(str(space).split()), 45)
