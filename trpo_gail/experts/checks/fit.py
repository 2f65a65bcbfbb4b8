"""Whether demonstrations fit an environment, and how a learner's actions must be seen beside theirs.

M rows, A action size.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from trpo_gail.errors import UserError, shortened
from trpo_gail.experts.data import Demonstrations
from trpo_gail.magnitudes import too_large
from trpo_gail.spaces.actions import Actions
from trpo_gail.spaces.spec import ActionView, EnvSpec

FEWEST = 10  # steps that show a column to count time
# Sizes of actions that a policy hardly learns, in standard deviations of its first actions or in 1, whichever is farther
# away: a step by a KL of 0.01 moves its mean by 0.14 standard deviations at most.
FAR, NEAR = 100.0, 1e-3
LARGEST_LOG = 700.0  # its exponential is still a float64


def check(data: Demonstrations, spec: EnvSpec, dtype: str = "float64") -> None:
    """Raise UserError, naming file, field, expected and found, unless the data fit the environment's spaces and `dtype`."""
    for name in ("observations", "actions"):
        if (value := too_large(getattr(data, name), dtype)) is not None:
            raise UserError(f"{data.path}: dataset '{name}': {value:g} does not fit {dtype}; --dtype float64 holds it")
    where, env = f"{data.path}: dataset", f"as the environment {spec.id!r} has"
    expected, found = [spec.observation_size], list(data.observations.shape[1:])
    if found != expected:
        if len(found) > 1:  # an image, as it is in the file
            expected = list(spec.observations.parts[0].shape) if len(spec.observations.parts) == 1 else expected
        why = _turned(found, expected) or _explained(data, spec)
        raise UserError(f"{where} 'observations': expected rows of shape {expected} {env}, found {found}{why}")
    _check_codes(data.observations, spec, where, env)
    if not data.has_actions:
        return
    actions = spec.actions
    if actions.whole:
        _check_labels(data.actions, actions, where, env)
    elif data.actions.shape[1:] != actions.shape:
        kind = f"{data.actions.dtype} {list(data.actions.shape[1:])}"
        raise UserError(f"{where} 'actions': expected rows of {actions.size} floats {env}, found {kind}")


def _turned(found: list[int], expected: list[int]) -> str:
    """How to move the axes of images whose channels are first or last where the environment has them last or first."""
    if len(found) == len(expected) == 3 and found != expected:
        for source, target, where in ((1, -1, "first"), (-1, 1, "last")):
            moved = [*found[1:], found[0]] if source == 1 else [found[-1], *found[:-1]]
            if moved == expected:
                return f": its channels come {where}, numpy.moveaxis(images, {source}, {target}) moves them"
    return ""


def _check_codes(rows: np.ndarray, spec: EnvSpec, where: str, env: str) -> None:
    """Columns of Discrete, MultiDiscrete and MultiBinary parts are their codes: files may have these columns elsewhere."""
    for part in spec.observations.parts:
        columns = rows[:, part.columns]
        if (wrong := part.uncoded(columns)).any():
            first = int(np.argmax(wrong))
            shown = shortened(" ".join(f"{value:.4g}" for value in columns[first]), 60)
            of = f" of '{part.name}'" if part.name else ""
            what = f"one-hot codes{of}, 0 but for a 1 at the label," if part.labels else f"bits{of}, 0 or 1,"
            raise UserError(
                f"{where} 'observations': columns {part.columns.start} to {part.columns.stop - 1}: expected {what} {env}, "
                f"found {shown} in row {first}"
            )


def _check_labels(found: np.ndarray, actions: Actions, where: str, env: str) -> None:
    """Rows of labels, each below its number."""
    most = max(actions.labels) - 1
    rows = f" in rows of {len(actions.labels)}" if actions.shape else ""
    expected = f"{where} 'actions': expected integers from 0 to {most}{rows} {env}"
    if found.shape[1:] != actions.shape or found.dtype.kind not in "iu":
        codes = _are_codes(found, sum(actions.labels)) and not actions.shape
        hint = ": one-hot codes, of which the labels are numpy.argmax(actions, axis=1)" if codes else ""
        raise UserError(f"{expected}, found {found.dtype} {list(found.shape)}{hint}")
    if (found < 0).any() or (found >= np.asarray(actions.labels)).any():
        of_one = bool(((found >= 1) & (found <= np.asarray(actions.labels))).all())
        hint = ": if they begin at 1, subtract 1" if of_one else ""
        raise UserError(f"{expected}, found {found.min()} to {found.max()}{hint}")


