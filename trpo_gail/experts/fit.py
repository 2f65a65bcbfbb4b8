"""Whether demonstrations fit an environment, and how a learner's actions must be seen beside theirs.

M rows, A action size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Discrete

from trpo_gail.errors import UserError, shortened
from trpo_gail.experts.data import Demonstrations
from trpo_gail.magnitudes import too_large
from trpo_gail.spaces.actions import Actions
from trpo_gail.spaces.spec import ActionView, EnvSpec


def check(data: Demonstrations, spec: EnvSpec, dtype: str = "float64") -> None:
    """Raise UserError, naming file, field, expected and found, unless the data fit the environment's spaces and `dtype`."""
    for name in ("observations", "actions"):
        if (value := too_large(getattr(data, name), dtype)) is not None:
            raise UserError(f"{data.path}: dataset '{name}': {value:g} does not fit {dtype}; --dtype float64 holds it")
    where, env = f"{data.path}: dataset", f"as the environment {spec.id!r} has"
    expected, found = [spec.observation_size], list(data.observations.shape[1:])
    if found != expected:
        raise UserError(f"{where} 'observations': expected rows of shape {expected} {env}, found {found}")
    actions = spec.actions
    if actions.whole:
        _check_labels(data.actions, actions, where, env)
    elif data.actions.shape[1:] != actions.shape:
        kind = f"{data.actions.dtype} {list(data.actions.shape[1:])}"
        raise UserError(f"{where} 'actions': expected rows of {actions.size} floats {env}, found {kind}")


def _check_labels(found: np.ndarray, actions: Actions, where: str, env: str) -> None:
    """Rows of labels, each below its number."""
    most = max(actions.labels) - 1
    rows = f" in rows of {len(actions.labels)}" if actions.shape else ""
    expected = f"{where} 'actions': expected integers from 0 to {most}{rows} {env}"
    if found.shape[1:] != actions.shape or found.dtype.kind not in "iu":
        raise UserError(f"{expected}, found {found.dtype} {list(found.shape)}")
    if (found < 0).any() or (found >= np.asarray(actions.labels)).any():
        raise UserError(f"{expected}, found {found.min()} to {found.max()}")


def other_environment(data: Demonstrations, env_id: str) -> str | None:
    """What to warn of if the file says that its episodes are another environment's. None too if it does not say.

    Variants share spaces, and learning from one on another is legitimate; the returns are just not on one scale.
    """
    if data.env_id is None or data.env_id.rpartition(":")[2] == env_id.rpartition(":")[2]:
        return None
    return (
        f"{data.path} was recorded on {shortened(data.env_id, 60)}, not {env_id}: "
        "its returns, and so scaled_score, are of that task"
    )


def action_view(data: Demonstrations, action_space: Any, override: ActionView | None = None) -> tuple[ActionView, str]:
    """Whether D and `env.step` get the policy's sample as it is (raw) or clipped to the bounds (executed), and why.

    The learner must be seen as the expert was: else the discriminator tells them apart by the clipping alone. The
    reason begins with "warning:" if it is a guess. `data` must have passed `check`.
    """
    if isinstance(action_space, Discrete):
        return "raw", "discrete actions have no bounds to clip to"
    if override is not None:
        return override, "as asked for"
    if data.action_view is not None:
        return data.action_view, f"as {data.path} states"
    if outside(data.actions, action_space.low, action_space.high).any():
        return "raw", f"{data.path} does not say, but holds actions outside the bounds"
    return "executed", f"warning: {data.path} does not say, and no action in it is outside the bounds: taken as clipped"


def outside(actions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Which action coordinates are outside the bounds by more than rounding, to float32 at best: [M, A] bool."""
    rounding = max(1e-6, float(np.finfo(actions.dtype).eps))
    low, high = low.astype(np.float64), high.astype(np.float64)
    slack = rounding * np.maximum(1.0, np.abs(np.where(np.isfinite(high), high, 1.0)))
    return (actions < low - slack) | (actions > high + slack)
