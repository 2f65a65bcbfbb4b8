"""Transitions of one side, the learner's or the expert's: the data that an adversary sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trpo_gail.experts.facts import Ends
from trpo_gail.sampling.batch import Rows
from trpo_gail.sampling.rollout import Rollout


@dataclass(frozen=True)
class Transitions:
    """Rows of one side, in global order: environment by environment, or trajectory by trajectory, in time within
    each."""

    observations: np.ndarray  # [B, O]
    actions: np.ndarray  # [B, A] or int64 [B]: the policy's own sample, or those of the file
    terminated: np.ndarray  # [B] bool: nothing follows
    truncated: np.ndarray  # [B] bool: an end by time limit
    steps: np.ndarray  # [B] int64, index within the episode
    successors: Callable[[], np.ndarray]  # computes `next_observations`, which most adversaries do not need
    env_rewards: np.ndarray | None = None  # [B] float64, the environment's own; None if a file lacks them
    log_prob: np.ndarray | None = None  # [B] float64, log pi(a|s) of the policy that acted; if `needs_log_prob`
    # Likewise of all samples that are clipped to the same action; if any are, and if `needs_clipped_log_prob`.
    clipped_log_prob: np.ndarray | None = None
    rows: Rows | None = None  # global numbers; only on the learner's side
    ends: Ends | None = None  # how the whole episodes end; only on the expert's side, and if the source says so
    lengths: np.ndarray | None = None  # [E] int64, steps of the whole episodes; only on the expert's side
    endings: np.ndarray | None = None  # [E] integers, how each of these ends, `facts.TERMINAL` and others; likewise

    def __len__(self) -> int:
        return len(self.observations)

    @cached_property
    def next_observations(self) -> np.ndarray:
        """[B, O], the true successors, even at an end; NaN if a file lacks one."""
        return self.successors()


def of(
    rollouts: Sequence[Rollout],
    rows: Rows,
    log_probs: Sequence[np.ndarray | None] = (),
    clipped: Sequence[np.ndarray | None] = (),
) -> Transitions:
    """The valid rows of rollouts of the same environments, each environment's in time; `log_probs` and `clipped` are [B] of
    each, if they are known."""

    def flat(arrays: Iterable[np.ndarray]) -> np.ndarray:
        parts = [*arrays]
        return (parts[0] if len(parts) == 1 else np.concatenate(parts)).swapaxes(0, 1)[valid]

    def joined(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
        known = [values for values in parts if values is not None]
        return flat(to_rollout(r, values) for r, values in zip(rollouts, known, strict=True)) if known else None

    valid = np.concatenate([r.valid for r in rollouts]).T
    return Transitions(
        flat(r.observations[:-1] for r in rollouts),
        flat(r.actions for r in rollouts),
        flat(r.terminated for r in rollouts),
        flat(r.truncated for r in rollouts),
        flat(r.steps for r in rollouts),
        # For each rollout apart: the row after a rollout's last may begin another episode.
        lambda: flat(r.observations[1:] for r in rollouts),
        flat(r.rewards for r in rollouts),
        joined(log_probs),
        joined(clipped),
        rows,
    )


def flat_rows(rollout: Rollout, array: np.ndarray) -> np.ndarray:
    """Valid rows of an array [T, N, ...], environment by environment: [B, ...]."""
    return array.swapaxes(0, 1)[rollout.valid.T]


def to_rollout(rollout: Rollout, rows: np.ndarray) -> np.ndarray:
    """The inverse of `flat_rows` for numbers [B]: [T, N] float64, 0 in rows that are no transitions."""
    array = np.zeros(rollout.valid.shape[::-1])
    array[rollout.valid.T] = rows
    return array.T
