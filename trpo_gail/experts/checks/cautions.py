"""What a person is warned of before learning from a file: it can be used, but perhaps not as it was meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trpo_gail.experts.checks import fit, padding, validate
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Ends
from trpo_gail.experts.outline import Outline, outline
from trpo_gail.spaces.spec import EnvSpec

ALIVE, SUCCESS = "-log(1-D)", "log(D)"  # the rewards that are never negative, and never positive


def of_file(given: Demonstrations | Outline) -> list[str]:
    """What is so whatever is done with the file."""
    held = given if isinstance(given, Outline) else outline([given])
    found = [_no_end(held), _unfinished(held)]
    if text := padding.told(np.concatenate(held.zeros), held.episode_lengths):
        found.append(f"{held.path}: {text}")
    for name, value in held.too_large.items():
        found.append(f"{held.path}: dataset '{name}': {value:g} does not fit float32; training needs --dtype float64")
    return [text for text in found if text]


def of_run(data: Demonstrations, env_id: str, reward: str | None, kwargs: Mapping[str, Any] | None = None) -> list[str]:
    """What is so of a run on `env_id` that pays the learner by `reward`, as `--discriminator.reward` names it, or not.
    `kwargs` are the environment's arguments, if they are known."""
    found = [
        fit.other_environment(data, env_id, kwargs),
        _no_end(data),
        _unfinished(data),
        _success(data.ends, data.path) if reward == ALIVE else None,
        _living(data.ends, data.path) if reward == SUCCESS else None,
        _few_pairs(data),
        *validate.cheap(data),
        *(f"{data.path}: {text}" for text in data.notes),
    ]
    return [text for text in found if text]


def of_first_policy(data: Demonstrations, spec: EnvSpec, log_std: float) -> list[str]:
    """What is so of a new policy in this environment, whose log standard deviation begins with this: observations that may
    be codes, and actions that it hardly comes to."""
    return [*spec.observations.codes(data.observations), *fit.beyond_reach(data, spec, log_std)]


def _no_end(data: Demonstrations | Outline) -> str | None:
    ends = data.ends
    if ends is None or not ends.unsaid or ends.terminal or ends.limit:
        return None
    if data.unfinished:
        return (
            f"{data.path}: no row ends an episode: all are taken for one that is unfinished, and the expert's return is "
            "unknown"
        )
    return (
        f"{data.path}: 'terminals' and 'timeouts' are False in the last row of every episode, so that none ends; "
        "one of the two should be True there"
    )


def _unfinished(data: Demonstrations | Outline) -> str | None:
    """Of the episodes kept. A file whose only one is unfinished has no end at all, of which `_no_end` warns."""
    ends = data.ends
    others = len(data.episode_lengths) > 1 if ends is None else ends.terminal or ends.limit
    if not data.unfinished or not others:
        return None
    return (
        f"{data.path}: the last episode, of {data.episode_lengths[-1]} steps, is unfinished: its rows are learned from, "
        "but it counts in no mean return"
    )


def _success(ends: Ends | None, path: str) -> str | None:
    """An episode that ends early is no more paid: by a reward that is never negative, a success would be a loss."""
    if ends is None or ends.terminal <= ends.limit:
        return None
    return (
        f"{path}: {ends.terminal} of {ends.total} episodes end {ends.early}; if that is "
        f"success, the reward {ALIVE}, never negative, teaches to avoid it: --discriminator.reward 'log(D)' does not"
    )


def _living(ends: Ends | None, path: str) -> str | None:
    """The reverse: by a reward that is never positive, an early end saves what the rest would cost."""
    if ends is None or ends.limit <= ends.terminal:
        return None
    return (
        f"{path}: {ends.limit} of {ends.total} episodes last until the time limit; if one can "
        f"end by a failure, the reward {SUCCESS}, never positive, teaches to fail: --discriminator.reward '{ALIVE}' does not"
    )


def _few_pairs(data: Demonstrations) -> str | None:
    pairs, steps = len(data.actions), int(data.episode_lengths.sum())
    fewer = f"; a --subsample below {data.subsample} leaves more" if data.subsample > 1 else ""
    if pairs == 1:
        return f"{data.path}: of {steps} steps 1 pair of observation and action is left to learn from{fewer}"
    if empty := data.trajectories - len(np.unique(data.episode_of)):
        return f"{data.path}: {empty} of {data.trajectories} trajectories are too short to leave a pair{fewer}"
    return None
