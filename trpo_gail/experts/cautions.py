"""What a person is warned of before learning from a file: it can be used, but perhaps not as it was meant."""

from __future__ import annotations

import numpy as np

from trpo_gail.experts import dataset
from trpo_gail.experts.dataset import Demonstrations, Ends, ExpertData
from trpo_gail.magnitudes import too_large

ALIVE = "-log(1-D)"  # the reward that is never negative


def of_file(held: Demonstrations, path: str) -> list[str]:
    """What is so whatever is done with the file."""
    ends = dataset.ends(held)
    found = [_no_end(ends, path), _success(ends, path)]
    for name in ("observations", "actions"):
        if (value := too_large(getattr(held, name), "float32")) is not None:
            found.append(f"{path}: dataset '{name}': {value:g} does not fit float32; training needs --dtype float64")
    return [text for text in found if text]


def of_run(data: ExpertData, env_id: str, reward: str | None) -> list[str]:
    """What is so of a run on `env_id` that pays the learner by `reward`, as `--discriminator.reward` names it, or not."""
    found = [
        dataset.other_environment(data, env_id),
        _no_end(data.ends, data.path),
        _success(data.ends, data.path) if reward == ALIVE else None,
        _few_pairs(data),
    ]
    return [text for text in found if text]


def _no_end(ends: Ends | None, path: str) -> str | None:
    if ends is None or not ends.unsaid or ends.terminal or ends.limit:
        return None
    return (
        f"{path}: 'terminals' and 'timeouts' are False in the last row of every episode, so that none ends; "
        "one of the two should be True there"
    )


def _success(ends: Ends | None, path: str) -> str | None:
    """An episode that ends early is no more paid: by a reward that is never negative, a success would be a loss."""
    if ends is None or ends.terminal <= ends.limit:
        return None
    return (
        f"{path}: {ends.terminal} of {ends.terminal + ends.limit + ends.unsaid} episodes end by termination; if that is "
        f"success, the reward {ALIVE}, never negative, teaches to avoid it: --discriminator.reward 'log(D)' does not"
    )


def _few_pairs(data: ExpertData) -> str | None:
    pairs, steps = len(data.actions), int(data.episode_lengths.sum())
    fewer = f"; a --subsample below {data.subsample} leaves more" if data.subsample > 1 else ""
    if pairs == 1:
        return f"{data.path}: of {steps} steps 1 pair of observation and action is left to learn from{fewer}"
    if empty := data.trajectories - len(np.unique(data.episode_of)):
        return f"{data.path}: {empty} of {data.trajectories} trajectories are too short to leave a pair{fewer}"
    return None
