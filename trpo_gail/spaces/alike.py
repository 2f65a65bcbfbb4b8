"""Whether a policy for one environment's spaces can act in another's, and how messages show spaces."""

from __future__ import annotations

from typing import Any

from trpo_gail.errors import UserError, shortened
from trpo_gail.spaces.spec import EnvSpec


def columns(spec: EnvSpec) -> list[Any]:
    """What must be equal of two environments' observations."""
    return [(part.path, part.shape, part.kind, part.labels) for part in spec.observations.parts]


def acts(spec: EnvSpec) -> tuple[Any, ...]:
    """What must be equal of their actions, but for units."""
    return type(spec.action_space), spec.actions.shape, spec.actions.labels


def check_same(found: EnvSpec, own: EnvSpec, whose: str) -> None:
    """Raise UserError, beginning with `whose`, unless an environment shows what a model's own shows, and takes its actions
    within the same bounds, by which the policy's units are converted."""
    seen, done = columns(found) == columns(own), found.executed_space == own.executed_space
    for name, same in (("observation_space", seen), ("executed_space", done)):
        if not same:
            here, there = (shown(getattr(spec, name)) for spec in (found, own))
            raise UserError(f"{whose}: {name.replace('executed', 'action')} {here}, expected {there} as the model has")


def shown(space: object) -> str:
    """Bounds are printed in columns, whose blanks a message has no room for."""
    return shortened(" ".join(str(space).split()), 45)
