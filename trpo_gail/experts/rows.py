"""Demonstrations in an environment's own shapes as the rows that learners take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.spaces.spec import EnvSpec


def as_rows(data: Demonstrations, spec: EnvSpec) -> Demonstrations:
    """The same demonstrations, observations [N, O] and actions as `spec.actions` has them, in the environment's units.

    What has another shape than the environment's is left as it is, for `fit.check` to name. Raises UserError for labels
    that the environment does not have.
    """
    layout, actions = spec.observations, spec.executed
    changes: dict[str, Any] = {}
    if not layout.is_plain and len(layout.parts) == 1:
        for name in ("observations", "next_observations", "followers"):
            values = getattr(data, name)
            if values is not None and values.shape[1:] == layout.parts[0].shape:
                try:
                    changes[name] = layout.flatten(values)
                except ValueError as error:
                    raise UserError(f"{data.path}: dataset '{name}': {error} of the environment {spec.id!r}") from error
    shape = tuple(spec.executed_space.shape or ())
    if data.actions.shape[1:] == shape:
        inward = actions.inward(data.actions)
        if inward is not data.actions and not np.array_equal(inward, data.actions):
            changes["actions"] = inward
    return replace(data, **changes) if changes else data