def _are_codes(rows: np.ndarray, labels: int) -> bool:
    """Whether rows [M, labels] are 0 but for a 1."""
    if rows.shape[1:] != (labels,):
        return False
    return bool(((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all())


# Observation sizes by the environment that has them, where versions differ: (task, size).
_SIZES = {
    ("acrobot", 4): "Acrobot of 2016 (Paper/Acrobot-v0): angles, where later ones give sines and cosines",
    ("acrobot", 6): "Acrobot-v1",
    ("ant", 27): "Ant-v4",
    ("ant", 105): "Ant-v5",
    ("ant", 111): "Ant-v1 to -v3, and Ant-v4 with use_contact_forces",
    ("humanoid", 376): "Humanoid-v1 to -v4",
    ("humanoid", 348): "Humanoid-v5",
    ("reacher", 11): "Reacher-v1 to -v4",
    ("reacher", 10): "Reacher-v5",
}


def _explained(data: Demonstrations, spec: EnvSpec) -> str:
    """Which column or environment explains that observations are of another size; nothing if it is not known."""
    size, wanted = data.observations.shape[-1], spec.observation_size
    if size == wanted + 1 and (counting := clocks(data)):
        _, column, step = counting[-1]
        return f"; column {column} counts time, by {step:.4g} a step, which the environment does not show: leave it out"
    task = re.sub(r"-v\d+$", "", re.split("[:/]", spec.id)[-1]).lower()
    if data.env_id is not None and data.env_id != spec.id:
        return f"; the file was recorded on {shortened(data.env_id, 60)}"
    return f"; {size} are those of {_SIZES[task, size]}" if (task, size) in _SIZES else ""


def clocks(held: Demonstrations) -> list[tuple[str, int, float]]:
    """Columns of the observations that move by one and the same amount at each step of every episode: (array, column,
    amount)."""
    if held.subsample != 1:
        return []
    within = np.flatnonzero(held.steps[1:] == held.steps[:-1] + 1)
    if len(within) < FEWEST:
        return []
    return [
        (f"observations.{name}".rstrip("."), column, step)
        for name, values in held.observed
        if values.ndim == 2
        for column, step in _counting(values, held.steps, within)
    ]


def _counting(values: np.ndarray, steps: np.ndarray, within: np.ndarray) -> list[tuple[int, float]]:
    """Of one array [N, columns]; `within` are the rows with a next row of the same episode."""
    found = []
    for column in range(values.shape[1]):
        x = values[:, column].astype(np.float64)
        moves, starts = x[within + 1] - x[within], x[steps == 0]
        step = float(np.median(moves))
        rounding = 1e-5 * max(1.0, float(np.abs(x).max())) if values.dtype.itemsize < 8 else 1e-9
        alike = starts.max() - starts.min() <= rounding
        if step and alike and np.abs(moves - step).max() <= min(rounding, 0.1 * abs(step)):
            found.append((column, step))
    return found


def other_environment(data: Demonstrations, env_id: str, kwargs: Mapping[str, Any] | None = None) -> str | None:
    """What to warn of if the file says that its episodes are another environment's, or one's of other arguments than
    `kwargs`, None if these are not known. None too if it does not say.

    Variants share spaces, and learning from one on another is legitimate; the returns are just not on one scale.
    """
    if data.env_id is None:
        return None
    said = bool(data.env_kwargs) or data.provenance.backend is not None  # a recording holds both, or neither
    if data.env_id.rpartition(":")[2] != env_id.rpartition(":")[2]:
        before, now = shortened(data.env_id, 60), env_id
    elif kwargs is None or not said or _effective(data.env_kwargs, env_id) == _effective(kwargs, env_id):
        return None
    else:
        given = (shortened(json.dumps(dict(each), default=str), 60) for each in (data.env_kwargs, kwargs))
        before, now = (f"--env_kwargs '{each}'" for each in given)
    what = "on" if now == env_id else "with"
    return f"{data.path} was recorded {what} {before}, not {now}: its returns, and so scaled_score, are of that task"


def _effective(kwargs: Mapping[str, Any], env_id: str) -> Any:
    """What arguments come to beside those that an id is registered with, as JSON holds them."""
    registered = gymnasium.registry.get(env_id)
    every = {**(registered.kwargs if registered else {}), **kwargs}
    every.pop("render_mode", None)
    return json.loads(json.dumps(every, default=str))


def action_view(data: Demonstrations, action_space: Any, override: ActionView | None = None) -> tuple[ActionView, str]:
    """Whether D and `env.step` get the policy's sample as it is (raw) or clipped to the bounds (executed), and why.

    The learner must be seen as the expert was: else the discriminator tells them apart by the clipping alone. The
    reason begins with "warning:" if it is a guess. `data` must have passed `check`.
    """
    several = data.path == "demonstrations" or data.path.startswith("demonstrations of ")  # no file's name
    if not isinstance(action_space, Box):
        return "raw", "discrete actions have no bounds to clip to"
    if override is not None:
        return override, "as asked for"
    if data.action_view is not None:
        return data.action_view, f"as the {data.path} state" if several else f"as {data.path} states"
    silent = f"the {data.path} do not say" if several else f"{data.path} does not say"
    if outside(data.actions, action_space.low.ravel(), action_space.high.ravel()).any():
        return "raw", f"{silent}, but there are actions outside the bounds"
    return "executed", f"warning: {silent}, and no action is outside the bounds: taken as clipped"


def beyond_reach(data: Demonstrations, spec: EnvSpec, log_std: float) -> list[str]:
    """What to warn of if actions [M, A], in the policy's units, are of another size than those of a policy that begins at 0
    with this log standard deviation. Dimensions that are scaled to [-1, 1] are not looked at."""
    if spec.actions.whole or not data.has_actions:
        return []
    free = np.ones(spec.action_size, bool) if spec.action_scaling is None else ~spec.action_scaling.scaled
    sizes = np.sqrt(np.mean(np.square(data.actions, dtype=np.float64), axis=0)) * free
    most, std = int(np.argmax(sizes)), math.exp(min(log_std, LARGEST_LOG))
    far = sizes[most] > FAR * max(1.0, std)
    near = free.all() and 0.0 < sizes[most] < NEAR * min(1.0, std)
    if not (far or near):
        return []
    bounded = spec.actions.bounds is not None and np.isfinite(np.concatenate(spec.actions.bounds)).all()
    remedy = "--action_scaling makes" if bounded else "finite bounds in the environment's action_space make"
    return [
        f"{data.path}: 'actions': those of dimension {most} are of size {sizes[most]:.3g}, and the policy begins at 0 with a "
        f"standard deviation of {std:.3g}, from where it hardly comes there: {remedy} [-1, 1] of the bounds"
    ]


def taken_for_raw(data: Demonstrations, low: np.ndarray, high: np.ndarray, which: str) -> str | None:
    """What to warn of if actions are outside the bounds, which the text calls `which`, and the file does not say that they
    are raw samples, as those of a Gaussian policy are: `action_view` guesses it."""
    if data.action_view is not None or not (away := outside(data.actions, low, high)).any():
        return None
    low, high = low.astype(np.float64), high.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):  # of infinite bounds
        farthest = np.nanmax(np.maximum(low - data.actions, data.actions - high) / (high - low))
    return (
        f"{away.mean():.1%} of action coordinates are outside {which}, up to {farthest:.2g} times their width beyond, and "
        "the file does not say why: training takes them for a policy's samples (--actions raw), and its own will leave the "
        "bounds, too; if they are of other units, write the environment's"
    )


def outside(actions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Which action coordinates are outside the bounds by more than rounding, to float32 at best: [M, A] bool."""
    rounding = max(1e-6, float(np.finfo(actions.dtype).eps)) if actions.dtype.kind == "f" else 0.0
    low, high = low.astype(np.float64), high.astype(np.float64)
    slack = rounding * np.maximum(1.0, np.abs(np.where(np.isfinite(high), high, 1.0)))
    return (actions < low - slack) | (actions > high + slack)
